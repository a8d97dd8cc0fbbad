"""Several contacts made one, by choice of fields, and taken apart again."""

from typing import Any

import pytest
from sqlalchemy import select, text

from models.audit import AuditLine, Event
from models.contacts import merging, records
from models.contacts.merge_choice import ALL
from models.database import reading, writing
from models.duplicates import pairs, runs
from models.duplicates.tables import Decision
from models.errors import Conflict, Gone, InvalidInput, NotAllowed, NotFound
from models.permissions import OPERATOR, Actor, Role
from tests import people
from tests.pipelines import importing


@pytest.fixture
def ann(db: str) -> Actor:
    return people.person(email="ann@example.com", name="Ann", role=Role.MANAGER).actor()


@pytest.fixture
def both(ann: Actor) -> tuple[int, int]:
    """The fuller one first."""
    full = {
        "first_name": "Zoe", "last_name": "Miller", "email": "zoe@acme.example", "email_status": "Verified",
        "company": "Acme", "tags": "fair, vip", "contact_id": "A1", "notes": "Met in May.",
    }  # fmt: skip
    lean = {
        "first_name": "Z.", "last_name": "Miller", "email": "zoe.m@acme.example", "title": "Buyer", "tags": "vip, new",
        "contact_id": "B2", "notes": "Calls back.",
    }  # fmt: skip
    return records.create(full, by=ann), records.create(lean, by=ann, anyway=True)


def versions(*ids: int) -> dict[int, int]:
    return {one: records.get(one, by=OPERATOR).version for one in ids}


def values(contact_id: int, *names: str) -> list[Any]:
    found = records.get(contact_id, by=OPERATOR).values
    return [found[name] for name in names]


def lines(event: Event) -> list[AuditLine]:
    with reading() as session:
        return list(session.scalars(select(AuditLine).where(AuditLine.event == event).order_by(AuditLine.id)))


def test_the_fuller_one_stays_and_the_newest_value_is_proposed(both: tuple[int, int], ann: Actor) -> None:
    first, second = both
    made = merging.proposal(both, by=ann)
    assert made.survivor_id == first
    assert made.choices["title"] == second  # the only one that has any
    assert made.choices["company"] == first
    assert made.choices["email"] == second  # written last
    assert (made.choices["tags"], made.choices["notes"]) == (ALL, ALL)
    assert made.choices["email_status"] == second  # what is known is known of that address alone
    assert "last_name" not in made.choices
    assert made.choices["first_name"] == first  # no name is made of two


def test_merging_takes_what_was_chosen(both: tuple[int, int], ann: Actor) -> None:
    first, second = both
    merge_id = merging.merge(first, versions(*both), {"email": first, "first_name": first}, by=ann)
    assert values(first, "first_name", "email", "email_status", "title", "company") == [
        "Zoe", "zoe@acme.example", "Verified", "Buyer", "Acme",
    ]  # fmt: skip
    assert values(first, "tags", "notes") == [["fair", "vip", "new"], "Met in May.\n\nCalls back."]
    with pytest.raises(Gone, match=f"Contact {second} was merged into contact {first} by Ann"):
        records.get(second, by=ann)
    told = lines(Event.CONTACTS_MERGED)
    assert len(told) == 1
    assert told[0].details is not None
    assert told[0].details["merged"] == [second]
    assert (told[0].details["before"]["title"], told[0].details["after"]["title"]) == ("", "Buyer")
    made = merging.made(by=ann)
    assert [(one.id, one.survivor_id, one.label, one.others, one.by_name) for one in made] == [
        (merge_id, first, "Zoe Miller", (second,), "Ann")
    ]


def test_taking_it_apart_brings_all_back(both: tuple[int, int], ann: Actor) -> None:
    before = [records.get(one, by=ann).values for one in both]
    done = merging.unmerge(merging.merge(both[0], versions(*both), by=ann), by=ann)
    assert (done.restored, done.kept) == ((both[1],), ())
    assert [records.get(one, by=ann).values for one in both] == before
    assert [one.undone_at is None for one in merging.made(by=ann)] == [False]
    assert merging.made(standing=True, by=ann) == []
    with pytest.raises(Conflict, match="taken apart already"):
        merging.unmerge(merging.made(by=ann)[0].id, by=ann)


def test_what_was_changed_since_is_kept_and_told(both: tuple[int, int], ann: Actor) -> None:
    first, second = both
    merge_id = merging.merge(first, versions(*both), {"email": second}, by=ann)
    now = records.get(first, by=ann)
    records.update(first, {"title": "Head of Buying", "city": "Leeds"}, version=now.version, by=ann)
    done = merging.unmerge(merge_id, by=ann)
    assert done.kept == ("title",)
    assert values(first, "title", "city", "email", "email_status") == [
        "Head of Buying", "Leeds", "zoe@acme.example", "Verified",
    ]  # fmt: skip
    assert values(second, "title") == ["Buyer"]


def test_a_survivor_that_is_gone_does_not_keep_the_others_away(both: tuple[int, int], ann: Actor) -> None:
    merge_id = merging.merge(both[0], versions(*both), by=ann)
    records.delete(both[0], version=records.get(both[0], by=ann).version, by=ann)
    assert merging.unmerge(merge_id, by=ann).restored == (both[1],)


def test_what_was_merged_further_is_taken_apart_from_the_outside(both: tuple[int, int], ann: Actor) -> None:
    first, second = both
    before = records.get(first, by=ann).values
    third = records.create({"first_name": "Zoë", "email": "z@acme.example", "city": "Leeds"}, by=ann, anyway=True)
    inner = merging.merge(first, versions(first, second), {"email": second}, by=ann)
    outer = merging.merge(third, versions(first, third), by=ann)
    with pytest.raises(Conflict, match=f"merged into contact {third} since: take that merge, number {outer}, apart"):
        merging.unmerge(inner, by=ann)
    merging.unmerge(outer, by=ann)
    assert merging.unmerge(inner, by=ann).restored == (second,)
    assert records.get(first, by=ann).values == before


def test_nothing_is_merged_that_changed_since_it_was_seen(both: tuple[int, int], ann: Actor) -> None:
    seen = versions(*both)
    records.update(both[1], {"title": "Owner"}, version=seen[both[1]], by=ann)
    with pytest.raises(Conflict, match=f"Contact {both[1]} was changed since"):
        merging.merge(both[0], seen, by=ann)
    assert values(both[1], "title") == ["Owner"]
    merging.merge(both[0], versions(*both), by=ann)
    with pytest.raises(Conflict, match="deleted, or merged"):
        merging.merge(both[0], seen, by=ann)


@pytest.mark.parametrize(
    ("choices", "told"),
    [({"nothing": 1}, "no field"), ({"city": ALL}, "cannot hold"), ({"city": 10**9}, "cannot come from")],
)
def test_a_choice_that_means_nothing_is_refused(
    both: tuple[int, int], ann: Actor, choices: dict[str, int], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        merging.merge(both[0], versions(*both), choices, by=ann)


def test_one_alone_or_too_many_are_refused(both: tuple[int, int], ann: Actor) -> None:
    for wanted in ({both[0]: 0}, dict.fromkeys(range(1, 12), 0)):
        with pytest.raises(InvalidInput, match="Name 2 to 10"):
            merging.merge(both[0], wanted, by=ann)
    with pytest.raises(InvalidInput, match="not among those"):
        merging.merge(10**6, versions(*both), by=ann)
    with pytest.raises(NotFound, match="no merge"):
        merging.unmerge(10**6, by=ann)


def test_what_was_paid_for_is_paid_for(both: tuple[int, int], ann: Actor) -> None:
    with writing(OPERATOR) as session:
        session.execute(
            text(
                """INSERT INTO credit_takings (user_id, month, contact_ids) VALUES
                (:user, date_trunc('month', now() AT TIME ZONE 'UTC')::date, ARRAY[CAST(:id AS bigint)])"""
            ),
            {"user": ann.id, "id": both[1]},
        )
    merging.merge(both[0], versions(*both), by=ann)
    assert importing.sql("SELECT contact_ids FROM credit_takings ORDER BY id") == [([both[1]],), ([both[0]],)]


def test_of_a_pair_what_is_decided_is_remembered(both: tuple[int, int], ann: Actor) -> None:
    pairs.decide(both[1], both[0], Decision.LATER, by=ann)
    pairs.decide(*both, Decision.NOT_SAME, by=ann)
    apart = pairs.Wanted(Decision.NOT_SAME)
    assert [(one.ids, one.decided_by) for one in pairs.page(apart, by=ann)] == [(both, "Ann")]
    assert pairs.count(pairs.Wanted(Decision.LATER), by=ann) == 0
    pairs.withdraw(*both, by=ann)
    assert pairs.count(apart, by=ann) == 0
    told = [line.details for line in lines(Event.DUPLICATE_DECIDED)]
    assert told == [
        {"was": "open", "now": "later"}, {"was": "later", "now": "not the same"},
        {"was": "not the same", "now": "open"},
    ]  # fmt: skip
    with pytest.raises(NotFound, match="Nothing was decided"):
        pairs.withdraw(*both, by=ann)


def test_who_does_not_see_every_column_is_refused(both: tuple[int, int]) -> None:
    eve = people.person(email="eve@example.com", name="Eve", role=Role.MANAGER, column_allowed=("person",)).actor()
    for refused in (
        lambda: runs.ask(by=eve),
        lambda: pairs.page(pairs.Wanted(), by=eve),
        lambda: pairs.get(*both, by=eve),
        lambda: merging.proposal(both, by=eve),
        lambda: merging.merge(both[0], versions(*both), by=eve),
        lambda: merging.made(by=eve),
    ):
        with pytest.raises(NotAllowed, match="you do not see all of them"):
            refused()
