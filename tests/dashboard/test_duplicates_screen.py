"""The review of possible duplicates: what stands side by side, what a click does, and for whom it is."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import insert, select, text
from streamlit.testing.v1 import AppTest

from models.contacts import merging, records
from models.contacts.table import Contact
from models.database import writing
from models.duplicates import pairs, runs
from models.duplicates.pairs import Wanted
from models.duplicates.tables import Decision, DuplicatePair, DuplicateRun, State
from models.errors import Gone
from models.permissions import OPERATOR, Actor, Role
from tests.dashboard.conftest import NARROW_MANAGER, Site, click_in_table

Screen = Callable[..., AppTest]
REASONS = [
    {"of": "name", "title": "Name", "found": "nearly the same name", "bits": 12.5},
    {"of": "email", "title": "E-mail", "found": "different", "bits": -2.5},
    {"of": "city", "title": "City", "found": None, "bits": 0.0},
]
ZOE = {"first_name": "Zoe", "last_name": "Miller", "email": "zoe@acme.example", "company": "Acme", "tags": "fair"}
Z = {"first_name": "Z.", "last_name": "Miller", "email": "zm@acme.example", "title": "Buyer", "tags": "new"}


@pytest.fixture
def manager(site: Site) -> Actor:
    return site.people[Role.MANAGER].actor()


@pytest.fixture
def both(site: Site, manager: Actor) -> Iterator[tuple[int, int]]:
    """Two contacts that a search has found to be perhaps the same."""
    one, other = records.create(ZOE, by=manager), records.create(Z, by=manager)
    with writing(OPERATOR) as session:
        run = DuplicateRun(state=State.DONE, contacts=2, compared=1, pairs=1, clusters=1, seconds=3.0)
        session.add(run)
        session.flush()
        moments = select(Contact.id, Contact.updated_at).where(Contact.id.in_((one, other)))
        seen = {row.id: row.updated_at for row in session.execute(moments)}
        found = {"run_id": run.id, "cluster_id": one, "weight": 3.0, "probability": 0.89, "reasons": REASONS}
        times = {"left_seen": seen[one], "right_seen": seen[other]}
        session.execute(insert(DuplicatePair).values(left_id=one, right_id=other, **found, **times))
    yield one, other
    with writing(OPERATOR) as session:
        for table in ("duplicate_pairs", "duplicate_decisions", "duplicate_runs", "contact_aliases",
                      "contact_merge_parts", "contact_merges"):  # fmt: skip
            session.execute(text(f"DELETE FROM {table}"))
        session.query(Contact).where(Contact.id.in_((one, other))).delete()


def said(test: AppTest) -> str:
    assert not test.exception, test.exception
    kinds = (test.markdown, test.caption, test.title, test.html, test.error, test.subheader)
    return "\n".join(getattr(one, "value", None) or one.proto.body for kind in kinds for one in kind)


def labels(test: AppTest) -> list[str]:
    return [one.label for one in test.button]


def press(test: AppTest, label: str) -> AppTest:
    return next(one for one in test.button if one.label == label).click().run()


def test_nobody_has_looked_yet(screen: Screen, manager: Actor) -> None:
    test = screen(Role.MANAGER, at="duplicates")
    assert "Nobody has looked for duplicates yet" in said(test)
    press(test, "Look for duplicates")
    newest = runs.newest(by=manager)
    assert newest is not None
    assert newest.state == State.WAITING
    waiting = screen(Role.MANAGER, at="duplicates")
    assert "Looking for duplicates" in said(waiting)
    press(waiting, "Stop")
    again = runs.newest(by=manager)
    assert again is not None
    assert again.state == State.CANCELLED


@pytest.mark.parametrize("who", [NARROW_MANAGER, Role.ANALYST])
def test_who_may_not_sees_no_pair(screen: Screen, both: tuple[int, int], who: Role | str) -> None:
    told = said(screen(who, at="duplicates"))
    assert "You do not see every column" in told or "You may not edit contacts" in told
    assert "Miller" not in told
    assert "possible duplicate" not in str(labels(screen(who, at="contact", id=str(both[0]))))


def test_a_pair_side_by_side(screen: Screen, both: tuple[int, int]) -> None:
    test = screen(Role.MANAGER, at="duplicates")
    told = said(test)
    for words in ("nearly the same name", "+12.5", "−2.5", "before looking", "−7", "1 of 1", "Zoe Miller", "stays"):
        assert words in told, words
    assert "not known" not in told
    shown = {one.replace("\\", "") for one in labels(test)}
    assert shown >= {"zoe@acme.example", "zm@acme.example"}
    assert "Last Name" in told  # the same in both


def test_merging_by_choice_and_its_undo(screen: Screen, both: tuple[int, int], manager: Actor) -> None:
    test = screen(Role.MANAGER, at="duplicates")
    key = f"take email {both[0]}"
    test.button(key=key).click().run()
    press(test, "Merge")
    merged = records.get(both[0], by=manager).values
    assert (merged["email"], merged["title"], merged["tags"]) == ("zoe@acme.example", "Buyer", ["fair", "new"])
    with pytest.raises(Gone, match="was merged into"):
        records.get(both[1], by=manager)
    assert "No open pair" in said(test)
    press(test, "Undo")
    assert records.get(both[1], by=manager).values["email"] == "zm@acme.example"
    assert records.get(both[0], by=manager).values["title"] is None


def test_the_other_one_may_stay(screen: Screen, both: tuple[int, int], manager: Actor) -> None:
    test = screen(Role.MANAGER, at="duplicates")
    press(test, "Keep this one")
    press(test, "Merge")
    assert [one.survivor_id for one in merging.made(by=manager)] == [both[1]]


def test_not_the_same_is_remembered_and_can_be_opened_again(
    screen: Screen, both: tuple[int, int], manager: Actor
) -> None:
    test = press(screen(Role.MANAGER, at="duplicates"), "Not the same")
    assert pairs.count(Wanted(Decision.NOT_SAME), by=manager) == 1
    assert "No open pair" in said(test)
    apart = screen(Role.MANAGER, at="duplicates", state="Not the same")
    assert "said An manager" in said(apart)
    press(apart, "Open again")
    assert pairs.count(Wanted(), by=manager) == 1
    press(screen(Role.MANAGER, at="duplicates"), "Later")
    assert pairs.count(Wanted(Decision.LATER), by=manager) == 1


def test_what_changed_since_is_marked_and_nothing_unseen_is_merged(
    screen: Screen, both: tuple[int, int], manager: Actor
) -> None:
    test = screen(Role.MANAGER, at="duplicates")
    assert "changed since the search" not in said(test)
    now = records.get(both[1], by=manager)
    records.update(both[1], {"title": "Owner"}, version=now.version, by=manager)
    assert f"Contact {both[1]} changed since the search" in said(screen(Role.MANAGER, at="duplicates"))


def test_merges_are_listed_and_taken_apart(screen: Screen, both: tuple[int, int], manager: Actor) -> None:
    versions = {one: records.get(one, by=manager).version for one in both}
    merging.merge(both[0], versions, by=manager)
    test = screen(Role.MANAGER, at="duplicates", state="Merged")
    assert list(test.dataframe[0].value["others"]) == [str(both[1])]
    click_in_table(test, "back", 0, "Un-merge")
    assert records.get(both[1], by=manager).values["first_name"] == "Z."


def test_a_contacts_page_tells_of_both(screen: Screen, both: tuple[int, int], manager: Actor) -> None:
    assert "1 possible duplicate" in labels(screen(Role.MANAGER, at="contact", id=str(both[1])))
    versions = {one: records.get(one, by=manager).version for one in both}
    merging.merge(both[0], versions, by=manager)
    test = screen(Role.MANAGER, at="contact", id=str(both[0]))
    assert f"Contact {both[1]} merged into this one" in said(test)
    gone = screen(Role.MANAGER, at="contact", id=str(both[1]))
    assert f"Merged into contact {both[0]}" in labels(gone)
    press(test, "Un-merge")
    assert records.get(both[1], by=manager).values["first_name"] == "Z."
