"""Which contact a row belongs to: the plan, held against a slow and readable account of the same rules."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from models.contacts import changes, matching, policies, staging
from models.database import libpq_url, reading, writing
from models.imports import Keep, MatchRule
from models.permissions import OPERATOR
from pipelines import stage_contacts
from pipelines.typed_rows import Source

Row = dict[str, str | None]
FIELDS = ("first_name", "email", "company", "website", "person_linkedin_url", "contact_id", "title")
SOURCE = Source((*FIELDS, "Remark"), {name: name for name in FIELDS})
IMPORT = 1


def folded(row: Row, name: str) -> str:
    return (row.get(name) or "").lower()


def has_key(row: Row) -> bool:
    return any(row.get(name) for name in ("contact_id", "email", "person_linkedin_url"))


def keys(row: Row, match: MatchRule) -> list[tuple[str, ...]]:
    """What makes the row the same as another, the strongest first."""
    external = [("external", row["contact_id"])] if row.get("contact_id") else []
    linkedin = [("linkedin", folded(row, "person_linkedin_url"))] if row.get("person_linkedin_url") else []
    by_email: list[tuple[str, ...]] = []
    if row.get("email") and folded(row, "first_name"):
        by_email = [("name", folded(row, "email"), folded(row, "first_name"))]
    elif row.get("email"):
        by_email = [("nameless", folded(row, "email"), folded(row, "company"), folded(row, "website"))]
    return {
        MatchRule.AUTO: external + by_email + linkedin,
        MatchRule.EMAIL: [("email", folded(row, "email"))] if row.get("email") else [],
        MatchRule.EXTERNAL: external,
        MatchRule.LINKEDIN: linkedin,
        MatchRule.NONE: [],
    }[match]  # type: ignore[return-value]  # the external id is a text here


def compatible(one: Row, other: Row) -> bool:
    """Same e-mail, and no contradicting company."""
    companies = {folded(one, "company"), folded(other, "company")} - {""}
    return bool(one.get("email")) and folded(one, "email") == folded(other, "email") and len(companies) < 2


def repeated(rows: dict[int, Row], match: MatchRule) -> dict[int, int]:
    """Line -> the line whose duplicate it is."""
    of: dict[int, int] = {}

    def head(line: int) -> int:
        return head(of[line]) if line in of else line

    for line, row in rows.items():
        earlier = {key: first for first, one in reversed(rows.items()) if first < line for key in keys(one, match)}
        shared = [earlier[key] for key in keys(row, match) if key in earlier]
        if shared:
            of[line] = shared[0]
    if match is not MatchRule.AUTO:
        return {line: head(line) for line in of}
    heads = {line: row for line, row in rows.items() if line not in of}
    for line, row in heads.items():
        named = [other for other, one in heads.items() if one.get("first_name") and compatible(row, one)]
        if not row.get("first_name") and len(named) == 1:
            of[line] = named[0]
        same = [first for first, one in heads.items() if first < line and same_content(one, row)]
        if same and not has_key(row):
            of[line] = same[0]
    return {line: head(line) for line in of}


def same_content(one: Row, other: Row) -> bool:
    return all(folded(one, name) == folded(other, name) for name in (*FIELDS, "Remark"))


def best(row: Row, contacts: dict[int, Row], others: Sequence[Row], match: MatchRule) -> tuple[int, list[int]]:
    """The first rule that finds contacts, and what it finds; (0, []) when none does. `others` are the file's."""

    def having(key: str) -> list[int]:
        wanted = [one for one in keys(row, match) if one[0] == key]
        return [number for number, one in contacts.items() if wanted and wanted[0] in keys(one, match)]

    def half_named() -> list[int]:
        if not row.get("first_name") and any(one.get("first_name") and compatible(row, one) for one in others):
            return []
        return [
            number
            for number, one in contacts.items()
            if bool(row.get("first_name")) != bool(one.get("first_name")) and compatible(row, one)
        ]

    def unchanged() -> list[int]:
        fitting = [
            (sum(bool(one.get(name)) for name in FIELDS), len(one.get("Remark") or ""), number)
            for number, one in contacts.items()
            if not has_key(row)
            and not has_key(one)
            and all(folded(row, name) == folded(one, name) for name in ("first_name", "company"))
            and all(folded(row, name) in ("", folded(one, name)) for name in (*FIELDS, "Remark"))
        ]
        return [min(fitting)[2]] if fitting else []

    rules = {1: having("external"), 2: having("name"), 3: having("nameless"), 4: half_named(), 5: having("linkedin")}
    if match is MatchRule.EMAIL:
        rules = {2: having("email")}
    elif match is not MatchRule.AUTO:
        rules = {1: having("external"), 5: having("linkedin")}
    else:
        rules[6] = unchanged()
    return next(((rule, found) for rule, found in rules.items() if found), (0, []))


def expected_plan(rows: dict[int, Row], contacts: dict[int, Row], match: MatchRule, keep: Keep) -> dict[int, Any]:
    """Line -> (action, contact or None) of the rows that are no duplicates within the file."""
    found = {line: best(row, contacts, list(rows.values()), match) for line, row in rows.items()}
    plan: dict[int, Any] = {}
    taken: set[int] = set()
    for line, (rule, numbers) in sorted(found.items(), key=lambda one: (one[1][0], one[0])):
        rivals = [1 for other in found.values() if other == (rule, numbers)]
        shared = rule == 4 and (len(numbers) > 1 or numbers[0] in taken or len(rivals) > 1)
        if not numbers or shared:
            plan[line] = ("create", None)
        elif len(numbers) > 1:
            plan[line] = ("ambiguous", min(numbers))
        elif numbers[0] in taken:
            plan[line] = ("duplicate", numbers[0])
        else:
            taken.add(numbers[0])
            changed = changed_names(rows[line], contacts[numbers[0]], keep)
            plan[line] = ("update" if changed else "unchanged", numbers[0])
    return plan


def changed_names(row: Row, contact: Row, keep: Keep) -> set[str]:
    return {
        name
        for name in (*FIELDS, "Remark")
        if row.get(name)
        and row[name] != contact.get(name)
        # Under NEWER these rows are old: they only fill blanks.
        and (keep is Keep.THEIRS or (keep is not Keep.NEVER and not contact.get(name)))
    }


@dataclass
class Desk:
    """Stages rows, plans and commits on one database, without the file around them."""

    url: str
    match: MatchRule = MatchRule.AUTO
    keep: Keep = Keep.THEIRS
    duplicates: dict[int, int] = field(default_factory=dict)

    def plan(self, rows: dict[int, Row]) -> dict[int, Any]:
        with closing(duckdb.connect()) as store, writing(OPERATOR) as session:
            columns = ", ".join(f"c{place} VARCHAR" for place in range(len(SOURCE.headers)))
            store.execute(f"CREATE TABLE raw (line BIGINT, {columns})")
            store.execute("CREATE TABLE unreadable (line BIGINT, reason VARCHAR, raw VARCHAR)")
            marks = ", ".join("?" * (len(SOURCE.headers) + 1))
            for line, row in rows.items():
                store.execute(f"INSERT INTO raw VALUES ({marks})", [line, *(row.get(name) for name in SOURCE.headers)])
            staging.create(session, IMPORT, SOURCE.mapped)
            session.commit()
            stage_contacts.stage(
                store, SOURCE, import_id=IMPORT, match=self.match, owners=[], database_url=libpq_url(self.url)
            )
            self.duplicates = dict(store.execute("SELECT line, of FROM repeated").fetchall())
        with writing(OPERATOR) as session:
            matching.plan(
                session, IMPORT, mapped=SOURCE.mapped, match=self.match, policies=policies.everywhere(self.keep)
            )
            found = session.execute(text("SELECT line, action, target FROM staging.plan_1")).all()
        return {line: (action, target) for line, action, target in found}

    def commit(self, plan: dict[int, Any]) -> None:
        counts = Counter(action for action, _ in plan.values())
        with writing(OPERATOR, import_id=IMPORT) as session:
            changes.commit_plan(
                session, IMPORT, mapped=SOURCE.mapped, policies=policies.everywhere(self.keep), staged=len(plan),
                creating=counts["create"], updating=counts["update"], by_id=None,
            )  # fmt: skip

    def fill(self, contacts: Sequence[Row]) -> None:
        """Make these the only contacts."""
        names = ", ".join(FIELDS)
        with writing(OPERATOR) as session:
            session.execute(text("DELETE FROM contacts"))
            session.execute(text("DELETE FROM contact_history"))
            for one in contacts:
                values = {name: one.get(name) for name in (*FIELDS, "Remark")}
                session.execute(
                    text(
                        f"""INSERT INTO contacts ({names}, extra) VALUES (:{names.replace(", ", ", :")},
                        CASE WHEN CAST(:Remark AS text) IS NOT NULL THEN jsonb_build_object('Remark', :Remark) END)"""
                    ),
                    values,
                )

    def contacts(self) -> dict[int, Row]:
        with reading() as session:
            found = session.execute(
                text(f"SELECT id, {', '.join(FIELDS)}, extra ->> 'Remark' AS \"Remark\" FROM contacts")
            )
            return {row["id"]: {name: row[name] for name in row if name != "id"} for row in found.mappings()}


# Few values, so that rows collide; as they are stored, so that the reference need not normalise.
CONTACTS = st.fixed_dictionaries(
    {
        "first_name": st.sampled_from([None, None, "Ann", "ANN", "Bob"]),
        "email": st.sampled_from([None, "e@x.com", "e@x.com", "f@x.com"]),
        "company": st.sampled_from([None, "Acme", "ACME", "Beta"]),
        "website": st.sampled_from([None, None, "https://a.com", "https://b.com/A", "https://b.com/a"]),
        "person_linkedin_url": st.sampled_from(
            [None, None, *(f"https://www.linkedin.com/in/{one}" for one in ("x", "X", "y"))]
        ),
        "contact_id": st.sampled_from([None, None, "1", "2"]),
        "title": st.sampled_from([None, "VP", "vp", "CEO"]),
        "Remark": st.sampled_from([None, None, "r", "R"]),
    }
)
BASES = st.lists(CONTACTS, max_size=4)


def valid(row: Row) -> bool:
    return bool(row["first_name"] or row["email"] or row["company"])


FILES = st.lists(CONTACTS.filter(valid), min_size=1, max_size=5)
MORE = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
LESS = settings(MORE, max_examples=30)


@pytest.fixture
def desk(db: str) -> Desk:
    return Desk(db)


def numbered(rows: Sequence[Row]) -> dict[int, Row]:
    return dict(zip(count(2), rows, strict=False))


def agrees(desk: Desk, rows: dict[int, Row]) -> dict[int, Any]:
    """Plan the rows, and hold the plan against the reference; returns it."""
    contacts = desk.contacts()
    duplicates = repeated(rows, desk.match)
    heads = {line: row for line, row in rows.items() if line not in duplicates}
    plan = desk.plan(rows)
    assert desk.duplicates == duplicates
    assert plan == expected_plan(heads, contacts, desk.match, desk.keep)
    return plan


@given(rows=FILES, contacts=BASES)
@MORE
def test_the_plan_is_the_one_that_the_rules_give(desk: Desk, rows: list[Row], contacts: list[Row]) -> None:
    desk.fill(contacts)
    agrees(desk, numbered(rows))


@given(rows=FILES, contacts=BASES, match=st.sampled_from(MatchRule), keep=st.sampled_from(Keep))
@LESS
def test_so_it_is_by_every_rule(desk: Desk, rows: list[Row], contacts: list[Row], match: MatchRule, keep: Keep) -> None:
    desk.match, desk.keep = match, keep
    desk.fill(contacts)
    agrees(desk, numbered(rows))


@given(rows=FILES)
@MORE
def test_a_file_imported_again_changes_nothing(desk: Desk, rows: list[Row]) -> None:
    desk.fill([])
    first = desk.plan(numbered(rows))
    duplicates = desk.duplicates
    assert {action for action, _ in first.values()} == {"create"}
    desk.commit(first)
    again = desk.plan(numbered(rows))
    assert {action for action, _ in again.values()} == {"unchanged"}
    assert len({target for _, target in again.values()}) == len(first)
    assert desk.duplicates == duplicates


@given(rows=FILES, contacts=BASES, keep=st.sampled_from(Keep))
@MORE
def test_a_file_imported_again_into_contacts_changes_nothing(
    desk: Desk, rows: list[Row], contacts: list[Row], keep: Keep
) -> None:
    desk.keep = keep
    desk.fill(contacts)
    before = desk.contacts()
    first = desk.plan(numbered(rows))
    desk.commit(first)
    after = desk.contacts()
    identifying = set(FIELDS) - {"title"}
    if any(before[number][name] != after[number][name] for number in before for name in identifying):
        return  # what identifies contacts was changed: which contact another row means may have changed with it
    again = desk.plan(numbered(rows))
    wanted = {
        line: ("unchanged", target) if action in ("update", "unchanged") else (action, target)
        for line, (action, target) in first.items()
        if action != "create"
    }
    assert {line: done for line, done in again.items() if line in wanted} == wanted
    assert {again[line][0] for line in again if line not in wanted} <= {"unchanged"}
