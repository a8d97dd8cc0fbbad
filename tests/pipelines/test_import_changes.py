"""The rows behind the numbers of an import: as they are planned, as they are committed, and where a plan moved."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from models import import_acceptances, import_changes, import_orders, import_places, import_rejects, imports
from models.contacts import records
from models.contacts.plan_rows import PlannedRow
from models.errors import Conflict, InvalidInput, NotAllowed
from models.import_changes import Kind
from models.imports import Import, Keep, MatchRule, State
from models.permissions import OPERATOR, Role
from pipelines import import_contacts, import_steps
from pipelines.import_steps import PlanMoved
from tests.people import person
from tests.pipelines.importing import created, imported, rejected, sql, written

HERE = [
    {"Email": "ann@x.com", "First Name": "Ann", "Title": "CEO", "City": "Rome", "Id": "1"},
    {"Email": "bob@x.com", "First Name": "Bob", "Title": "VP", "City": "", "Id": "2"},
    {"Email": "cid@x.com", "First Name": "Cid", "Title": "VP", "City": "Bonn", "Id": "3"},
]
FILE = [
    {"Email": "ann@x.com", "First Name": "Ann", "Title": "CTO", "City": "Rome"},
    {"Email": "bob@x.com", "First Name": "Bob", "Title": "CTO", "City": "Oslo"},
    {"Email": "cid@x.com", "First Name": "Cid", "Title": "VP", "City": "Bonn"},
    {"Email": "new@x.com", "First Name": "New", "Title": "", "City": "Kyiv"},
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few rows fill several."""
    monkeypatch.setattr(import_places, "BLOCK", 3)
    monkeypatch.setattr(import_rejects, "BLOCK", 3)


@pytest.fixture(autouse=True)
def nothing_stands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows differ from those before by more than files do."""
    monkeypatch.setattr(import_acceptances, "missing_from", lambda session, import_id: [])


def told(rows: Sequence[PlannedRow]) -> list[tuple[Any, ...]]:
    """(line, name, field=(old, new), ...) of each."""
    return [(one.line, one.name, {value.name: (value.old, value.new) for value in one.values}) for one in rows]


def listed(found: Import, **how: Any) -> list[tuple[Any, ...]]:
    """All of it, two rows a page; each page is as long as it must be."""
    rows: list[PlannedRow] = []
    number, total = 1, 1
    while (number - 1) * 2 < total:
        page, total = import_changes.page(found.id, number=number, size=2, by=OPERATOR, **how)
        assert len(page) == min(2, total - (number - 1) * 2)
        rows += page
        number += 1
    assert rows == list(import_changes.rows(found.id, by=OPERATOR, **how))
    return told(rows)


UPDATED = [
    (2, "Ann", {"title": ("CEO", "CTO")}),
    (3, "Bob", {"title": ("VP", "CTO"), "city": (None, "Oslo")}),
]


def test_each_number_of_a_plan_has_its_rows(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, HERE))
    found = imported(written(tmp_path, FILE), until=State.PLANNED)
    assert listed(found) == UPDATED
    assert listed(found, changing="Title") == [
        (2, "Ann", {"title": ("CEO", "CTO")}),
        (3, "Bob", {"title": ("VP", "CTO")}),
    ]
    assert listed(found, changing="city") == [(3, "Bob", {"city": (None, "Oslo")})]
    assert listed(found, changing="email") == []
    assert listed(found, kind=Kind.UNCHANGED) == [(4, "Cid", {})]
    assert listed(found, kind=Kind.CREATED) == [(5, "New", {})]
    with pytest.raises(InvalidInput, match="There is no field “titel”"):
        import_changes.page(found.id, changing="titel", by=OPERATOR)


def test_after_the_commit_the_same_rows_come_out_of_the_history(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, HERE))
    found = imported(written(tmp_path, FILE))
    assert sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'") == [(0,)]
    assert sorted(listed(found)) == UPDATED
    assert listed(found, changing="city") == [(3, "Bob", {"city": (None, "Oslo")})]
    assert listed(found, kind=Kind.CREATED) == [(5, "New", {})]
    [(bob,)] = sql("SELECT id FROM contacts WHERE first_name = 'Bob'")
    version = records.get(bob, by=OPERATOR).version
    records.update(bob, {"city": "Ghent", "title": "CFO"}, version=version, by=OPERATOR)
    assert sorted(listed(found)) == UPDATED  # what it wrote, not what was made of it since
    with pytest.raises(Conflict, match="left no trace"):
        import_changes.page(found.id, kind=Kind.UNCHANGED, by=OPERATOR)
    import_contacts.undo(found.id, by=OPERATOR)
    assert sorted(told(list(import_changes.rows(found.id, by=OPERATOR)))) == UPDATED
    assert listed(found, kind=Kind.CREATED) == [(5, "New", {})], "also of one that is gone"


def test_a_page_of_what_is_rare_is_found_among_many(base: str, tmp_path: Path) -> None:
    many = [{"Email": f"p{number}@x.com", "Title": "VP", "City": ""} for number in range(40)]
    imported(written(tmp_path, many))
    rare = (5, 6, 17, 31, 39)
    file = [{**one, "Title": "CEO", "City": "Oslo" if number in rare else ""} for number, one in enumerate(many)]
    planned = imported(written(tmp_path, file), until=State.PLANNED)
    lines = [number + 2 for number in rare]
    assert [line for line, *_ in listed(planned, changing="city")] == lines
    assert [line for line, *_ in listed(planned, changing="title")] == [number + 2 for number in range(40)]
    import_contacts.run(planned.id, by=OPERATOR)
    assert sorted(line for line, *_ in listed(planned, changing="city")) == lines
    assert len(listed(planned)) == 40


def test_extra_shows_what_differs_of_it_under_each_policy(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [{"Email": "a@x.com", "Shoe": "41", "Hat": "L"}]))
    file = written(tmp_path, [{"Email": "a@x.com", "Shoe": "42", "Hat": "L", "Pet": "Cat"}])
    planned = imported(file, keep_fields={"extra": Keep.OURS}, until=State.PLANNED)
    assert listed(planned) == [(2, "a@x.com", {"extra": (None, {"Pet": "Cat"})})]
    committed = imported(file)
    assert listed(committed) == [(2, "a@x.com", {"extra": ({"Shoe": "41"}, {"Shoe": "42", "Pet": "Cat"})})]


def test_a_file_of_changes_has_a_line_for_each_value_and_is_noted(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, HERE))
    found = imported(written(tmp_path, FILE), until=State.PLANNED)
    ids = dict(sql("SELECT first_name, id FROM contacts"))
    lines = list(csv.reader(io.StringIO("".join(import_changes.as_csv(found.id, by=OPERATOR)))))
    assert lines == [
        ["Line", "Contact", "Name", "Field", "Old value", "New value"],
        ["2", str(ids["Ann"]), "Ann", "Title", "CEO", "CTO"],
        ["3", str(ids["Bob"]), "Bob", "Title", "VP", "CTO"],
        ["3", str(ids["Bob"]), "Bob", "City", "", "Oslo"],
    ]
    list(import_changes.as_csv(found.id, kind=Kind.UPDATED, changing="city", by=OPERATOR))
    taken = "SELECT details FROM audit_log WHERE event = 'import rows downloaded' ORDER BY id"
    assert [details for (details,) in sql(taken)] == [
        {"kind": "updated", "rows": 2}, {"kind": "updated", "rows": 1, "field": "city"},
    ]  # fmt: skip


def test_ambiguous_rows_name_their_contacts_and_duplicates_the_row_that_came_in(base: str, tmp_path: Path) -> None:
    twins = [{"Email": "t@x.com", "First Name": "Tim", "Id": f"T{number}"} for number in range(3)]
    here = [*twins, {"Email": "u@x.com", "First Name": "Uma", "Id": "9"}]
    imported(written(tmp_path, here), match=MatchRule.EXTERNAL, contact_id="Id")
    ids = dict(sql("SELECT contact_id, id FROM contacts"))
    file = [
        {"Email": "t@x.com", "First Name": "Tim", "Id": "", "Title": "VP"},
        {"Email": "u@x.com", "First Name": "Uma", "Id": "", "Title": "VP"},
        {"Email": "", "First Name": "Uma", "Id": "9", "Title": "CEO"},
        {"Email": "u@x.com", "First Name": "Uma", "Id": "", "Title": "VP"},
    ]
    found = imported(written(tmp_path, file), until=State.PLANNED, contact_id="Id")
    [ambiguous], total = import_rejects.page(found.id, number=1, size=5, by=OPERATOR)
    assert (ambiguous.line, ambiguous.contacts, total) == (2, [ids[f"T{number}"] for number in range(3)], 1)
    duplicates, _ = import_rejects.page(found.id, number=1, size=5, kind="duplicate", by=OPERATOR)
    assert [(one.line, one.contacts, one.other_line) for one in duplicates] == [(3, [ids["9"]], 4), (5, None, 3)]
    counted = import_rejects.reasons(found.id, kind="duplicate", by=OPERATOR)
    for place, reason in enumerate(counted):
        some, number = import_rejects.page(found.id, number=1, size=5, kind="duplicate", reason=place, by=OPERATOR)
        assert len(some) == number == reason.rows == 1
        assert import_rejects.in_general(some[0].reason) == reason.sentence


def test_pages_of_rejects_by_reason_miss_none(base: str, tmp_path: Path) -> None:
    rows = [{"Email": f"no{number}" if number % 3 else "", "Title": "x"} for number in range(20)]
    found = imported(written(tmp_path, [*rows, {"Email": "a@x.com", "Title": "y"}]), until=State.PLANNED)
    counted = import_rejects.reasons(found.id, by=OPERATOR)
    for place, reason in [(None, None), *enumerate(counted)]:
        lines: list[int] = []
        for number in range(1, 20):
            some, total = import_rejects.page(found.id, number=number, size=3, reason=place, by=OPERATOR)
            lines += [one.line for one in some]
        wanted = [
            line for line, _, _, why, _ in rejected(found.id)
            if reason is None or import_rejects.in_general(why) == reason.sentence
        ]  # fmt: skip
        assert lines == wanted
        assert total == len(wanted)


@pytest.fixture
def moved(base: str, tmp_path: Path) -> Import:
    """An import of FILE that was to be committed after contacts had changed."""
    imported(written(tmp_path, HERE))
    found = imported(written(tmp_path, FILE), until=State.PLANNED)
    sql("UPDATE contacts SET title = 'COO' WHERE first_name = 'Ann'")
    sql("UPDATE contacts SET title = 'CTO', city = 'Oslo' WHERE first_name = 'Bob'")
    sql("DELETE FROM contacts WHERE first_name = 'Cid'")
    with pytest.raises(PlanMoved, match=r"3 of its rows no longer hold \(line 2, 3, 4\)"):
        import_contacts.run(found.id, by=OPERATOR)
    return imports.get(found.id, by=OPERATOR)


def differences(found: Import) -> list[tuple[int, str | None, list[tuple[str, str, str]]]]:
    rows, total = import_changes.moved(found.id, by=OPERATOR)
    assert total == len(rows) == found.moved
    return [(one.line, one.name, import_changes.told(one)) for one in rows]


def test_a_moved_plan_lists_what_it_said_and_what_it_would_say_now(moved: Import) -> None:
    assert (moved.state, moved.moved) == (State.CHECKED, 3)
    [(cid, bob)] = sql("SELECT (SELECT id FROM contact_history WHERE first_name = 'Cid'),"
                       " (SELECT id FROM contacts WHERE first_name = 'Bob')")  # fmt: skip
    expected = [
        (2, "Ann", [("title", "CEO → CTO", "COO → CTO")]),
        (3, "Bob", [
            ("", f"update {bob}, Bob", f"unchanged {bob}, Bob"), ("title", "VP → CTO", "no change"),
            ("city", "– → Oslo", "no change"),
        ]),
        (4, "Cid", [("", f"unchanged {cid}", "create")]),
    ]  # fmt: skip
    assert differences(moved) == expected
    page, _ = import_changes.moved(moved.id, after=2, size=1, by=OPERATOR)
    assert [one.line for one in page] == [3]
    lines = list(csv.reader(io.StringIO("".join(import_changes.moved_as_csv(moved.id, by=OPERATOR)))))
    assert lines[1] == ["2", "Ann", "Title", "CEO → CTO", "COO → CTO"]
    assert len(lines) == 1 + sum(len(changes) for _, _, changes in expected)
    again = import_contacts.run(moved.id, until=State.PLANNED, by=OPERATOR)
    assert differences(again) == expected  # the new plan differs by just that from the one that was looked at
    done = import_contacts.run(moved.id, by=OPERATOR)
    assert (done.state, done.moved) == (State.COMMITTED, 0)
    assert sql("SELECT count(*) FROM import_moves") == [(0,)]


def test_the_new_plan_is_compared_with_the_one_that_was_looked_at_whatever_moved_meanwhile(moved: Import) -> None:
    sql("UPDATE contacts SET title = 'CEO' WHERE first_name = 'Ann'")  # back to what the plan had said
    again = import_contacts.run(moved.id, until=State.PLANNED, by=OPERATOR)
    assert [line for line, *_ in differences(again)] == [3, 4]


def test_what_moved_is_known_although_the_new_plan_was_stopped_before_it_was_recorded(
    moved: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = differences(moved)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(import_steps.imports, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            import_contacts.run(moved.id, until=State.PLANNED, by=OPERATOR)
    assert differences(import_contacts.run(moved.id, until=State.PLANNED, by=OPERATOR)) == expected
    assert sql("SELECT to_regclass('staging.seen_2')") == [(None,)]


def test_nothing_is_left_of_a_cancelled_import(moved: Import) -> None:
    import_orders.cancel(moved.id, by=OPERATOR)
    assert sql(
        "SELECT (SELECT count(*) FROM import_moves), (SELECT count(*) FROM import_places WHERE import_id > 1)"
    ) == [(0, 0)]
    assert sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'") == [(0,)]


def test_the_rows_are_for_who_sees_every_column(base: str, tmp_path: Path) -> None:
    narrow = person(email="n@x.com", name="Nan", role=Role.MANAGER, column_allowed=["person"]).actor()
    found = imported(written(tmp_path, HERE), until=State.PLANNED)
    for look in (
        lambda: import_changes.page(found.id, by=narrow),
        lambda: import_changes.rows(found.id, by=narrow),
        lambda: import_changes.as_csv(found.id, by=narrow),
        lambda: import_changes.moved(found.id, by=narrow),
        lambda: import_changes.moved_as_csv(found.id, by=narrow),
    ):
        with pytest.raises(NotAllowed, match="who see every column"):
            look()


def test_an_import_has_no_rows_before_its_plan(base: str, tmp_path: Path) -> None:
    found = import_contacts.run(created(written(tmp_path, HERE)), until=State.OPENED, by=OPERATOR)
    with pytest.raises(Conflict, match="no rows to see before its plan is made"):
        import_changes.page(found.id, by=OPERATOR)
