"""The units of deploy/systemd, for systemd-analyze and under a real systemd with their sandbox on."""

import subprocess
from pathlib import Path

import pytest

from deploy import parts
from models.settings import Settings

pytestmark = pytest.mark.deploy
UNITS = Path(__file__).parents[2] / "deploy" / "systemd" / "units"
SERVICES = sorted(UNITS.glob("*.service"))
EXPOSED_AT_MOST = "20"  # tenths


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
