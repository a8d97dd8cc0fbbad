"""What stands out about an import beside those before it: on public files and made-up ones, each mistake once; and that
nothing that stands out is committed before somebody accepts it."""

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import (
    check_switches,
    import_acceptances,
    import_finding_rows,
    import_findings,
    import_orders,
    import_profiles,
    imports,
)
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed
from models.import_acceptances import NotAccepted
from models.import_findings import Finding, Severity
from models.imports import Import, State
from models.permissions import OPERATOR, Actor, Role
from pipelines import import_contacts
from pipelines import import_orders as orders
from tests.bench import data
from tests.pipelines.importing import created, imported, sql, written

Rows = list[dict[str, str]]
CURRENT = "real/congress/legislators-current.csv"
FEDERAL = "real/dotgov/current-federal.csv"
LEADS = "real/datablist/leads-duplicates-20000.csv"
WHY = "the fair sends no addresses"


def rows_of(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def made_up(folder: Path, number: int) -> Rows:
    """In Apollo's columns, in no order: what the generator repeats it repeats by line."""
    data.write(folder / "all.csv", number)
    found = rows_of(folder / "all.csv")
    random.Random(7).shuffle(found)
    return found


def planned(folder: Path, rows: Rows | str, name: str = "people.csv") -> Import:
    return import_contacts.run(created(written(folder, rows, name)), until=State.PLANNED, by=OPERATOR)


def findings(found: Import) -> list[Finding]:
    return import_findings.listed(found.id, by=OPERATOR)


def stopping(folder: Path, rows: Rows) -> dict[str, str]:
    """Name -> sentence of what stops an import of these rows, which is cancelled then. Each is about some rows, which
    are shown and downloaded, unless a column is missing."""
    found = planned(folder, rows)
    told = {one.name: one.sentence for one in findings(found) if one.stops}
    for name in told:
        shown = import_finding_rows.page(found.id, name, number=1, size=5, by=OPERATOR)
        lines = list(import_finding_rows.as_csv(found.id, name, noted=False, by=OPERATOR))
        if name.endswith("_missing"):
            assert (shown.total, lines) == (0, [])
            continue
        assert len(rows) >= shown.total == len(lines) - 1 > 0, name
        assert len(shown.rows) == min(5, shown.total)
    import_orders.cancel(found.id, by=OPERATOR)
    return told


def changed(rows: Rows, change: Callable[[dict[str, str]], dict[str, str]]) -> Rows:
    return [row | change(row) for row in rows]


def shuffled(rows: Rows, header: str) -> Rows:
    values = [row[header] for row in rows]
    random.Random(1).shuffle(values)
    return [row | {header: value} for row, value in zip(rows, values, strict=True)]


@pytest.mark.shared_data
def test_mistakes_in_the_congress_are_found_and_its_other_half_is_not(
    base: str, shared_data: Path, tmp_path: Path
) -> None:
    rows = rows_of(shared_data / CURRENT)
    imported(written(tmp_path, rows[0::2]))
    other = rows[1::2]
    assert stopping(tmp_path, other) == {}
    assert stopping(tmp_path, rows[0::2]) == {}, "the same file again"
    assert stopping(tmp_path, random.Random(3).sample(other, 40)) == {}
    emptied = stopping(tmp_path, [row | {"phone": ""} if place % 3 == 0 else row for place, row in enumerate(other)])
    assert emptied == {
        "work_direct_phone_empty": "Work Direct Phone is empty in 34 % of the rows; in the import before it was 0.4 %."
    }
    swapped = stopping(
        tmp_path, changed(other, lambda row: {"first_name": row["last_name"], "last_name": row["first_name"]})
    )
    assert {"last_name_swapped", "website_without_last_name"} <= swapped.keys()
    assert stopping(tmp_path, shuffled(other, "last_name")).keys() == {"website_without_last_name"}


@pytest.mark.shared_data
def test_mistakes_in_leads_are_found(base: str, shared_data: Path, tmp_path: Path) -> None:
    rows = rows_of(shared_data / LEADS)[:1200]
    imported(written(tmp_path, rows[0::2]))
    other = rows[1::2]
    assert stopping(tmp_path, other) == {}
    phones = stopping(tmp_path, changed(other, lambda row: {"Email 1": row["Phone 1"]}))
    assert phones == {"rows_rejected": "100 % of the rows are rejected; in the import before none were."}
    free = stopping(tmp_path, changed(other, lambda row: {"Email 1": row["Email 1"].split("@")[0] + "@gmail.com"}))
    assert {"email_free", "email_leading"} <= free.keys()


def test_mistakes_in_apollos_columns_are_found(base: str, tmp_path: Path) -> None:
    rows = made_up(tmp_path, 900)
    imported(written(tmp_path, rows[:450]))
    other = rows[450:]
    assert stopping(tmp_path, other) == {}
    larger = stopping(tmp_path, changed(other, lambda row: {"Annual Revenue": f"{row['Annual Revenue']}000"}))
    assert larger.keys() == {"annual_revenue_shape"}
    assert larger["annual_revenue_shape"].startswith("Revenue is of another size: ")
    elsewhere = stopping(tmp_path, changed(other, lambda row: {"Country": "Austria"}))
    assert elsewhere["country_unknown"] == "Country has a value that never came before, in 100 % of the filled rows."
    assert stopping(tmp_path, shuffled(other, "Email")).keys() == {"email_without_website"}
    without = [{name: value for name, value in row.items() if name != "Title"} for row in other]
    assert stopping(tmp_path, without).keys() == {"title_missing"}


def test_another_source_gives_hints_and_stops_nothing(base: str, tmp_path: Path) -> None:
    people = [{"First Name": f"Ann{n}", "Email": f"ann{n}@example.com", "Company": f"Acme {n}"} for n in range(60)]
    imported(written(tmp_path, people))
    others = planned(
        tmp_path, [{"Vorname": f"Bea{n}", "Email": "", "Firma": f"Bau {n}", "Ort": "Wien"} for n in range(60)]
    )
    assert [(one.name, one.severity) for one in findings(others)] == [("email_empty", "hint")]
    assert import_contacts.run(others.id, by=OPERATOR).state == State.COMMITTED


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [(0, 60, "no accepted import"), (60, 10, "too few rows to be compared"), (10, 60, "before it have too few rows")],
)
def test_without_enough_to_compare_there_is_no_verdict(
    base: str, tmp_path: Path, before: int, now: int, why: str
) -> None:
    if before:
        imported(written(tmp_path, people(before)))
    found = planned(tmp_path, emptied(now))
    assert findings(found) == []
    compared = import_profiles.compared(found.id, by=OPERATOR)
    assert compared is not None
    assert compared.why is not None
    assert why in compared.why


def people(number: int) -> Rows:
    return [
        {"Last Name": f"Ann{n}", "Email": f"ann{n}@example.com", "Company": f"Acme {n}"}
        for n in range(1000, 1000 + number)
    ]


def emptied(number: int, *, full: int = 0, first: int = 1000) -> Rows:
    """Other people, of whom only `full` have an address."""
    return [
        {"Last Name": f"Bea{n}", "Email": f"bea{n}@example.com" if n < first + full else "", "Company": f"Acme {n}"}
        for n in range(first, first + number)
    ]


@pytest.fixture
def stopped(base: str, tmp_path: Path) -> Import:
    """A plan after an accepted import, three quarters of whose e-mail addresses are missing."""
    imported(written(tmp_path, people(60)))
    return planned(tmp_path, emptied(80, full=20))


def test_nothing_is_committed_until_it_is_accepted(stopped: Import) -> None:
    [one] = findings(stopped)
    shown = import_finding_rows.page(stopped.id, "email_empty", number=2, size=50, by=OPERATOR)
    assert (shown.headers, shown.total, shown.rows[0]) == (
        ("E-mail", "Last Name", "Company"), 60, (72, (None, "Bea1070", "Acme 1070")),
    )  # fmt: skip
    assert (one.name, one.field, one.severity, one.details["now"], one.details["before"]) == (
        "email_empty", "email", "far off", 0.75, 0,
    )  # fmt: skip
    with pytest.raises(NotAccepted, match=r"E-mail is empty in 75 % of the rows; in the import before it was none\."):
        import_contacts.run(stopped.id, by=OPERATOR)
    with pytest.raises(NotAccepted, match="one thing stands out about import 2"):
        import_orders.ask(stopped.id, State.COMMITTED, plan=(stopped.planned or {})["at"], by=OPERATOR)
    import_acceptances.accept(stopped.id, WHY, by=OPERATOR)
    assert import_contacts.run(stopped.id, by=OPERATOR).state == State.COMMITTED
    kept = import_acceptances.find(stopped.id, by=OPERATOR)
    assert kept is not None
    assert (kept.reason, kept.by_name, kept.is_whole) == (WHY, "operator", True)
    assert findings(stopped) == [one], "what stood out stays with the import"
    assert import_finding_rows.page(stopped.id, "email_empty", number=1, size=50, by=OPERATOR).total == 0
    lines = sql("SELECT details FROM audit_log WHERE event = 'import accepted' AND subject = 'import 2'")
    assert lines == [({"reason": WHY, "once": False, "findings": ["email_empty"]},)]


def test_the_step_itself_refuses_what_was_withdrawn_after_it_was_ordered(stopped: Import) -> None:
    import_acceptances.accept(stopped.id, WHY, by=OPERATOR)
    order = import_orders.ask(stopped.id, State.COMMITTED, plan=(stopped.planned or {})["at"], by=OPERATOR)
    import_acceptances.withdraw(stopped.id, by=OPERATOR)
    with pytest.raises(NotAccepted):
        orders.carry_out(stopped.id, order)
    left = imports.get(stopped.id, by=OPERATOR)
    assert left.state == State.PLANNED
    assert left.error is not None
    assert "accept it with a reason" in left.error
    with pytest.raises(Conflict, match="Nobody has accepted"):
        import_acceptances.withdraw(stopped.id, by=OPERATOR)


def test_a_plan_made_anew_needs_a_new_acceptance_only_where_it_is_worse(stopped: Import, tmp_path: Path) -> None:
    import_acceptances.accept(stopped.id, WHY, by=OPERATOR)
    imported(written(tmp_path, [*people(1), {"Last Name": "Z", "Email": "z@example.com", "Company": "Z"}], "two.csv"))
    columns = {header: name for name, header in (stopped.mapping or {}).items()}

    def plan_again(**how: str) -> None:
        import_orders.remap(
            stopped.id, columns | how, match=imports.MatchRule.AUTO, keep=imports.Keep.THEIRS, by=OPERATOR
        )
        orders.carry_out(stopped.id, imports.get(stopped.id, by=OPERATOR).orders)

    def missing() -> list[str]:
        with reading() as session:
            return [one.name for one in import_acceptances.missing_from(session, stopped.id)]

    plan_again()
    assert missing() == []
    del columns["Company"]
    plan_again()
    assert missing() == ["company_missing"]
    with pytest.raises(NotAccepted, match="Company comes from no column"):
        import_contacts.run(stopped.id, by=OPERATOR)


def test_what_was_accepted_is_usual_from_then_on_unless_it_was_an_exception(stopped: Import, tmp_path: Path) -> None:
    import_acceptances.accept(stopped.id, WHY, once=True, by=OPERATOR)
    import_contacts.run(stopped.id, by=OPERATOR)
    again = planned(tmp_path, emptied(80, full=20, first=2000))
    assert [one.name for one in findings(again)] == ["email_empty"]
    import_acceptances.accept(again.id, "from now on the fair sends none", by=OPERATOR)
    import_contacts.run(again.id, by=OPERATOR)
    third = planned(tmp_path, emptied(80, full=20, first=3000))
    assert findings(third) == []
    import_contacts.undo(again.id, by=OPERATOR)
    fourth = planned(tmp_path, emptied(80, full=20, first=4000))
    assert [one.name for one in findings(fourth)] == ["email_empty"], "what was undone is no example"


def test_who_accepts_what_and_why(stopped: Import) -> None:
    narrow = Actor(7, "Nan", Role.MANAGER, frozenset({"company"}))
    for refused in (narrow, Actor(8, "Al", Role.ANALYST)):
        with pytest.raises(NotAllowed):
            import_acceptances.accept(stopped.id, WHY, by=refused)
    with pytest.raises(InvalidInput, match="Give a reason"):
        import_acceptances.accept(stopped.id, " ok  ", by=OPERATOR)
    with pytest.raises(Conflict, match="not what you looked at"):
        import_acceptances.accept(stopped.id, WHY, seen="another", by=OPERATOR)
    import_acceptances.accept(stopped.id, WHY, seen=import_findings.digest(findings(stopped)), by=OPERATOR)
    import_contacts.run(stopped.id, by=OPERATOR)
    with pytest.raises(Conflict, match="is committed"):
        import_acceptances.withdraw(stopped.id, by=OPERATOR)


def test_a_rule_that_blocks_stops_a_first_import_too(base: str, tmp_path: Path) -> None:
    rows = [row | {"# Employees": "5551234567"} for row in people(40)]
    found = planned(tmp_path, rows)
    assert [one.name for one in findings(found) if one.stops] == ["rule_employees_is_plausible"]
    with pytest.raises(NotAccepted, match="40 rows break a rule: Employees is between 0 and 5,000,000"):
        import_contacts.run(found.id, by=OPERATOR)
    assert findings(planned(tmp_path, rows[:10])) == [], "single values are no wrong column"


def test_a_rule_stops_imports_once_somebody_says_so_and_no_longer(base: str, tmp_path: Path) -> None:
    rows = [row | {"Status": "gone"} for row in people(40)]
    assert [one for one in findings(planned(tmp_path, rows)) if one.stops] == []
    check_switches.switch("status_is_a_known_value", True, by=OPERATOR)
    found = planned(tmp_path, rows)
    assert [one.name for one in findings(found) if one.stops] == ["rule_status_is_a_known_value"]
    with pytest.raises(NotAccepted, match="40 rows break a rule: Status is usually one of"):
        import_contacts.run(found.id, by=OPERATOR)
    check_switches.switch("employees_is_plausible", False, by=OPERATOR)
    rows = [row | {"# Employees": "5551234567"} for row in people(40)]
    assert [one for one in findings(planned(tmp_path, rows)) if one.stops] == []


ROWS_OF: list[tuple[dict[str, Any], list[int]]] = [
    ({"of": "empty", "field": "title"}, [3, 5]),
    ({"of": "filled", "field": "title"}, [2, 4]),
    ({"of": "sizes", "field": "title", "between": [[5.0, None]]}, [4]),
    ({"of": "sizes", "field": "employees", "between": [[None, 10.0], [100.0, 1000.0]]}, [2, 4]),
    ({"of": "sizes", "field": "tags", "between": [[2.0, 3.0]]}, [3]),
    ({"of": "sizes", "field": "last_raised_at", "between": [[2019.0, 2020.0]]}, [5]),
    ({"of": "values", "field": "country", "values": ["Spain"]}, [3, 4]),
    ({"of": "values", "field": "is_active", "values": ["no"]}, [2]),
    ({"of": "domains", "field": "email", "values": ["gmail.com"]}, [3]),
    ({"of": "free", "field": "email"}, [3]),
    ({"of": "not free", "field": "email"}, [2, 4, 5]),
    ({"of": "apart", "field": "email", "word": "last_name"}, [3]),
    ({"of": "apart", "field": "email", "word": "website"}, [3, 5]),
    ({"of": "changed", "field": "title"}, [2]),
    ({"of": "action", "action": "create"}, [3, 4, 5]),
    ({"of": "action", "action": "known"}, [2]),
    ({"of": "rejected"}, [6, 7]),
    ({"of": "rejected", "reason": "… is no e-mail address: it has no @."}, [6]),
    ({"of": "duplicate"}, []),
]  # fmt: skip
ODD = """Last Name,Email,Title,# Employees,Tags,Last Raised At,Country,Is Active,Website
Archer,archer@acme.example,CTO,5,,2020-05-01,Italy,no,acme.example
Baker,b@gmail.com,,50,"a, b",2018-05-01,Spain,yes,bau.example
Carter,carter@cars.example,Chief of all,500,a,,Spain,yes,www.cars.example
Dunn,x.dunn@dunn.example,,5000,,2019-05-01,Italy,yes,other.example
Evans,no at sign,,,,,,,
,,CEO,,,,,,
"""


def test_the_rows_of_each_kind_of_finding(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, "Last Name,Email,Title\nArcher,archer@acme.example,CEO\n"))
    found = planned(tmp_path, ODD)
    made = [
        Finding(f"kind_{place}", None, Severity.LOW, 1.0, "It is so.", {"rows": rows})
        for place, (rows, _) in enumerate(ROWS_OF)
    ]
    with writing(OPERATOR) as session:
        import_findings.replace_all(session, made, import_id=found.id)
    for one, (rows, lines) in zip(made, ROWS_OF, strict=True):
        shown = import_finding_rows.page(found.id, one.name, number=1, size=9, by=OPERATOR)
        assert ([line for line, _ in shown.rows], shown.total) == (lines, len(lines)), rows
