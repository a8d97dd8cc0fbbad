"""A run over the contacts of a base: its pairs, what a second one keeps, what becomes of one that fails."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from models import imports
from models.contacts import merging, merging_many, records
from models.database import libpq_url, writing
from models.duplicates import pairs, runs
from models.duplicates.pairs import Wanted
from models.duplicates.tables import Decision, State
from models.errors import Conflict, InvalidInput, NotAllowed, Unavailable
from models.permissions import OPERATOR, Actor, Role
from pipelines import find_duplicates, sweep
from tests import people
from tests.pipelines import importing

ZOE = {"first_name": "Zoe", "last_name": "Miller", "email": "zoe@acme.example", "company": "Acme"}
BEN = {"first_name": "Ben", "last_name": "Ito", "email": "ben@blue.example", "company": "Blue Labs"}


@pytest.fixture
def ann(db: str) -> Actor:
    return people.person(email="ann@example.com", name="Ann", role=Role.MANAGER).actor()


@pytest.fixture
def four(ann: Actor) -> list[int]:
    """Two pairs: Zoe, and Ben with his names swapped."""
    swapped = BEN | {"first_name": "Ito", "last_name": "Ben"}
    made = [ZOE, ZOE | {"company": "Acme Inc."}, BEN, swapped]
    return [records.create(one, anyway=True, by=ann) for one in made]


def listed(by: Actor, **wanted: object) -> list[tuple[int, int]]:
    return [pair.ids for pair in pairs.page(Wanted(**wanted), by=by)]  # type: ignore[arg-type]


def test_a_run_finds_pairs_and_a_second_one_keeps_what_was_decided(four: list[int], ann: Actor) -> None:
    steps: list[str] = []
    run = find_duplicates.find(by=ann, say=steps.append)
    assert (run.state, run.contacts, run.pairs, run.clusters, run.left_out) == (State.DONE, 4, 2, 2, 0)
    assert steps == list(runs.STEPS.values())
    zoe, ben = (four[0], four[1]), (four[2], four[3])
    assert sorted(listed(ann)) == sorted([zoe, ben])
    found = pairs.get(*zoe, by=ann)
    assert (found.left_label, found.changed, found.decision) == ("Zoe Miller", (), None)
    assert {(one.title, one.found) for one in found.reasons} >= {("Name", "the same name"), ("E-mail", "the same")}

    pairs.decide(*ben, Decision.NOT_SAME, by=ann)
    pairs.decide(*zoe, Decision.LATER, by=ann)
    find_duplicates.find(by=ann)
    assert (listed(ann), listed(ann, decision=Decision.LATER)) == ([], [zoe])
    assert listed(ann, decision=Decision.NOT_SAME) == [ben]
    assert pairs.page(Wanted(Decision.NOT_SAME), by=ann)[0].weight is None
    pairs.withdraw(*ben, by=ann)
    find_duplicates.find(by=ann)
    assert listed(ann) == [ben]
    events = importing.sql("SELECT count(*) FROM audit_log WHERE event = 'duplicates found' AND actor_name = 'Ann'")
    assert events == [(3,)]


def test_a_pair_follows_its_contacts(four: list[int], ann: Actor) -> None:
    find_duplicates.find(by=ann)
    zoe = (four[0], four[1])
    now = records.get(zoe[1], by=ann)
    records.update(zoe[1], {"last_name": "Mueller"}, version=now.version, by=ann)
    assert (pairs.get(*zoe, by=ann).changed, pairs.get(*zoe, by=ann).right_label) == ((zoe[1],), "Zoe Mueller")
    versions = {one: records.get(one, by=ann).version for one in zoe}
    merge_id = merging.merge(zoe[0], versions, by=ann)
    assert zoe not in listed(ann)
    merging.unmerge(merge_id, by=ann)
    assert zoe in listed(ann)
    assert listed(ann, contact_id=four[2]) == [(four[2], four[3])]
    assert listed(ann, least=10_000.0) == []
    assert sorted(pairs.cluster(*zoe, most=10, by=ann)) == list(zoe)


def test_sure_ones_are_merged_at_once_and_taken_apart(four: list[int], ann: Actor) -> None:
    with pytest.raises(InvalidInput, match="pair by pair"):
        merging_many.sure(3.0, by=ann)
    find_duplicates.find(by=ann)
    importing.sql("UPDATE duplicate_pairs SET weight = 25")
    found = merging_many.sure(20.0, by=ann)
    assert (sorted(found.groups), found.contacts) == ([tuple(four[:2]), tuple(four[2:])], 4)
    with pytest.raises(Conflict, match="Confirmed were 3 groups, but there are 2"):
        merging_many.merge(20.0, expected=3, by=ann)
    done = merging_many.merge(20.0, expected=2, by=ann)
    assert (len(done), importing.sql("SELECT count(*) FROM contacts")) == (2, [(2,)])
    assert merging_many.unmerge(done, by=ann) == 2
    assert numbers() == four


def test_what_hangs_together_by_others_is_one_group() -> None:
    assert merging_many._together([(1, 2), (5, 6), (2, 3), (6, 1), (8, 9)]) == [(1, 2, 3, 5, 6), (8, 9)]


def test_one_at_a_time_and_the_sweep_goes_on_with_one_that_died(
    four: list[int], ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = runs.ask(by=ann)
    assert runs.ask(by=OPERATOR) == run_id
    with runs.claimed(run_id):
        assert runs.begin(run_id) == ann
        assert runs.waiting(longer_than=timedelta(0)) == []  # somebody is at it
        find_duplicates.run(run_id)  # beside it: does nothing
        assert runs.get(run_id, by=ann).state == State.RUNNING
    assert runs.waiting(longer_than=timedelta(0)) == [run_id]
    monkeypatch.setattr(sweep, "PATIENCE", timedelta(0))
    sweep.find_duplicates_asked_for()
    assert runs.get(run_id, by=ann).state == State.DONE
    find_duplicates.run(run_id)
    assert runs.waiting(longer_than=timedelta(0)) == []


def test_one_that_is_cancelled_writes_nothing(four: list[int], ann: Actor) -> None:
    find_duplicates.find(by=ann)
    before = listed(ann)
    run_id = runs.ask(by=ann)

    def stop(step: str) -> None:
        if step == runs.STEPS["compare"]:
            runs.cancel(run_id, by=ann)

    find_duplicates.run(run_id, say=stop)
    assert runs.get(run_id, by=ann).state == State.CANCELLED
    assert listed(ann) == before
    with pytest.raises(Conflict, match="ended already"):
        runs.cancel(run_id, by=ann)


def test_the_finder_ends_with_the_process_that_wanted_it(db: str, four: list[int], tmp_path: Path) -> None:
    with writing(OPERATOR) as session:
        runs.staged_table(session)
    command = [sys.executable, "-m", "pipelines.duplicate_finder.child", str(tmp_path)]
    environment = {**os.environ, "DATABASE_URL": libpq_url(db), "PYTHONPATH": str(find_duplicates.ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as child:
        assert b"step" in child.stdout.readline()
        child.stdin.close()
        assert (child.wait(60), b"found" in child.stdout.read()) == (1, False)


def test_one_that_fails_says_so(four: list[int], ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_duplicates, "libpq_url", lambda _: "postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Unavailable, match="was stopped"):
        find_duplicates.find(by=ann)
    last = runs.newest(by=ann)
    assert last is not None
    assert (last.state, last.error) == (
        State.FAILED, "The search for duplicates was stopped: memory or disk may be short. Nothing was changed.",
    )  # fmt: skip
    assert runs.last_done(by=ann) is None


def test_who_asked_may_no_longer(four: list[int], ann: Actor) -> None:
    run_id = runs.ask(by=ann)
    importing.sql("UPDATE users SET column_allowed = '{person}' WHERE email = 'ann@example.com'")
    with pytest.raises(NotAllowed):
        find_duplicates.run(run_id)
    assert runs.get(run_id, by=OPERATOR).state == State.FAILED


def numbers() -> list[int]:
    return [one for (one,) in importing.sql("SELECT id FROM contacts ORDER BY id")]


def versions(*ids: int) -> dict[int, int]:
    return {one: records.get(one, by=OPERATOR).version for one in ids}


def test_the_next_import_of_the_same_file_brings_nobody_back(base: str, open_folder: Path) -> None:
    rows = [
        {"First Name": "Zoe", "Last Name": "Miller", "Email": "zoe@acme.example", "Company": "Acme"},
        {"First Name": "Z.", "Last Name": "Miller", "Email": "zoe.m@acme.example", "Company": "Acme"},
        {"First Name": "Zo", "Last Name": "Miller", "Apollo Contact Id": "B2", "Company": "Acme"},
    ]
    file = importing.written(open_folder, rows)
    importing.imported(file)
    first, second, third = numbers()
    inner = merging.merge(second, versions(second, third), by=OPERATOR)
    merging.merge(first, versions(first, second), by=OPERATOR)  # whose aliases follow

    def planned() -> tuple[int, int]:
        found = importing.imported(file, until=imports.State.PLANNED)
        return found.created, found.duplicates

    assert planned() == (0, 2)
    merging.unmerge(merging.made(by=OPERATOR)[0].id, by=OPERATOR)
    assert planned() == (0, 1)
    merging.unmerge(inner, by=OPERATOR)
    assert planned() == (0, 0)
    assert numbers() == [first, second, third]
