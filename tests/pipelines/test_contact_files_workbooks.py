"""Workbooks: made here with every kind of cell, and the collection of a spreadsheet reader, hostile ones included."""

from datetime import date, datetime
from pathlib import Path

import pytest
import xlsxwriter

from tests.pipelines.opened_table import open_table, refusal


def write_workbook(path: Path) -> None:
    with xlsxwriter.Workbook(path) as workbook:
        workbook.add_worksheet("Empty")
        sheet = workbook.add_worksheet("Leads")
        day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        moment = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet.write(0, 0, "Leads of the spring fair")
        for column, label in enumerate(["Name", "Employees", "Score", "Raised", "Seen", "Active", "Total", "Name"]):
            sheet.write(2, column, label)
        sheet.write_row(3, 0, ["Ada\nL", 51, 1.5])
        sheet.write_datetime(3, 3, datetime(2024, 3, 5), day)
        sheet.write_datetime(3, 4, datetime(2024, 3, 5, 10, 11, 12), moment)
        sheet.write_boolean(3, 5, True)
        sheet.write_formula(3, 6, "=B4*2", None, 102)
        sheet.write_string(3, 7, "=HYPERLINK(1)")
        sheet.write(5, 0, "Grace")
        workbook.add_worksheet("Notes").write(0, 0, "Remark")


def test_a_workbook_with_every_kind_of_cell(tmp_path: Path) -> None:
    write_workbook(tmp_path / "leads.xlsx")
    table = open_table(tmp_path / "leads.xlsx", tmp_path)
    assert table.opened.format == "xlsx"
    assert table.opened.headers == ("Name", "Employees", "Score", "Raised", "Seen", "Active", "Total", "Name (2)")
    assert table.opened.header_line == 3
    assert table.lines == [4, 6]
    assert table.rows[0] == ["Ada\nL", "51", "1.5", "2024-03-05", "2024-03-05T10:11:12", "TRUE", "102", "=HYPERLINK(1)"]
    assert table.rows[1] == ["Grace", *[""] * 7]
    assert table.opened.notes == (
        "Sheet 'Leads' was read; 2 other sheets were not: 'Empty', 'Notes'.",
        "2 rows before the header were skipped.",
    )


def test_the_sheet_can_be_named(tmp_path: Path) -> None:
    write_workbook(tmp_path / "leads.xlsx")
    assert open_table(tmp_path / "leads.xlsx", tmp_path, sheet="Notes").opened.headers == ("Remark",)
    (tmp_path / "opened.duckdb").unlink()
    assert refusal(tmp_path / "leads.xlsx", tmp_path, sheet="Lead") == (
        "leads.xlsx cannot be read: it has no sheet called 'Lead'."
    )


def test_a_cut_workbook_is_refused(tmp_path: Path) -> None:
    write_workbook(tmp_path / "leads.xlsx")
    cut = tmp_path / "cut.xlsx"
    cut.write_bytes((tmp_path / "leads.xlsx").read_bytes()[:3000])
    assert refusal(cut, tmp_path).startswith("cut.xlsx is cut off or damaged")


NO_DATA = "has no sheet with data in it"
REFUSED = {
    "OOM_alloc3.xls": "is damaged or no workbook",
    "issue127.ods": NO_DATA,
    "issue127.xlsb": NO_DATA,
    "issue252.xlsx": "is damaged or no workbook",
    "issue_666_panic.xlsb": NO_DATA,
    "misc_biff5_parsing.xls": NO_DATA,
    "pass_protected.xlsb": "is protected by a password: open it in Excel and save it without one.",
    "picture.xlsb": NO_DATA,
    "picture_richdata.xlsx": NO_DATA,
}
TABLES = {
    "temperature.xlsx": [["label", "value"], ["celsius", "22.2222"], ["fahrenheit", "72"]],
    "temperature-in-middle.xlsx": [["label", "value"], ["celsius", "22.2222"], ["fahrenheit", "72"]],
    "date.ods": [["2021-01-01", "15"], ["2021-01-01T10:10:10", "16"]],
    "date.xlsb": [["2021-01-01", "15"], ["2021-01-02", "16"]],
    "date_1904.xls": [["2021-01-01", "15"], ["2021-01-02", "16"]],
    "date_1904.xlsx": [["2021-01-01", "15"], ["2021-01-02", "16"]],
    "any_sheets.xlsx": [["1", "2"], ["3", "4"]],
    "readings.xlsx": [["Station", "Celsius", "Humidity", "Pressure"], ["London", "15", "72", "1013"]],
    "empty_shared_string_value.xlsx": [["Name", "City", "Status"], ["Alice", "", "Active"], ["", "Berlin", ""]],
    "table-multiple.xlsx": [["Item", "Type", "Quantity"], ["1", "Apple", "50"]],
    "nonstandard-xml-ns-prefix.xlsx": [["a", "b"], ["1", "3"], ["2", "4"]],
}


@pytest.mark.shared_data
def test_calamine_corpus(shared_data: Path, tmp_path: Path) -> None:
    """All 66 files are opened whole or refused with a sentence; none takes the process or the clock along."""
    files = sorted((shared_data / "corpora/xlsx-calamine").iterdir())
    assert len(files) == 66
    for path in files:
        if path.name in REFUSED:
            (tmp_path / "opened.duckdb").unlink(missing_ok=True)
            assert refusal(path, tmp_path).startswith(f"{path.name} {REFUSED[path.name]}")
            continue
        table = open_table(path, tmp_path)
        assert not table.unreadable
        expected = TABLES.get(path.name, [])
        assert table.records[: len(expected)] == expected, path.name


def test_dates_without_time_have_none(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "days.xlsx", {"default_date_format": "dd/mm/yy"}) as workbook:
        workbook.add_worksheet().write_column(0, 0, ["Day", date(1999, 12, 31), date(2024, 2, 29)])
    assert open_table(tmp_path / "days.xlsx", tmp_path).rows == [["1999-12-31"], ["2024-02-29"]]


def test_nul_characters_of_a_workbook_are_removed_and_told(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "people.xlsx") as workbook:
        workbook.add_worksheet().write_column(0, 0, ["Na\0me", "A\0da", r"\u0000"])
    table = open_table(tmp_path / "people.xlsx", tmp_path)
    assert (table.opened.headers, table.rows) == (("Name",), [["Ada"], [r"\u0000"]])
    assert table.opened.notes == ("2 NUL characters were removed.",)
