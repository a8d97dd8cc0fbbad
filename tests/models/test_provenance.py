from typing import Any

import pytest
from sqlalchemy import insert, text

from models.contacts import bulk, history, merging, provenance, records, undo
from models.contacts.bulk import Selection
from models.contacts.history import What
from models.contacts.provenance import Origin
from models.contacts.table import Contact
from models.database import writing
from models.filters import Filters
from models.permissions import Actor, Role
from tests.models.test_contact_history import change, imported, person


@pytest.fixture
def ann(db: str) -> Actor:
    return person("ann", Role.MANAGER)


def origins(contact: int, by: Actor, **how: Any) -> dict[str, tuple[Origin, ...]]:
    return provenance.of_changes(history.of_contact(contact, by=by, **how)).origins


def told(contact: int, name: str, by: Actor) -> list[tuple[Any, What | None, str | None, int | None, bool, bool]]:
    """(value, what made it so, its file, its line, with other contacts, put back), the present one first."""
    return [
        (one.value, one.change and one.change.what, one.change and one.change.file_name,
         one.change and one.change.line, bool(one.change and one.change.with_others), one.is_put_back)
        for one in origins(contact, by)[name]
    ]  # fmt: skip


def test_every_value_knows_file_and_line_or_the_person(ann: Actor) -> None:
    first, second = imported("spring.csv"), imported("autumn.csv")
    with writing(ann) as session:
        values = {"last_name": "X", "title": "CEO", "city": "Bonn", "created_by": ann.id, "import_id": first}
        made = insert(Contact).returning(Contact.id).values(**values, import_line=7)
        contact, other = session.scalars(made).one(), session.scalars(made).one()
    with writing(ann, import_id=second) as session:
        session.execute(
            text("UPDATE contacts SET title = 'CTO', import_id = :second, import_line = 9 WHERE id = :id"),
            {"second": second, "id": contact},
        )
    change(contact, ann, city="Ulm")
    change(contact, ann, notes="x")
    change(contact, ann, notes="")
    bulk.change(Selection(Filters()), "country", "Germany", by=ann)
    spring, autumn = ("spring.csv", 7, False, False), ("autumn.csv", 9, False, False)
    by_hand = (None, None, False, False)
    assert told(contact, "last_name", ann) == [("X", What.CREATED, *spring)]
    assert told(contact, "title", ann) == [("CTO", What.CHANGED, *autumn), ("CEO", What.CREATED, *spring)]
    assert told(contact, "city", ann) == [("Ulm", What.CHANGED, *by_hand), ("Bonn", What.CREATED, *spring)]
    assert told(contact, "notes", ann) == [(None, What.CHANGED, *by_hand), ("x", What.CHANGED, *by_hand)]
    assert told(contact, "country", ann) == [("Germany", What.CHANGED, None, None, True, False)]
    assert "company" not in origins(contact, ann), "it never held anything"
    records.undo(contact, history.of_contact(contact, by=ann)[-3].version or 0, by=ann)
    assert told(contact, "city", ann)[0] == ("Bonn", What.CHANGED, None, None, False, True), "put back"
    with writing(ann) as session:
        session.execute(text("DELETE FROM contacts WHERE id = :id"), {"id": other})
        undo.undo_import(session, first)
    assert told(contact, "title", ann)[0] == ("CTO", What.CHANGED, *autumn), "it was changed since, and is kept"


def test_what_an_undone_import_and_a_restoration_leave(ann: Actor) -> None:
    second = imported("autumn.csv")
    contact = records.create({"first_name": "Zoë", "title": "CEO"}, by=ann)
    with writing(ann, import_id=second) as session:
        session.execute(text("UPDATE contacts SET title = 'CTO', import_id = :id, import_line = 9"), {"id": second})
    with writing(ann) as session:
        undo.undo_import(session, second)
    assert [(one[0], one[1], one[2]) for one in told(contact, "title", ann)] == [
        ("CEO", What.TAKEN_BACK, "autumn.csv"), ("CTO", What.CHANGED, "autumn.csv"), ("CEO", What.CREATED, None),
    ]  # fmt: skip
    records.delete(contact, version=records.get(contact, by=ann).version, by=ann)
    records.restore(contact, by=ann)
    assert told(contact, "title", ann)[0][:2] == ("CEO", What.TAKEN_BACK), "restoring changes no value"


def test_a_value_from_a_merge_names_the_contact_that_it_came_from(ann: Actor) -> None:
    contact = records.create({"first_name": "Zoë", "city": "Bonn"}, by=ann)
    other = records.create({"first_name": "Zoë", "title": "CTO"}, by=ann)
    versions = {one: records.get(one, by=ann).version for one in (contact, other)}
    merge = merging.merge(contact, versions, by=ann)
    [change, _] = history.of_contact(contact, by=ann)
    assert (change.what, change.merged, change.merge, change.with_others) == (
        What.CHANGED, (other,), f"contact {other}", False,
    )  # fmt: skip
    assert origins(contact, ann)["title"][0].change == change
    merging.unmerge(merge, by=ann)
    assert [one.merged for one in history.of_contact(contact, by=ann)] == [(), (other,), ()]


def test_where_the_changes_are_cut_it_is_said(ann: Actor) -> None:
    contact = records.create({"first_name": "Zoë", "title": "title 0"}, by=ann)
    for number in range(1, 6):
        change(contact, ann, title=f"title {number}")
    whole = provenance.of_changes(history.of_contact(contact, by=ann))
    assert whole.begins is None
    assert [one.value for one in whole.origins["title"]] == [f"title {number}" for number in (5, 4, 3, 2, 1, 0)]
    listed = history.of_contact(contact, by=ann, most=3)
    cut = provenance.of_changes(listed)
    assert cut.begins == listed[-1].at
    assert [(one.value, one.change is None) for one in cut.origins["title"]] == [
        ("title 5", False), ("title 4", False), ("title 3", False), ("title 2", True),
    ]  # fmt: skip
    assert "first_name" not in cut.origins


def test_nothing_of_a_hidden_column(ann: Actor) -> None:
    narrow = person("nia", Role.ANALYST, ("title",))
    contact = records.create({"first_name": "Zoë", "title": "CEO"}, by=ann)
    change(contact, ann, city="Bonn")
    change(contact, ann, city="Ulm", title="CTO")
    assert set(origins(contact, narrow)) == {"title"}
    assert len(origins(contact, narrow)["title"]) == 2


def test_a_contact_s_history_until_a_moment(ann: Actor) -> None:
    contact = records.create({"first_name": "Zoë", "title": "CEO"}, by=ann)
    for title in ("CTO", "CFO", "Buyer"):
        change(contact, ann, title=title)
    everything = history.of_contact(contact, by=ann)
    for place in range(len(everything)):
        assert history.of_contact(contact, until=everything[place].at, by=ann) == everything[place:]
    few = history.of_contact(contact, until=everything[1].at, by=ann, most=1)
    assert few == everything[1:2], "the newest until then, not of all"
