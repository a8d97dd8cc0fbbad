import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from data_checks import messages
from data_checks.gate import Gate
from deploy.embedded_postgres import Server
from models.errors import Unavailable
from tests.data_checks import staged
from tests.data_checks.conftest import started_checker


@pytest.fixture(scope="module")
def table(postgres: Server) -> str:
    """The URL of a database with staging.import_1, three rows of which one has no proper address."""
    postgres.ensure_database("gated")
    url = postgres.url("gated")
    staged.make(url, "import_1", [staged.GOOD, staged.GOOD, staged.GOOD | {"email": "ann at example.com"}])
    return url


def children(process: subprocess.Popen[bytes] | None = None) -> list[psutil.Process]:
    found = psutil.Process(process.pid if process else None).children()
    return [child for child in found if child.status() != psutil.STATUS_ZOMBIE]


def own_checkers() -> list[psutil.Process]:
    return [child for child in children() if "--once" in child.cmdline()]


def test_a_cold_gate_says_the_same_as_a_warm_one(table: str, warm: Path, tmp_path: Path) -> None:
    with Gate(tmp_path) as cold, Gate(warm) as gate:
        assert len(own_checkers()) == 1, "only the cold one needs a process of its own"
        found = gate.check(table, "import_1", "staging")
        assert found == cold.check(table, "import_1", "staging")
    assert {one.name: one.failing for one in found if one.failing} == {"email_is_an_address": 1}
    assert own_checkers() == []


def test_when_the_warm_checker_dies_a_process_of_its_own_takes_over(
    table: str, warm_checker: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    home, process = warm_checker
    with Gate(home) as gate:
        deadline = time.monotonic() + 30
        while not children(process) and time.monotonic() < deadline:
            time.sleep(0.01)
        for fork in children(process):
            fork.kill()
        found = {one.name: one for one in gate.check(table, "import_1", "staging")}
    assert found["email_is_an_address"].failing == 1
    assert own_checkers() == []
    with Gate(home):
        assert own_checkers() == [], "the checker itself lives on"


def test_a_killed_process_is_reported_with_its_signal(table: str, tmp_path: Path) -> None:
    with Gate(tmp_path) as gate:
        [child] = own_checkers()
        child.kill()
        with pytest.raises(
            Unavailable, match=r"^The data checks did not finish: their process was ended by signal 9\."
        ):
            gate.check(table, "import_1", "staging")


def test_a_process_that_fails_is_reported_with_its_last_words(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "great_expectations"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('the library is broken')")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        Gate(tmp_path) as gate,
        pytest.raises(Unavailable, match=r"exit code 1\. .*Its last words: .*ImportError: the library is broken$"),
    ):
        gate.check(table, "import_1", "staging")


def test_leaving_early_ends_the_process(tmp_path: Path) -> None:
    with Gate(tmp_path):
        [child] = own_checkers()
    assert not child.is_running()


def test_a_stranger_is_not_answered_and_harms_nobody(
    table: str, warm_checker: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    home, process = warm_checker
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(messages.address(home)))
        stranger.sendall(messages.request(table, "import_1", "staging") * 20)
        with Gate(home) as gate:
            assert len(gate.check(table, "import_1", "staging")) > 20
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(messages.address(home)))
        said = b""
        stranger.shutdown(socket.SHUT_WR)
        while part := stranger.recv(4096):
            said += part
    assert b"verdicts" not in said
    assert process.poll() is None


def test_the_secret_is_for_the_owner_alone(warm: Path) -> None:
    assert (warm / "checks.key").stat().st_mode & 0o077 == 0
    assert messages.address(warm).stat().st_mode & 0o077 == 0


def test_there_is_one_checker_for_a_home(warm: Path) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "data_checks.gate", "--home", str(warm)], capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    [line] = second.stderr.splitlines()  # of a log
    assert line.endswith(f"A checker is running already: it answers at {messages.address(warm)}.")


ENDED_IN_A_FORK = """
import os, signal, sys
from pathlib import Path
from data_checks import checker, quick_import
quick_import.load_checks = lambda: None
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGTERM))
checker.serve(Path(sys.argv[1]))
"""


def test_a_checker_that_is_told_to_end_while_it_forks_ends(tmp_path: Path) -> None:
    """What a signal's handler raises within a hook of a fork is printed and forgotten."""
    home = tmp_path / "home"
    home.mkdir()
    path = messages.address(home)
    with subprocess.Popen([sys.executable, "-c", ENDED_IN_A_FORK, str(home)]) as process:
        try:
            with socket.socket(socket.AF_UNIX) as caller:
                # The file is there a moment before anybody listens.
                while caller.connect_ex(str(path)) and process.poll() is None:
                    time.sleep(0.05)
                assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_checker_in_a_deep_home_replaces_a_dead_one_and_leaves_nothing(table: str, tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 25)
    home.mkdir()
    path = messages.address(home)
    assert len(os.fsencode(path)) <= messages.LONGEST_ADDRESS
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))  # closed and left behind, as a killed checker leaves it
    process = started_checker(home)
    with Gate(home) as gate:
        assert own_checkers() == []
        assert len(gate.check(table, "import_1", "staging")) > 20
    with Gate(home):
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not path.exists()
