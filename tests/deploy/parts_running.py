"""The parts of the house as processes of their own, as systemd and containers run them, on a test's database."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from models.database import libpq_url
from tests.deploy.command_line import COMMAND, PROJECT
from tests.waiting import LONGEST, free_port, until

SIGN_IN = "appointment360:the-sign-in-of-this-test"


@dataclass
class Parts:
    """Each with its own log in `folder`. A home is a host: those that share one are on the same."""

    url: str
    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    prefect_port: int = field(default_factory=free_port)
    started: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def environment(self, home: Path) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return own | {
            "DATABASE_URL": self.url,
            "APPOINTMENT360_HOME": str(home),
            "APPOINTMENT360_PREFECT_URL": f"http://127.0.0.1:{self.prefect_port}",
            "APPOINTMENT360_PREFECT_AUTH": SIGN_IN,
            **self.more,
        }

    def start(self, name: str, *arguments: str, host: str = "host-1") -> "subprocess.Popen[bytes]":
        """`appointment360 ARGUMENTS`, in the home of that host."""
        return self._begin(name, [*COMMAND, *arguments], self.environment(self.folder / host))

    def python(self, name: str, *arguments: str, host: str = "host-1") -> "subprocess.Popen[bytes]":
        """`python ARGUMENTS`, which is told where Prefect is as the parts tell those that they start."""
        home = self.folder / host
        told = {
            "PREFECT_API_URL": f"http://127.0.0.1:{self.prefect_port}/api",
            "PREFECT_API_AUTH_STRING": SIGN_IN,
            "PREFECT_HOME": str(home / "prefect"),
        }
        return self._begin(name, [sys.executable, *arguments], self.environment(home) | told)

    def _begin(self, name: str, command: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            self.started[name] = subprocess.Popen(
                command, env=environment, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self.started[name]

    def web(self, name: str, *, host: str = "host-1") -> str:
        """A web instance; its address, once it is ready."""
        port = free_port()
        self.start(name, "run", "web", "--port", str(port), host=host)
        address = f"http://127.0.0.1:{port}"
        self.until(f"{name} is ready", lambda: status(f"{address}/readyz") == 200)
        return address

    def prefect(self, *, host: str = "host-1") -> None:
        self.start("prefect", "run", "prefect", "--port", str(self.prefect_port), host=host)
        self.until("Prefect answers", lambda: status(f"http://127.0.0.1:{self.prefect_port}/api/health") == 200)

    def worker(self, name: str, *, limit: int = 2, host: str = "host-1") -> None:
        self.start(name, "run", "worker", "--limit", str(limit), host=host)
        self.until(f"{name} takes runs", lambda: b"started!" in self.log(name))

    def log(self, name: str) -> bytes:
        return (self.folder / f"{name}.log").read_bytes()

    def signal(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        self.started[name].send_signal(number)

    def ended(self, name: str) -> int:
        """Its exit code, once it has one."""
        code = self.started[name].wait(LONGEST)
        del self.started[name]
        return code

    def kill(self, name: str) -> None:
        """With all that it started, as when its power fails."""
        started = self.started.pop(name)
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(started.pid)
            for one in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        started.wait()

    def said(self) -> str:
        return "\n".join(f"{log.name}: {log.read_text()[-3000:]}" for log in sorted(self.folder.glob("*.log")))

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        return until(what, condition, self.said)


@contextmanager
def parts_of(url: str, folder: Path, **more: str) -> Iterator[Parts]:
    """Nothing runs yet; at the end nothing does, and Prefect's database is gone."""
    made = Parts(url, folder, more)
    try:
        yield made
    finally:
        for name in list(made.started):
            made.kill(name)
        with psycopg.connect(libpq_url(url), dbname="postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS prefect WITH (FORCE)")


def status(address: str) -> int | None:
    """Of the answer; None where there is none."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None
