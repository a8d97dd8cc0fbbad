import pytest
from sqlalchemy import insert, select, text

from models.audit import AuditLine, Event
from models.contacts import bulk, deleted, records
from models.contacts.table import Contact
from models.database import reading, writing
from models.errors import InvalidInput, NotAllowed
from models.permissions import OPERATOR, Actor, Role
from tests import people


def person(name: str, role: Role, columns: tuple[str, ...] | None = None) -> Actor:
    made = people.person(email=f"{name}@example.com", name=name, role=role, column_allowed=columns, by=OPERATOR)
    return made.actor()


@pytest.fixture
def ann(db: str) -> Actor:
    return person("ann", Role.MANAGER)


def gone(by: Actor, **values: str) -> int:
    contact = records.create(values, anyway=True, by=by)
    records.delete(contact, version=0, by=by)
    return contact


def test_deleted_contacts_come_newest_first_with_who_deleted_them(ann: Actor) -> None:
    assert deleted.page(by=ann) == ([], 0)
    first = gone(ann, first_name="Zoë", last_name="Müller", email="zoe@example.com", city="Bonn")
    second = gone(OPERATOR, company="Acme")
    records.create({"first_name": "There"}, by=ann)
    found, total = deleted.page(by=ann)
    assert ([one.id for one in found], total) == ([second, first], 2)
    assert [one.by_name for one in found] == ["operator", "ann"]
    assert found[1].at >= records.deleted(first, by=ann).created_at
    assert found[1].values == {
        "first_name": "Zoë", "last_name": "Müller", "title": None, "company": None, "email": "zoe@example.com"
    }  # fmt: skip


def test_a_restored_one_is_listed_no_more_and_one_deleted_again_once(ann: Actor) -> None:
    contact = gone(ann, first_name="Zoë")
    restored = records.restore(contact, by=ann)
    assert deleted.page(by=ann) == ([], 0)
    records.delete(contact, version=restored.version, by=OPERATOR)
    [again], total = deleted.page(by=ann)
    assert (again.id, again.by_name, total) == (contact, "operator", 1)


def test_the_search_looks_for_every_word_and_takes_signs_as_they_are(ann: Actor) -> None:
    zoe = gone(ann, first_name="Zoë", last_name="Müller", email="zoe@example.com")
    odd = gone(ann, company="100% _Acme")
    for words, expected in [
        ("MÜLL zoë", [zoe]), ("zoe@EXAMPLE", [zoe]), ("müller acme", []), ("100%", [odd]), ("_a", [odd]), ("%", [odd]),
        ("\\", []), ("\x00", [odd, zoe]), (" ", [odd, zoe]), ("'; DROP TABLE contacts", []),
    ]:  # fmt: skip
        found, total = deleted.page(words, by=ann)
        assert ([one.id for one in found], total) == (expected, len(expected)), words


def test_pages(ann: Actor) -> None:
    ids = [gone(ann, first_name=f"N{number}") for number in range(5)]
    for number, expected in [(1, ids[:2:-1]), (2, [ids[2], ids[1]]), (3, [ids[0]]), (99, [ids[0]])]:
        found, total = deleted.page(number=number, size=2, by=ann)
        assert ([one.id for one in found], total) == (expected, 5)
    for nonsense in (0, -1, 10**30):
        with pytest.raises(InvalidInput, match="pages are numbers from 1"):
            deleted.page(number=nonsense, by=ann)
    with pytest.raises(InvalidInput, match="more than 200"):
        deleted.page("x" * 201, by=ann)


def test_only_what_one_may_see_is_searched_and_told(ann: Actor) -> None:
    gone(ann, first_name="Zoë", email="zoe@example.com")
    narrow = person("nia", Role.MANAGER, ("first_name",))
    assert deleted.page("example", by=narrow) == ([], 0)
    assert deleted.page("zoë", by=narrow)[0][0].values == {"first_name": "Zoë"}
    assert deleted.page("zoë", by=person("tim", Role.MANAGER, ("city",))) == ([], 0)
    with pytest.raises(NotAllowed, match="You may not edit contacts"):
        deleted.page(by=person("nobody", Role.ANALYST))


def test_deletions_are_found_by_their_index(ann: Actor) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"first_name": f"N{number}"} for number in range(3000)])
        session.execute(text("UPDATE contacts SET title = 'x'"))
        session.execute(text("UPDATE contacts SET title = 'y'"))
        session.execute(text("DELETE FROM contacts WHERE id % 100 = 0"))
        session.execute(text("ANALYZE contacts, contact_history"))
    with reading() as session:
        plan = session.scalars(
            text(
                "EXPLAIN SELECT count(*) FROM contact_history h WHERE replaced_how = 'delete' "
                "AND NOT EXISTS (SELECT FROM contacts c WHERE c.id = h.id)"
            )
        ).all()
    assert any("contact_history_deleted" in line for line in plan), plan
    assert deleted.page(by=ann)[1] == 30


def test_several_come_back_at_once_with_one_line_in_the_audit_log(ann: Actor) -> None:
    ids = [gone(ann, first_name=name) for name in ("Ada", "Bea", "Cid")]
    records.restore(ids[0], by=OPERATOR)
    assert bulk.restore([*ids, 10**12], by=ann) == 2
    assert [records.get(one, by=ann).values["first_name"] for one in ids] == ["Ada", "Bea", "Cid"]
    assert bulk.restore(ids, by=ann) == 0
    with reading() as session:
        lines = session.scalars(select(AuditLine).where(AuditLine.event == Event.CONTACTS_RESTORED)).all()
    assert [(line.actor_name, line.details) for line in lines] == [("ann", {"contacts": ids[1:]})]
    analyst = Actor(ann.id, "ann", Role.ANALYST)
    with pytest.raises(NotAllowed):
        bulk.restore(ids, by=analyst)
