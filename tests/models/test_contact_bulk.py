from dataclasses import asdict, replace
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update

from models import audit, filters
from models.audit import AuditLine, Event
from models.contacts import bulk, records
from models.contacts.bulk import Batch, PutBack, Selection
from models.contacts.history import ContactVersion
from models.contacts.table import Contact
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed
from models.filters import Filters
from models.industries import FormerName, Industry
from models.permissions import OPERATOR, Actor, Role
from tests import people

ROWS: list[dict[str, Any]] = [
    {"first_name": "A", "country": "Germany", "tags": ["x", "y"], "status": "active"},
    {"first_name": "B", "country": "Germany", "tags": None, "status": "archived"},
    {"first_name": "C", "country": "France", "tags": ["y"], "status": "active"},
    {"first_name": "D", "country": None, "tags": ["z"], "company": "Acme", "status": None},
    {"first_name": None, "country": "India", "tags": None, "company": "Ltd", "status": "active"},
]
EVERYTHING = Selection(Filters())


def person(name: str, role: Role, columns: tuple[str, ...] | None = None) -> Actor:
    made = people.person(email=f"{name}@example.com", name=name, role=role, column_allowed=columns, by=OPERATOR)
    return made.actor()


@pytest.fixture
def ann(db: str) -> Actor:
    return person("ann", Role.MANAGER)


@pytest.fixture
def ben(db: str) -> Actor:
    return person("ben", Role.MANAGER)


@pytest.fixture(autouse=True)
def contacts(db: str) -> list[int]:
    with writing(OPERATOR) as session:
        return [session.scalars(insert(Contact).returning(Contact.id).values(**row)).one() for row in ROWS]


def column(name: str) -> list[Any]:
    with reading() as session:
        return list(session.scalars(select(Contact.__table__.c[name]).order_by(Contact.id)))


def versions() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(ContactVersion)) or 0


def lines() -> list[AuditLine]:
    with reading() as session:
        found = list(session.scalars(select(AuditLine).where(AuditLine.subject == "contacts").order_by(AuditLine.id)))
        session.expunge_all()
    return found


def where(query: str) -> Selection:
    return Selection(filters.parse_query(query, by=OPERATOR))


def test_a_field_is_set_where_it_differs(ann: Actor) -> None:
    batch = bulk.change(where("country=Germany"), "status", "ACTIVE", by=ann)
    assert column("status") == ["active", "active", "active", None, "active"]
    assert (batch.what, batch.field, batch.count, batch.by_id) == ("changed", "status", 1, ann.id)
    assert versions() == 1
    [line] = lines()
    assert (line.event, line.actor_name) == (Event.CONTACTS_CHANGED, "ann")
    assert line.details == {
        "filter": "Country is Germany", "query": "country=Germany", "selected": None, "matched": 2, "changed": 1,
        "versions": [batch.first, batch.last], "field": "status", "after": {"status": "ACTIVE"},
    }  # fmt: skip


def test_only_what_was_written_gets_a_new_moment(ann: Actor) -> None:
    before = column("updated_at")
    bulk.change(EVERYTHING, "country", "France", by=ann)
    assert [old < new for old, new in zip(before, column("updated_at"), strict=True)] == [True, True, False, True, True]


KNOWN = {"email_status": "Verified", "primary_email_catch_all_status": "Not Catch-all"}


def test_what_is_known_of_an_address_goes_and_comes_back_with_it(ann: Actor, contacts: list[int]) -> None:
    with writing(OPERATOR) as session:
        session.execute(update(Contact).values(email="old@example.com", **KNOWN))
    batch = bulk.change(where("country=Germany"), "email", "new@example.com", by=ann)
    assert column("email_status") == [None, None, "Verified", "Verified", "Verified"]
    assert column("primary_email_catch_all_status")[:3] == [None, None, "Not Catch-all"]
    bulk.change(Selection(Filters(), (contacts[0],)), "email_status", "Verified", by=ann)
    assert bulk.put_back(batch, by=ann) == PutBack(1, 1)
    assert column("email")[:3] == ["new@example.com", "old@example.com", "old@example.com"]
    assert column("email_status") == ["Verified"] * 5
    assert column("primary_email_catch_all_status")[:2] == [None, "Not Catch-all"]


@pytest.mark.parametrize("empty", ["", None, " ", "N/A"])
def test_nothing_empties_it(ann: Actor, empty: str | None) -> None:
    assert bulk.change(where("status=active"), "status", empty, by=ann).count == 3
    assert column("status") == [None, "archived", None, None, None]


def test_ids_choose_among_those_that_match(ann: Actor, contacts: list[int]) -> None:
    chosen = replace(where("country=Germany"), ids=(contacts[1], contacts[2], 999_999))
    assert bulk.change(chosen, "city", "Bonn", by=ann).count == 1
    assert column("city") == [None, "Bonn", None, None, None]
    assert bulk.change(Selection(Filters(), ()), "city", "Ulm", by=ann).count == 0
    assert lines()[0].details == lines()[0].details | {"selected": 3, "matched": 1}


def test_industry_and_owner_go_by_name_and_address(ann: Actor) -> None:
    with writing(OPERATOR) as session:
        session.execute(
            insert(Industry), [{"name": "Software", "is_active": True}, {"name": "Coal", "is_active": False}]
        )
        session.execute(insert(Industry).values(name="Sofware", is_active=False, merged_into=1))
        session.execute(insert(FormerName).values(name="programs", industry_id=1))
    assert bulk.change(EVERYTHING, "industry", "software", by=ann).count == len(ROWS)
    assert bulk.change(EVERYTHING, "industry", None, by=ann).count == len(ROWS)
    for another in ("Sofware", "Programs"):  # it was merged, and it was called so
        bulk.change(EVERYTHING, "industry", another, by=ann)
        assert column("industry_id") == [1] * len(ROWS)
    assert bulk.change(EVERYTHING, "owner", "Ann@Example.com", by=ann).count == len(ROWS)
    assert column("owner_id") == [ann.id] * len(ROWS)
    for field, value, sentence in [
        ("industry", "Softwear", "there is no industry “Softwear”"),
        ("industry", "coal", "“Coal” is no longer in use"),
        ("owner", "cid@example.com", "nobody with the e-mail “cid@example.com” works here"),
    ]:
        with pytest.raises(InvalidInput, match=sentence):
            bulk.change(EVERYTHING, field, value, by=ann)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("email", "nobody", "“nobody” is not an e-mail address: it has no @"),
        ("employees", "many", "not a whole number"),
        ("last_raised_at", "03/04/2020", "write it as 2026-03-31"),
        ("mobile_phone", "+1 23456", "cannot be a phone number: it is too short"),
        ("country", "x" * 301, "more than 300"),
        ("keywords", f"a, {'x' * 301}", "301 characters, more than 300"),
        ("email_status", "x" * 31, "more than 30"),
        ("notes", "x" * 100_001, "more than 100,000"),
        ("created_at", "2020-01-01", "There is no field “created_at”"),
        ("id; DROP TABLE contacts", "1", "There is no field"),
    ],
)
def test_what_does_not_fit_changes_nothing(ann: Actor, field: str, value: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        bulk.change(EVERYTHING, field, value, by=ann)
    assert versions() == 0
    assert lines() == []


def test_nobody_is_left_without_name_address_and_company(ann: Actor) -> None:
    with pytest.raises(InvalidInput, match=r"needs a name, an e-mail or a company\. 1 of these"):
        bulk.change(EVERYTHING, "company", "", by=ann)
    assert bulk.change(where("first_name=D"), "company", "", by=ann).count == 1


def test_who_may_not_edit_is_refused(contacts: list[int]) -> None:
    analyst = person("ada", Role.ANALYST)
    batch = Batch("changed", "city", 1, 1, 1, "2026-01-01", analyst.id)
    for attempt in (
        lambda: bulk.change(EVERYTHING, "city", "x", by=analyst),
        lambda: bulk.tag(EVERYTHING, add=["x"], by=analyst),
        lambda: bulk.delete(EVERYTHING, by=analyst),
        lambda: bulk.put_back(batch, by=analyst),
    ):
        with pytest.raises(NotAllowed, match="You may not edit contacts"):
            attempt()
    assert versions() == 0


def test_hidden_fields_are_refused(contacts: list[int]) -> None:
    narrow = person("nia", Role.MANAGER, ("first_name", "country"))
    with pytest.raises(NotAllowed, match="You may not see the column City"):
        bulk.change(EVERYTHING, "city", "x", by=narrow)
    with pytest.raises(NotAllowed, match="You may not see the column Tags"):
        bulk.tag(EVERYTHING, add=["x"], by=narrow)
    with pytest.raises(NotAllowed, match="You may not see the column City"):
        bulk.delete(where("city=Berlin"), by=narrow)


def test_labels_keep_their_order_and_stand_once(ann: Actor) -> None:
    batch = bulk.tag(EVERYTHING, add=["y", " new ", "y"], remove=["x", "z"], by=ann)
    assert column("tags") == [["y", "new"], ["y", "new"], ["y", "new"], ["y", "new"], ["y", "new"]]
    assert batch.count == len(ROWS)
    assert bulk.tag(EVERYTHING, add=["y"], by=ann).count == 0
    assert bulk.tag(EVERYTHING, remove=["y", "new"], by=ann).count == len(ROWS)
    assert column("tags") == [None] * len(ROWS)


def test_only_contacts_that_lack_or_have_a_label_are_written(ann: Actor) -> None:
    assert bulk.tag(EVERYTHING, add=["y"], by=ann).count == 3
    assert bulk.tag(EVERYTHING, remove=["z"], by=ann).count == 1
    assert column("tags") == [["x", "y"], ["y"], ["y"], ["y"], ["y"]]


@pytest.mark.parametrize(("add", "remove"), [([], []), (["  "], []), (["x"], ["x"]), (["x" * 301], [])])
def test_labels_that_make_no_sense_are_refused(ann: Actor, add: list[str], remove: list[str]) -> None:
    with pytest.raises(InvalidInput, match="Tags: "):
        bulk.tag(EVERYTHING, add=add, remove=remove, by=ann)


def test_too_many_are_refused(ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST", 4)
    with pytest.raises(InvalidInput, match="More than 4 contacts at a time"):
        bulk.delete(EVERYTHING, by=ann)
    assert bulk.delete(where("country=Germany"), by=ann).count == 2


def test_another_number_than_the_confirmed_one_changes_nothing(ann: Actor, contacts: list[int]) -> None:
    germany = where("country=Germany")
    ticked = replace(germany, ids=(contacts[0], contacts[2]))  # of which one matches no longer
    for selection, expected, sentence in [(germany, 1, "Confirmed were 1, but 2 match"), (ticked, 2, "2, but 1 match")]:
        for attempt in (
            lambda selection=selection, expected=expected: bulk.delete(selection, expected=expected, by=ann),
            lambda selection=selection, expected=expected: bulk.tag(selection, add=["new"], expected=expected, by=ann),
            lambda selection=selection, expected=expected: bulk.change(
                selection, "city", "Bonn", expected=expected, by=ann
            ),
        ):
            with pytest.raises(Conflict, match=sentence):
                attempt()
    assert (versions(), lines()) == (0, [])
    assert bulk.change(germany, "status", "active", expected=2, by=ann).count == 1
    assert bulk.tag(germany, add=["new"], expected=2, by=ann).count == 2
    assert bulk.delete(germany, expected=2, by=ann).count == 2


def test_a_change_is_put_back(ann: Actor) -> None:
    before = column("country")
    batch = bulk.change(EVERYTHING, "country", "Chad", by=ann)
    stored = Batch(**asdict(batch))  # as a screen remembers it over a restart
    assert bulk.put_back(stored, by=ann) == PutBack(restored=5, kept=0)
    assert column("country") == before
    assert bulk.put_back(stored, by=ann) == PutBack(restored=0, kept=0)
    assert lines()[-2].details == {
        "what": "changed", "field": "country", "at": batch.at, "restored": 5, "kept": 0
    }  # fmt: skip


def test_what_others_changed_since_is_kept(ann: Actor, ben: Actor, contacts: list[int]) -> None:
    batch = bulk.change(EVERYTHING, "country", "Chad", by=ann)
    bulk.change(Selection(Filters(), (contacts[0],)), "country", "Mali", by=ben)
    bulk.change(Selection(Filters(), (contacts[1],)), "city", "Bamako", by=ben)
    bulk.change(Selection(Filters(), (contacts[2],)), "country", "Togo", by=ann)
    bulk.change(Selection(Filters(), (contacts[3],)), "city", "Lomé", by=ann)
    bulk.delete(Selection(Filters(), (contacts[4],)), by=ann)
    assert bulk.put_back(batch, by=ann) == PutBack(restored=1, kept=4)
    assert column("country") == ["Mali", "Chad", "Togo", None]
    assert column("city") == [None, "Bamako", None, "Lomé"]


def test_batches_of_one_moment_are_told_apart(ann: Actor, ben: Actor) -> None:
    first = bulk.change(where("country=Germany"), "city", "Bonn", by=ann)
    second = bulk.change(where("country=France"), "city", "Lyon", by=ann)
    with writing(OPERATOR) as session:  # as if both transactions had begun in the same microsecond
        session.execute(text("UPDATE contact_history SET replaced_at = :at"), {"at": first.at})
    second = replace(second, at=first.at)
    assert bulk.put_back(second, by=ann) == PutBack(restored=1, kept=0)
    assert column("city") == ["Bonn", "Bonn", None, None, None]


def test_labels_are_put_back(ann: Actor) -> None:
    before = column("tags")
    batch = bulk.tag(EVERYTHING, add=["new"], remove=["y"], by=ann)
    assert bulk.put_back(batch, by=ann) == PutBack(restored=5, kept=0)
    assert column("tags") == before


def test_the_deleted_come_back_as_they_were(ann: Actor) -> None:
    with reading() as session:
        before = [tuple(row) for row in session.execute(select(Contact.__table__).order_by(Contact.id))]
    batch = bulk.delete(EVERYTHING, by=ann)
    assert column("id") == []
    assert bulk.put_back(batch, by=ann) == PutBack(restored=5, kept=0)
    place = list(Contact.__table__.columns.keys()).index("updated_at")
    with reading() as session:
        after = [tuple(row) for row in session.execute(select(Contact.__table__).order_by(Contact.id))]
    assert [row[:place] + row[place + 1 :] for row in after] == [row[:place] + row[place + 1 :] for row in before]
    assert bulk.put_back(batch, by=ann) == PutBack(restored=0, kept=0)


def test_what_was_restored_and_deleted_again_stays_deleted(ann: Actor, ben: Actor, contacts: list[int]) -> None:
    batch = bulk.delete(EVERYTHING, by=ann)
    again, restored = contacts[0], contacts[1]
    for contact_id in (again, restored):
        records.restore(contact_id, by=ben)
    newer = records.update(again, {"city": "Bonn"}, version=records.get(again, by=ben).version, by=ben)
    records.delete(again, version=newer.version, by=ben)
    assert bulk.put_back(batch, by=ann) == PutBack(restored=3, kept=1)
    assert column("id") == contacts[1:]
    assert records.restore(again, by=ben).values["city"] == "Bonn"


def test_a_contact_comes_back_without_the_industry_that_is_gone(ann: Actor) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(Industry).values(name="Software"))
    bulk.change(EVERYTHING, "industry", "Software", by=ann)
    batch = bulk.delete(EVERYTHING, by=ann)
    with writing(OPERATOR) as session:
        session.execute(text("DELETE FROM industries"))
    assert bulk.put_back(batch, by=ann).restored == 5
    assert column("industry_id") == [None] * 5


def test_one_puts_back_ones_own_and_an_administrator_anybodys(ann: Actor, ben: Actor) -> None:
    batch = bulk.change(EVERYTHING, "city", "Bonn", by=ann)
    with pytest.raises(NotAllowed, match="only what you changed yourself"):
        bulk.put_back(batch, by=ben)
    assert bulk.put_back(batch, by=person("eve", Role.ADMIN)).restored == 5


def test_an_import_that_holds_the_contacts_is_waited_for_only_so_long(
    ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk.editing, "PATIENCE", "100ms")
    with writing(OPERATOR) as session:
        session.execute(text("LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE"))
        with pytest.raises(bulk.editing.Unavailable, match="is being written just now"):
            bulk.delete(EVERYTHING, by=ann)
    assert audit.Event.CONTACTS_DELETED not in {line.event for line in lines()}
