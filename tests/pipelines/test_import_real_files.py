"""Public files of the real world, each imported twice; the numbers are counted here a second time, in plain Python."""

import csv
from pathlib import Path

import pytest

from tests.pipelines import real_rows
from tests.pipelines.importing import Row, contacts, imported, noted, numbers

pytestmark = pytest.mark.shared_data
CURRENT = "real/congress/legislators-current.csv"
HISTORICAL = "real/congress/legislators-historical.csv"
FEDERAL = "real/dotgov/current-federal.csv"
LEADS = "real/datablist/leads-duplicates-20000.csv"
LEGISLATORS = {CURRENT: real_rows.CURRENT, HISTORICAL: real_rows.HISTORICAL}
NEW = {"status": "active", "is_active": True}


def records(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def at(import_id: int) -> dict[int, Row]:
    """Line -> contact of one import."""
    found = {one["import_line"]: one for one in contacts() if one["import_id"] == import_id}
    system = ("import_id", "import_line")
    return {line: {name: value for name, value in one.items() if name not in system} for line, one in found.items()}


def test_current_and_historical_legislators(base: str, shared_data: Path) -> None:
    for name, rows in ((CURRENT, 537), (HISTORICAL, 12_230)):
        keys = [row["bioguide_id"] for row in records(shared_data / name)]
        assert (len(keys), len(set(keys)), all(keys)) == (rows, rows, True)
        # Most of them live no more, and have no telephone: that stands out beside the others.
        first = imported(shared_data / name, accepting="they have left office" if name == HISTORICAL else None)
        assert numbers(first) == (rows, rows, 0, 0, 0, 0)
        found = at(first.id)
        for line, expected in LEGISLATORS[name].items():
            assert found[line] == NEW | expected, (name, line)
        assert [one["contact_id"] for one in found.values()] == keys
        assert numbers(imported(shared_data / name)) == (rows, 0, 0, rows, 0, 0)
    assert len(contacts()) == 12_767


def test_domains_that_share_an_address_stay_apart(base: str, shared_data: Path) -> None:
    rows = records(shared_data / FEDERAL)
    mails = [row["Security contact email"] for row in rows]
    assert (len(rows), mails.count("(blank)"), len(set(mails))) == (1321, 134, 282)
    assert len({row["Domain name"] for row in rows}) == 1321
    first = imported(shared_data / FEDERAL)
    assert numbers(first) == (1321, 1321, 0, 0, 0, 0)
    assert noted(first.id) == {}
    found = at(first.id)
    assert [one["website"] for one in found.values()] == ["https://" + row["Domain name"] for row in rows]
    assert sum("email" not in one for one in found.values()) == 134
    for line, expected in real_rows.DOMAINS.items():
        assert found[line] == NEW | expected, line
    assert numbers(imported(shared_data / FEDERAL)) == (1321, 0, 0, 1321, 0, 0)
    assert len(contacts()) == 1321


def test_leads_with_duplicates(base: str, shared_data: Path) -> None:
    rows = records(shared_data / LEADS)
    # Nobody is without name or address, and there is no external id: an address with a name is a person.
    people = [(row["Email 1"].lower(), f"{row['First Name']} {row['Last Name']}".lower()) for row in rows]
    assert (len(people), len(set(people))) == (20_000, 16_405)
    first = imported(shared_data / LEADS)
    assert numbers(first) == (20_000, 16_405, 0, 0, 3_595, 0)
    firsts = {person: line for line, person in reversed(list(enumerate(people, 2)))}
    found = at(first.id)
    assert sorted(found) == sorted(firsts.values())
    for line, expected in real_rows.LEADS.items():
        assert found[line] == NEW | expected, line
    again = imported(shared_data / LEADS)
    assert numbers(again) == (20_000, 0, 0, 16_405, 3_595, 0)
    assert noted(first.id) == noted(again.id) == {"Lead Owner": (16_405, 2, "Jacob Vang")}, "no such user here"
