"""The checker that `up` keeps warm, started as `up` starts it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START = 60  # seconds until its socket must be there


@contextmanager
def warm_checker(home: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "data_checks.gate", "--home", str(home)])
    try:
        deadline = time.monotonic() + START
        while not (home / "checks.sock").exists():
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError("The checker did not start.")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)
