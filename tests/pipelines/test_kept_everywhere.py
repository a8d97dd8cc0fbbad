"""What one process keeps is never older than what another has written, whichever operation wrote it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from models import kept_listener
from models.database import libpq_url
from models.permissions import Actor, Role
from models.settings import settings
from tests.people import person
from tests.pipelines.test_audited import OPERATIONS, Tour, razorpay
from tests.razorpay import Razorpay

__all__ = ["razorpay"]
ROOT = Path(__file__).parents[2]
# Some of the operations that change what is counted: what the other process reads must notice them at all.
FELT = {
    "industries.merge", "records.create", "records.update", "records.delete", "records.restore", "bulk.change",
    "bulk.put_back", "bulk.tag", "bulk.delete", "many.write", "merging.merge", "merging.unmerge", "import_contacts.run",
}  # fmt: skip

Reader = Callable[[str], Any]


@pytest.fixture
def reader(base: str) -> Iterator[Reader]:
    """Another process on the same database: see tests/kept_reader.py. It has looked once."""
    started = [sys.executable, "-m", "tests.kept_reader", base]
    with subprocess.Popen(started, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        lines, answers = process.stdin, process.stdout

        def ask(word: str) -> Any:
            print(word, file=lines, flush=True)
            return json.loads(answers.readline())

        ask("look")
        yield ask
        print("end", file=lines, flush=True)
        assert process.wait(60) == 0


def test_no_stale_number_survives_an_operation(
    reader: Reader, base: str, home: Path, razorpay: Razorpay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPOINTMENT360_EXPORT_ROOTS", str(tmp_path))
    settings.cache_clear()
    ann = person(email="ann@example.com", name="Ann", role=Role.ADMIN, download_limit=None)
    tour = Tour(Actor(ann.id, "Ann", Role.ADMIN, None, "10.0.0.7"), tmp_path, {"home": home, "razorpay": razorpay})
    felt = set()
    for name, operation in OPERATIONS.items():
        operation(tour)
        told = reader("look")
        assert told["wrong"] == {}, f"after {name}"
        assert told["reads"] > 20
        if told["moved"]:
            felt.add(name)
    assert felt >= FELT


def test_what_is_committed_later_is_seen_then(reader: Reader, base: str) -> None:
    with psycopg.connect(libpq_url(base)) as writer:
        for country in ("Chile", "Peru"):
            writer.execute("INSERT INTO contacts (last_name, country, title) VALUES ('Ann', %s, 'CTO')", [country])
            assert reader("look") == {"wrong": {}, "moved": False, "reads": reader("look")["reads"]}
    assert reader("look")["moved"]
    assert reader("look")["wrong"] == {}


def test_two_that_overlap_are_both_seen(reader: Reader, base: str) -> None:
    """Whichever began first: a number that only grows would hide the one that commits last."""
    first, second = (psycopg.connect(libpq_url(base)) for _ in range(2))
    with first, second:
        for writer in (first, second):
            writer.execute("INSERT INTO contacts (last_name, country) VALUES ('Ann', 'Chile')")
        for writer in (second, first):
            writer.commit()
            told = reader("look")
            assert (told["wrong"], told["moved"]) == ({}, True)


def test_nothing_depends_on_notifications(reader: Reader, base: str) -> None:
    """The connection that listens is cut, again and again: what is kept is exact, and let go of when it is back."""
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = %s AND datname = current_database()"
    )
    with psycopg.connect(libpq_url(base), autocommit=True) as writer:
        for country in ("Chile", "Peru"):
            _wait_until(lambda: writer.execute(cut, [kept_listener.NAME]).fetchall() == [(True,)])
            writer.execute("INSERT INTO contacts (last_name, country) VALUES ('Ann', %s)", [country])
            told = reader("look")
            assert (told["wrong"], told["moved"]) == ({}, True)
        assert reader("held") > 20
        writer.execute("DELETE FROM contacts")
        _wait_until(lambda: reader("held") == 0)
    assert reader("look")["wrong"] == {}


def _wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)
