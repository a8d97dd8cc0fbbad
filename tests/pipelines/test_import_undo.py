"""An import is taken back value by value, that is taken back in its turn, and what somebody changed since stays."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models import import_kept, imports, industries, settings
from models.audit import Event
from models.contacts import bulk, history, merging, records
from models.contacts.bulk import Selection
from models.contacts.history import What
from models.errors import Conflict, NotAllowed
from models.filters import Filters
from models.import_kept import Kept
from models.import_undos import Why
from models.imports import Keep, State
from models.permissions import OPERATOR, Actor, Role
from pipelines import import_contacts, import_steps
from tests.people import person
from tests.pipelines.importing import Row, contacts, created, sql, written

ANN: Row = {"Apollo Contact Id": "1", "First Name": "Ann", "Email": "ann@x.com", "Title": "VP", "City": "Ulm"}
BOB: Row = {"Apollo Contact Id": "2", "First Name": "Bob", "Email": "bob@x.com", "Title": "CEO", "City": "Bonn"}
CID: Row = {"Apollo Contact Id": "3", "First Name": "Cid", "Email": "cid@x.com", "Title": "CFO", "City": "Köln"}

NEW = ("Dee", "Eva", "Fay", "Gus")


@pytest.fixture
def ben(db: str) -> Actor:
    made = person(email="ben@example.com", name="Ben", role=Role.MANAGER)
    return Actor(made.id, "Ben", Role.MANAGER)


@pytest.fixture
def file(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., imports.Import]]:
    """Imports a file of these rows; without the quality check, which takes longer than all the rest."""
    monkeypatch.setenv("APPOINTMENT360_HOME", str(tmp_path / "home"))
    settings.settings.cache_clear()

    def do(*rows: Row, **how: Any) -> imports.Import:
        import_id = created(written(tmp_path, list(rows)), **how)
        for step in (import_steps.open_file, import_steps.stage, import_steps.plan, import_steps.commit):
            step(import_id, None, OPERATOR)
        return imports.get(import_id, by=OPERATOR)

    yield do
    settings.settings.cache_clear()


def number(name: str) -> int:
    [(found,)] = sql("SELECT id FROM contacts WHERE first_name = %s", name)
    return int(found)


def the(name: str) -> Selection:
    return Selection(Filters(), (number(name),))


def edit(name: str, by: Actor = OPERATOR, **changes: str | None) -> None:
    record = records.get(number(name), by=by)
    records.update(record.id, changes, version=record.version, by=by)


def undo(import_id: int) -> tuple[int, ...]:
    return tuple(import_contacts.undo(import_id, by=OPERATOR).values())


def redo(import_id: int) -> tuple[int, ...]:
    return tuple(import_contacts.redo(import_id, by=OPERATOR).values())


def listed(import_id: int, by: Actor = OPERATOR) -> list[Kept]:
    found, total = import_kept.page(import_id, number=1, size=50, by=by)
    assert len(found) == total
    return found


def told(import_id: int) -> list[tuple[str, Why, dict[str, tuple[Any, Any]], bool]]:
    """(name, why, field -> (what stayed, what it would be), whether the rest went back)."""
    return [
        (one.label, one.why, {field.name: (field.stayed, field.would_be) for field in one.fields}, one.rest)
        for one in listed(import_id)
    ]


def table() -> list[tuple[Any, ...]]:
    """Every contact with everything, but for when it was changed."""
    return sql("SELECT to_jsonb(c) - 'updated_at' FROM contacts c ORDER BY id")


def test_what_somebody_changed_stays_and_the_rest_goes_back(file: Callable[..., Any], ben: Actor) -> None:
    file(ANN, BOB)
    sheet = file(ANN | {"Title": "x", "City": "Rom"}, BOB | {"Title": "y", "City": "Pisa"})
    edit("Ann", by=ben, title="by hand", country="Italy")
    assert undo(sheet.id) == (0, 1, 1)
    ann, bob = contacts("c.first_name")
    assert (ann["title"], ann["city"], ann["country"]) == ("by hand", "Ulm", "Italy")
    assert (bob["title"], bob["city"], bob["import_id"]) == ("CEO", "Bonn", 1)
    assert told(sheet.id) == [("Ann", Why.CHANGED, {"title": ("by hand", "VP")}, True)]
    [kept] = listed(sheet.id)
    assert (kept.contact_id, kept.since.by_name, kept.since.import_id) == (number("Ann"), "Ben", None)
    [(at,)] = sql("SELECT replaced_at FROM contact_history WHERE replaced_by IS NOT NULL")
    assert kept.fields[0].since.at == at
    edit("Ann", by=ben, title="later")
    assert told(sheet.id) == [("Ann", Why.CHANGED, {"title": ("by hand", "VP")}, True)], "as it was then"


def test_created_contacts_go_unless_somebody_changed_them(file: Callable[..., Any], ben: Actor) -> None:
    sheet = file(ANN, BOB, CID)
    edit("Bob", by=ben, title="by hand")
    bulk.delete(the("Cid"), by=ben)
    assert undo(sheet.id) == (1, 0, 2)
    assert [one["first_name"] for one in contacts()] == ["Bob"]
    assert contacts()[0]["import_id"] == sheet.id, "it stays whole"
    assert told(sheet.id) == [
        ("Bob", Why.CREATED, {"title": ("by hand", None)}, False), ("Cid", Why.DELETED, {}, False),
    ]  # fmt: skip
    assert [one.since.by_name for one in listed(sheet.id)] == ["Ben", "Ben"]


def test_a_contact_that_became_part_of_another_one_is_told_as_merged(file: Callable[..., Any], ben: Actor) -> None:
    sheet = file(ANN, BOB, CID)
    pair = [records.get(number(name), by=ben) for name in ("Ann", "Bob")]
    merging.merge(number("Ann"), {one.id: one.version for one in pair}, by=ben)
    bulk.delete(the("Cid"), by=ben)
    undo(sheet.id)
    whys = {name: why for name, why, _, _ in told(sheet.id)}
    assert (whys["Bob"], whys["Cid"]) == (Why.MERGED, Why.DELETED)


def test_a_value_that_is_as_before_or_came_back_is_not_kept(file: Callable[..., Any]) -> None:
    file(ANN, BOB)
    before = table()
    sheet = file(ANN | {"Title": "x"}, BOB | {"Title": "y"})
    edit("Ann", title="VP")  # what it would go back to
    edit("Bob", title="z")
    edit("Bob", title="y")  # what the import wrote
    assert undo(sheet.id) == (0, 2, 0)
    assert table() == before
    assert listed(sheet.id) == []


def test_a_later_import_is_named_and_one_that_was_undone_counts_for_nothing(file: Callable[..., Any]) -> None:
    file(ANN, BOB)
    before = table()
    second = file(ANN | {"Title": "x", "City": "Rom"}, CID)
    third = file(ANN | {"Title": "y", "City": "Rom"}, CID | {"City": "Rom"})
    assert undo(second.id) == (0, 0, 2)
    assert told(second.id) == [
        ("Ann", Why.CHANGED, {"title": ("y", "VP")}, True), ("Cid", Why.CREATED, {"city": ("Rom", None)}, False),
    ]  # fmt: skip
    assert {one.since.words for one in listed(second.id)} == {f"import {third.id} (operator)"}
    assert redo(second.id) == (0, 1, 0)
    assert undo(third.id) == (0, 2, 0)
    assert undo(second.id) == (1, 1, 0)
    assert table() == before


def test_what_an_undone_import_wrote_does_not_come_back_with_the_undo_of_a_later_one(file: Callable[..., Any]) -> None:
    file(ANN, BOB)
    before = table()
    second = file(ANN | {"Title": "x"}, BOB | {"Title": "x", "City": "Rom"}, CID)
    third = file(ANN | {"Title": "y"}, BOB | {"City": "Pisa"}, CID | {"City": "Rom"})
    assert undo(second.id) == (0, 0, 3)
    kept = table()
    assert undo(third.id) == (1, 2, 0)
    assert table() == before
    assert redo(third.id) == (1, 2, 0)
    assert table() == kept
    assert undo(third.id) == (1, 2, 0)
    assert table() == before


def test_what_the_undo_of_another_import_changed_is_told_so(file: Callable[..., Any]) -> None:
    first = file(ANN | {"Title": ""})
    second = file(ANN | {"Title": "x"})
    edit("Ann", title="y")
    third = file(ANN | {"Title": "z"})
    assert undo(second.id) == (0, 0, 1)
    assert undo(third.id) == (0, 1, 0)
    edit("Ann", country="Italy")
    assert undo(first.id) == (0, 0, 1)
    [kept] = listed(first.id)
    assert [(one.name, one.since.words) for one in kept.fields] == [
        ("title", f"the undo of import {third.id} (operator)"), ("country", "operator"),
    ]  # fmt: skip


def test_extra_goes_back_key_by_key(file: Callable[..., Any]) -> None:
    file(ANN | {"Shoe": "42", "Hat": "7"})
    sheet = file(ANN | {"Shoe": "43", "Hat": "8", "Belt": "90"})
    file(ANN | {"Hat": "9", "Ring": "5"})
    assert undo(sheet.id) == (0, 0, 1)
    [ann] = contacts()
    assert ann["extra"] == {"Shoe": "42", "Hat": "9", "Ring": "5"}
    stayed = {"Hat": "9", "Ring": "5", "Shoe": "43", "Belt": "90"}
    assert told(sheet.id) == [("Ann", Why.CHANGED, {"extra": (stayed, {"Hat": "7", "Shoe": "42"})}, True)]


def test_lists_that_were_tagged_since_stay_whole(file: Callable[..., Any], ben: Actor) -> None:
    file(ANN | {"Lists": "old"}, BOB | {"Lists": "old"})
    sheet = file(ANN | {"Lists": "new"}, BOB | {"Lists": "new"})
    bulk.tag(the("Ann"), add=["vip"], by=ben)
    assert undo(sheet.id) == (0, 1, 1)
    assert {one["first_name"]: one["tags"] for one in contacts()} == {"Ann": ["new", "vip"], "Bob": ["old"]}


def test_a_merged_industry_stays_merged(file: Callable[..., Any], ben: Actor) -> None:
    file(ANN | {"Industry": "Tin"}, BOB)
    sheet = file(ANN | {"Industry": "Lead"}, BOB)
    ids = {one.name: one.id for one, _ in industries.listed(with_inactive=False, by=ben)}
    industries.merge(ids["Lead"], industries.create("Metal", by=ben).id, by=ben)
    assert undo(sheet.id) == (0, 0, 1)
    assert told(sheet.id) == [("Ann", Why.CHANGED, {"industry": ("Metal", "Tin")}, False)]


@pytest.mark.parametrize(
    ("since", "email", "status", "kept"),
    [
        ({}, "ann@x.com", "Verified", []),
        ({"email_status": "Invalid"}, "ann@new.com", "Invalid", ["email", "email_status"]),  # of the new address
        ({"email": "ann@third.com"}, "ann@third.com", None, ["email", "email_status"]),
        ({"email": "ann@x.com"}, "ann@x.com", "Verified", []),
        ({"title": "x"}, "ann@x.com", "Verified", []),
    ],
)
def test_what_is_known_of_an_address_never_comes_to_another(
    file: Callable[..., Any], since: dict[str, str], email: str, status: str | None, kept: list[str]
) -> None:
    file(ANN | {"Email Status": "Verified"})
    sheet = file(ANN | {"Email": "ann@new.com"})
    if since:
        edit("Ann", **since)
    assert undo(sheet.id)[2] == bool(kept)
    [ann] = contacts()
    assert (ann["email"], ann.get("email_status")) == (email, status)
    assert [field.name for one in listed(sheet.id) for field in one.fields] == kept


def test_a_status_that_an_import_wrote_goes_only_with_its_address(file: Callable[..., Any]) -> None:
    file(ANN | {"Email Status": "Verified"})
    sheet = file(ANN | {"Email Status": "Invalid"})
    edit("Ann", email="ann@new.com")
    edit("Ann", email_status="Invalid")  # found out of the new one
    assert undo(sheet.id) == (0, 0, 1)
    assert contacts()[0]["email_status"] == "Invalid"
    assert told(sheet.id) == [("Ann", Why.CHANGED, {"email_status": ("Invalid", "Verified")}, False)]


def test_an_undo_is_undone_any_number_of_times(file: Callable[..., Any]) -> None:
    file(ANN, BOB)
    before = table()
    sheet = file(ANN | {"Title": "x", "Shoe": "42"}, BOB, CID)
    after = table()
    [(highest,)] = sql("SELECT last_value FROM contacts_id_seq")
    for _ in range(3):
        assert undo(sheet.id) == (1, 1, 0)
        assert table() == before
        assert imports.get(sheet.id, by=OPERATOR).state == State.UNDONE
        assert redo(sheet.id) == (1, 1, 0)
        assert table() == after
        assert imports.get(sheet.id, by=OPERATOR).state == State.COMMITTED
    assert sql("SELECT last_value FROM contacts_id_seq") == [(highest,)]
    with pytest.raises(Conflict, match="is committed: only an import that was undone can be brought back"):
        redo(sheet.id)
    events = sql("SELECT event, details FROM audit_log WHERE event IN ('import undone', 'import redone') ORDER BY id")
    assert [event for event, _ in events] == [Event.IMPORT_UNDONE, Event.IMPORT_REDONE] * 3
    assert events[1][1] == {"returned": 1, "restored": 1, "kept": 0}


def test_what_was_changed_since_the_undo_stays_when_that_is_undone(file: Callable[..., Any], ben: Actor) -> None:
    file(ANN, BOB)
    new = [CID | {"First Name": one, "Apollo Contact Id": one, "Email": f"{one}@x.com"} for one in NEW]
    sheet = file(ANN | {"Title": "x", "City": "Rom"}, BOB | {"Title": "y"}, *new)
    ids = {name: number(name) for name in NEW}
    edit("Bob", title="CEO")  # by hand, before: an undo finds nothing to do, and so does its undo
    assert undo(sheet.id) == (4, 2, 0)
    edit("Ann", by=ben, title="z")
    for name in ("Dee", "Eva", "Fay"):
        records.restore(ids[name], by=ben)
    edit("Eva", by=ben, title="z")
    bulk.delete(the("Fay"), by=ben)
    assert redo(sheet.id) == (2, 1, 3)
    found = {one["first_name"]: (one["title"], one["city"]) for one in contacts()}
    assert found == {
        "Ann": ("z", "Rom"), "Bob": ("CEO", "Bonn"),
        "Dee": ("CFO", "Köln"), "Eva": ("z", "Köln"), "Gus": ("CFO", "Köln"),
    }  # fmt: skip
    assert told(sheet.id) == [
        ("Ann", Why.CHANGED, {"title": ("z", "x")}, True),
        ("Eva", Why.RESTORED, {"title": ("z", "CFO")}, False),
        ("Fay", Why.DELETED, {}, False),
    ]
    assert (number("Dee"), number("Gus")) == (ids["Dee"], ids["Gus"])
    assert undo(sheet.id) == (2, 1, 3)
    assert {one[0]: one[2] for one in told(sheet.id)} == {
        "Ann": {"title": ("z", "VP")}, "Eva": {"title": ("z", None)}, "Fay": {},
    }  # fmt: skip


def test_an_update_that_changed_nothing_is_taken_back_with_its_line(file: Callable[..., Any]) -> None:
    file(ANN)
    before = table()
    sheet = file(ANN | {"Title": "x"})
    edit("Ann", title="VP")
    assert undo(sheet.id) == (0, 1, 0)
    assert table() == before


def test_one_that_only_filled_blanks_is_taken_back(file: Callable[..., Any]) -> None:
    file({"Apollo Contact Id": "1", "First Name": "Ann", "Title": "VP"})
    before = table()
    sheet = file(ANN | {"Title": "x"}, keep=Keep.OURS)
    assert contacts()[0]["city"] == "Ulm"
    assert undo(sheet.id) == (0, 1, 0)
    assert table() == before


def test_history_tells_of_an_undo_and_of_its_undo(file: Callable[..., Any]) -> None:
    file(ANN)
    sheet = file(ANN | {"Title": "x"}, BOB)
    ann, bob = number("Ann"), number("Bob")
    undo(sheet.id)
    assert [one.what for one in history.of_contact(bob, by=OPERATOR)] == [What.DELETED, What.CREATED]
    redo(sheet.id)
    whats = [(one.what, one.import_id) for one in history.of_contact(ann, by=OPERATOR)]
    assert whats == [
        (What.BROUGHT_BACK, sheet.id), (What.TAKEN_BACK, sheet.id), (What.CHANGED, sheet.id), (What.CREATED, 1),
    ]  # fmt: skip
    whats = [(one.what, one.import_id) for one in history.of_contact(bob, by=OPERATOR)]
    assert whats == [(What.RESTORED, sheet.id), (What.DELETED, sheet.id), (What.CREATED, sheet.id)]
    edit("Bob", title="z")
    assert history.of_contact(bob, by=OPERATOR)[0].what is What.CHANGED


def test_one_that_an_older_version_took_back_is_not_brought_back(file: Callable[..., Any]) -> None:
    sheet = file(ANN)
    sql("UPDATE imports SET state = 'undone'")
    with pytest.raises(Conflict, match="taken back by an older version: import the file again instead"):
        redo(sheet.id)


def test_the_list_is_for_who_sees_the_columns(file: Callable[..., Any], ben: Actor) -> None:
    file(ANN, BOB)
    sheet = file(ANN | {"Title": "x", "City": "Rom"}, BOB | {"City": "Pisa"})
    edit("Ann", by=ben, title="y", city="Wien")
    edit("Ann", city="Linz")
    edit("Bob", by=ben, city="Graz")
    undo(sheet.id)
    assert [len(one.fields) for one in listed(sheet.id)] == [2, 1]
    assert [one.since.by_name for one in listed(sheet.id)] == [OPERATOR.name, "Ben"]
    narrow = Actor(99, "Nia", Role.MANAGER, frozenset({"first_name", "title"}))
    [seen] = listed(sheet.id, by=narrow)
    assert [(one.name, one.stayed, one.would_be) for one in seen.fields] == [("title", None, None)]
    assert seen.since.by_name == "Ben", "that a hidden field was changed later is not told"
    for refused in (import_kept.rows, import_kept.as_csv):
        with pytest.raises(NotAllowed, match="The values of this file are hidden from you"):
            list(refused(sheet.id, by=narrow))
    with pytest.raises(NotAllowed, match="You may not import files"):
        listed(sheet.id, by=Actor(98, "Ada", Role.ANALYST))


def test_the_list_as_a_file(file: Callable[..., Any], ben: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_kept, "BATCH", 1)
    file(ANN, BOB)
    sheet = file(ANN | {"Title": "x"}, BOB | {"Title": "y", "City": "Pisa"}, CID)
    edit("Ann", by=ben, title="=1+1")
    edit("Bob", by=ben, title="z")
    bulk.delete(the("Cid"), by=ben)
    undo(sheet.id)
    lines = list(csv.reader(io.StringIO("".join(import_kept.as_csv(sheet.id, by=OPERATOR)))))
    assert lines[0] == list(import_kept.HEADERS)
    assert [[*line[1:7], line[8], line[9]] for line in lines[1:]] == [
        ["Ann", "changed since", "Title", "'=1+1", "VP", "Ben", "", ""],
        ["Bob", "changed since", "Title", "z", "CEO", "Ben", "", "went back"],
        ["Cid", "deleted since", "", "", "", "Ben", "", ""],
    ]
    [(details,)] = sql("SELECT details FROM audit_log WHERE event = 'import kept list downloaded'")
    assert details == {"contacts": 3}


def test_there_is_nothing_to_tell_of_an_import_that_stands(file: Callable[..., Any]) -> None:
    sheet = file(ANN)
    assert import_kept.last(sheet.id, by=OPERATOR) is None
    assert listed(sheet.id) == list(import_kept.rows(sheet.id, by=OPERATOR)) == []
