"""An exported CSV, imported again, changes nothing."""

from pathlib import Path

import pytest
from sqlalchemy import insert, text

from models.contacts.table import Contact
from models.database import writing
from models.filters import Filters
from models.imports import Keep, MatchRule
from models.permissions import OPERATOR, Role
from pipelines import export_contacts
from tests import people
from tests.pipelines import importing
from tests.pipelines.importing import Row, contacts, imported, noted, numbers, written

NASTY = [
    '=HYPERLINK("http://x","y")', "+1 415", "-5", "@SUM(1)", "＝1", "'=1", "''", "'s-Hertogenbosch", "'+44 20",
    "O'Neil", "a,b;c",
    'say "hi"', "two\nlines", "two\r\nlines", "tab\there", "back\\slash \\N \\n", "\\.", "]]>", "ünï 🙂",
    "0012345678901234567890", "TRUE", "1e5", "%s %(x)s :name", "None", '{"a": 1}', '["a"]', "a ::: b", "x" * 5000,
]  # fmt: skip


def export(path: Path) -> Path:
    export_contacts.export(path, filters=Filters(), columns=None, by=OPERATOR)
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "xlsx"])
def test_what_was_exported_is_unchanged(base: str, tmp_path: Path, suffix: str) -> None:
    people.person(email="owner@example.com", name="Olga Owner", role=Role.ANALYST, by=OPERATOR)
    rows: list[Row] = [
        {"First Name": one, "Title": one, "Company": one, "Industry": one, "Lists": f"{one} ::: b", "Odd": one,
         "Email": f"n{number}@example.com"}
        for number, one in enumerate(NASTY)
    ]  # fmt: skip
    rows.append(
        {"Email": "all@example.com", "Departments": "Sales, R&D", "Mobile Phone": "+44 20 7946 0958",
         "# Employees": "51-200", "Annual Revenue": "$5.2M", "Last Raised At": "2024-02-29", "Is Active": "no",
         "Website": "http://acme.com/a?b=1&c=2", "Twitter Url": "@acme", "Contact Owner": "Olga Owner",
         "Seniority": "vp", "Status": "Archived", "Industry": "Oil, Gas & Energy"}
    )  # fmt: skip
    rows.append({"First Name": "Without", "Last Name": "Key", "Odd": "1"})
    first = imported(written(tmp_path, rows))
    assert first.created == len(rows)
    before = contacts()
    again = imported(export(tmp_path / f"out.{suffix}"))
    assert again.changed_fields == {}
    assert numbers(again) == (len(rows), 0, 0, len(rows), 0, 0)
    assert noted(again.id) == {}
    assert contacts() == before


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_numbers_and_moments_of_the_system_do_not_come_back(base: str, tmp_path: Path, suffix: str) -> None:
    rows: list[Row] = [{"First Name": one, "Email": f"{one}@example.com", "Apollo Contact Id": one} for one in "abc"]
    imported(written(tmp_path, rows))
    before, path = contacts(), tmp_path / f"out.{suffix}"
    columns = ["id", "first_name", "email", "created_at", "updated_at"]
    export_contacts.export(path, filters=Filters(), columns=columns, by=OPERATOR)
    again = imported(path)
    assert (numbers(again), again.changed_fields) == ((3, 0, 0, 3, 0, 0), {})
    assert contacts() == before
    assert again.left_out == ["Appointment360 Number", "Appointment360 Added", "Appointment360 Changed"]


def test_into_an_empty_base_it_brings_everything_back(base: str, tmp_path: Path) -> None:
    rows = [{"First Name": one, "Email": f"n{number}@example.com", "Odd": one} for number, one in enumerate(NASTY)]
    imported(written(tmp_path, rows))
    before = [one | {"import_id": 0, "import_line": 0} for one in contacts()]
    file = export(tmp_path / "out.csv")
    importing.sql("DELETE FROM contacts")
    assert imported(file).created == len(rows)
    assert [one | {"import_id": 0, "import_line": 0} for one in contacts()] == before


def test_values_that_no_import_made_come_back_as_well(base: str, tmp_path: Path) -> None:
    extra = {"n": 12345678901234567890123, "list": [1, None, {"a": "b"}], "none": None, "text": "1,5"}
    with writing(OPERATOR) as session:
        session.execute(insert(Contact).values(email="a@example.com", extra=extra, tags=["a, b", "[c]", '"d"']))
        session.execute(text("UPDATE contacts SET is_active = NULL"))
    for keep in Keep:
        again = imported(export(tmp_path / "out.csv"), keep=keep, match=MatchRule.AUTO)
        assert (numbers(again), again.changed_fields) == ((1, 0, 0, 1, 0, 0), {})
