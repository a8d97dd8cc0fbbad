"""The mirror of contacts that become many: what was chosen for few is chosen again, by samples that cost little."""

import gc
import weakref
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from models import filters
from models.contacts import columnar, feed, mirror, mirror_source, search
from models.contacts.columnar import Form
from models.contacts.mirror import Mirror
from models.database import libpq_url, reading
from models.permissions import OPERATOR
from tests.mirrors import answers, count, running
from tests.waiting import until


def add(url: str, number: int, **columns: str) -> None:
    """So many contacts; each column by an expression of `n`, which counts them from 0."""
    named, values = ", ".join(columns), ", ".join(columns.values())
    statement = f"INSERT INTO contacts ({named}) SELECT {values} FROM generate_series(0, {number - 1}) AS n"
    with psycopg.connect(libpq_url(url), autocommit=True) as other:
        other.execute(statement.encode())


def form(made: Mirror, name: str) -> Form | None:
    return None if made._file is None else made._file.by_name[name].form


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred contacts are many."""
    monkeypatch.setattr(columnar, "SMALL", 20)
    monkeypatch.setattr(mirror_source, "SHORT", 10)


def test_what_began_small_chooses_its_dictionaries_again(db: str, tmp_path: Path, loads: list[int]) -> None:
    add(db, 5, email="n || '@one.example'", city="'Berlin'", company="'One'")
    with running(tmp_path) as made:
        assert {form(made, name) for name in ("email", "city", "company")} == {Form.CODED}
        add(db, 300, email="n || '@example.com'", city="'City ' || n % 3", company="'Of ' || n / 5")
        assert (count("city=City 1"), count()) == (100, 305)
        until("they are read anew", lambda: len(loads) == 2 and answers())
        assert [form(made, name) for name in ("email", "city", "company")] == [Form.TEXT, Form.CODED, Form.CODED]
        assert made._file is not None
        assert made._file.large == {"company"}, "of each value no number is kept, they are so many"
        assert (count("email=7@example.com"), count("company=Of 59"), count("city=City 2")) == (1, 5, 100)
        add(db, 300, email="n || '@example.org'", city="'City ' || n % 3", company="'Of ' || n / 5")
        assert (count("company=Of 59"), count()) == (10, 605)
    with running(tmp_path):
        assert (count("company=Of 59"), answers()) == (10, True)
    assert len(loads) == 2, "that is chosen once"


def test_more_changes_than_there_are_contacts_are_not_brought_in(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "AT_ONCE", 30)
    add(db, 5, city="'Berlin'")
    with running(tmp_path):
        add(db, 30, city="'Berlin'")
        assert (count("city=Berlin"), answers()) == (35, True)
        assert len(loads) == 1
        add(db, 36, city="'Berlin'")
        until("they are read anew", lambda: len(loads) == 2 and answers())
        add(db, 71, city="'Berlin'")
        assert count("city=Berlin") == 142
        until("it has come after it", answers)
        assert count("city=Berlin") == 142
    assert len(loads) == 2


def test_what_a_sample_took_for_repeated_is_corrected_once(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where equal values stand side by side, a sample of blocks has hardly one of them once."""
    monkeypatch.setattr(mirror_source, "GROWN", 1.5)
    monkeypatch.setattr(mirror_source, "SAMPLE", 1000)
    add(db, 20_000, company="'Of ' || n / 2", city="'City ' || n % 5")
    with reading() as session:
        assert mirror_source.coded(session, 20_000) >= {"company", "city"}
    with running(tmp_path) as made:
        until("they are read anew", lambda: len(loads) == 2 and answers())
        assert (form(made, "company"), form(made, "city")) == (Form.TEXT, Form.CODED)
        add(db, 10, company="'Of 1'", city="'City 1'")
        assert (count("company=Of 1"), count("city=City 1")) == (12, 4010)
        made.tell()
        until("it has looked", lambda: made.standing().behind is not None and answers())
    assert len(loads) == 2


def test_samples_cost_little_whatever_the_planner_believes(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restore it believes nothing at all."""
    monkeypatch.setattr(mirror_source, "SAMPLE", 2000)
    monkeypatch.setattr(mirror_source, "BLOCKS", 50)
    with psycopg.connect(libpq_url(db), autocommit=True) as other:
        other.execute("ALTER TABLE contacts SET (autovacuum_enabled = off)")
    add(db, 50_000, email="n || '@example.com'", city="'City ' || n % 7", tags="ARRAY['Tag ' || n % 7]")
    returned = text("SELECT pg_stat_get_xact_tuples_returned('contacts'::regclass)")
    with reading() as session:
        assert session.scalars(text("SELECT reltuples FROM pg_class WHERE oid = 'contacts'::regclass")).one() == -1
        total = mirror_source.number(session)
        assert abs(total - 50_000) < 10_000
        assert session.scalars(returned).one() < 10_000
        found = mirror_source.coded(session, total)
        asked = sum(columnar.may_be_coded(one.kind) for one in columnar.columns(frozenset()))
        assert session.scalars(returned).one() < asked * 4000
    assert ("city" in found, "tags" in found, "email" in found) == (True, True, False)


def test_few_contacts_are_counted(db: str) -> None:
    for there in (0, 321):
        if there:
            add(db, there, city="'Berlin'")
        with reading() as session:
            assert mirror_source.number(session) == there


def test_a_file_that_nobody_reads_is_forgotten(db: str, tmp_path: Path, loads: list[int]) -> None:
    """With what was noted of its dictionaries."""
    add(db, 5, city="'Berlin'")
    with running(tmp_path) as made:
        assert search.count_by(filters.parse_query("", by=OPERATOR), "city", by=OPERATOR) == [("Berlin", 5)]
        assert made._file is not None
        file = weakref.ref(made._file)
        made._let_go_of(made._file)
        until("they are read anew", lambda: len(loads) == 2 and answers())
        assert search.count_by(filters.parse_query("", by=OPERATOR), "city", by=OPERATOR) == [("Berlin", 5)]
        gc.collect()
        assert file() is None


def test_a_value_that_has_two_numbers_is_counted_once(db: str, tmp_path: Path) -> None:
    add(db, 5, city="'Berlin'")
    with running(tmp_path) as made:
        assert count("city=Berlin") == 5
        assert made._file is not None
        with made._lock, made._file.cursor() as cursor:
            cursor.execute("INSERT INTO values_city SELECT code + 1, hashed, written, value, folded, signature "
                           "FROM values_city")  # fmt: skip
            cursor.execute("UPDATE contacts SET city = city + 1 WHERE id = (SELECT min(id) FROM contacts)")
            cursor.execute("INSERT INTO totals SELECT 'city', code, contacts "
                           "FROM (VALUES (1, -1), (2, 1)) AS moved (code, contacts)")  # fmt: skip
        assert search.count_by(filters.parse_query("", by=OPERATOR), "city", by=OPERATOR) == [("Berlin", 5)]
        assert answers()


def test_many_scattered_changes_are_not_named_one_by_one(db: str, tmp_path: Path, loads: list[int]) -> None:
    add(db, 9000, city="'City ' || n % 3", last_name="'Of ' || n")
    with running(tmp_path):
        with reading() as session:
            before = feed.place(session)
        with psycopg.connect(libpq_url(db), autocommit=True) as other:
            other.execute("UPDATE contacts SET city = 'Rome' WHERE id % 3 = 0 AND id % 2 = 0")
            other.execute("DELETE FROM contacts WHERE id % 3 = 0 AND id % 2 = 1")
            other.execute("INSERT INTO contacts (city) VALUES ('Rome')")
        with reading() as session:
            written = feed.written_since(session, before)
            assert written is not None
            assert (written.number, len(written.ranges) < 2000) == (3001, True)
            named = [tuple(row) for row in session.execute(text(f"SELECT * FROM ({written.ranges}) AS r ORDER BY 1"))]
        assert (len(named), sum(after - first for first, after in named)) == (len(set(named)), 3001)
        assert (count("city=Rome"), count(), answers()) == (1501, 7501, True)
    assert len(loads) == 1
