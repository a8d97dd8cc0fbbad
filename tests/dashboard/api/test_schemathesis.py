"""Schemathesis asks all of the API what its schema allows, and what it does not. Expectations that are adjusted stand
in schemathesis.toml, with their reasons."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import industries, view_changes
from models.contacts import merging, records
from models.filters import Filters
from models.permissions import OPERATOR, Role
from models.settings import settings
from tests.dashboard.api.conftest import Client

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("schemathesis")
# The phase “coverage” sends ten thousand requests, and takes minutes: it is for who changes what routes take.
PHASES = ("--phases", "examples,fuzzing", "--max-examples", "2")


@pytest.fixture
def many_requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("APPOINTMENT360_REQUESTS_PER_HOUR", "1000000")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def fill() -> None:
    """Something of everything that a number in an address can name."""
    made = [records.create({"last_name": f"L{number}", "email": f"p{number}@example.com"}, by=OPERATOR)
            for number in range(5)]  # fmt: skip
    records.delete(made[4], version=0, by=OPERATOR)
    records.update(made[0], {"title": "CEO"}, version=0, by=OPERATOR)
    merging.merge(made[2], {made[2]: 0, made[3]: 0}, by=OPERATOR)
    for name in ("Coal", "Iron"):
        industries.create(name, by=OPERATOR)
    view_changes.save("Leads", filters=Filters(), shared=True, by=OPERATOR)


@pytest.mark.parametrize("role", Role)
def test_the_api_does_what_its_schema_says(role: Role, many_requests: None, client: Client, tmp_path: Path) -> None:
    program = client(role)
    fill()
    asked = [
        PROGRAM, "--config-file", HERE / "schemathesis.toml", "run", program.base_url.join("/openapi.json"),
        "--header", f"Authorization: {program.headers['authorization']}", "--checks", "all",
        "--generation-deterministic", "--no-color", "--continue-on-failure", *PHASES,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(HERE)}  # where fresh_keys.py is
    done = subprocess.run(list(map(str, asked)), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
