"""Instances of the API as processes of their own, on one database."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import text

from models.database import engine
from tests.waiting import free_port

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Instance:
    address: str
    process: "subprocess.Popen[bytes]"

    def client(self, token: str) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers={"authorization": f"Bearer {token}"}, timeout=60)


@contextmanager
def instance(url: str, folder: Path, **settings: str) -> Iterator[Instance]:
    """One that answers, and is ended after the block."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "dashboard.api:api", "--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "DATABASE_URL": url, "APPOINTMENT360_HOME": str(folder), **settings}
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, process, folder / f"{port}.log")
            yield Instance(address, process)
        finally:
            process.terminate()
            process.wait()


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/health").status_code == 200:
                return
        except httpx.TransportError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def wait_until_held(number: int) -> None:
    """Until so many connections wait for a lock that the test holds."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engine().connect() as connection:
            if connection.scalar(text(waiting)) == number:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")
