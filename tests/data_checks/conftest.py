"""One warm checker for all tests of this folder: each process that loads the library takes seconds to do so."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_checks import messages


def started_checker(home: Path) -> subprocess.Popen[bytes]:
    """A warm checker that answers who calls."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-m", "data_checks.gate", "--home", str(home)], env=environment)
    while not _answers(messages.address(home)):
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


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(path)) == 0
