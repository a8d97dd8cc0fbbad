import csv
from collections.abc import Iterable

import pytest
from sqlalchemy import select, text

from models import credits
from models.audit import AuditLine, Event
from models.contacts import bulk, difference, difference_file, records
from models.contacts.bulk import Selection
from models.contacts.difference import Asked
from models.contacts.moments import When
from models.database import reading
from models.errors import NotAllowed, NotEnoughCredits
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Role
from tests.models.test_contact_history import change
from tests.people import person


@pytest.fixture
def since(db: str) -> When:
    """Since then “old” was changed, “gone” deleted, “new” created; “same” is as it was."""
    old, gone, _ = (records.create({"first_name": one, "title": "CEO"}, by=OPERATOR) for one in ("old", "gone", "same"))
    with reading() as session:
        when = When(session.scalars(text("SELECT clock_timestamp()")).one())
    change(old, OPERATOR, title="=1+1", city="Bonn")
    records.delete(gone, version=records.get(gone, by=OPERATOR).version, by=OPERATOR)
    records.create({"first_name": "new"}, by=OPERATOR)
    return when


def actor(limit: int | None, columns: tuple[str, ...] | None = None, role: Role = Role.MANAGER) -> Actor:
    return person(
        email=f"{role}{limit}@example.com", name="Mia", role=role, download_limit=limit, column_allowed=columns
    ).actor()


def read(lines: Iterable[str]) -> list[list[str]]:
    [_, *rows] = csv.reader(lines)
    return rows


def test_each_value_before_and_after(since: When) -> None:
    rows = read(difference_file.as_csv(Asked(Filters(), since, None), by=OPERATOR))
    assert rows == [
        ["came: added", "4", "First Name", "", "new"],
        ["came: added", "4", "Status", "", "active"],
        ["came: added", "4", "Is Active", "", "yes"],
        ["changed", "1", "Title", "CEO", "'=1+1"],
        ["changed", "1", "City", "", "Bonn"],
        ["left: deleted", "2", "First Name", "gone", ""],
        ["left: deleted", "2", "Title", "CEO", ""],
        ["left: deleted", "2", "Status", "active", ""],
        ["left: deleted", "2", "Is Active", "yes", ""],
    ]


def test_it_costs_what_an_export_of_these_contacts_costs(since: When) -> None:
    asked, mia = Asked(Filters(), since, None), actor(3)
    assert difference_file.cost(asked, by=mia) == 3
    assert len(read(difference_file.as_csv(asked, by=mia))) == 9
    assert (credits.balance(by=mia).left, difference_file.cost(asked, by=mia)) == (0, 0)
    assert len(read(difference_file.as_csv(asked, by=mia))) == 9, "what was taken in this month is free"
    with reading() as session:
        lines = session.scalars(select(AuditLine).where(AuditLine.event == Event.DIFFERENCE_EXPORTED)).all()
    assert [(line.actor_name, (line.details or {})["credits"]) for line in lines] == [("Mia", 3), ("Mia", 0)]
    assert credits.cost(Filters(), None, by=mia) == 1, "of the contacts that are there only one was not taken"


def test_without_credits_there_is_no_file(since: When) -> None:
    poor = actor(2)
    with pytest.raises(NotEnoughCredits, match="This would take 3 credits"):
        difference_file.as_csv(Asked(Filters(), since, None), by=poor)
    assert credits.balance(by=poor).left == 2


def test_hidden_columns_and_deleted_contacts_are_not_in_it(since: When) -> None:
    asked = Asked(Filters(), since, None)
    ada = actor(None, ("title", "first_name"), Role.ANALYST)
    rows = read(difference_file.as_csv(asked, by=ada))
    assert {row[2] for row in rows} == {"First Name", "Title"}
    assert {row[0] for row in rows} == {"came: added", "changed"}
    nothing = actor(None, ("country",), Role.MANAGER)
    assert read(difference_file.as_csv(asked, by=nothing)) == []
    assert difference.numbers(asked, by=nothing).changed == 0
    with pytest.raises(NotAllowed, match="You may not see the column City"):
        difference_file.parse([("city", "Bonn"), ("from", "2026-01-01")], by=ada)


def test_the_filter_may_hold_at_one_moment_only(since: When) -> None:
    bulk.change(Selection(Filters()), "country", "Japan", by=OPERATOR)
    asked = difference_file.parse([("title", "CEO"), ("from", since.written), ("to", "now")], by=OPERATOR)
    assert (asked.since, asked.until) == (since, None)
    found = difference.numbers(asked, by=OPERATOR)
    assert (found.came, found.left, found.changed) == (0, 2, 1)
