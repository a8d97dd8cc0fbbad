"""What runs in a home, on file: the parts with their process groups, so that none outlives its supervisor.

`record` is written whenever a part starts. `end_all` kills what the file names: the warden calls it when the
supervisor is gone, and the next supervisor before it starts, should the warden have been killed as well.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

SECONDS_TO_END = 5.0
SUPERVISOR = "supervisor"
PREFECT = "prefect"  # the fact where it answers
SAME_START = 2.0  # seconds: clocks are set, and the kernel rounds


@dataclass(frozen=True)
class Running:
    """A process that leads its own group; the time it began (epoch seconds) tells it from a later one of its number."""

    name: str
    pid: int
    began: float


def record_file(home: Path) -> Path:
    return home / "running.json"


def identified(name: str, pid: int) -> Running | None:
    """None where the process is gone already."""
    import psutil

    try:
        return Running(name, pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def record(path: Path, running: list[Running], facts: Mapping[str, object]) -> None:
    """Replace the file at once: a reader sees the old or the new one."""
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({"running": [asdict(one) for one in running], **facts}))
    fresh.replace(path)


def read(path: Path) -> tuple[list[Running], dict[str, object]]:
    """What was recorded; nothing where the file is missing or was cut off by a crash."""
    try:
        facts = json.loads(path.read_text())
        return [Running(**one) for one in facts.pop("running")], facts
    except (OSError, ValueError, KeyError, TypeError):
        return [], {}


def is_alive(one: Running) -> bool:
    """Whether it is still that process, and not a zombie."""
    import psutil

    try:
        process = psutil.Process(one.pid)
        same = abs(process.create_time() - one.began) < SAME_START
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def members(one: Running) -> list[int]:
    """The living processes of its group; none where the number belongs to somebody else by now."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        if abs(psutil.Process(one.pid).create_time() - one.began) >= SAME_START:
            return []
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == one.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def signal_group(one: Running, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.pid, number)


def parts(path: Path) -> list[Running]:
    """What was recorded, but for the supervisor: it ends by itself, and where it leads its group a shell's other
    processes may be in it."""
    return [one for one in read(path)[0] if one.name != SUPERVISOR]


def end_all(groups: list[Running], *, patience: float = SECONDS_TO_END) -> None:
    """SIGTERM to every group that lives, SIGKILL to those that live on after `patience` seconds."""
    left = [one for one in groups if members(one)]
    for one in left:
        signal_group(one, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [one for one in left if members(one)]
    for one in left:
        signal_group(one, signal.SIGKILL)
    while left and time.monotonic() < deadline + SECONDS_TO_END:
        left = [one for one in left if members(one)]
        time.sleep(0.02)
