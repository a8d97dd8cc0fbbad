"""The units of deploy/systemd, for systemd-analyze and under a real systemd with their sandbox on."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import parts
from models.settings import Settings
from tests.production.debian import Debian

pytestmark = pytest.mark.deploy
UNITS = Path(__file__).parents[2] / "deploy" / "systemd" / "units"
SERVICES = sorted(UNITS.glob("*.service"))
EXPOSED_AT_MOST = "20"  # tenths
SITE = ("--public-url", "https://contacts.example.org", "--admin-email", "admin@contacts.example.org")
WEB, SECOND_WEB, WORKER, SECOND_WORKER = (
    f"appointment360-{name}.service" for name in ("web@8361", "web@8362", "worker@1", "worker@2")
)


def analyzed(unit: Path) -> "subprocess.CompletedProcess[str]":
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSED_AT_MOST}", unit]
    return subprocess.run(command, capture_output=True, text=True)


def seconds(unit: str, name: str) -> int:
    [value] = [
        line.partition("=")[2] for line in (UNITS / unit).read_text().splitlines() if line.startswith(f"{name}=")
    ]
    return int(value)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_no_unit_is_exposed_more_than_two(unit: Path) -> None:
    found = analyzed(unit)
    assert "Overall exposure level" in found.stdout
    assert found.returncode == 0, found.stdout


def test_all_services_are_looked_at() -> None:
    names = {unit.stem.removeprefix("appointment360-") for unit in SERVICES}
    assert names == {"migrate", "web@", "prefect", "worker@", "backup", "certificate"}


def test_one_that_is_exposed_more_is_found(tmp_path: Path) -> None:
    weak = tmp_path / "appointment360-web@.service"
    lines = (UNITS / weak.name).read_text().splitlines(keepends=True)
    weak.write_text("".join(line for line in lines if not line.startswith(("SystemCallFilter", "ProtectSystem"))))
    assert analyzed(weak).returncode == 1


def test_systemd_waits_longer_than_the_programs_that_it_ends() -> None:
    draining = Settings.model_fields["drain_seconds"].default + parts.BESIDE_DRAINING
    assert seconds("appointment360-worker@.service", "TimeoutStopSec") > draining + 10
    assert seconds("appointment360-web@.service", "TimeoutStopSec") > Settings.model_fields["web_grace_seconds"].default


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Debian, str]]:
    """With what the installer said."""
    made = Debian(tmp_path_factory.mktemp("debian") / "disk")
    made.make()
    said = made.install(*SITE)
    made.add_postgres()
    yield made, said
    shutil.rmtree(made.folder)  # more than a gigabyte


@pytest.fixture(scope="module")
def debian(installed: tuple[Debian, str]) -> Iterator[Debian]:
    """Started, as after its power came back: all of it runs."""
    made, _ = installed
    try:
        made.boot()
        made.until(
            "systemd runs", lambda: made.run("systemctl", "is-active", "sysinit.target", check=False) == "active"
        )
        active = ["systemctl", "is-active", "appointment360.target", WORKER, SECOND_WORKER]
        made.until("all of it runs", lambda: set(made.run(*active, check=False).split()) == {"active"})
        made.until("workers take runs", lambda: all("started!" in made.journal(one) for one in (WORKER, SECOND_WORKER)))
        yield made
    finally:
        made.end()


def test_the_installer_says_what_it_did_and_keeps_it_the_next_time(installed: tuple[Debian, str]) -> None:
    debian, said = installed
    assert re.search(r"Release (\S+): installed in /opt/appointment360/releases/\1\.", said)
    assert "Settings: /etc/appointment360/env was made from deploy/env.example." in said
    secret = (debian.folder / "etc/appointment360/secrets/prefect_auth").read_text()
    again = debian.install(*SITE)
    assert re.search(r"Release \S+: is there\.", again)
    assert "Settings: /etc/appointment360/env stays as it is." in again
    assert (debian.folder / "etc/appointment360/secrets/prefect_auth").read_text() == secret
    assert (debian.folder / "etc/appointment360/env").stat().st_mode & 0o777 == 0o600


def test_systemd_finds_no_fault_in_the_units(debian: Debian) -> None:
    names = [unit.name.replace("@.", "@1.") for unit in UNITS.iterdir()]
    assert debian.run("sh", "-c", f"cd /etc/systemd/system && systemd-analyze verify {' '.join(names)} 2>&1") == ""
    debian.write("etc/systemd/system/faulty.service", "[Service]\nExecStart=/no/such/program\nProtectSystm=yes\n")
    found = debian.run("sh", "-c", "systemd-analyze verify faulty.service 2>&1 || true")
    assert "ProtectSystm" in found
    assert "/no/such/program" in found


def test_the_sandbox_is_on(debian: Debian) -> None:
    for unit in (WEB, WORKER, "appointment360-prefect.service"):
        process = debian.state(unit, "MainPID")["MainPID"]
        status = dict(re.findall(r"^(\w+):\s+(.*)$", debian.run("cat", f"/proc/{process}/status"), re.M))
        assert status["Uid"].split()[0] == debian.run("id", "-u", "appointment360")
        assert (status["NoNewPrivs"], status["Seccomp"], int(status["CapBnd"], 16)) == ("1", "2", 0)
        mounts = debian.run("cat", f"/proc/{process}/mounts")
        assert re.search(r"^\S+ / \S+ ro,", mounts, re.M), "the disk may not be written to"
        assert re.search(r"^\S+ /var/lib/appointment360 \S+ rw,", mounts, re.M), "but for the folder of its own"


def test_both_instances_answer_and_log_to_the_journal(debian: Debian) -> None:
    assert debian.ready(8361)
    assert debian.ready(8362)
    for unit in (WEB, SECOND_WEB):
        assert "Started server process" in debian.journal(unit)
    assert "Traceback" not in debian.run("journalctl", "--no-pager", "-o", "cat")


def test_a_web_that_is_killed_starts_again(debian: Debian) -> None:
    killed = debian.state(WEB, "MainPID")["MainPID"]
    debian.run("kill", "-9", killed)

    def anew() -> bool:
        found = debian.state(WEB, "MainPID", "NRestarts", "ActiveState")
        return found["ActiveState"] == "active" and found["NRestarts"] == "1" and found["MainPID"] != killed

    debian.until("it runs again", anew)
    assert debian.ready(8361)


def test_timers_are_there_and_what_they_start_works(debian: Debian) -> None:
    assert "appointment360-certificate.timer" in debian.run("systemctl", "list-timers", "--no-pager")
    debian.run("systemctl", "start", "appointment360-backup.service")
    assert debian.state("appointment360-backup.service", "Result") == {"Result": "success"}
    [backup] = debian.appointment360("backups")["backups"]
    assert backup["proven"]
    debian.run("systemctl", "enable", "--now", "appointment360-backup.timer")
    assert "appointment360-backup.timer" in debian.run("systemctl", "list-timers", "--no-pager")


def test_logs_that_are_files_are_rotated(debian: Debian) -> None:
    debian.write("var/log/nginx/access.log", "a line\n")
    debian.run("logrotate", "--force", "/etc/logrotate.d/appointment360")
    [rotated] = (debian.folder / "var/log/nginx").glob("access.log-*")
    assert rotated.read_text() == "a line\n"
    assert (debian.folder / "var/log/nginx/access.log").read_text() == ""
