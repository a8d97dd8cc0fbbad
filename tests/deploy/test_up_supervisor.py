"""The supervisor with small real programs as its parts: restarts, stops, and nothing left after a kill -9."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from deploy import kept_logs, running
from deploy.supervisor import Part, Supervisor
from tests.waiting import until

PROJECT = Path(__file__).parents[2]
SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
TREE = ["bash", "-c", f"{sys.executable} -S -c 'import time; time.sleep(600)' & wait"]
STUBBORN = [
    sys.executable, "-S", "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]  # fmt: skip
SUPERVISING = """
import sys, time
from pathlib import Path
from deploy.supervisor import Part, Supervisor
folder, *command = sys.argv[1:]
with Supervisor(record=Path(folder) / "running.json", logs=Path(folder), say=print) as supervisor:
    supervisor.start(Part("first", command))
    supervisor.start(Part("second", command))
    print("up", flush=True)
    while not supervisor.stopping:
        supervisor.look()
        time.sleep(0.02)
print("stopped", flush=True)
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    with Supervisor(record=tmp_path / "running.json", logs=tmp_path, say=said.append) as made:
        yield made


def recorded(folder: Path) -> dict[str, int]:
    return {one.name: one.pid for one in running.read(folder / "running.json")[0] if running.is_alive(one)}


def test_a_part_that_is_killed_is_started_again(supervisor: Supervisor, said: list[str], tmp_path: Path) -> None:
    supervisor.start(Part("sleeper", SLEEP))
    before = recorded(tmp_path)["sleeper"]
    os.kill(before, signal.SIGKILL)
    until("the part runs again", lambda: supervisor.look() or len(said) >= 2)
    log = tmp_path / "sleeper.log"
    assert said == [
        f"sleeper was ended by SIGKILL; started again in 1 s. Its log: {log}",
        f"sleeper runs again (its log: {log}).",
    ]
    assert recorded(tmp_path)["sleeper"] != before


def test_pauses_grow_while_a_part_keeps_dying(supervisor: Supervisor, said: list[str], tmp_path: Path) -> None:
    supervisor.start(Part("broken", ["bash", "-c", "echo why; exit 3"]))
    until("three deaths", lambda: supervisor.look() or len(said) >= 5)
    deaths = [sentence.split(". Its log")[0] for sentence in said[::2]]
    assert deaths == [f"broken ended with code 3; started again in {pause} s" for pause in (1, 2, 4)]
    assert (tmp_path / "broken.log").read_text() == "why\n" * 3


def test_a_program_that_does_not_exist(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(Part("ghost", ["/nowhere/ghost"]))
    assert said[0].startswith("ghost could not be started: ")
    assert not supervisor.alive("ghost")


def test_what_a_dead_part_started_ends_with_it(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(Part("tree", TREE))
    parent = psutil.Process(recorded(tmp_path)["tree"])
    until("the part has a child", parent.children)
    [child] = parent.children()
    parent.kill()
    until("the child is gone", lambda: supervisor.look() or not child.is_running() or child.status() == "zombie")


def test_stopping_ends_even_those_that_ignore_it(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.supervisor.PATIENCE", 0.5)
    supervisor.start(Part("stubborn", STUBBORN))
    supervisor.start(Part("sleeper", SLEEP))
    until("it ignores SIGTERM", lambda: "deaf" in (tmp_path / "stubborn.log").read_text())
    pids = recorded(tmp_path)
    supervisor.stop()
    assert not [name for name, pid in pids.items() if name != "supervisor" and psutil.pid_exists(pid)]
    assert not (tmp_path / "running.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISING, str(tmp_path), *SLEEP], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 3, "two parts and the warden"
    process.send_signal(number)
    assert process.communicate()[0] == "stopped\n"
    assert (process.returncode, psutil.wait_procs(family, timeout=0)[1]) == (0, [])


@pytest.mark.parametrize("also_the_warden", [False, True])
def test_nothing_outlives_a_killed_supervisor(tmp_path: Path, also_the_warden: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISING, str(tmp_path), *TREE], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    own = psutil.Process(process.pid)
    until("two parts with a child each, and the warden", lambda: len(own.children(recursive=True)) == 5)
    family = own.children(recursive=True)
    [warden] = [one for one in family if "deploy.warden" in one.cmdline()]
    if also_the_warden:
        process.send_signal(signal.SIGSTOP)  # it would start another one
        warden.kill()
    process.kill()
    process.communicate()
    try:
        if also_the_warden:
            until("the warden is gone", lambda: not alive(warden))
            assert len([one for one in family if alive(one)]) == 4, "nobody is there to end them"
            with Supervisor(record=tmp_path / "running.json", logs=tmp_path, say=print):
                pass
        until("all of the family is gone", lambda: not [one for one in family if alive(one)])
    finally:
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def alive(process: psutil.Process) -> bool:
    """A zombie that its new parent does not collect is as good as gone."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_number_that_belongs_to_another_process_by_now_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        identity = running.identified("other", other.pid)
        assert identity is not None
        earlier = running.Running("web", other.pid, identity.began - 3600)
        assert not running.is_alive(earlier)
        running.end_all([earlier])
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_record_cut_off_by_a_crash_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "running.json"
    running.record(path, [running.Running("web", 1, 2.0)], {"address": "x"})
    assert running.read(path) == ([running.Running("web", 1, 2.0)], {"address": "x"})
    path.write_text(path.read_text()[:20])
    assert running.read(path) == ([], {})


def test_a_log_is_kept_short_while_its_part_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_logs.rotate, "__kwdefaults__", {"limit": 2000, "older": 2})
    monkeypatch.setattr("deploy.supervisor.LOGS_EVERY", 0.0)
    program = "import time\nfor n in range(10**6):\n    print(f'{n:09}', flush=True); time.sleep(0.001)"
    with Supervisor(record=tmp_path / "running.json", logs=tmp_path, say=print) as supervisor:
        supervisor.start(Part("talking", [sys.executable, "-S", "-c", program]))
        second = tmp_path / "talking.2.log"
        until("three times", lambda: (supervisor.look(), second.exists() and int(second.read_text()[:9]) > 500)[1])
    logs = [second, tmp_path / "talking.1.log", tmp_path / "talking.log"]
    lines = [int(line) for log in logs for line in log.read_text().splitlines()]
    assert lines == sorted(set(lines))
    assert sorted(one.name for one in tmp_path.glob("talking*")) == sorted(one.name for one in logs)


def test_a_part_runs_though_its_log_cannot_be_shortened(tmp_path: Path) -> None:
    """The system takes no more than half a copy of it: nothing of that is left, and all of the log is."""
    log = tmp_path / "first.log"
    log.write_bytes(b"." * 12_000_000)
    limited = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, -1))\n{SUPERVISING}"
    process = subprocess.Popen(
        [sys.executable, "-c", limited, str(tmp_path), *SLEEP], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    assert {"first", "second"} <= recorded(tmp_path).keys()
    process.terminate()
    assert process.communicate()[0] == "stopped\n"
    assert log.stat().st_size == 12_000_000
    assert [one.name for one in tmp_path.glob("first.*")] == ["first.log"]
