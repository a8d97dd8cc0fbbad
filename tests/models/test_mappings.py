"""Mappings by name: whose they are, who finds them, and that a header is found again however it is spelled."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, insert, update
from sqlalchemy.exc import IntegrityError

from models import imports, mapping_contents, mapping_memory, mappings
from models.audit import AuditLine, Event
from models.contacts import mapping as field_mapping
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.import_drafts import Chosen
from models.imports import Import, Keep, MatchRule, Recall, State
from models.mapping_contents import RememberedMapping
from models.mapping_memory import How
from models.permissions import OPERATOR, Actor, Role
from tests.people import person

HEADERS = ["First Name", "Last Name", "E-Mail", "Firm", "Remark"]
CHOSEN = Chosen(
    {"First Name": "first_name", "Last Name": "last_name", "E-Mail": "email", "Firm": "company"},
    MatchRule.EMAIL,
    Keep.OURS,
    ("Remark",),
)


@pytest.fixture
def ann(db: str) -> Actor:
    return person(email="ann@example.com", name="Ann", role=Role.MANAGER).actor()


@pytest.fixture
def bob(db: str) -> Actor:
    return person(email="bob@example.com", name="Bob", role=Role.MANAGER).actor()


@pytest.fixture
def root(db: str) -> Actor:
    return person(email="root@example.com", name="Root", role=Role.ADMIN).actor()


def opened(by: Actor, headers: list[str] = HEADERS, chosen: Chosen = CHOSEN, name: str = "leads.csv") -> int:
    """An import of a file with these headers, mapped so, as opening it leaves it."""
    import_id = imports.create(file_name=name, overrides={}, match=chosen.match, keep=chosen.keep, by=by)
    fields = {name: header for header, name in chosen.columns.items()}
    with writing(by) as session:
        imports.record(
            session, import_id, state=State.OPENED, opened={"headers": headers, "notes": []}, mapping=fields,
            left_out=list(chosen.left_out),
        )  # fmt: skip
    return import_id


def saved(by: Actor, name: str = "CRM", **how: Any) -> int:
    return mappings.save(opened(by), CHOSEN, name, by=by, **how)


def remembered(import_id: int, by: Actor, *, committed: bool = True) -> int | None:
    with writing(by) as session:
        found = session.get_one(Import, import_id)
        mapping_memory.remember(session, found, by, committed=committed)
        return found.mapping_id


def recalled(headers: list[str], by: Actor, wanted: Recall = Recall()) -> mapping_memory.Recalled | None:  # noqa: B008
    return mapping_memory.recall(headers, field_mapping.propose(headers), wanted, by=by)


def test_what_is_saved_is_found_as_it_was(ann: Actor) -> None:
    found = mappings.get(saved(ann), by=ann)
    assert (found.name, found.title, found.is_own, found.is_shared, found.owner) == ("CRM", "CRM", True, False, "Ann")
    assert (found.headers, found.chosen, found.file_name, found.imports) == (HEADERS, CHOSEN, "leads.csv", 1)
    assert [one.id for one in mappings.listed(by=ann)] == [found.id]
    assert [one.file_name for one in mappings.uses(found.id, by=ann)] == ["leads.csv"]


def test_ones_own_is_nobody_elses_until_it_is_shared(ann: Actor, bob: Actor) -> None:
    kept = saved(ann)
    assert mappings.listed(by=bob) == []
    for use in (
        lambda: mappings.get(kept, by=bob),
        lambda: mappings.uses(kept, by=bob),
        lambda: mappings.named("CRM", by=bob),
        lambda: mappings.rename(kept, "Mine", by=bob),
        lambda: mappings.remove(kept, by=bob),
    ):
        with pytest.raises(NotFound):
            use()
    mappings.share(kept, True, by=ann)
    [found] = mappings.listed(by=bob)
    assert (found.is_own, found.is_shared, found.owner) == (False, True, "Ann")
    for refused in (
        lambda: mappings.rename(kept, "Mine", by=bob),
        lambda: mappings.share(kept, False, by=bob),
        lambda: mappings.change(kept, CHOSEN, by=bob),
        lambda: mappings.remove(kept, by=bob),
    ):
        with pytest.raises(NotAllowed, match="It is somebody else's: save it under a name of your own"):
            refused()


def test_an_administrator_changes_anybodys_that_is_shared(ann: Actor, root: Actor) -> None:
    kept = saved(ann, shared=True)
    mappings.rename(kept, "Apollo", by=root)
    mappings.share(kept, False, by=root)
    with pytest.raises(NotFound):
        mappings.remove(kept, by=root)


def test_a_name_is_given_once(ann: Actor, bob: Actor) -> None:
    kept = saved(ann)
    with pytest.raises(Conflict, match="You have a mapping “CRM” already: choose another name, or replace it"):
        saved(ann, " crm ")
    other = saved(bob, "crm")  # another person's own
    mappings.share(kept, True, by=ann)
    with pytest.raises(Conflict, match="Somebody shares a mapping “crm” already"):
        mappings.share(other, True, by=bob)
    third = saved(ann, "Third")
    with pytest.raises(Conflict, match="You have a mapping “Crm” already"):
        mappings.rename(third, "Crm", by=ann)
    assert mappings.named("CRM", by=bob).id == other, "one's own comes first"


def test_it_is_replaced_where_that_is_meant(ann: Actor) -> None:
    kept = saved(ann)
    import_id = opened(ann, [*HEADERS, "Land"], name="more.csv")
    with_land = replace(CHOSEN, columns={**CHOSEN.columns, "Land": "country"}, keep=Keep.THEIRS)
    assert mappings.save(import_id, with_land, "CRM", replacing=True, by=ann) == kept
    found = mappings.get(kept, by=ann)
    assert (found.headers, found.chosen, found.file_name) == ([*HEADERS, "Land"], with_land, "more.csv")


def test_what_is_no_name_is_refused(ann: Actor) -> None:
    for name in ("", "   ", "x" * 81, "12", "a\0b"):
        with pytest.raises(InvalidInput, match=r"Give it a name|would be taken for a number"):
            saved(ann, name)


def test_what_makes_no_mapping_is_refused(ann: Actor) -> None:
    wrong = replace(CHOSEN, columns={"First Name": "email", "E-Mail": "email"})
    with pytest.raises(InvalidInput, match="is to come from"):
        mappings.save(opened(ann), wrong, "CRM", by=ann)
    kept = saved(ann)
    with pytest.raises(InvalidInput, match="There is no field “shoe”"):
        mappings.change(kept, replace(CHOSEN, columns={"Firm": "shoe"}), by=ann)
    assert mappings.get(kept, by=ann).chosen == CHOSEN


def test_every_change_has_its_line(ann: Actor) -> None:
    kept = saved(ann)
    mappings.rename(kept, "Apollo", by=ann)
    mappings.share(kept, True, by=ann)
    mappings.change(kept, replace(CHOSEN, keep=Keep.THEIRS), by=ann)
    mappings.remove(kept, by=ann)
    with reading() as session:
        lines = session.query(AuditLine).filter(AuditLine.event.startswith("mapping")).order_by(AuditLine.id).all()
    assert [line.event for line in lines] == [
        Event.MAPPING_SAVED, *[Event.MAPPING_CHANGED] * 3, Event.MAPPING_DELETED,
    ]  # fmt: skip
    changes = [((line.details or {}).get("before"), (line.details or {}).get("after")) for line in lines]
    assert changes[1:3] == [({"name": "CRM"}, {"name": "Apollo"}), ({"shared": False}, {"shared": True})]
    assert (changes[3][0]["keep"], changes[3][1]["keep"]) == ("ours", "theirs")


def test_a_name_that_is_not_there_says_which_are(ann: Actor) -> None:
    kept = saved(ann)
    assert mappings.named(str(kept), by=ann).id == kept
    with pytest.raises(NotFound, match=r"There is no mapping “CMR”\. Mappings with a name: “CRM”"):
        mappings.named("CMR", by=ann)
    with pytest.raises(NotFound):
        mappings.get(10**10, by=ann)


def test_order_and_spelling_of_headers_make_no_other_kind_of_file() -> None:
    same = [["remark", "FIRST_NAME", "e mail", "lastName", "firm"], list(reversed(HEADERS))]
    assert {mapping_contents.signature(headers) for headers in same} == {mapping_contents.signature(HEADERS)}
    others = [HEADERS[:-1], [*HEADERS, "Land"], [*HEADERS[:-1], "Remarks"], [*HEADERS, "Firm (2)"], ["#", *HEADERS]]
    assert len({mapping_contents.signature(headers) for headers in [HEADERS, *others]}) == 6


def test_headers_are_found_by_their_letters_where_that_is_unmistakable() -> None:
    bound = mapping_memory.bind(CHOSEN, HEADERS, ["FIRM", "first name", "E-Mail", "e mail", "last_name", "REMARK"])
    assert bound.chosen.columns == {
        "FIRM": "company", "first name": "first_name", "E-Mail": "email", "last_name": "last_name",
    }  # fmt: skip
    assert bound.chosen.left_out == ("REMARK",)
    assert (bound.new, bound.gone) == (("e mail",), ())
    twice = mapping_memory.bind(CHOSEN, HEADERS, ["Firm!", "F.i.r.m", "e mail"])
    assert twice.chosen.columns == {"e mail": "email"}, "two could be the firm: neither is"


def test_the_last_committed_one_is_taken_and_ones_own_before_others(ann: Actor, bob: Actor) -> None:
    first = remembered(opened(ann), ann)
    found = recalled(HEADERS, bob)
    assert found
    assert (found.mapping_id, found.told["by"], found.how) == (first, "Ann", How.SAME)
    assert found.mapping.fields == {"first_name": "First Name", "last_name": "Last Name", "email": "E-Mail",
                                    "company": "Firm"}  # fmt: skip
    assert (found.mapping.left_out, found.rules["match"], found.rules["keep"]) == (("Remark",), "email", "ours")
    other = replace(CHOSEN, columns={"E-Mail": "email"}, left_out=())
    own = remembered(opened(bob, chosen=other), bob)
    again = recalled(HEADERS, bob)
    assert again
    assert (again.mapping_id, again.told["by"], again.mapping.fields) == (own, None, {"email": "E-Mail"})
    mine = recalled(HEADERS, ann)
    assert mine
    assert mine.mapping_id == first


def test_one_that_was_only_planned_does_not_replace_a_committed_one(ann: Actor) -> None:
    other = replace(CHOSEN, columns={"E-Mail": "email"}, left_out=())
    assert remembered(opened(ann, chosen=other), ann, committed=False) is not None
    planned = recalled(HEADERS, ann)
    assert planned
    assert planned.mapping.fields == {"email": "E-Mail"}
    kept = remembered(opened(ann), ann)
    assert remembered(opened(ann, chosen=other), ann, committed=False) is None
    found = recalled(HEADERS, ann)
    assert found
    assert (found.mapping_id, len(found.mapping.fields)) == (kept, 4)


def test_a_named_one_that_is_used_as_it_is_stays_the_last_one(ann: Actor) -> None:
    kept = saved(ann)
    import_id = opened(ann, ["firm", "e-mail", "first name", "last name", "remark"], replace(
        CHOSEN,
        columns={"firm": "company", "e-mail": "email", "first name": "first_name", "last name": "last_name"},
        left_out=("remark",),
    ))  # fmt: skip
    with writing(ann) as session:
        imports.record(session, import_id, mapping_id=kept)
    assert remembered(import_id, ann) == kept
    assert [one.id for one in mappings.listed(by=ann)] == [kept], "nothing else is remembered beside it"
    found = recalled(HEADERS, ann)
    assert found
    assert found.told["name"] == "CRM"
    assert mapping_memory.sentence(found.told) == "Mapped as last time: CRM."


def test_nearly_the_same_columns_are_proposed_and_looked_at(ann: Actor) -> None:
    remembered(opened(ann), ann)
    for headers, how in (
        ([*HEADERS, "Land"], How.LIKE),  # one more
        (HEADERS[:-1], How.LIKE),  # one less
        ([*HEADERS[:-1], "Remarks"], None),  # another one: two differ, of six
        ([*HEADERS, "Land", "Region"], None),
        (["Name", "Mail"], None),
    ):
        found = recalled(headers, ann)
        assert (found and found.how) == how
        assert not mapping_memory.is_sure(found and found.told)


def test_of_many_columns_a_fifth_may_be_others(ann: Actor) -> None:
    many = [*HEADERS, *(f"Extra {number}" for number in range(15))]
    remembered(opened(ann, many), ann)
    for others, known in ((5, True), (6, False)):
        assert (recalled([*many, *(f"New {number}" for number in range(others))], ann) is not None) == known


def test_new_columns_have_what_is_proposed_where_it_is_free(ann: Actor) -> None:
    remembered(opened(ann), ann)
    found = recalled([*HEADERS, "Country"], ann)
    assert found
    assert found.mapping.fields["country"] == "Country"
    assert mapping_memory.differences(found.told) == "new is “Country”"
    taken = recalled([*HEADERS, "Email"], ann)
    assert taken
    assert (taken.mapping.fields["email"], taken.mapping.leftover) == ("E-Mail", ("Email",))
    whole = recalled([*HEADERS, "Full Name"], ann)
    assert whole
    assert "full_name" not in whole.mapping.fields, "the names have their columns"


def test_a_file_without_a_header_is_of_no_kind(ann: Actor) -> None:
    numbered = ["Column 1", "Column 2"]
    assert remembered(opened(ann, numbered, Chosen({"Column 1": "email"}, MatchRule.AUTO, Keep.OURS)), ann) is None
    assert mappings.listed(by=ann) == []
    assert recalled(numbered, ann) is None


def test_one_that_is_asked_for_is_taken_though_others_fit_better(ann: Actor) -> None:
    kept = saved(ann)
    remembered(opened(ann, chosen=replace(CHOSEN, columns={"E-Mail": "email"}, left_out=())), ann)
    found = recalled(["E-Mail", "Country"], ann, Recall(kept, fixed=("keep",)))
    assert found
    assert (found.how, found.mapping.fields) == (How.CHOSEN, {"email": "E-Mail", "country": "Country"})
    assert (found.rules["match"], "keep" in found.rules) == ("email", False)
    assert found.told["gone"] == ("First Name", "Last Name", "Firm", "Remark")
    assert not mapping_memory.is_sure(found.told)
    assert recalled(HEADERS, ann, Recall(10**6)) is None


def test_a_fixed_policy_is_that_of_every_field(ann: Actor) -> None:
    chosen = replace(CHOSEN, keep=Keep.NEVER, keep_fields={"company": Keep.THEIRS}, dated_by="Remark", left_out=())
    kept = mappings.save(opened(ann), chosen, "CRM", by=ann)
    plain, fixed = (recalled(HEADERS, ann, Recall(kept, fixed=names)) for names in ((), ("keep",)))
    assert plain
    assert plain.rules == {
        "match": "email", "keep": "never", "keep_fields": {"company": "theirs"}, "dated_by": "Remark",
    }  # fmt: skip
    assert fixed
    assert fixed.rules == {"match": "email", "dated_by": "Remark"}


def test_what_a_later_version_adds_has_its_default_and_what_it_dropped_is_forgotten() -> None:
    kept = mapping_contents.stored(CHOSEN)
    assert mapping_contents.restored(kept) == CHOSEN
    assert mapping_contents.restored({**kept, "of tomorrow": 1}) == CHOSEN
    assert mapping_contents.restored({**kept, "columns": {"Shoe": "shoe", "E-Mail": "email"}}).columns == {
        "E-Mail": "email"
    }
    assert set(mapping_contents.rules(CHOSEN)) >= {"match", "keep"}


def test_one_that_nobody_named_or_used_for_two_years_is_forgotten(ann: Actor) -> None:
    old, fresh, called = remembered(opened(ann), ann), remembered(opened(ann, ["Email"], name="b"), ann), saved(ann)
    with writing(OPERATOR) as session:
        long_ago = func.now() - mapping_contents.KEPT - func.make_interval(0, 0, 0, 1)
        session.execute(
            update(RememberedMapping).where(RememberedMapping.id.in_([old, called])).values(
                used_at=long_ago, changed_at=long_ago
            )
        )  # fmt: skip
    mapping_contents.clear_unused()
    assert {one.id for one in mappings.listed(by=ann)} == {fresh, called}


def test_the_operator_has_one_memory_of_a_kind(db: str) -> None:
    """Its owner is NULL, which unique indexes do not compare."""
    assert remembered(opened(OPERATOR), OPERATOR) == remembered(opened(OPERATOR), OPERATOR)
    row = {
        "signature": mapping_contents.signature(HEADERS),
        "headers": [],
        "labels": [],
        "chosen": {},
        "file_name": "x",
    }
    with pytest.raises(IntegrityError, match="mappings_remembered"):
        _insert(row)


def _insert(row: dict[str, Any]) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(RememberedMapping).values(row))


def test_what_was_remembered_gets_the_name_where_it_says_the_same(ann: Actor) -> None:
    kept = remembered(opened(ann), ann)
    assert saved(ann) == kept
    [found] = mappings.listed(by=ann)
    assert (found.name, found.used_at is not None) == ("CRM", True)
    other = remembered(opened(ann, chosen=replace(CHOSEN, left_out=())), ann)
    assert saved(ann, "Again") not in (kept, other), "what says something else stays beside it"
