"""A thousand contacts written as each of them says: all or none, and told apart by their places."""

from typing import Any

import pytest
from sqlalchemy import event, func, select

from models import industries
from models.audit import AuditLine
from models.contacts import history, many, records
from models.contacts.history import ContactVersion
from models.contacts.many import Change, Create, Delete, Written
from models.contacts.table import Contact
from models.database import engine, reading
from models.errors import AlreadyThere, ChangedMeanwhile, Conflict, Gone, InvalidInput, InvalidValues, RefusedItems
from models.permissions import OPERATOR, Actor, Role
from tests.people import person


@pytest.fixture
def ann(db: str) -> Actor:
    return person(email="ann@example.com", name="Ann", role=Role.MANAGER).actor()


def made(by: Actor, **values: str) -> records.Record:
    return records.get(records.create({"last_name": "Archer", **values}, by=by), by=by)


def lines() -> list[tuple[str, str, Any]]:
    with reading() as session:
        return [
            (one.event, one.subject, one.details)
            for one in session.scalars(
                select(AuditLine).where(AuditLine.subject.like("contact %")).order_by(AuditLine.id)
            )
        ]


def number(table: Any) -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_each_is_done_as_it_says_and_told_of_as_one_alone_is(ann: Actor) -> None:
    industries.create("Software", by=OPERATOR)
    first, second = made(ann, email="a@example.com", title="CEO"), made(ann, email="b@example.com")
    values = {"title": None, "tags": "x, y", "annual_revenue": "5.5", "last_raised_at": "2026-01-02", "is_active": "no"}
    known = len(lines())
    done = many.write(
        [
            Delete(second.id, second.version),
            Create({"last_name": "Baker", "industry": "software", "employees": "12"}),
            Change(first.id, {**values, "email": "c@example.com", "owner": "ann@example.com"}, first.version),
            Create({"company": "Acme"}),
        ],
        by=ann,
    )
    assert done[0].version is None
    assert [one.id for one in done] == [second.id, second.id + 1, first.id, second.id + 2]
    changed = records.get(first.id, by=ann)
    assert {name: changed.texts()[name] for name in values} == {
        "title": "", "tags": "x, y", "annual_revenue": "5.50", "last_raised_at": "2026-01-02", "is_active": "no",
    }  # fmt: skip
    assert (changed.version, changed.values["owner"]) == (done[2].version, "ann@example.com")
    baker = records.get(done[1].id, by=ann)
    assert (baker.values["industry"], baker.values["employees"], baker.values["status"]) == ("Software", 12, "active")
    assert baker.created_by == "Ann"
    with pytest.raises(Gone):
        records.get(second.id, by=ann)
    [newest, *_] = history.of_contact(first.id, by=ann)
    assert {one.name for one in newest.fields} == {*values, "email", "owner"}

    told = lines()[known:]
    assert [(event, subject) for event, subject, _ in told] == [
        ("contact deleted", f"contact {second.id}"),
        ("contact created", f"contact {done[1].id}"),
        ("contact changed", f"contact {first.id}"),
        ("contact created", f"contact {done[3].id}"),
    ]
    assert told[0][2] == {"before": {"last_name": "Archer", "email": "b@example.com"}}
    assert told[3][2] == {"after": {"company": "Acme", "status": "active", "is_active": "yes"}}
    assert told[2][2]["before"]["title"] == "CEO"
    assert told[2][2]["after"]["email"] == "c@example.com"


def test_what_one_would_be_refused_for_is_told_by_its_place_and_nothing_is_written(ann: Actor) -> None:
    there, moved = made(ann, email="a@example.com"), made(ann, title="CEO")
    records.update(moved.id, {"title": "CTO"}, version=moved.version, by=ann)
    gone = made(ann)
    records.delete(gone.id, version=gone.version, by=ann)
    before = (number(Contact), number(ContactVersion), number(AuditLine))
    with pytest.raises(RefusedItems) as refused:
        many.write(
            [
                Create({"last_name": "Fine", "email": "same@example.com"}),
                Create({"last_name": "Bad", "email": "at home", "employees": "many"}),
                Create({"email": "A@example.com "}),
                Change(moved.id, {"title": "COO"}, moved.version),
                Delete(gone.id, None),
                Change(there.id, {"titel": "x"}, None),
                Delete(there.id, there.version),
                Create({"last_name": "Also fine", "email": "same@example.com"}),
                Create({"notes": "nobody"}),
            ],
            by=ann,
        )
    found = refused.value.problems
    assert {place: type(error) for place, error in found.items()} == {
        1: InvalidValues, 2: AlreadyThere, 3: ChangedMeanwhile, 4: Gone, 5: InvalidInput, 6: Conflict, 7: Conflict,
        8: InvalidValues,
    }  # fmt: skip
    assert isinstance(found[1], InvalidValues)
    assert set(found[1].problems) == {"email", "employees"}
    assert "named twice" in found[6].sentence
    assert found[7].sentence == "E-mail: number 0 of these has the same. Nothing was created."
    assert refused.value.sentence.startswith("8 of 9 cannot be done, and nothing was written. Number 1, from 0: ")
    assert before == (number(Contact), number(ContactVersion), number(AuditLine))


def test_twins_are_created_where_they_are_wanted_anyway(ann: Actor) -> None:
    made(ann, email="a@example.com")
    twin = Create({"last_name": "Archer", "email": "a@example.com"}, anyway=True)
    assert len(many.write([twin, twin], by=ann)) == 2
    assert number(Contact) == 3


def test_what_changes_nothing_leaves_no_version_and_no_line(ann: Actor) -> None:
    there = made(ann, title="CEO")
    before = (number(ContactVersion), number(AuditLine))
    assert many.write([Change(there.id, {"title": "CEO"}, None)], by=ann) == [Written(there.id, there.version)]
    assert before == (number(ContactVersion), number(AuditLine))


def test_a_thousand_take_as_many_statements_as_ten_and_no_more_are_taken(ann: Actor) -> None:
    def statements(size: int) -> int:
        counted = [0]

        def noted(*_: object) -> None:
            counted[0] += 1

        items = [Create({"last_name": f"L{place}", "email": f"p{size}.{place}@example.com"}) for place in range(size)]
        ids = [one.id for one in many.write(items, by=ann)]
        changes = [Change(one, {"title": f"T{one}"}, 0) for one in ids]
        event.listen(engine(), "before_cursor_execute", noted)
        many.write(changes, by=ann)
        event.remove(engine(), "before_cursor_execute", noted)
        return counted[0]

    assert statements(many.MOST) <= statements(10) + 5  # lines of the audit log go in a few batches
    with pytest.raises(InvalidInput, match="Name 1 to 1,000 contacts"):
        many.write([Create({"last_name": "X"})] * 1001, by=ann)
    with pytest.raises(InvalidInput, match="Name 1 to 1,000 contacts"):
        many.write([], by=ann)
