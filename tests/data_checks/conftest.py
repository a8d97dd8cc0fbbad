"""One warm checker for all tests of this folder: each process that loads the library takes seconds to do so."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_checks import messages


def started_checker(home: Path, *, but_not: int | None = None) -> subprocess.Popen[bytes]:
    """A warm checker that listens, at another socket than the one numbered `but_not`."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-m", "data_checks.gate", "--home", str(home)], env=environment)
    while not _listens(messages.address(home), but_not):
        assert process.poll() is None, "the checker ended before it listened"
        time.sleep(0.05)
    return process


@pytest.fixture(scope="session")
def warm_checker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """The home and the process of a running checker."""
    home = tmp_path_factory.mktemp("home")
    process = started_checker(home)
    yield home, process
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture(scope="session")
def warm(warm_checker: tuple[Path, subprocess.Popen[bytes]]) -> Path:
    return warm_checker[0]


def _listens(path: Path, but_not: int | None) -> bool:
    return path.exists() and path.stat().st_ino != but_not and path.stat().st_mode & 0o077 == 0
