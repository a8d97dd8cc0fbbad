from typing import Any

import pytest
from sqlalchemy import insert, text

from models.contacts import bulk, history, records, undo
from models.contacts.bulk import Selection
from models.contacts.history import Change, FieldChange, What
from models.contacts.table import Contact
from models.database import writing
from models.errors import Conflict, Gone, NotFound
from models.filters import Filters
from models.imports import Import
from models.industries import Industry
from models.permissions import OPERATOR, Actor, Role
from tests import people


def person(name: str, role: Role, columns: tuple[str, ...] | None = None) -> Actor:
    made = people.person(
        email=f"{name}@example.com", name=name.capitalize(), role=role, column_allowed=columns,
        by=OPERATOR,
    )  # fmt: skip
    return made.actor()


@pytest.fixture
def ann(db: str) -> Actor:
    return person("ann", Role.MANAGER)


@pytest.fixture
def contact(ann: Actor) -> int:
    return records.create({"first_name": "Zoë", "company": "Acme"}, by=ann)


def imported(name: str) -> int:
    with writing(OPERATOR) as session:
        made = Import(state="committed", file_name=name, file_path="", overrides={}, match="auto", keep="theirs")
        session.add(made)
        session.flush()
        return made.id


def change(contact: int, by: Actor, **values: str) -> None:
    records.update(contact, values, version=records.get(contact, by=by).version, by=by)


def told(contact: int, by: Actor) -> list[Any]:
    return [(one.what, one.by_name, {field.name: (field.old, field.new) for field in one.fields})
            for one in history.of_contact(contact, by=by)]  # fmt: skip


def test_a_contact_made_by_hand(ann: Actor, contact: int) -> None:
    [made] = history.of_contact(contact, by=ann)
    assert made == Change(
        What.CREATED, made.at, "Ann",
        (FieldChange("first_name", None, "Zoë"), FieldChange("company", None, "Acme"),
         FieldChange("status", None, "active"), FieldChange("is_active", None, True)),
    )  # fmt: skip


def test_changes_stand_newest_first_with_old_and_new(ann: Actor, contact: int) -> None:
    ben = person("ben", Role.ADMIN)
    with writing(OPERATOR) as session:
        session.execute(insert(Industry).values(name="Software"))
    change(contact, ann, title="CEO", tags="a, b")
    change(contact, ben, title="CTO", industry="software", owner="ann@example.com")
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE contacts SET city = 'Bonn'"))
    assert told(contact, ann)[:-1] == [
        (What.CHANGED, "operator", {"city": (None, "Bonn")}),
        (What.CHANGED, "Ben", {"title": ("CEO", "CTO"), "industry": (None, "Software"),
                               "owner": (None, "ann@example.com")}),
        (What.CHANGED, "Ann", {"title": (None, "CEO"), "tags": (None, ["a", "b"])}),
    ]  # fmt: skip


def test_what_one_may_not_see_is_left_out(ann: Actor, contact: int) -> None:
    narrow = person("nia", Role.ANALYST, ("first_name", "title"))
    change(contact, ann, city="Bonn")
    change(contact, ann, city="Ulm", title="CEO")
    assert told(contact, narrow) == [
        (What.CHANGED, "Ann", {"title": (None, "CEO")}),
        (What.CREATED, "Ann", {"first_name": (None, "Zoë")}),
    ]


def test_imports_are_named_with_file_and_line(ann: Actor) -> None:
    first, second = imported("spring.csv"), imported("autumn.csv")
    with writing(ann) as session:
        contact = session.scalars(
            insert(Contact).returning(Contact.id).values(
                last_name="X", created_by=ann.id, import_id=first, import_line=7)
        ).one()  # fmt: skip
    with writing(ann, import_id=second) as session:
        session.execute(text("UPDATE contacts SET title = 'CEO', import_id = :id, import_line = 9"), {"id": second})
    newest, made = history.of_contact(contact, by=ann)
    assert (made.what, made.import_id, made.file_name, made.line) == (What.CREATED, first, "spring.csv", 7)
    assert (newest.what, newest.import_id, newest.file_name, newest.line) == (What.CHANGED, second, "autumn.csv", 9)
    with writing(ann) as session:
        undo.undo_import(session, second)
    newest = history.of_contact(contact, by=ann)[0]
    assert (newest.what, newest.by_name, newest.file_name) == (What.TAKEN_BACK, "Ann", "autumn.csv")
    assert newest.fields == (FieldChange("title", "CEO", None),)
    assert newest.can_be_undone
    ada = person("ada", Role.MANAGER, columns=("last_name",))
    [unseen, made] = history.of_contact(contact, by=ada)
    assert (unseen.what, unseen.fields, unseen.can_be_undone) == (What.TAKEN_BACK, (), False)
    assert not made.can_be_undone
    with pytest.raises(Conflict, match="touched no field that you may see"):
        records.undo(contact, unseen.version or 0, by=ada)


def test_deleted_and_restored(ann: Actor, contact: int) -> None:
    ben = person("ben", Role.MANAGER)
    change(contact, ann, title="CEO")
    records.delete(contact, version=records.get(contact, by=ben).version, by=ben)
    assert [one[:2] for one in told(contact, ann)] == [
        (What.DELETED, "Ben"), (What.CHANGED, "Ann"), (What.CREATED, "Ann")
    ]  # fmt: skip
    with pytest.raises(Gone):
        history.of_contact(contact, by=person("ada", Role.ANALYST))
    records.restore(contact, by=ann)
    bulk.put_back(bulk.delete(Selection(Filters()), by=ben), by=ben)
    change(contact, ben, title="CTO")
    assert told(contact, ann)[:6] == [
        (What.CHANGED, "Ben", {"title": ("CEO", "CTO")}),
        (What.RESTORED, "Ben", {}),
        (What.DELETED, "Ben", {}),
        (What.RESTORED, "Ann", {}),
        (What.DELETED, "Ben", {}),
        (What.CHANGED, "Ann", {"title": (None, "CEO")}),
    ]


def test_the_newest_of_very_many(ann: Actor, contact: int) -> None:
    for number in range(6):
        change(contact, ann, title=f"title {number}")
    assert [one[2]["title"][1] for one in told(contact, ann)[:-1]] == [f"title {n}" for n in (5, 4, 3, 2, 1, 0)]
    short = history.of_contact(contact, by=ann, most=3)
    assert [one.fields[0].new for one in short] == ["title 5", "title 4", "title 3"]


@pytest.mark.parametrize("unknown", [0, 999_999, 2**70])
def test_an_id_of_nobody(ann: Actor, unknown: int) -> None:
    with pytest.raises(NotFound, match="There is no contact"):
        history.of_contact(unknown, by=ann)
