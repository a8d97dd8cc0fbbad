"""Whose value wins: what a plan says and what its commit writes, held against a slow and readable account of it."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from models import import_acceptances, imports
from models.contacts import changes, dates, matching, plan_rows, policies, staging
from models.contacts.policies import Policies
from models.database import reading, writing
from models.errors import InvalidInput
from models.imports import Keep, MatchRule, State
from models.permissions import OPERATOR
from pipelines import import_contacts
from tests.pipelines.importing import contact, created, imported, noted, numbers, sql, written

Values = dict[str, Any]
IMPORT = 1
MAPPED = ("email", "email_status", "title", "industry", "employees", "technologies", "contact_id")
FIELDS = (*MAPPED, "extra")
ABOUT = ("email_status", "primary_email_catch_all_status")
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)  # when the contacts changed last
MOMENTS = {"older": NOON - timedelta(days=1), "newer": NOON + timedelta(seconds=1), "at once": NOON}


@pytest.fixture(autouse=True)
def nothing_stands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows differ from those before by more than files do."""
    monkeypatch.setattr(import_acceptances, "missing_from", lambda session, import_id: [])


def merged(row: Values, ours: Values, keep: Keep, fields: Mapping[str, Keep], *, newer: bool) -> Values:
    """What the contact holds afterwards."""

    def wins(name: str) -> bool:
        keeps = fields.get(name, keep)
        taken = {Keep.THEIRS: True, Keep.OURS: False, Keep.NEWER: newer, Keep.NEVER: False}[keeps]
        return taken or (keeps is not Keep.NEVER and not ours.get(name))

    after = dict(ours)
    for name in MAPPED:
        if row.get(name) and wins(name):
            after[name] = row[name]
    extra, theirs = ours["extra"] or {}, row["extra"] or {}
    if fields.get("extra", keep) is not Keep.NEVER:
        file_wins = {Keep.THEIRS: True, Keep.NEWER: newer}.get(fields.get("extra", keep), False)
        after["extra"] = (extra | theirs if file_wins else theirs | extra) or None
    if row.get("email") and ours.get("email") and row["email"] != ours["email"]:
        for name in ABOUT:
            said = None if fields.get(name, keep) is Keep.NEVER else row.get(name)
            after[name] = said if wins("email") else ours.get(name)
    return after


def differing_part(old: Values | None, new: Values | None) -> tuple[Values | None, Values | None]:
    """Of extra, the entries that differ."""
    was, now = old or {}, new or {}
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    return {name: was[name] for name in names if name in was} or None, {name: now[name] for name in names}


# Few values, so that they meet; the industry is one that there is, was called so, or is new.
HELD = st.fixed_dictionaries(
    {
        "email": st.sampled_from([None, "a@x.com", "b@x.com"]),
        "email_status": st.sampled_from([None, "Verified", "Guessed"]),
        "title": st.sampled_from([None, "CEO", "VP=1"]),
        "industry": st.sampled_from([None, "Coal", "Iron"]),
        "employees": st.sampled_from([None, 5, 7]),
        "technologies": st.sampled_from([None, ["a"], ["a", "b, c"]]),
        "extra": st.sampled_from([None, {"K": "1"}, {"K": "2", "L": "x"}]),
    }
)
ROWS = st.lists(st.tuples(HELD, HELD, st.sampled_from([None, *MOMENTS])), min_size=1, max_size=4)
MIXES = st.dictionaries(st.sampled_from(FIELDS[:-2] + FIELDS[-1:]), st.sampled_from(Keep), max_size=4)


@dataclass
class Desk:
    """Stages rows beside contacts of the same external ids, plans, and commits."""

    policies: Policies

    def fill(self, pairs: Sequence[tuple[Values, Values, str | None]]) -> None:
        with writing(OPERATOR) as session:
            for table in ("contacts", "contact_history", "industries"):
                session.execute(text(f"DELETE FROM {table}"))
            session.execute(text("INSERT INTO industries (name) VALUES ('Coal'), ('Iron')"))
            staging.create(session, IMPORT, MAPPED, dated=True)
            for number, (row, ours, moment) in enumerate(pairs):
                at = MOMENTS[moment].replace(tzinfo=None) if moment else None
                stored = {"contact_id": str(number), **ours}
                session.execute(
                    text(
                        """INSERT INTO contacts (contact_id, email, email_status, title, employees, technologies, extra,
                            industry_id, updated_at, primary_email_catch_all_status)
                        VALUES (:contact_id, :email, :email_status, :title, :employees, :technologies,
                            CAST(:extra AS jsonb), (SELECT id FROM industries WHERE name = :industry), :at, 'Catch-all')
                        """
                    ),
                    stored | {"extra": ours["extra"] and json.dumps(ours["extra"]), "at": NOON},
                )
                names = ("line", "contact_id", *HELD_NAMES, "row_at")
                session.execute(
                    text(f"INSERT INTO staging.import_1 ({', '.join(names)}) VALUES (:{', :'.join(names)})"),
                    {"line": number, "contact_id": str(number), **row, "row_at": at}
                    | {"extra": row["extra"] and json.dumps(row["extra"])},
                )

    def plan(self) -> dict[int, tuple[str, dict[str, str]]]:
        """Line -> (action, field -> what the contact holds of it)."""
        with writing(OPERATOR) as session:
            rule = MatchRule.EXTERNAL
            matching.plan(session, IMPORT, mapped=MAPPED, match=rule, policies=self.policies)
            plan_rows.prepare(session, IMPORT)
            found = session.execute(text("SELECT line, action, changes FROM staging.plan_1")).all()
        return {row.line: (row.action, dict(one.split("=", 1) for one in row.changes or ())) for row in found}

    def values(self, names: Sequence[str]) -> dict[str, list[tuple[Any, Any]]]:
        with reading() as session:
            return plan_rows.changed_values(session, IMPORT, self.policies, names, most=10)

    def commit(self, plan: dict[int, tuple[str, dict[str, str]]]) -> None:
        updating = sum(action == "update" for action, _ in plan.values())
        with writing(OPERATOR, import_id=IMPORT) as session:
            changes.commit_plan(
                session, IMPORT, mapped=MAPPED, policies=self.policies, staged=len(plan), creating=0,
                updating=updating, by_id=None,
            )  # fmt: skip

    def contacts(self) -> dict[int, Values]:
        with reading() as session:
            found = session.execute(
                text(
                    f"""SELECT contact_id, {", ".join(name for name in HELD_NAMES if name != "industry")},
                    (SELECT name FROM industries WHERE id = industry_id) AS industry, primary_email_catch_all_status
                    FROM contacts"""
                )
            ).mappings()
            return {int(row["contact_id"]): {name: row[name] for name in row} for row in found}


HELD_NAMES = tuple(name for name in FIELDS if name != "contact_id")


@given(pairs=ROWS, keep=st.sampled_from(Keep), fields=MIXES, file=st.sampled_from([*MOMENTS]))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_commit_writes_what_the_plan_said_and_the_policies_mean(
    db: str, pairs: list[tuple[Values, Values, str | None]], keep: Keep, fields: dict[str, Keep], file: str
) -> None:
    desk = Desk(Policies(keep, fields, MOMENTS[file], dated=True))
    desk.fill(pairs)
    before = desk.contacts()
    plan = desk.plan()
    named = sorted({name for _, changed in plan.values() for name in changed})
    said = desk.values(named)
    desk.commit(plan)
    after = desk.contacts()
    for line, (row, _, moment) in enumerate(pairs):
        newer = MOMENTS[moment or file] > NOON
        assert after[line] == merged(row, before[line], keep, fields, newer=newer)
        action, changed = plan[line]
        differing = {name for name in after[line] if after[line][name] != before[line][name]}
        assert set(changed) == differing
        assert action == ("update" if differing else "unchanged")
    for name in named:
        lines = [line for line, (_, changed) in sorted(plan.items()) if name in changed]
        pairs_of = [(before[line][name], after[line][name]) for line in lines]
        assert said[name] == [differing_part(*pair) if name == "extra" else pair for pair in pairs_of]


def test_fields_are_named_as_elsewhere_and_a_full_name_is_its_parts() -> None:
    with pytest.raises(InvalidInput, match=r"“Titel”.* Did you mean “title”"):
        policies.fields_named([("Titel", Keep.OURS)])
    assert policies.fields_named([("Email", Keep.NEVER), ("Extra", Keep.OURS)]) == {
        "email": Keep.NEVER, "extra": Keep.OURS,
    }  # fmt: skip
    assert policies.fields_named([("full_name", Keep.OURS)]) == {"first_name": Keep.OURS, "last_name": Keep.OURS}
    with pytest.raises(InvalidInput, match="Two policies are given for title"):
        policies.fields_named([("title", Keep.OURS), ("Title", Keep.NEVER)])


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2024-05-01", "2024-05-01 00:00"),
        ("2024-05-01T13:45:10Z", "2024-05-01 13:45:10"),
        ("2024-05-01 13:45:10+02:00", "2024-05-01 11:45:10"),
        ("2024-05-01 00:30 +0530", "2024-04-30 19:00"),
        ("1 May 2024, 1:05 pm", "2024-05-01 13:05"),
        ("12/31/2024 12:00 am", "2024-12-31 00:00"),
        ("2024-05-01 10:00:00.25", "2024-05-01 10:00:00.250"),
        ("soon", None),
        ("2024-05-01 25:00", None),
    ],
)
def test_a_moment_is_read_with_its_time_and_offset(said: str, meant: str | None) -> None:
    assert dates.moment(said) == (datetime.fromisoformat(meant) if meant else None)


def test_newer_goes_by_the_files_column_and_else_by_the_file(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [{"Email": f"{one}@x.com", "Title": "Old", "City": ""} for one in "abcd"]))
    sql("UPDATE contacts SET updated_at = '2024-05-01 12:00+00'")
    rows = [
        {"Email": "a@x.com", "Title": "New", "City": "Rome", "Last Modified": "2024-05-01T12:00:01Z"},
        {"Email": "b@x.com", "Title": "New", "City": "Rome", "Last Modified": "05/01/2024 9:00 am"},
        {"Email": "c@x.com", "Title": "New", "City": "Rome", "Last Modified": "lately"},
        {"Email": "d@x.com", "Title": "New", "City": "Rome", "Last Modified": "04/13/2024"},
    ]
    file = written(tmp_path, rows)
    os.utime(file, (datetime(2024, 6, 1).timestamp(),) * 2)
    found = imported(file, keep=Keep.NEWER, left_out=["Last Modified"])
    assert (found.dated_by, (found.opened or {})["proposed_dated_by"]) == ("Last Modified",) * 2
    assert found.changed_fields == {"city": 4, "title": 2}
    assert sql("SELECT email, title, city FROM contacts ORDER BY email") == [
        ("a@x.com", "New", "Rome"), ("b@x.com", "Old", "Rome"), ("c@x.com", "New", "Rome"), ("d@x.com", "Old", "Rome"),
    ]  # fmt: skip
    assert noted(found.id) == {"Last Modified": (1, 4, "lately")}
    sql("UPDATE contacts SET title = 'Old', updated_at = '2024-07-01'")
    by_file = imported(file, keep=Keep.NEWER, dated_by="", left_out=["Last Modified"])
    assert (by_file.dated_by, numbers(by_file)) == ("", (4, 0, 0, 4, 0, 0))
    sql("UPDATE contacts SET updated_at = '2024-05-30'")
    assert numbers(imported(file, keep=Keep.NEWER, dated_by="", left_out=["Last Modified"])) == (4, 0, 4, 0, 0, 0)


def test_a_policy_of_a_field_moves_rows_from_updated_to_unchanged(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [{"Email": "a@x.com", "Title": "CEO", "City": ""}]))
    file = written(tmp_path, [{"Email": "a@x.com", "Title": "CTO", "City": "Rome"}])
    assert numbers(imported(file, keep=Keep.NEVER, until=State.PLANNED)) == (1, 0, 0, 1, 0, 0)
    mixed = imported(file, keep=Keep.NEVER, keep_fields={"City": Keep.OURS})
    assert (numbers(mixed), mixed.keep_fields) == ((1, 0, 1, 0, 0, 0), {"city": "ours"})
    assert {name: contact()[name] for name in ("title", "city")} == {"title": "CEO", "city": "Rome"}


def test_a_new_industry_is_made_only_where_its_field_is_written(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [{"Email": "a@x.com", "Title": "CEO", "Industry": "Coal"}]))
    file = written(tmp_path, [{"Email": "a@x.com", "Title": "CTO", "Industry": "Iron"}])
    imported(file, keep_fields={"industry": Keep.NEVER})
    assert sql("SELECT name FROM industries") == [("Coal",)]


def test_a_header_that_is_not_there_dates_nothing(base: str, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, [{"Email": "a@x.com", "Changed": "2024-05-01"}]), dated_by="Chaged")
    with pytest.raises(InvalidInput, match=r"no column “Chaged”.* Did you mean “Changed”"):
        import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR)
    assert imports.get(import_id, by=OPERATOR).state == State.NEW
