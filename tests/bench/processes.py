"""Running the command line as a user does, with its time, its JSON answer and the peak memory of its processes."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.waiting import until

METRICS = {"APPOINTMENT360_METRICS_TOKEN": "measured"}
INTERVAL = 0.05  # seconds between two looks at the memory


@dataclass(frozen=True)
class Run:
    """`peak` is in bytes: the most that the command and its children held together, shared pages counted once each."""

    answer: dict[str, Any]
    seconds: float
    peak: int


def command(home: Path, *arguments: str) -> Run:
    """`appointment360 ARGUMENTS --json`; raises RuntimeError with its words when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", *arguments, "--home", str(home), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    peak = watch(process)
    out, err = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {out.decode()} {err.decode()[-2000:]}")
    return Run(json.loads(out), seconds, peak)


def watch(process: subprocess.Popen[bytes]) -> int:
    """Bytes that the process and its children held at most, until it ends.

    By looking: what the kernel reports of an ended child starts at the memory of the process that forked it.
    """
    peak = 0
    while process.poll() is None:
        peak = max(peak, _memory(process.pid))
        time.sleep(INTERVAL)
    return peak


def _memory(pid: int) -> int:
    """Of the process and its children, but not of a Postgres server that it may have started."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            if not member.name().startswith("postgres"):
                total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def memory_of_web() -> int:
    """Resident bytes of the web that this process has started."""
    return max(
        process.memory_info().rss
        for process in psutil.Process().children(recursive=True)
        if "dashboard.process" in " ".join(process.cmdline())
    )


def until_mirrored(web: str) -> None:
    """Until the web, started with METRICS, has its mirror: before that the database answers."""
    bearer = {"Authorization": f"Bearer {METRICS['APPOINTMENT360_METRICS_TOKEN']}"}
    follows = "appointment360_mirror_following 1.0"
    until("the mirror follows", lambda: follows in httpx.get(f"{web}/metrics", headers=bearer).text, within=1800)
