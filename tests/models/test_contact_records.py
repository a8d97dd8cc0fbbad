import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from models.audit import AuditLine, Event
from models.contacts import bulk, editing, records
from models.contacts.bulk import Selection
from models.contacts.table import FIELDS, Contact
from models.database import reading, writing
from models.errors import (
    AlreadyThere,
    ChangedMeanwhile,
    Conflict,
    Gone,
    InvalidValues,
    NotAllowed,
    NotFound,
)
from models.fields import Kind
from models.filters import Filters
from models.industries import Industry
from models.permissions import OPERATOR, Actor, Role
from tests import people

FULL = {
    "first_name": "Zoë", "last_name": "Müller", "email": "ZOE@Example.com", "mobile_phone": "+49 30 1234567",
    "employees": "1,234", "annual_revenue": "$1.5M", "last_raised_at": "2026-03-31", "website": "acme.com",
    "tags": "a, b", "seniority": "vp", "is_active": "no", "industry": "software", "notes": "one\ntwo",
}  # fmt: skip


def person(name: str, role: Role, columns: tuple[str, ...] | None = None) -> Actor:
    made = people.person(
        email=f"{name}@example.com", name=name.capitalize(), role=role, column_allowed=columns,
        by=OPERATOR,
    )  # fmt: skip
    return made.actor()


@pytest.fixture
def ann(db: str) -> Actor:
    with writing(OPERATOR) as session:
        session.execute(insert(Industry).values(name="Software"))
    return person("ann", Role.MANAGER)


@pytest.fixture
def ben(ann: Actor) -> Actor:
    return person("ben", Role.MANAGER)


@pytest.fixture
def zoe(ann: Actor) -> int:
    return records.create(FULL, by=ann)


def line(event: Event) -> AuditLine:
    with reading() as session:
        found = session.scalars(select(AuditLine).where(AuditLine.event == event).order_by(AuditLine.id.desc())).first()
        assert found is not None
        session.expunge(found)
    return found


def number_of_versions() -> int:
    with reading() as session:
        return session.scalar(text("SELECT count(*) FROM contact_history")) or 0


def test_what_was_entered_is_stored_as_an_import_would(ann: Actor, zoe: int) -> None:
    record = records.get(zoe, by=ann)
    assert {name: value for name, value in record.values.items() if value is not None} == {
        "first_name": "Zoë", "last_name": "Müller", "email": "zoe@example.com", "mobile_phone": "+49 30 1234567",
        "employees": 1234, "annual_revenue": Decimal("1500000.00"), "last_raised_at": date(2026, 3, 31),
        "website": "https://acme.com", "tags": ["a", "b"], "seniority": "VP", "is_active": False,
        "industry": "Software", "notes": "one\ntwo", "status": "active",
    }  # fmt: skip
    assert (record.label, record.created_by, record.version, record.extra) == ("Zoë Müller", "Ann", 0, None)
    made = line(Event.CONTACT_CREATED)
    assert (made.subject, made.actor_name) == (f"contact {zoe}", "Ann")
    assert made.details is not None
    assert made.details["after"]["annual_revenue"] == "1500000"


def test_texts_make_the_same_values_again(ann: Actor, zoe: int) -> None:
    record = records.get(zoe, by=ann)
    with reading() as session:
        for name, entered in record.texts().items():
            expected = record.values[name] if name != "industry" else 1
            assert editing.stored(session, FIELDS[name], entered) == expected


def test_every_problem_is_told_at_once(ann: Actor) -> None:
    with pytest.raises(InvalidValues) as refused:
        records.create(
            {"title": "CEO", "employees": "many", "email": "zoe@", "industry": "Nonsense", "website": "a b"}, by=ann
        )
    assert list(refused.value.problems) == ["employees", "email", "industry", "website"]
    assert "“many” is not a whole number" in refused.value.problems["employees"]
    assert "it has nothing after the @" in refused.value.sentence


def test_a_contact_needs_to_be_somebody(ann: Actor, zoe: int) -> None:
    with pytest.raises(InvalidValues) as refused:
        records.create({"title": "CEO", "company": "N/A", "first_name": " "}, by=ann)
    assert refused.value.problems[InvalidValues.FORM] == "A contact needs a name, an e-mail or a company."
    for name in ("first_name", "last_name"):
        records.update(zoe, {name: ""}, version=records.get(zoe, by=ann).version, by=ann)
    with pytest.raises(InvalidValues, match="needs a name, an e-mail or a company"):
        records.update(zoe, {"email": None}, version=records.get(zoe, by=ann).version, by=ann)


@pytest.mark.parametrize(
    ("number", "country", "sentence"),
    [
        ("+49 30 1234567", None, None),
        ("030 1234567", "Germany", None),
        ("030 1234567", "Atlantis", None),
        ("0049 30 1234567", "Germany", None),
        ("+1 212 555 0123 ext. 5", None, None),
        ("+1 23456", None, "it is too short"),
        ("+49 30 1234567890123456", None, "it is too long"),
        ("+999 123456", None, "no country has its code"),
        ("2125550123456", "United States", "it is too long in United States"),
        ("20 7946 0958 12345", "UK", "it is too long in UK"),
        ("1234567890123456", "Deutschland", "it is too long in Deutschland"),
        ("1234", "Germany", "5 to 20 digits"),
    ],
)
def test_numbers_that_nobody_can_have_are_refused(
    ann: Actor, number: str, country: str | None, sentence: str | None
) -> None:
    values = {"last_name": "X", "mobile_phone": number, "country": country}
    if sentence is None:
        assert records.get(records.create(values, by=ann), by=ann).values["mobile_phone"] == number
    else:
        with pytest.raises(InvalidValues, match=sentence):
            records.create(values, by=ann)


def test_a_number_is_judged_without_a_country_that_the_person_may_not_see(ann: Actor) -> None:
    contact_id = records.create({"last_name": "X", "country": "Germany"}, by=ann)
    reach = person("cleo", Role.MANAGER, ("last_name", "mobile_phone"))
    number, version = "1234567890123456", records.get(contact_id, by=reach).version
    records.update(contact_id, {"mobile_phone": number}, version=version, by=reach)  # in Germany it is too long
    assert records.get(contact_id, by=ann).values["mobile_phone"] == number


def test_a_stored_number_that_would_not_fit_today_stays_untouched(ann: Actor, zoe: int) -> None:
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE contacts SET mobile_phone = '+1 23456'"))
    before = records.get(zoe, by=ann)
    after = records.update(zoe, {**before.texts(), "title": "CEO"}, version=before.version, by=ann)
    assert (after.values["mobile_phone"], after.values["title"]) == ("+1 23456", "CEO")


def test_a_change_writes_what_changed_and_its_line(ann: Actor, zoe: int) -> None:
    before = records.get(zoe, by=ann)
    after = records.update(zoe, {"title": "CEO", "tags": "b", "is_active": ""}, version=before.version, by=ann)
    assert (after.values["title"], after.values["tags"], after.values["is_active"]) == ("CEO", ["b"], None)
    assert after.version > before.version
    assert after.updated_at > before.updated_at
    assert line(Event.CONTACT_CHANGED).details == {
        "before": {"title": "", "tags": "a, b", "is_active": "no"},
        "after": {"title": "CEO", "tags": "b", "is_active": ""},
    }


def test_nothing_new_writes_nothing(ann: Actor, zoe: int) -> None:
    before = records.get(zoe, by=ann)
    assert records.update(zoe, before.texts() | {"email": " Zoe@example.com"}, version=before.version, by=ann) == before
    assert number_of_versions() == 0
    with pytest.raises(AssertionError):
        line(Event.CONTACT_CHANGED)


def test_who_comes_second_is_told_and_overwrites_nothing(ann: Actor, ben: Actor, zoe: int) -> None:
    seen = records.get(zoe, by=ann).version
    records.update(zoe, {"title": "CEO", "city": "Bonn"}, version=seen, by=ben)
    with pytest.raises(ChangedMeanwhile, match=r"Ben changed this contact since you opened it \(Title, City\)") as told:
        records.update(zoe, {"title": "CTO"}, version=seen, by=ann)
    assert told.value.fields == {"title": "CEO", "city": "Bonn"}
    assert told.value.by_name == "Ben"
    assert records.get(zoe, by=ann).values["title"] == "CEO"
    deliberately = records.update(zoe, {"title": "CTO"}, version=told.value.version, by=ann)
    assert (deliberately.values["title"], deliberately.values["city"]) == ("CTO", "Bonn")


@pytest.mark.parametrize("way", ["import", "sql", "many", "put back"])
def test_whoever_writes_moves_the_version(ann: Actor, ben: Actor, zoe: int, way: str) -> None:
    seen = records.get(zoe, by=ann).version
    if way in ("import", "sql"):
        with writing(OPERATOR, import_id=7 if way == "import" else None) as session:
            session.execute(text("UPDATE contacts SET title = 'CEO'"))
    else:
        batch = bulk.change(Selection(Filters()), "title", "CEO", by=ben)
        if way == "put back":
            seen = records.get(zoe, by=ann).version
            bulk.put_back(batch, by=ben)
    with pytest.raises(ChangedMeanwhile) as told:
        records.update(zoe, {"title": "CTO"}, version=seen, by=ann)
    assert told.value.fields == {"title": None if way == "put back" else "CEO"}


def test_what_one_cannot_see_moves_nothing(ann: Actor, zoe: int) -> None:
    narrow = person("nia", Role.MANAGER, ("first_name", "title"))
    seen = records.get(zoe, by=narrow).version
    records.update(zoe, {"city": "Bonn"}, version=seen, by=ann)
    assert records.update(zoe, {"title": "CTO"}, version=seen, by=narrow).values == {
        "first_name": "Zoë", "title": "CTO"
    }  # fmt: skip


def test_hidden_fields_are_neither_read_nor_written(ann: Actor, zoe: int) -> None:
    with writing(OPERATOR) as session:
        session.execute(text("""UPDATE contacts SET extra = '{"Shoe size": "43"}'"""))
    narrow = person("nia", Role.MANAGER, ("first_name", "title"))
    record = records.get(zoe, by=narrow)
    assert (list(record.values), record.extra, record.owner_name) == (["first_name", "title"], None, None)
    assert records.get(zoe, by=ann).extra == {"Shoe size": "43"}
    with pytest.raises(NotAllowed, match="You may not see the column E-mail"):
        records.update(zoe, {"email": "x@example.com"}, version=record.version, by=narrow)
    with pytest.raises(NotAllowed, match="You may not see the column E-mail"):
        records.create({"email": "x@example.com"}, by=narrow)
    assert records.update(zoe, {"title": ""}, version=record.version, by=narrow).values["title"] is None


def test_analysts_read_and_write_nothing(ann: Actor, zoe: int) -> None:
    analyst = person("ada", Role.ANALYST)
    version = records.get(zoe, by=analyst).version
    for attempt in (
        lambda: records.create({"first_name": "X"}, by=analyst),
        lambda: records.update(zoe, {"title": "X"}, version=version, by=analyst),
        lambda: records.undo(zoe, 1, by=analyst),
        lambda: records.delete(zoe, version=version, by=analyst),
        lambda: records.restore(zoe, by=analyst),
        lambda: records.deleted(zoe, by=analyst),
    ):
        with pytest.raises(NotAllowed, match="You may not edit contacts"):
            attempt()


def test_a_deleted_contact_says_so_and_comes_back(ann: Actor, ben: Actor, zoe: int) -> None:
    before = records.get(zoe, by=ann)
    records.delete(zoe, version=before.version, by=ben)
    with pytest.raises(Gone, match=f"Contact {zoe} was deleted by Ben") as gone:
        records.get(zoe, by=ann)
    with pytest.raises(Gone, match=f"Contact {zoe} was deleted\\.") as told:
        records.get(zoe, by=person("ada", Role.ANALYST))
    assert (gone.value.by_name, told.value.by_name) == ("Ben", None)
    with pytest.raises(Gone):
        records.update(zoe, {"title": "CTO"}, version=before.version, by=ann)
    shown = records.deleted(zoe, by=ann)
    assert (shown.values, shown.deleted_by, shown.deleted_at) == (before.values, "Ben", gone.value.at)

    restored = records.restore(zoe, by=ann)
    assert (restored.values, restored.created_at) == (before.values, before.created_at)
    with pytest.raises(Conflict, match="was restored already"):
        records.restore(zoe, by=ben)
    with pytest.raises(NotFound, match="There is no deleted contact"):
        records.deleted(zoe, by=ann)
    who = {"first_name": "Zoë", "last_name": "Müller", "email": "zoe@example.com"}
    assert line(Event.CONTACT_DELETED).details == {"before": who}
    assert line(Event.CONTACT_RESTORED).details == {"after": who}
    # What was typed before it was deleted can be saved now: nobody changed anything that was seen.
    assert records.update(zoe, {"title": "CTO"}, version=before.version, by=ann).values["title"] == "CTO"


def test_a_contact_that_changed_is_not_deleted_unseen(ann: Actor, ben: Actor, zoe: int) -> None:
    seen = records.get(zoe, by=ann).version
    records.update(zoe, {"title": "CEO"}, version=seen, by=ben)
    with pytest.raises(ChangedMeanwhile):
        records.delete(zoe, version=seen, by=ann)
    assert records.get(zoe, by=ann).values["title"] == "CEO"


@pytest.mark.parametrize("unknown", [0, -1, 999_999, 2**63, 10**30])
def test_an_id_of_nobody(ann: Actor, unknown: int) -> None:
    for attempt in (
        lambda: records.get(unknown, by=ann),
        lambda: records.update(unknown, {"title": "X"}, version=0, by=ann),
        lambda: records.delete(unknown, version=0, by=ann),
        lambda: records.restore(unknown, by=ann),
    ):
        with pytest.raises(NotFound, match=f"There is no (deleted )?contact {unknown}"):
            attempt()


def test_one_change_is_undone_as_long_as_nobody_changed_it_again(ann: Actor, zoe: int) -> None:
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE contacts SET mobile_phone = '+1 23456'"))  # no form would take it
    first = records.get(zoe, by=ann).version
    second = records.update(zoe, {"mobile_phone": "", "title": "CEO"}, version=first, by=ann).version
    records.update(zoe, {"city": "Bonn"}, version=second, by=ann)
    undone = records.undo(zoe, second, by=ann)
    assert (undone.values["mobile_phone"], undone.values["title"]) == ("+1 23456", None)
    assert undone.values["city"] == "Bonn"
    with pytest.raises(Conflict, match="was changed again since: undo the newer change first"):
        records.undo(zoe, second, by=ann)
    for nonsense in (0, 10**6):
        with pytest.raises(NotFound, match="has no change"):
            records.undo(zoe, nonsense, by=ann)


def test_nobody_is_created_twice_without_being_meant(ann: Actor) -> None:
    made = records.create(
        {"first_name": "Jo", "email": "jo@acme.example", "contact_id": "c1", "person_linkedin_url": "jo"}, by=ann
    )
    for same, reason in [
        ({"email": " JO@acme.example "}, "same e-mail"),
        ({"last_name": "X", "contact_id": "c1"}, "same external id"),
        ({"last_name": "X", "person_linkedin_url": "linkedin.com/in/JO"}, "same LinkedIn"),
    ]:
        with pytest.raises(AlreadyThere) as told:
            records.create(same, by=ann)
        assert told.value.sentence == f"Jo (contact {made}) is there already: {reason}. Nothing was created."
        assert (told.value.contact_id, told.value.label) == (made, "Jo")
        assert records.create(same, anyway=True, by=ann) > made
    assert records.create({"first_name": "Jo"}, by=ann)
    narrow = person("nia", Role.MANAGER, ("email",))
    with pytest.raises(AlreadyThere, match=r"^jo@acme\.example \(contact"):  # the name is not hers to read
        records.create({"email": "jo@acme.example"}, by=narrow)


KNOWN = {"email_status": "Verified", "primary_email_catch_all_status": "Not Catch-all"}


def known_of(contact: int, by: Actor) -> tuple[str | None, ...]:
    return tuple(records.get(contact, by=by).values[name] for name in ("email", *KNOWN))


def test_what_is_known_of_an_address_goes_and_comes_back_with_it(ann: Actor, zoe: int) -> None:
    first = records.update(zoe, {"email": "zoe@old.example", **KNOWN}, version=0, by=ann).version
    same = records.update(zoe, {"email": "ZOE@old.example", "title": "CEO"}, version=first, by=ann).version
    assert known_of(zoe, ann) == ("zoe@old.example", *KNOWN.values())
    after = records.update(zoe, {"email": "zoe@new.example"}, version=same, by=ann).version
    assert known_of(zoe, ann) == ("zoe@new.example", None, None)
    records.undo(zoe, after, by=ann)
    assert known_of(zoe, ann) == ("zoe@old.example", *KNOWN.values())


def test_what_is_said_of_the_new_address_stays(ann: Actor, zoe: int) -> None:
    first = records.update(zoe, {"email": "zoe@old.example", **KNOWN}, version=0, by=ann).version
    said = {"email": "zoe@new.example", "email_status": "Verified"}
    after = records.update(zoe, said, version=first, by=ann)
    assert known_of(zoe, ann) == ("zoe@new.example", "Verified", None)
    said_later = {"primary_email_catch_all_status": "Catch-all"}
    records.update(zoe, said_later, version=after.version, by=ann)
    with pytest.raises(Conflict, match="Catch-all Status was changed again since"):
        records.undo(zoe, after.version, by=ann)


def test_who_sees_no_status_leaves_none_that_is_not_true(ann: Actor, zoe: int) -> None:
    first = records.update(zoe, {"email": "zoe@old.example", **KNOWN}, version=0, by=ann).version
    narrow = person("nia", Role.MANAGER, ("email", "first_name"))
    after = records.update(zoe, {"email": "zoe@new.example"}, version=first, by=narrow)
    assert known_of(zoe, ann) == ("zoe@new.example", None, None)
    records.undo(zoe, after.version, by=narrow)
    assert known_of(zoe, ann) == ("zoe@old.example", *KNOWN.values())


def test_suggestions_are_declared_values_and_those_that_contacts_have(ann: Actor, zoe: int) -> None:
    with writing(OPERATOR) as session:
        rows = [{"first_name": "X", "tags": [f"list {n % 3}", 'odd, "one"'], "seniority": "Guru"} for n in range(50)]
        session.execute(insert(Contact), rows)
        session.execute(text("ANALYZE contacts"))
    offered = records.suggestions(by=ann)
    assert offered["tags"] == ["a", "b", "list 0", "list 1", "list 2", 'odd, "one"']
    assert offered["seniority"][-2:] == ["Intern", "Guru"]
    assert offered["industry"] == ["Software"]
    assert offered["owner"] == ["ann@example.com"]
    assert list(records.suggestions(by=person("nia", Role.ANALYST, ("tags",)))) == ["tags"]


@pytest.mark.shared_data
def test_naughty_texts_are_kept_as_they_are(ann: Actor, shared_data: Path) -> None:
    strings = json.loads((shared_data / "corpora/blns/blns.json").read_text(encoding="utf-8"))
    free = [field for field in FIELDS.values() if field.kind in (Kind.TEXT, Kind.CHOICE, Kind.LIST)]
    texts = [field.name for field in free if not field.longest or field.longest > max(map(len, strings))]
    contact = records.create({"last_name": "X"}, by=ann)
    for place, naughty in enumerate(strings):
        before = records.get(contact, by=ann)
        name = texts[place % len(texts)]
        expected = dict(before.values)
        parsed = records.editing.values.parse(FIELDS[name], naughty)
        expected[name] = parsed
        changes: dict[str, Any] = {name: naughty}
        after = records.update(contact, changes, version=before.version, by=ann)
        assert after.values == expected
        assert records.update(contact, after.texts(), version=after.version, by=ann) == after
