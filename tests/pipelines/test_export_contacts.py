import codecs
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert, select, text

from models import credits, exports, spreadsheet_formulas, users
from models.audit import AuditLine
from models.contacts.table import FIELDS, Contact
from models.database import libpq_url, reading, writing
from models.errors import InvalidInput, NotAllowed, NotEnoughCredits, Unavailable
from models.exports import FORMATS, State
from models.fields import Group
from models.filters import Filters, parse
from models.industries import Industry
from models.permissions import OPERATOR, Role
from pipelines import export_contacts, export_copy, export_file
from pipelines.export_workbook import ROWS_OF_A_SHEET, Shape, Workbook
from tests import people
from tests.bench.processes import watch
from tests.people import person

NASTY = [
    "=HYPERLINK(\"http://x\",\"y\")", "+1 415", "-5", "@SUM(1)", "\t=1", "\r=1", "  =1+1", "\uff1d1", "'=1", "''",
    "'s-Hertogenbosch", "'+44 20", "O'Neil", "a,b;c", 'say "hi"', "two\nlines", "two\r\nlines", "tab\there",
    "back\\slash \\N \\n",
    "\\.", "&amp; <b>", "]]>", "ünï 🙂", "_x0041_", "bell\x07", "\x1f", " padded ", "0012345678901234567890", "TRUE",
    "NULL", "1e5", "%s %(x)s", "\ufffe",
]  # fmt: skip
WHOLE = {
    "first_name": "Zoë", "departments": ["Sales", "R&D"], "email": "zoe@example.com", "work_direct_phone": "+49 30 123",
    "employees": 250, "website": "https://example.com/?a=1&b=2", "annual_revenue": Decimal("1234567890123.45"),
    "total_funding": Decimal("-5.00"), "last_raised_at": date(2024, 2, 29), "technologies": ["C++, really", "Go"],
    "keywords": ["[x]"], "tags": ["=1+1", "b"], "notes": "one\n\"two\"", "is_active": True,
    "extra": {"Fax": "+1", "n": [1, None]},
}  # fmt: skip


def _add(*rows: dict[str, Any]) -> list[int]:
    with writing(OPERATOR) as session:
        return [session.execute(insert(Contact).values(**row).returning(Contact.id)).scalar_one() for row in rows]


def _many(number: int) -> None:
    with writing(OPERATOR) as session:
        made = "SELECT n || '@example.com', repeat('x', 500) FROM generate_series(1, :number) n"
        session.execute(text(f"INSERT INTO contacts (email, notes) {made}"), {"number": number})


def _export(path: Path, **given: Any) -> exports.Export:
    chosen = {"filters": Filters(), "columns": None, "by": OPERATOR} | given
    return export_contacts.export(path, **chosen)


def _csv(path: Path) -> list[dict[str, str]]:
    assert path.read_bytes().startswith(codecs.BOM_UTF8), "Excel needs it"
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def _workbook(path: Path) -> openpyxl.Workbook:
    return openpyxl.load_workbook(path)


def _xlsx(path: Path) -> list[dict[str, Any]]:
    labels, *rows = _workbook(path).worksheets[0].iter_rows(values_only=True)
    return [dict(zip(labels, row, strict=True)) for row in rows]


def _jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in path.read_text("utf-8").split("\n")[:-1]]


def _parquet(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "csv": _csv, "xlsx": _xlsx, "jsonl": _jsonl, "parquet": _parquet,
}  # fmt: skip


@pytest.fixture
def zoe(db: str) -> None:
    with writing(OPERATOR) as session:
        made = insert(Industry).values(name="Oil, Gas & Energy").returning(Industry.id)
        industry = session.execute(made).scalar_one()
    owner = people.person(email="owner@example.com", name="O", role=Role.ANALYST, by=OPERATOR)
    _add(WHOLE | {"industry_id": industry, "owner_id": owner.id}, {"last_name": "Nobody"})


def test_csv_holds_every_value_as_its_reader_wants_it(zoe: None, tmp_path: Path) -> None:
    _export(tmp_path / "a.csv")
    whole, empty = _csv(tmp_path / "a.csv")
    assert list(whole) == [field.label for field in FIELDS.values()] + ["Extra"]
    filled = {label: cell for label, cell in whole.items() if cell}
    assert json.loads(filled.pop("Extra")) == WHOLE["extra"]
    assert filled == {
        "First Name": "Zoë", "Departments": "Sales, R&D", "Email": "zoe@example.com",
        "Work Direct Phone": "'+49 30 123", "Industry": "Oil, Gas & Energy", "# Employees": "250", "Website": "https://example.com/?a=1&b=2",
        "Annual Revenue": "1234567890123.45", "Total Funding": "-5.00", "Last Raised At": "2024-02-29",
        "Technologies": '["C++, really","Go"]', "Keywords": '["[x]"]', "Lists": "'=1+1, b", "Notes": "one\n\"two\"",
        "Is Active": "TRUE", "Contact Owner": "owner@example.com",
    }  # fmt: skip
    assert {label: cell for label, cell in empty.items() if cell} == {"Last Name": "Nobody"}


def test_xlsx_holds_numbers_dates_and_flags_as_such(zoe: None, tmp_path: Path) -> None:
    _export(tmp_path / "a.xlsx")
    whole, empty = _xlsx(tmp_path / "a.xlsx")
    assert (whole["# Employees"], whole["Total Funding"], whole["Is Active"]) == (250, -5, True)
    assert whole["Annual Revenue"] == pytest.approx(1234567890123.45, abs=0.001)
    assert whole["Last Raised At"] == datetime(2024, 2, 29)
    assert (whole["Notes"], whole["Work Direct Phone"]) == ('one\n"two"', "'+49 30 123")
    assert {label: cell for label, cell in empty.items() if cell is not None} == {"Last Name": "Nobody"}
    sheet = _workbook(tmp_path / "a.xlsx").active
    assert sheet is not None
    assert (sheet.freeze_panes, sheet["A1"].font.b) == ("A2", True)


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_formats_for_programs_are_typed(zoe: None, tmp_path: Path, file_format: str) -> None:
    path = tmp_path / f"a.{file_format}"
    _export(path)
    whole, empty = READERS[file_format](path)
    extra, raised = whole.pop("extra"), whole.pop("last_raised_at")
    assert (extra if file_format == "jsonl" else json.loads(extra)) == WHOLE["extra"]
    assert str(raised) == "2024-02-29"
    expected = {name: value for name, value in WHOLE.items() if name not in ("extra", "last_raised_at")}
    expected |= {"industry": "Oil, Gas & Energy", "owner": "owner@example.com"}
    assert {name: value for name, value in whole.items() if value is not None} == expected
    assert list(empty) == [*FIELDS, "extra"]
    assert {name: value for name, value in empty.items() if value is not None} == {"last_name": "Nobody"}


@pytest.mark.parametrize("file_format", FORMATS)
def test_nasty_texts_come_back_as_they_were(db: str, tmp_path: Path, file_format: str) -> None:
    _add(*({"first_name": str(at), "notes": value} for at, value in enumerate(NASTY)))
    path = tmp_path / f"a.{file_format}"
    made = _export(path, columns=["first_name", "notes"], raw_formulas=True)
    found = [list(row.values())[1] for row in READERS[file_format](path)]
    if file_format == "xlsx":
        found = [openpyxl.utils.escape.unescape(value) for value in found]
    assert found == NASTY
    assert (made.rows, made.notes) == (len(NASTY), None)


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_formulas_are_marked_and_the_mark_comes_off(db: str, tmp_path: Path, file_format: str) -> None:
    _add(*({"notes": value} for value in NASTY))
    path = tmp_path / f"a.{file_format}"
    _export(path, columns=["notes"])
    cells = [row["Notes"] for row in READERS[file_format](path)]
    if file_format == "xlsx":
        cells = [openpyxl.utils.escape.unescape(value) for value in cells]
        sheet = _workbook(path).active
        assert sheet is not None
        assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s"}
    assert cells == [spreadsheet_formulas.marked(value) for value in NASTY]
    assert [spreadsheet_formulas.unmarked(cell) for cell in cells] == NASTY
    assert not [cell for cell in cells if cell.lstrip(spreadsheet_formulas.SPACES)[:1] in tuple("=+-@\uff1d")]
    assert "'s-Hertogenbosch" in cells
    assert "O'Neil" in cells


@pytest.mark.shared_data
def test_known_payloads_do_not_start_a_formula(db: str, tmp_path: Path, shared_data: Path) -> None:
    found = (shared_data / "corpora/csv-injection-payloads/Intruder/csv-payload.txt").read_text("utf-8").splitlines()
    payloads = [line for line in found if line]
    _add(*({"title": payload} for payload in payloads))
    _export(tmp_path / "a.csv", columns=["title"])
    cells = [row["Title"] for row in _csv(tmp_path / "a.csv")]
    assert len(cells) == len(payloads) > 3
    assert not [cell for cell in cells if cell.strip()[0] in "=+-@"]
    assert [spreadsheet_formulas.unmarked(cell) for cell in cells] == payloads


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        (["a", "b"], "a, b"),
        (["a,b", "c"], '["a,b","c"]'),
        (["a;b"], '["a;b"]'),
        (["a ::: b"], '["a ::: b"]'),
        (["C::B"], "C::B"),
        (["[x"], '["[x"]'),
        ([""], '[""]'),
        (["+a", "+b"], "'+a, +b"),
    ],
)
def test_lists_are_joined_where_that_reads_back(db: str, tmp_path: Path, values: list[str], cell: str) -> None:
    _add({"tags": values})
    _export(tmp_path / "a.csv", columns=["tags"])
    assert _csv(tmp_path / "a.csv") == [{"Lists": cell}]


def test_filter_selection_and_column_order(db: str, tmp_path: Path) -> None:
    ids = _add(*({"first_name": f"n{n}", "country": "Chad" if n % 2 else "Cuba's %"} for n in range(6)))
    chosen = parse(["country=Chad", "country=Cuba's %", "first_name.contains=n", "q=n"], by=OPERATOR)
    made = _export(tmp_path / "a.csv", filters=chosen, columns=["country", "id"], ids=[ids[3], ids[0], 0])
    assert _csv(tmp_path / "a.csv") == [
        {"Country": "Cuba's %", "Appointment360 Number": str(ids[0])},
        {"Country": "Chad", "Appointment360 Number": str(ids[3])},
    ]
    assert made.filter_sentence.startswith("3 selected of: Country is Chad or Cuba's %")
    assert _export(tmp_path / "b.jsonl", filters=parse(["country=Nowhere"], by=OPERATOR)).rows == 0
    assert (tmp_path / "b.jsonl").read_bytes() == b""


@pytest.mark.parametrize("file_format", FORMATS)
def test_hidden_columns_are_in_no_format(zoe: None, tmp_path: Path, file_format: str) -> None:
    limited = people.person(
        email="lea@example.com", name="Lea", role=Role.ANALYST,
        column_allowed=(Group.PERSON.value, "city"), by=OPERATOR,
    ).actor()  # fmt: skip
    path = tmp_path / f"a.{file_format}"
    made = _export(path, by=limited)
    assert made.columns == ["first_name", "last_name", "title", "seniority", "departments", "city"]
    first = READERS[file_format](path)[0]
    assert len(first) == len(made.columns)
    assert "zoe@example.com" not in map(str, first.values())
    with pytest.raises(NotAllowed, match="may not see the column E-mail"):
        _export(path, columns=["email"], by=limited)


@pytest.mark.parametrize("role", list(Role))
def test_every_role_exports_and_leaves_a_receipt(zoe: None, tmp_path: Path, role: Role) -> None:
    by = people.person(email="r@example.com", name="R", role=role, by=OPERATOR).actor()
    path = tmp_path / "a.csv"
    seen: list[tuple[int, int]] = []
    made = _export(path, by=by, progress=lambda rows, total: seen.append((rows, total)))
    content = path.read_bytes()
    receipt = exports.receipt(made)
    assert receipt.pop("seconds") > 0
    assert receipt == {
        "export_id": made.id, "path": str(path), "rows": 2, "bytes": len(content),
        "sha256": sha256(content).hexdigest(), "credits": 2,
    }  # fmt: skip
    assert seen[-1] == (2, 2)
    with reading() as session:
        line = session.scalars(select(AuditLine).where(AuditLine.event == "export made")).one()
        assert (line.actor_id, line.subject) == (by.id, f"export {made.id}")
        assert line.details is not None
        assert line.details["sha256"] == receipt["sha256"]


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_hash_is_the_files(zoe: None, tmp_path: Path, file_format: str) -> None:
    path = tmp_path / f"a.{file_format}"
    made = _export(path)
    assert (made.sha256, made.bytes) == (sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


@pytest.mark.parametrize("name", ["a.docx", "a", "a.csv.gz"])
def test_an_unknown_suffix_names_the_four(db: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"\.csv, \.xlsx, \.parquet or \.jsonl"):
        _export(tmp_path / name)
    with pytest.raises(InvalidInput, match="does not exist"):
        _export(tmp_path / "missing" / "a.csv")


def test_a_requested_export_runs_into_its_folder_once(zoe: None, tmp_path: Path) -> None:
    by = people.person(email="r@example.com", name="R", role=Role.ANALYST, by=OPERATOR).actor()
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=by)
    made = export_contacts.run(export_id, home=tmp_path)
    assert made.state == State.DONE
    assert made.path == str(tmp_path / "exports" / str(export_id) / "contacts.csv")
    assert Path(made.path).read_text("utf-8-sig") == "Email\nzoe@example.com\n\n"
    assert export_contacts.run(export_id, home=tmp_path).finished_at == made.finished_at


def test_what_was_hidden_since_fails(zoe: None, tmp_path: Path) -> None:
    people.person(email="ada@example.com", name="Ada", role=Role.ADMIN, by=OPERATOR)
    user = people.person(email="r@example.com", name="R", role=Role.ANALYST, by=OPERATOR)
    first, second = (
        exports.request(filters=Filters(), columns=["email"], format="csv", by=user.actor()) for _ in range(2)
    )
    users.change(user.email, users.Changes(column_allowed=("person",)), by=OPERATOR)
    with pytest.raises(NotAllowed, match="may not see the column E-mail"):
        export_contacts.run(first, home=tmp_path)
    users.deactivate(user.email, by=OPERATOR)
    with pytest.raises(NotAllowed, match="account that is closed"):
        export_contacts.run(second, home=tmp_path)
    assert [one.state for one in exports.mine(by=OPERATOR)] == [State.FAILED, State.FAILED]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_lost_database_leaves_no_file(db: str, tmp_path: Path, file_format: str) -> None:
    _many(60_000)
    path = tmp_path / f"a.{file_format}"
    path.write_text("what was there before")

    def lose(rows: int, total: int) -> None:
        with psycopg.connect(libpq_url(db), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND (query LIKE 'COPY (%%' OR query LIKE '%%row_to_json%%')"
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.export_formats.SECONDS_BETWEEN_REPORTS", 0)
        patch.setattr("pipelines.export_formats.ROW_GROUP", 1000)
        with pytest.raises(Unavailable, match=r"[Dd]atabase"):
            _export(path, progress=lose)
    assert path.read_text() == "what was there before"
    assert list(tmp_path.iterdir()) == [path]
    failed = exports.mine(by=OPERATOR)[0]
    assert (failed.state, failed.path, failed.sha256) == (State.FAILED, "", None)
    assert failed.error is not None
    assert "atabase" in failed.error
    assert _export(path).rows == 60_000


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 700 ids, of which no connection may bring a whole one ahead."""
    monkeypatch.setattr("pipelines.export_select.ROWS_OF_A_PIECE", 700)
    monkeypatch.setattr("pipelines.export_copy.AHEAD", 1000)
    monkeypatch.setattr("pipelines.export_formats.SECONDS_BETWEEN_REPORTS", 0)


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "xlsx"])
def test_pieces_follow_each_other_as_one_snapshot_has_them(
    db: str, tmp_path: Path, in_pieces: None, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    """Ids have holes, and all contacts are deleted when the second connection is opened."""
    _many(5_000)
    with writing(OPERATOR) as session:
        session.execute(text("DELETE FROM contacts WHERE id % 7 = 0 OR id BETWEEN 1000 AND 3000"))
        kept = list(session.scalars(select(Contact.email).order_by(Contact.id)))
    seeing = export_copy._seeing

    def too_late(snapshot: str) -> psycopg.Connection[Any]:
        with writing(OPERATOR) as session:
            session.execute(text("DELETE FROM contacts"))
        return seeing(snapshot)

    monkeypatch.setattr("pipelines.export_copy._seeing", too_late)
    path = tmp_path / f"a.{file_format}"
    made = _export(path, columns=["email", "notes"])
    assert [next(iter(row.values())) for row in READERS[file_format](path)] == kept
    assert made.rows == len(kept)
    with reading() as session:
        assert session.scalars(select(Contact.id)).all() == []


@pytest.fixture
def opened(in_pieces: None, monkeypatch: pytest.MonkeyPatch) -> list[psycopg.Connection[Any]]:
    """The connections that exports opened beside their own."""
    seeing, connections = export_copy._seeing, []

    def noted(snapshot: str) -> psycopg.Connection[Any]:
        connections.append(seeing(snapshot))
        return connections[-1]

    monkeypatch.setattr("pipelines.export_copy._seeing", noted)
    return connections


def test_losing_the_second_connection_leaves_no_file(
    db: str, tmp_path: Path, opened: list[psycopg.Connection[Any]]
) -> None:
    _many(20_000)

    def lose(rows: int, total: int) -> None:
        with psycopg.connect(libpq_url(db), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", [opened[0].info.backend_pid])

    with pytest.raises(Unavailable, match="The database stopped the export"):
        _export(tmp_path / "a.csv", progress=lose)
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_export_closes_its_second_connection(
    db: str, tmp_path: Path, opened: list[psycopg.Connection[Any]]
) -> None:
    _many(20_000)

    def stop(rows: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _export(tmp_path / "a.csv", progress=stop)
    assert [connection.closed for connection in opened] == [True]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", ["SELECT 1 / (n - 4000) FROM generate_series(1, 5000) n", "SELECT missing"])
def test_an_error_in_a_piece_is_not_its_end(db: str, failing: str) -> None:
    commands = [f"COPY ({query}) TO STDOUT" for query in ("SELECT 1", failing, "SELECT 2")]
    message = r"division by zero|missing"
    with closing(psycopg.connect(libpq_url(db))) as connection, pytest.raises(psycopg.Error, match=message):
        list(export_copy.copied(commands, connection))


CHILD = """
import resource, signal, sys
from pathlib import Path
from models import database
from models.errors import AppError
from models.filters import Filters
from models.permissions import OPERATOR
from models import users
from pipelines import export_contacts, export_formats
url, path, limit, what, person = sys.argv[1:]
database.bind(url)
by = users.find(person, by=OPERATOR).actor() if person else OPERATOR
export_formats.SECONDS_BETWEEN_REPORTS = 0
if limit != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
def progress(rows, total):
    if what == "wait" and 0 < rows < total:
        print("writing", flush=True)
        signal.pause()
try:
    export_contacts.export(Path(path), filters=Filters(), columns=None, by=by, progress=progress)
except AppError as error:
    print(error.sentence)
"""


def _child(db: str, path: Path, *, limit: int = 0, what: str = "end", person: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", CHILD, db, str(path), str(limit), what, person]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_full_disk_is_named_and_leaves_no_file(db: str, tmp_path: Path, file_format: str) -> None:
    _many(20_000)
    child = _child(db, tmp_path / f"a.{file_format}", limit=50_000)
    output, _ = child.communicate(timeout=120)
    assert "The disk is full" in output
    assert list(tmp_path.iterdir()) == []
    failed = exports.mine(by=OPERATOR)[0]
    assert failed.state == State.FAILED
    assert failed.error is not None
    assert failed.error.startswith("The disk is full")


def test_a_killed_export_leaves_nothing_after_the_next(db: str, tmp_path: Path) -> None:
    _many(20_000)
    target = tmp_path / "a.csv"
    child = _child(db, target, what="wait")
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    assert exports.fail_interrupted() == []
    assert export_file.sweep(tmp_path, ".*") == []
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    left = list(tmp_path.iterdir())
    assert len(left) == 1
    assert left[0].name.endswith(export_file.SUFFIX)
    killed = exports.mine(by=OPERATOR)[0].id
    _until(lambda: exports.fail_interrupted() == [killed])
    assert exports.get(killed, by=OPERATOR).state == State.FAILED
    assert _export(target).rows == 20_000
    assert list(tmp_path.iterdir()) == [target]


def _until(condition: Callable[[], bool]) -> None:
    """The server notices a little later that its client is gone."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_text_longer_than_a_cell_is_cut_with_a_note(db: str, tmp_path: Path) -> None:
    _add({"notes": "🙂" * 20_000, "city": "Bern"}, {"notes": "\n" * 32_767})
    made = _export(tmp_path / "a.xlsx", columns=["city", "notes"])
    cells = [row["Notes"] for row in _xlsx(tmp_path / "a.xlsx")]
    assert cells[0] == "🙂" * 16_383
    assert cells[1] == "'" + "\n" * 32_766
    assert made.notes is not None
    assert made.notes[0].startswith("Sheet 1, row 2, Notes: cut from 40,000 to the 32,767 characters")
    assert len(made.notes) == 2
    assert _export(tmp_path / "a.csv").notes is None


@pytest.mark.parametrize("rows", [4, 5, 8, 9])
def test_rows_beyond_a_sheet_go_into_the_next(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "a.xlsx"
    columns = [("City", Shape.TEXT), ("N", Shape.NUMBER)]
    with path.open("wb") as file, Workbook(file, columns, rows_of_a_sheet=5) as book:
        for start in range(0, rows, 3):
            book.write(b"".join(b"x\t%d\n" % n for n in range(start, min(start + 3, rows))))
    sheets = _workbook(path).worksheets
    assert [sheet.title for sheet in sheets] == ["Contacts", "Contacts 2", "Contacts 3"][: -(-rows // 4)]
    tables = [list(sheet.iter_rows(values_only=True)) for sheet in sheets]
    assert all(table[0] == ("City", "N") for table in tables)
    assert [row for table in tables for row in table[1:]] == [("x", n) for n in range(rows)]


def test_a_sheet_holds_what_excel_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with path.open("wb") as file, Workbook(file, [("N", Shape.NUMBER)]) as book:
        book.write(b"7\n" * ROWS_OF_A_SHEET)
    book_read = openpyxl.load_workbook(path, read_only=True)
    counts = [sum(1 for _ in sheet.iter_rows(values_only=True)) for sheet in book_read.worksheets]
    book_read.close()
    assert counts == [1_048_576, 2]


def test_dates_and_numbers_that_excel_would_change_stay_text(db: str, tmp_path: Path) -> None:
    _add({"last_raised_at": date(1899, 1, 1), "employees": 1234567890123456789}, {"last_raised_at": date(1900, 3, 1)})
    _export(tmp_path / "a.xlsx", columns=["last_raised_at", "employees", "created_at"])
    first, second = _xlsx(tmp_path / "a.xlsx")
    assert (first["Last Raised At"], first["# Employees"]) == ("1899-01-01", "1234567890123456789")
    assert second["Last Raised At"] == datetime(1900, 3, 1)
    assert isinstance(second["Appointment360 Added"], datetime)


def test_memory_does_not_grow_with_the_rows(db: str, tmp_path: Path) -> None:
    """Peak memory of a child: 200,000 rows of 500 characters are 100 MB, which must not be seen in it."""
    peaks = []
    for rows in (2_000, 198_000):
        _many(rows)
        for file_format in FORMATS:
            child = _child(db, tmp_path / f"a.{file_format}")
            peaks.append(watch(child) // 1024**2)
            child.communicate()
            assert child.returncode == 0
    assert max(peaks) < 400, peaks


def test_an_export_that_was_cancelled_before_is_not_made(db: str, tmp_path: Path) -> None:
    export_id = exports.request(filters=Filters(), columns=None, format="csv", by=OPERATOR)
    exports.cancel(export_id, by=OPERATOR)
    assert export_contacts.run(export_id, home=tmp_path).state == State.CANCELLED
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_export_that_is_cancelled_while_it_runs_leaves_no_file(
    db: str, tmp_path: Path, file_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many(100)
    export_id = exports.request(filters=Filters(), columns=None, format=file_format, by=OPERATOR)
    progressed = exports.progressed

    def cancelled_just_before(wanted: int, rows: int) -> None:
        exports.cancel(wanted, by=OPERATOR)
        progressed(wanted, rows)

    monkeypatch.setattr(exports, "progressed", cancelled_just_before)
    assert export_contacts.run(export_id, home=tmp_path).state == State.CANCELLED
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_rows_make_the_same_bytes(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    """However they come over the connections: by their hashes an export is compared with one made before."""
    _add(*({"notes": value} for value in NASTY))
    _many(3_000)
    before = _export(tmp_path / f"a.{file_format}")
    monkeypatch.setattr("pipelines.export_formats.PIECE", 10_000)
    monkeypatch.setattr("pipelines.export_select.ROWS_OF_A_PIECE", 700)
    again = exports.again(before.id, by=OPERATOR)
    now = export_contacts.run(again, home=tmp_path)
    found = exports.compared(now, by=OPERATOR)
    assert found is not None
    assert (found.same, found.rows_then, found.rows_now) == (True, len(NASTY) + 3_000, len(NASTY) + 3_000)
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE contacts SET notes = 'other' WHERE id = 5"))
    third = export_contacts.run(exports.again(before.id, by=OPERATOR), home=tmp_path)
    found = exports.compared(third, by=OPERATOR)
    assert found is not None
    assert (found.same, found.rows_now) == (False, found.rows_then)
    assert exports.compared(before, by=OPERATOR) is None


def test_a_killed_export_gives_its_credits_back(db: str, tmp_path: Path) -> None:
    _many(20_000)
    user = person(email="r@example.com", name="R", role=Role.ANALYST, download_limit=20_000)
    by = user.actor()
    child = _child(db, tmp_path / "a.csv", what="wait", person=user.email)
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    assert credits.balance(by=by).left == 0
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    assert credits.balance(by=by).left == 0
    _until(lambda: exports.fail_interrupted() != [])
    assert (credits.balance(by=by).left, credits.balance(by=by).used) == (20_000, 0)
    assert [one.credits for one in exports.mine(by=by)] == [0]
    assert _export(tmp_path / "a.csv", by=by).credits == 20_000
    assert credits.balance(by=by).left == 0


def test_an_export_that_cannot_be_written_gives_its_credits_back(db: str, tmp_path: Path) -> None:
    _many(50)
    by = person(email="r@example.com", name="R", role=Role.ANALYST).actor()
    with pytest.MonkeyPatch.context() as patch:

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(export_file.Written, "move_to", full)
        with pytest.raises(Unavailable, match="The disk is full"):
            _export(tmp_path / "a.csv", by=by)
    assert credits.balance(by=by).left == 100
    assert _export(tmp_path / "a.csv", by=by).credits == 50
    assert _export(tmp_path / "b.xlsx", by=by).credits == 0
    assert credits.balance(by=by).left == 50


def test_contacts_that_came_since_it_was_asked_for_may_be_too_many(db: str, tmp_path: Path) -> None:
    _many(90)
    by = person(email="r@example.com", name="R", role=Role.ANALYST).actor()
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=by)
    assert credits.balance(by=by).left == 10
    _many(20)
    with pytest.raises(NotEnoughCredits, match="take 20 credits; you have 10 until"):
        export_contacts.run(export_id, home=tmp_path)
    failed = exports.get(export_id, by=by)
    assert (failed.state, failed.credits) == (State.FAILED, 0)
    assert failed.error is not None
    assert "ask an administrator for more" in failed.error
    assert credits.balance(by=by).left == 100
