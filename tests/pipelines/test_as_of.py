"""Contacts as they were, against full copies of the table that were kept after each of many random operations."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from deploy.embedded_postgres import Server
from models import credits, database, exports, filters, settings
from models.contacts import as_of, bulk, difference, history, provenance, records, search
from models.contacts.bulk import Batch, Selection
from models.contacts.difference import Asked, Way
from models.contacts.moments import When
from models.contacts.table import FIELDS, Contact
from models.errors import AppError, InvalidInput, NotFound
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Role
from pipelines import export_contacts, import_contacts
from tests.pipelines.importing import imported, sql, written

Row = dict[str, Any]
Copy = dict[int, Row]  # id -> column -> value
ANALYST = Actor(None, "Ada", Role.ANALYST)
CITIES, TITLES, COUNTRIES = ("Bonn", "Ulm", "Kiel"), ("CEO", "CTO", "Buyer"), ("Germany", "France", "Japan")


@dataclass
class Past:
    """What was kept: copies by the moment after the operation, and the moments around each import."""

    copies: list[tuple[datetime, Copy]] = field(default_factory=list)
    imports: dict[int, tuple[Copy, Copy]] = field(default_factory=dict)  # number -> before it, after it
    told: Counter[str] = field(default_factory=Counter)  # operation -> how often it did something

    def keep(self) -> Copy:
        (now,) = sql("SELECT clock_timestamp()")[0]
        self.copies.append((now, table()))
        return self.copies[-1][1]


def table() -> Copy:
    return {row["id"]: row for (row,) in sql("SELECT to_jsonb(c) FROM contacts c")}


def at(moment: datetime, by: Actor = OPERATOR) -> Copy:
    with database.reading() as session:
        asked = select(*Contact.__table__.columns).add_cte(as_of.contacts_at(moment, by=by), nest_here=True)
        rows = sql(f"SELECT to_jsonb(c) FROM ({literal(asked)}) c")
        as_of.look_back(session, moment, by=by)
        assert sorted(session.scalars(select(Contact.id))) == sorted(row["id"] for (row,) in rows)
    return {row["id"]: row for (row,) in rows}


def literal(asked: Any) -> str:
    return str(asked.compile(database.engine(), compile_kwargs={"literal_binds": True})).replace("%%", "%")


class Replay:
    """Does one thing after the other, at random, as people and imports do."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random, self.past = folder, random.Random(seed), Past()
        self.batches: list[Batch] = []
        self.committed: list[int] = []
        self.gone: set[int] = set()

    def go_on(self) -> None:
        steps = [
            self.create, *[self.edit] * 3, self.undo, *[self.change_many] * 2, self.delete_many, *[self.put_back] * 2,
            self.delete, self.restore, self.put_in_again,
        ] * 4 + [*[self.import_file] * 2, *[self.undo_import] * 3, *[self.redo_import] * 2]  # fmt: skip
        self.random.shuffle(steps)
        self.past.keep()
        for step in [self.create, self.create, self.import_file, *steps]:
            if step():
                self.past.told[step.__name__] += 1
                self.past.keep()

    def one(self) -> int | None:
        ids = sorted(table())
        return self.random.choice(ids) if ids else None

    def create(self) -> bool:
        number = self.random.randrange(1000)
        values = {"first_name": f"Zoë{number}", "company": "Acme", "city": self.random.choice(CITIES)}
        records.create(values, anyway=True, by=OPERATOR)
        return True

    def edit(self) -> bool:
        if (chosen := self.one()) is None:
            return False
        version = records.get(chosen, by=OPERATOR).version
        values = {"city": self.random.choice(CITIES), "title": self.random.choice(TITLES)}
        records.update(chosen, values, version=version, by=OPERATOR)
        return True

    def undo(self) -> bool:
        versions = sql("SELECT id, version_id FROM contact_history WHERE replaced_how = 'update' ORDER BY version_id")
        if not versions:
            return False
        try:
            records.undo(*self.random.choice(versions[-10:]), by=OPERATOR)
        except AppError:
            return False  # somebody changed it since, or it is gone
        return True

    def change_many(self) -> bool:
        where = filters.parse([f"city={self.random.choice(CITIES)}"], by=OPERATOR)
        country = self.random.choice(COUNTRIES)
        self.batches.append(bulk.change(Selection(where), "country", country, by=OPERATOR))
        return True

    def delete_many(self) -> bool:
        ids = tuple(self.random.sample(sorted(table()), k=min(3, len(table()))))
        self.batches.append(bulk.delete(Selection(Filters(), ids), by=OPERATOR))
        self.gone |= set(ids)
        return True

    def put_back(self) -> bool:
        if not self.batches:
            return False
        bulk.put_back(self.batches.pop(self.random.randrange(len(self.batches))), by=OPERATOR)
        return True

    def delete(self) -> bool:
        if (chosen := self.one()) is None:
            return False
        records.delete(chosen, version=records.get(chosen, by=OPERATOR).version, by=OPERATOR)
        self.gone.add(chosen)
        return True

    def restore(self) -> bool:
        missing = sorted(self.gone - table().keys())
        if not missing:
            return False
        records.restore(self.random.choice(missing), by=OPERATOR)
        return True

    def put_in_again(self) -> bool:
        """As it was, and changed in the same statement: no version is left of the row between."""
        missing = sorted(self.gone - table().keys())
        if not missing:
            return False
        columns = [column.name for column in Contact.__table__.columns]
        values = ["now()" if name == "updated_at" else name for name in columns]
        chosen = f"FROM contact_history WHERE id = {self.random.choice(missing)} ORDER BY version_id DESC LIMIT 1"
        sql(f"INSERT INTO contacts ({', '.join(columns)}) SELECT {', '.join(values)} {chosen}")
        return True

    def import_file(self) -> bool:
        people = self.random.sample(range(12), k=6)
        rows = [
            {"First Name": f"P{one}", "Last Name": "Q", "Email": f"p{one}@example.com",
             "Title": self.random.choice(TITLES), "Country": self.random.choice(COUNTRIES)}
            for one in people
        ]  # fmt: skip
        before = table()
        made = imported(written(self.folder, rows, f"people{len(self.committed)}.csv"))
        self.committed.append(made.id)
        self.past.imports[made.id] = (before, table())
        return True

    def undo_import(self) -> bool:
        standing = [one for (one,) in sql("SELECT id FROM imports WHERE state = 'committed' ORDER BY id")]
        if not standing:
            return False
        import_contacts.undo(self.random.choice(standing), by=OPERATOR)
        return True

    def redo_import(self) -> bool:
        undone = [one for (one,) in sql("SELECT id FROM imports WHERE state = 'undone' ORDER BY id")]
        if not undone:
            return False
        import_contacts.redo(self.random.choice(undone), by=OPERATOR)
        return True


@pytest.fixture(scope="module")
def past(
    postgres: Server, migrated: str, checked_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Past]:
    """Once for the module: its tests only read."""
    name = "as_of"
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated}"')
    database.bind(postgres.url(name))
    patched = pytest.MonkeyPatch()
    patched.setenv("APPOINTMENT360_HOME", str(checked_home))
    settings.settings.cache_clear()
    replay = Replay(tmp_path_factory.mktemp("files"), seed=7)
    replay.go_on()
    yield replay.past
    patched.undo()
    settings.settings.cache_clear()
    database.engine().dispose()
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_the_replay_did_everything(past: Past) -> None:
    done = {"create", "edit", "undo", "change_many", "delete_many", "put_back", "delete", "restore", "put_in_again"}
    assert set(past.told) == done | {"import_file", "undo_import", "redo_import"}
    assert any(len(copy) > 8 for _, copy in past.copies)


def test_contacts_are_as_they_were_column_by_column(past: Past) -> None:
    for moment, copy in past.copies:
        assert at(moment) == copy, moment


def test_before_and_after_an_import_that_may_be_undone_by_now(past: Past) -> None:
    assert len(past.imports) == 3
    for import_id, (before, after) in past.imports.items():
        with database.reading() as session:
            here = as_of.resolve(session, When(import_id, before=True), may_be_empty=True)
            there = as_of.resolve(session, When(import_id))
        assert (at(here), at(there)) == (before, after)


def test_one_contact_as_it_was(past: Past) -> None:
    for moment, copy in past.copies[4::8]:
        when = When(moment)
        for contact_id in sorted(past.copies[-1][1].keys() | copy.keys())[::3]:
            if contact_id not in copy:
                with pytest.raises(NotFound, match=f"There was no contact {contact_id} as of"):
                    records.as_it_was(contact_id, when, by=OPERATOR)
                continue
            record = records.as_it_was(contact_id, when, by=OPERATOR)
            assert (record.values["title"], record.values["city"]) == (
                copy[contact_id]["title"],
                copy[contact_id]["city"],
            )
            told = history.of_contact(contact_id, until=moment, by=OPERATOR)
            origins = provenance.of_changes(told).origins
            assert all(one.at <= moment for one in told)
            assert {name: origins[name][0].value for name in origins} == {name: record.values[name] for name in origins}
            assert {name for name, value in record.values.items() if value is not None} <= origins.keys()


def asked(query: str, moment: datetime) -> Filters:
    return filters.parse_query(f"{query}&as_of={moment:%Y-%m-%dT%H:%M:%S.%fZ}", by=OPERATOR)


QUESTIONS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "": lambda row: True,
    "city=Bonn": lambda row: row["city"] == "Bonn",
    "title.not=CEO&country.empty=no": lambda row: row["title"] != "CEO" and row["country"] is not None,
    "or1.city=Ulm&or2.country=Japan": lambda row: row["city"] == "Ulm" or row["country"] == "Japan",
    "q=zoë 1": lambda row: "Zoë" in (row["first_name"] or "") and "1" in " ".join(
        filter(None, (row["first_name"], row["company"], row["email"], row["title"]))
    ),
}  # fmt: skip


@pytest.mark.parametrize("query", QUESTIONS)
def test_every_question_can_be_asked_of_a_moment(past: Past, query: str) -> None:
    for moment, copy in past.copies[2::8]:
        expected = sorted(id_ for id_, row in copy.items() if QUESTIONS[query](row))
        if not copy and not any(earlier for _, earlier in past.copies[: [one for one, _ in past.copies].index(moment)]):
            continue
        wanted = asked(query, moment)
        assert search.count(wanted, by=OPERATOR) == len(expected)
        found = search.page(wanted, sort="id", columns=["city"], size=1000, by=OPERATOR)
        assert ([row["id"] for row in found.rows], found.total) == (expected, len(expected))
        assert {row["id"]: row["city"] for row in found.rows} == {one: copy[one]["city"] for one in expected}
        again = search.page(wanted, sort="-title", columns=["title"], number=2, size=4, by=OPERATOR)
        titles = sorted((copy[one]["title"] or "" for one in expected), reverse=True)[4:8]
        assert [row["title"] or "" for row in again.rows] == titles
        cities = Counter(copy[one]["city"] for one in expected)
        assert dict(search.count_by(wanted, "city", by=OPERATOR)) == cities
        each = search.count_by_each(wanted, ["country"], by=OPERATOR)["country"]
        assert dict(each) == Counter(copy[one]["country"] for one in expected if copy[one]["country"])
        numbers = search.statistics_of(wanted, by=OPERATOR)
        assert (numbers.total, numbers.filled["city"]) == (len(expected), len(expected) - cities[None])
        for place, one in list(enumerate(expected))[::6]:
            around = search.neighbours(wanted, sort="id", contact_id=one, by=OPERATOR)
            assert (around.place, around.total) == (place + 1, len(expected))
            assert around.next == (expected[place + 1] if place + 1 < len(expected) else None)
        assert search.those_of(wanted, [*expected, 10**6], by=OPERATOR) == set(expected)


COLUMNS = [one.column for one in FIELDS.values()]
TITLE_ONLY = Actor(None, "Nia", Role.MANAGER, frozenset({"title"}))


def compared(before: Copy, after: Copy, holds: Callable[[Row], bool], columns: list[str]) -> dict[Way, list[int]]:
    """The ids of each way, the highest first."""
    was, then = ({id_ for id_, row in copy.items() if holds(row)} for copy in (before, after))
    changed = {one for one in was & then if any(before[one][name] != after[one][name] for name in columns)}
    return {
        way: sorted(ids, reverse=True)
        for way, ids in ((Way.CAME, then - was), (Way.LEFT, was - then), (Way.CHANGED, changed))
    }


@pytest.mark.parametrize("query", ["", "city=Bonn", "or1.city=Ulm&or2.country=Japan"])
def test_the_difference_of_two_moments(past: Past, query: str) -> None:
    for place, (since, before) in list(enumerate(past.copies))[::19]:
        for until, after in past.copies[place::14]:
            wanted = Asked(filters.parse_query(query, by=OPERATOR), When(since), When(until))
            expected = compared(before, after, QUESTIONS[query], COLUMNS)
            found = difference.numbers(wanted, by=OPERATOR)
            assert [found.of(way) for way in Way] == [len(expected[way]) for way in Way]
            for way in Way:
                listed = difference.page(wanted, way, size=200, by=OPERATOR)
                assert [one.id for one in listed] == expected[way]
                for one in listed:
                    assert (one.was_there, one.is_there) == (one.id in before, one.id in after)
                    told = {FIELDS[change.name].column for change in one.fields}
                    both = one.was_there and one.is_there
                    assert told == {
                        name for name in COLUMNS if both and before[one.id][name] != after[one.id][name]
                    }  # fmt: skip
                    assert one.values["title"] == (after if one.is_there else before)[one.id]["title"]


def test_a_difference_knows_nothing_of_hidden_columns_or_deleted_contacts(past: Past) -> None:
    until, after = past.copies[-1]
    everything = ((since, compared(before, after, QUESTIONS[""], COLUMNS), before) for since, before in past.copies)
    since, expected = next(
        (since, titles)
        for since, whole, before in everything
        if (titles := compared(before, after, QUESTIONS[""], ["title"])) != whole and titles[Way.LEFT]
    )
    wanted = Asked(Filters(), When(since), When(until))
    found = {way: difference.page(wanted, way, size=200, by=TITLE_ONLY) for way in Way}
    assert {way: [one.id for one in listed] for way, listed in found.items()} == expected
    assert {tuple(one.values) for listed in found.values() for one in listed} == {("title",)}
    assert difference.numbers(wanted, by=ANALYST).left == 0
    assert difference.page(wanted, Way.LEFT, by=ANALYST) == []


def test_a_part_of_a_difference(past: Past) -> None:
    wanted = Asked(Filters(), When(past.copies[0][0]), None)
    whole = [one.id for one in difference.page(wanted, Way.CAME, by=OPERATOR)]
    assert len(whole) > 6
    pages = [difference.page(wanted, Way.CAME, number=number, size=4, by=OPERATOR) for number in (1, 2)]
    assert [[one.id for one in listed] for listed in pages] == [whole[:4], whole[4:8]]


def test_moments_the_wrong_way_round(past: Past) -> None:
    with pytest.raises(InvalidInput, match="the first moment is the later one"):
        difference.numbers(Asked(Filters(), None, When(past.copies[0][0])), by=OPERATOR)
    with pytest.raises(InvalidInput, match="leave as_of out of the filter"):
        Asked(asked("", past.copies[0][0]), None, None)


def test_whoever_may_not_see_deleted_contacts_does_not_see_them_in_the_past(past: Past) -> None:
    here = table().keys()
    assert any(copy.keys() - here for _, copy in past.copies)
    for moment, copy in past.copies:
        assert at(moment, ANALYST) == {id_: row for id_, row in copy.items() if id_ in here}


def test_what_changes_contacts_is_not_asked_of_the_past(past: Past) -> None:
    where = asked("city=Bonn", past.copies[-1][0])
    with pytest.raises(InvalidInput, match="not changed: go back to now first"):
        bulk.change(Selection(where), "title", "CEO", by=OPERATOR)
    with pytest.raises(InvalidInput, match="not changed: go back to now first"):
        bulk.delete(Selection(where), by=OPERATOR)


def test_an_export_of_a_moment_and_the_same_again(past: Past, tmp_path: Path) -> None:
    moment, copy = past.copies[len(past.copies) // 2]
    wanted = asked("country.empty=no", moment)
    made = export_contacts.export(
        tmp_path / "then.jsonl", filters=wanted, columns=["id", "city", "country"], by=OPERATOR
    )
    rows = [json.loads(line) for line in (tmp_path / "then.jsonl").read_text().splitlines()]
    expected = [row for _, row in sorted(copy.items()) if row["country"] is not None]
    assert rows == [{name: row[name] for name in ("id", "city", "country")} for row in expected]
    assert (made.rows, made.filter_sentence) == (len(expected), wanted.sentence())
    again = export_contacts.run(exports.again(made.id, by=OPERATOR))
    assert again.filter_query == made.filter_query
    assert exports.compared(again, by=OPERATOR) == exports.Comparison(True, made.rows, made.rows)
    assert credits.cost(wanted, None, by=OPERATOR) == len(expected)
