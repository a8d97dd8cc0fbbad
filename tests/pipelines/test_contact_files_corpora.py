"""Public collections of difficult CSV files against their expected twins; differences are listed with their reason."""

import csv
import json
from pathlib import Path

import pytest

from tests.pipelines.opened_table import OpenedTable, open_table, open_text, refusal

pytestmark = pytest.mark.shared_data


def as_objects(table: OpenedTable) -> list[dict[str, str]]:
    return [dict(zip(table.opened.headers, row, strict=True)) for row in table.rows]


def test_csv_spectrum(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "corpora/csv-spectrum/csvs").glob("*.csv"))
    assert len(files) == 12
    for path in files:
        expected = json.loads((path.parents[1] / "json" / f"{path.stem}.json").read_text())
        expected = expected if isinstance(expected, list) else [expected]
        # Labels are unique names, and are trimmed.
        expected = [{key.strip(): value for key, value in each.items()} for each in expected]
        table = open_table(path, tmp_path)
        found = as_objects(table)
        if path.stem == "location_coordinates":
            # The twin has another phone number than the file; all else agrees.
            assert [each.pop("Contact Phone Number") for each in found] == ["2095257564"]
            assert [each.pop("Contact Phone Number") for each in expected] == ["1234567890"]
        assert found == expected, path.name
        assert not table.unreadable


# The files whose JSON twin is a list of rows, and what differs.
CSV_TEST_DATA_REASONS = {
    "all-empty": "a line of delimiters only is a row of empty cells; as first line it labels three unnamed columns",
    "empty-one-column": "a blank line in a file of one column is skipped, as in every other file",
    "leading-space": "labels are trimmed",
    "trailing-space": "labels are trimmed",
}


def test_csv_test_data(shared_data: Path, tmp_path: Path) -> None:
    compared = 0
    for path in sorted((shared_data / "corpora/csv-test-data/csv").glob("*.csv")):
        twin = path.parents[1] / "json" / f"{path.stem}.json"
        if not twin.exists() or path.stem in CSV_TEST_DATA_REASONS:
            continue
        expected = json.loads(twin.read_text())
        table = open_table(path, tmp_path)
        compared += 1
        if expected and isinstance(expected[0], dict):
            assert as_objects(table) == expected, path.name
        else:
            # Without header in the twin: our first record is its first row, named as labels are.
            ours = [list(table.opened.headers), *table.rows] if table.opened.header_line else table.rows
            assert ours[1:] == expected[1:], path.name
            assert len(ours) == max(len(expected), 1), path.name
    assert compared == 14


@pytest.mark.parametrize(
    "name",
    [
        "bad-header-less-fields",
        "bad-header-more-fields",
        "bad-header-wrong-header",
        "bad-missing-quote",
        "bad-quotes-with-unescaped-quote",
        "bad-unescaped-quote",
    ],
)
def test_csv_test_data_that_breaks_the_rules_loses_no_line(shared_data: Path, tmp_path: Path, name: str) -> None:
    path = shared_data / f"corpora/csv-test-data/csv/{name}.csv"
    table = open_table(path, tmp_path)
    assert table.opened.header_line == 1
    assert table.opened.rows == len(path.read_text().splitlines()) - 1
    assert not table.unreadable


def test_csv_test_data_without_content_is_refused(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "corpora/csv-test-data/csv/bad-header-no-header.csv"
    assert refusal(path, tmp_path) == "bad-header-no-header.csv is empty: export the contacts again."


DATABLIST_DIFFERENCES = {
    # A guess that the file does not allow: the second line could as well be a row of its own.
    "newline-inside-unquoted-field.csv": [
        ["id", "name", "notes"],
        ["1", "Alice", "First line"],
        ["second line should be same field", "", ""],
        ["2", "Bob", "Valid row"],
    ],
    # The twin drops the fourth value; here the row is kept as unreadable, with its line.
    "ragged-rows-extra-columns.csv": [["id", "name", "email"], ["1", "Alice", "alice@example.com"]],
    # The twin numbers both columns; here the first keeps its name.
    "duplicate-headers.csv": [
        ["id", "name", "Email", "Email (2)"],
        ["1", "Alice", "alice@example.com", "alice@work.com"],
        ["2", "Bob", "bob@example.com", "bob@work.com"],
    ],
}


def test_datablist_broken(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "corpora/datablist-broken/broken_csv").glob("*.csv"))
    assert len(files) == 12
    for path in files:
        with (path.parent / "expected-fixed" / path.name).open(newline="") as twin:
            expected = DATABLIST_DIFFERENCES.get(path.name) or list(csv.reader(twin))
        assert open_table(path, tmp_path).records == expected, path.name
    [(line, reason, raw)] = open_table(path.with_name("ragged-rows-extra-columns.csv"), tmp_path).unreadable
    assert (line, raw) == (3, "2,Bob,bob@example.com,unexpected")
    assert reason.startswith("Line 3 has 4 values, the header has 3")


def test_papaparse(shared_data: Path, tmp_path: Path) -> None:
    found = {}
    for path in sorted((shared_data / "corpora/papaparse/tests").glob("*.csv")):
        table = open_table(path, tmp_path)
        found[path.name] = (len(table.opened.headers), len(table.rows), len(table.unreadable))
        with path.open(encoding="utf-8-sig", newline="") as file:
            records = [row for row in csv.reader(file) if row]
        # The last row of one file ends before its last cell.
        expected = [row + [""] * (len(table.opened.headers) - len(row)) for row in records]
        assert table.rows == expected[1 if table.opened.header_line else 0 :], path.name
    assert len(found) == 5
    assert found["sample-header.csv"] == (2, 2, 0)


def test_naughty_strings_are_values_like_any_other(shared_data: Path, tmp_path: Path) -> None:
    strings = json.loads((shared_data / "corpora/blns/blns.json").read_text(encoding="utf-8"))
    path = tmp_path / "naughty.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Number", "Notes", "End"])
        writer.writerows([number, string, "end"] for number, string in enumerate(strings))
    table = open_table(path, tmp_path)
    assert not table.unreadable
    expected = [string.replace("\0", "") for string in strings]
    assert [row[1] for row in table.rows] == expected
    assert all(row[2] == "end" for row in table.rows)


def test_every_vendors_header_row_is_found(shared_data: Path, tmp_path: Path) -> None:
    vendors = json.loads((shared_data / "vendor_export_headers.json").read_text(encoding="utf-8"))
    seen = 0
    for name, vendor in vendors.items():
        if not isinstance(vendor, dict) or not vendor.get("columns"):
            continue
        seen += 1
        columns, preamble = vendor["columns"], vendor.get("preamble", [])
        lines = [*preamble, ",".join(f'"{c}"' if "," in c else c for c in columns)]
        lines += [",".join(f"value {row}" for _ in columns) for row in range(3)]
        table = open_text("\r\n".join(lines) + "\r\n", tmp_path)
        assert table.opened.header_line == len(preamble) + 1, name
        assert len(table.opened.headers) == len(columns), name
        assert [h for h, c in zip(table.opened.headers, columns, strict=True) if columns.count(c) == 1] == [
            " ".join(c.split()) for c in columns if columns.count(c) == 1
        ], name
        assert len(table.rows) == 3, name
        if preamble:
            assert table.opened.notes == ("3 lines before the header were skipped.",)
            assert table.lines == [5, 6, 7]
    assert seen >= 15


REAL = [
    "real/congress/legislators-current.csv",
    "real/congress/legislators-historical.csv",
    "real/congress/legislators-district-offices.csv",
    "real/congress/committee-membership-current.csv",
    "real/dotgov/current-federal.csv",
    "real/datablist/leads-duplicates-20000.csv",
    "dedupe/fake_1000.csv",
]


@pytest.mark.parametrize("name", REAL)
def test_real_files_come_in_whole(shared_data: Path, tmp_path: Path, name: str) -> None:
    table = open_table(shared_data / name, tmp_path)
    with (shared_data / name).open(encoding="utf-8-sig", newline="") as file:
        expected = list(csv.reader(file))
    assert table.records[1:] == expected[1:]
    assert not table.unreadable


POLLOCK_UNREADABLE = "one delimiter too many: which value it splits cannot be told, so the row is unreadable, by line"
POLLOCK_SHORT = "one delimiter missing: two values stick together; the row is short, and the note names its line"


def test_pollock(shared_data: Path, tmp_path: Path) -> None:
    """71 pollutions of one table of 83 rows and a header, against the clean twin of each."""
    identical, unreadable, short, other = [], [], [], {}
    for path in sorted((shared_data / "corpora/pollock/csv").glob("*.csv")):
        table = open_table(path, tmp_path)
        with (path.parents[1] / "clean" / path.name).open(newline="") as twin:
            expected = list(csv.reader(twin))
        found = table.records
        if found == expected:
            identical.append(path.name)
        elif path.name.startswith("row_more_sep"):
            [(line, reason, _)] = table.unreadable
            assert reason.startswith(f"Line {line} has 10 values, the header has 9"), POLLOCK_UNREADABLE
            assert found == expected[: line - 1] + expected[line:]
            unreadable.append(path.name)
        elif path.name.startswith("row_less_sep"):
            [differing] = [n for n, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]
            assert any(f"left empty: 1 (line {differing + 1})" in note for note in table.opened.notes), POLLOCK_SHORT
            assert "".join(found[differing]).replace('"', "") == "".join(expected[differing]).replace('"', "")
            short.append(path.name)
        else:
            other[path.name] = (len(found), len(table.unreadable), found[: len(expected)] == expected)
    assert (len(identical), len(unreadable), len(short)) == (27, 25, 14)
    assert other == {
        # A second table below the first: its rows follow, short where it has fewer columns.
        "file_multitable_less.csv": (166, 1, True),
        "file_multitable_same.csv": (167, 0, True),
        # The header line alone is separated by spaces: it is skipped with a note, and the columns are numbered.
        "row_field_delimiter_0_0x20.csv": (83, 0, False),
        # One row alone is separated by spaces, which also stand in its values: a short row, named in the notes.
        "row_field_delimiter_13_0x20.csv": (84, 0, False),
        "row_field_delimiter_25_0x20.csv": (84, 0, False),
    }


# Rows and unreadable records, counted by hand in the files.
DUCKDB_COUNTS = {
    "14512_og.csv": (3, 0),
    "15473.csv": (4, 0),
    "15473_time.csv": (4, 0),
    "17738.csv": (6, 0),
    "aws_locations.csv": (102, 0),
    "big_escape.csv": (10, 0),
    "borked_date.csv": (2069, 0),
    "bug_12596.csv": (2, 0),
    "bug_7578.csv": (2, 0),
    "comments/simple.csv": (4, 0),
    "comments/invalid_rows.csv": (4, 0),
    "csv_quoted_newline_odd.csv": (1, 1),
    "customer.csv": (10, 0),
    "double_quoted_header.csv": (2, 0),
    "encodings/latin1.csv": (12, 0),
    "encodings/latin1.csv.gz": (12, 0),
    "encodings/shift_jis.csv": (20, 0),
    "encodings/utf16.csv": (20, 0),
    "error.csv": (2, 1),
    "error/json.csv": (3, 1),
    "error/mid_null.csv": (2, 1),
    "header_bug.csv": (3, 0),
    "header_only.csv": (0, 0),
    "headers/integer.csv": (1, 0),
    "headers/undetected_type.csv": (0, 1),
    "ignore_errors.csv": (6, 0),
    "issue6764.csv": (2, 0),
    "leading_zeros.csv": (6, 0),
    "lineitem-carriage.csv": (10, 0),
    "lineitem1k.tbl.gz": (1000, 0),
    "manycolumns.csv": (1, 0),
    "multi_quote.csv": (7, 0),
    "no_quote.csv": (3, 0),
    "nullpadding.csv": (5, 0),
    "nullpadding_header.csv": (2, 0),
    "one_r_two.csv": (1, 0),
    "phonenumbers.csv": (3, 0),
    "sales_snippet.csv": (14, 0),
    "split_part.csv": (2, 0),
    "tenk.tsv.gz": (10_000, 0),
    "titanic.csv": (891, 0),
    "venue_pipe.csv": (202, 0),
    "weather.csv": (366, 0),
}
DUCKDB_REFUSED = {
    "issue_8320_1.csv.gz": "Line 1 of issue_8320_1.csv.gz is longer than 2,000,000 characters",
    "issue_8320_3.csv.gz": "Line 1 of issue_8320_3.csv.gz is longer than 2,000,000 characters",
    "multiple_line_too_long.csv.gz": "Line 1 of multiple_line_too_long.csv.gz is longer than 2,000,000 characters",
    "quoted_comment_buffer_boundary.csv": "quoted_comment_buffer_boundary.csv is not text",
}


def test_duckdb_csv(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "corpora/duckdb-csv"
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert len(files) == 144
    assert set(DUCKDB_COUNTS) | set(DUCKDB_REFUSED) <= set(files)
    for name, path in files.items():
        if name in DUCKDB_REFUSED:
            (tmp_path / "opened.duckdb").unlink(missing_ok=True)
            assert refusal(path, tmp_path).startswith(DUCKDB_REFUSED[name])
            continue
        table = open_table(path, tmp_path)
        if name in DUCKDB_COUNTS:
            assert (len(table.rows), len(table.unreadable)) == DUCKDB_COUNTS[name], name
