from collections.abc import Callable

import pytest
from sqlalchemy import func, insert, select, text, update

from models import industries
from models.audit import AuditLine, Event
from models.contacts.history import ContactVersion
from models.contacts.table import Contact
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.industries import MEANINGS, Industry, NameTaken, Unmerged
from models.permissions import OPERATOR, Actor, Permission, Role
from tests import people

Fill = Callable[..., dict[str, int]]


@pytest.fixture
def manager(db: str) -> Actor:
    user = people.person(email="max@example.com", name="Max", role=Role.MANAGER, by=OPERATOR)
    return user.actor()


@pytest.fixture
def fill(manager: Actor) -> Fill:
    """`fill(Software=2, none=1)` makes industries with so many contacts, and contacts without; returns their ids."""

    def make(none: int = 0, **numbers: int) -> dict[str, int]:
        ids = {name: industries.create(name, by=manager).id for name in numbers}
        rows = [
            {"last_name": f"{name} {at}", "industry_id": ids.get(name)}
            for name, number in [*numbers.items(), ("none", none)]
            for at in range(number)
        ]
        if rows:
            with writing(OPERATOR) as session:
                session.execute(insert(Contact), rows)
        return ids

    return make


def counts(by: Actor, *, with_inactive: bool = True) -> dict[str, int | None]:
    return {one.name: number for one, number in industries.listed(by=by, with_inactive=with_inactive)}


def stored(industry_id: int) -> Industry:
    with reading() as session:
        return session.get_one(Industry, industry_id)


def events() -> list[tuple[str, dict[str, object]]]:
    with reading() as session:
        lines = select(AuditLine.event, AuditLine.details).where(AuditLine.subject.startswith("industr"))
        return [(row.event, row.details) for row in session.execute(lines.order_by(AuditLine.id))]


def test_the_list_counts_the_contacts_of_each(manager: Actor, fill: Fill) -> None:
    fill(Software=2, banking=1, Mining=0, none=3)
    assert list(counts(manager).items()) == [("banking", 1), ("Mining", 0), ("Software", 2)]
    assert industries.contacts_without(by=manager) == 3


def test_who_may_not_see_the_column_sees_no_industries(manager: Actor, fill: Fill) -> None:
    ids = fill(Software=2, Banking=1)
    narrow = Actor(manager.id, "Max", Role.MANAGER, frozenset({"first_name", "company"}))
    for asked in (
        lambda: counts(narrow),
        lambda: industries.out_of_use(by=narrow),
        lambda: industries.contacts_without(by=narrow),
        lambda: industries.create("Software", by=narrow),
        lambda: industries.rename(ids["Software"], "Banking", by=narrow),
        lambda: industries.merge(ids["Software"], ids["Banking"], by=narrow),
        lambda: industries.unmerge(ids["Software"], by=narrow),
        lambda: industries.deactivate(ids["Software"], by=narrow),
    ):
        with pytest.raises(NotAllowed, match="You may not see the column Industry"):
            asked()
    whole_group = Actor(manager.id, "Max", Role.MANAGER, frozenset({"company details"}))
    assert counts(whole_group) == {"Banking": 1, "Software": 2}


def test_only_who_manages_industries_may_change_them(manager: Actor, fill: Fill) -> None:
    ids = fill(Software=1, Banking=1)
    analyst = Actor(manager.id, "Ann", Role.ANALYST)
    assert not analyst.may(Permission.INDUSTRIES_MANAGE)
    one, other = ids.values()
    for refused in (
        lambda: industries.create("Mining", by=analyst),
        lambda: industries.rename(one, "Mining", by=analyst),
        lambda: industries.merge(one, other, by=analyst),
        lambda: industries.unmerge(one, by=analyst),
        lambda: industries.deactivate(one, by=analyst),
        lambda: industries.activate(one, by=analyst),
    ):
        with pytest.raises(NotAllowed, match="may not manage industries"):
            refused()
    assert counts(analyst) == {"Banking": 1, "Software": 1}


@pytest.mark.parametrize("name", ["", "  \n", "N/A", "-", "\u200b"])
def test_a_name_is_a_word(manager: Actor, name: str) -> None:
    with pytest.raises(InvalidInput, match="Industry: "):
        industries.create(name, by=manager)
    assert counts(manager) == {}


def test_a_name_is_trimmed_and_has_300_characters_at_most(manager: Actor) -> None:
    assert industries.create(" \u00a0IT &\x00 Services\t", by=manager).name == "IT & Services"
    assert industries.create("ü" * 300, by=manager).name == "ü" * 300
    with pytest.raises(InvalidInput, match="301 characters, more than 300"):
        industries.create("x" * 301, by=manager)
    assert industries.create("half \ud83d of it", by=manager).name == "half ? of it"
    assert industries.create("'; DROP TABLE contacts; --<b>", by=manager).name == "'; DROP TABLE contacts; --<b>"


def test_a_name_is_taken_whatever_its_capitals(manager: Actor, fill: Fill) -> None:
    ids = fill(Software=0, Banking=0)
    with pytest.raises(NameTaken, match="industry “Software” already: choose another name") as taken:
        industries.create("SOFTWARE ", by=manager)
    assert taken.value.other_id == ids["Software"]
    with pytest.raises(NameTaken, match="choose another name, or merge the two") as taken:
        industries.rename(ids["Banking"], "software", by=manager)
    assert taken.value.other_id == ids["Software"]
    industries.deactivate(ids["Software"], by=manager)
    with pytest.raises(NameTaken, match="“Software” already, which is not in use"):
        industries.create("software", by=manager)
    assert set(counts(manager)) == {"Banking", "Software"}


def test_renaming_changes_the_name_and_nothing_of_the_contacts(manager: Actor, fill: Fill) -> None:
    ids = fill(Software=2)
    assert industries.rename(ids["Software"], "software & IT", by=manager).name == "software & IT"
    assert industries.rename(ids["Software"], "Software & IT", by=manager).name == "Software & IT"
    assert counts(manager) == {"Software & IT": 2}
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(ContactVersion)) == 0
    assert events()[1:] == [
        ("industry renamed", {"before": {"name": "Software"}, "after": {"name": "software & IT"}}),
        ("industry renamed", {"before": {"name": "software & IT"}, "after": {"name": "Software & IT"}}),
    ]
    with pytest.raises(NotFound, match="no industry 999"):
        industries.rename(999, "Mining", by=manager)


def test_plans_of_imports_look_again_after_a_new_name(manager: Actor, fill: Fill) -> None:
    ids = fill(Software=0)

    def clock() -> int:
        with reading() as session:
            return session.scalars(text("SELECT last_value + is_called::int FROM contacts_clock")).one()

    before = clock()
    assert industries.rename(ids["Software"], "Software", by=manager).name == "Software"
    assert clock() == before
    industries.rename(ids["Software"], "Programs", by=manager)
    assert clock() > before


def test_merging_moves_the_contacts_and_keeps_their_old_versions(manager: Actor, fill: Fill) -> None:
    ids = fill(Softwear=3, Software=2, Banking=1, none=1)
    assert industries.merge(ids["Softwear"], ids["Software"], by=manager) == 3
    assert counts(manager) == {"Banking": 1, "Software": 5, "Softwear": 0}
    assert counts(manager, with_inactive=False) == {"Banking": 1, "Software": 5}
    source = stored(ids["Softwear"])
    assert (source.is_active, source.merged_into, source.merged_contacts) == (False, ids["Software"], 3)
    with reading() as session:
        old = session.execute(select(ContactVersion.c.industry_id, ContactVersion.c.replaced_by)).all()
    assert [tuple(row) for row in old] == [(ids["Softwear"], manager.id)] * 3
    details = {"name": "Softwear", "into": "Software", "into_id": ids["Software"], "contacts": 3}
    assert events()[-1] == (Event.INDUSTRIES_MERGED, details)


def test_a_merge_that_makes_no_sense_is_refused(manager: Actor, fill: Fill) -> None:
    ids = fill(Softwear=1, Software=1)
    with pytest.raises(InvalidInput, match="two different"):
        industries.merge(ids["Software"], ids["Software"], by=manager)
    with pytest.raises(NotFound, match="no industry 999"):
        industries.merge(ids["Software"], 999, by=manager)
    industries.deactivate(ids["Software"], by=manager)
    with pytest.raises(Conflict, match="“Software” is not in use"):
        industries.merge(ids["Softwear"], ids["Software"], by=manager)
    with pytest.raises(Conflict, match="nothing to take back"):
        industries.unmerge(ids["Softwear"], by=manager)
    assert counts(manager) == {"Software": 1, "Softwear": 1}


def test_a_merge_is_taken_back_where_nobody_changed_it_since(manager: Actor, fill: Fill) -> None:
    ids = fill(Softwear=4, Software=2, Banking=0)
    industries.merge(ids["Softwear"], ids["Software"], by=manager)
    with writing(manager) as session:
        session.execute(update(Contact).where(Contact.last_name == "Softwear 0").values(industry_id=ids["Banking"]))
        session.execute(update(Contact).where(Contact.last_name == "Softwear 1").values(title="changed since"))
        session.execute(text("DELETE FROM contacts WHERE last_name = 'Softwear 2'"))
    assert industries.unmerge(ids["Softwear"], by=manager) == Unmerged(restored=2, kept=2)
    assert counts(manager, with_inactive=False) == {"Banking": 1, "Software": 2, "Softwear": 2}
    with reading() as session:
        titles = select(Contact.title).where(Contact.industry_id == ids["Softwear"]).order_by(Contact.title)
        assert session.scalars(titles).all() == ["changed since", None]
    assert events()[-1] == (
        Event.INDUSTRIES_UNMERGED,
        {"name": "Softwear", "from": "Software", "contacts": 2, "kept": 2},
    )
    with pytest.raises(Conflict, match="nothing to take back"):
        industries.unmerge(ids["Softwear"], by=manager)


def test_contacts_that_come_later_are_sent_after_the_others(manager: Actor, fill: Fill) -> None:
    ids = fill(A=2, B=1)
    industries.merge(ids["A"], ids["B"], by=manager)
    industries.activate(ids["A"], by=manager)
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"last_name": "later", "industry_id": ids["A"]}])
    assert industries.merge(ids["A"], ids["B"], by=manager) == 1
    assert (counts(manager), stored(ids["A"]).merged_contacts) == ({"A": 0, "B": 4}, 3)
    assert industries.unmerge(ids["A"], by=manager) == Unmerged(restored=3, kept=0)
    assert counts(manager) == {"A": 3, "B": 1}


def meaning(name: str) -> str | None:
    with reading() as session:
        return session.scalar(select(MEANINGS.c.name).where(MEANINGS.c.key == func.lower(name)))


def test_a_former_name_means_its_industry_until_another_is_called_so(manager: Actor, fill: Fill) -> None:
    ids = fill(A=0, B=0)
    industries.rename(ids["A"], "A two", by=manager)
    industries.rename(ids["A"], "A three", by=manager)
    assert [meaning(name) for name in ("a", "a TWO", "A three", "B", "C")] == ["A three"] * 3 + ["B", None]
    industries.rename(ids["B"], "A", by=manager)
    assert [meaning(name) for name in ("A", "A two", "B")] == ["A", "A three", "A"]
    industries.rename(ids["B"], "B", by=manager)
    assert [meaning(name) for name in ("A", "B")] == ["B", "B"]
    industries.create("A two", by=manager)
    industries.rename(ids["A"], "A", by=manager)
    assert [meaning(name) for name in ("A", "A two", "A three")] == ["A", "A two", "A"]


def test_the_name_of_a_merged_industry_means_the_other_one(manager: Actor, fill: Fill) -> None:
    ids = fill(A=0, B=0, C=0)
    industries.rename(ids["A"], "A two", by=manager)
    industries.merge(ids["A"], ids["B"], by=manager)
    assert [meaning(name) for name in ("A", "A two", "B")] == ["B"] * 3
    industries.merge(ids["B"], ids["C"], by=manager)
    assert [meaning(name) for name in ("A", "A two", "B")] == ["C"] * 3
    industries.deactivate(ids["C"], by=manager)
    assert [meaning(name) for name in ("A", "C")] == ["C", "C"]
    industries.activate(ids["A"], by=manager)
    assert [meaning(name) for name in ("A", "B")] == ["A two", "C"]
    industries.deactivate(ids["A"], by=manager)
    industries.unmerge(ids["B"], by=manager)
    assert [meaning(name) for name in ("A", "B")] == ["B", "B"]
    industries.unmerge(ids["A"], by=manager)
    assert [meaning(name) for name in ("A", "A two", "B")] == ["A two", "A two", "B"]


def test_no_merge_makes_another_one_final(manager: Actor, fill: Fill) -> None:
    ids = fill(A=2, B=1, C=1)
    industries.merge(ids["A"], ids["B"], by=manager)
    industries.activate(ids["A"], by=manager)
    for source, into in (("A", "C"), ("B", "A"), ("C", "A")):
        with pytest.raises(Conflict, match="“A” was merged into “B”: take that merge back first"):
            industries.merge(ids[source], ids[into], by=manager)
    assert industries.unmerge(ids["A"], by=manager) == Unmerged(2, 0)


def test_merges_one_after_the_other_are_taken_back_from_the_last(manager: Actor, fill: Fill) -> None:
    ids = fill(A=1, B=1, C=1)
    industries.merge(ids["A"], ids["B"], by=manager)
    industries.merge(ids["B"], ids["C"], by=manager)
    with pytest.raises(Conflict, match="“B” was merged into another industry in its turn"):
        industries.unmerge(ids["A"], by=manager)
    assert industries.unmerge(ids["B"], by=manager) == Unmerged(2, 0)
    assert industries.unmerge(ids["A"], by=manager) == Unmerged(1, 0)
    assert counts(manager, with_inactive=False) == {"A": 1, "B": 1, "C": 1}


def test_one_out_of_use_stays_on_its_contacts_and_is_offered_no_more(manager: Actor, fill: Fill) -> None:
    ids = fill(Software=2)
    industries.deactivate(ids["Software"], by=manager)
    industries.deactivate(ids["Software"], by=manager)
    assert counts(manager, with_inactive=False) == {}
    assert industries.out_of_use(by=manager) == {"Software"}
    assert counts(manager) == {"Software": 2}
    industries.activate(ids["Software"], by=manager)
    assert counts(manager, with_inactive=False) == {"Software": 2}
    assert [event for event, _ in events()[1:]] == [Event.INDUSTRY_DEACTIVATED, Event.INDUSTRY_ACTIVATED]
