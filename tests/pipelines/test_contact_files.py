"""What a person may upload, made here: each case states the table that must come out, or the sentence."""

import csv
import gzip
import io
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.import_progress import Step
from pipelines.contact_files import UnreadableFile, open_contact_file, read_opened
from pipelines.watched import Meter, watching
from tests.bench.processes import watch
from tests.pipelines.opened_table import open_table, open_text, refusal

PEOPLE = "Name,Email\nAda,ada@example.org\nGrace,grace@example.org\n"
ROOT = Path(__file__).parents[2]


def test_plain_file_takes_the_fast_road(tmp_path: Path) -> None:
    table = open_text(PEOPLE, tmp_path)
    assert table.fast
    assert table.opened.format == "csv"
    assert (table.opened.encoding, table.opened.delimiter, table.opened.header_line) == ("utf-8", ",", 1)
    assert table.opened.headers == ("Name", "Email")
    assert table.lines == [2, 3]
    assert table.rows == [["Ada", "ada@example.org"], ["Grace", "grace@example.org"]]
    assert table.opened.notes == ()
    assert table.opened.bytes == len(PEOPLE)
    assert len(table.opened.sha256) == 64


TALL = "Name,Email\n" + "Ada,ada@example.org\n" * 5000


def parquet(path: Path) -> None:
    pq.write_table(pa.table({"Name": ["Ada"] * 5000, "Email": ["ada@example.org"] * 5000}), path)


def workbook(path: Path) -> None:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for number in range(200):
            sheet.write_row(number, 0, ["Name", "Email"] if number == 0 else ["Ada", "ada@example.org"])


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people.csv", TALL)


READ, MENDED = [Step.SCAN, Step.OPEN, Step.OPEN, Step.OPEN], [Step.SCAN, Step.OPEN, Step.MEND, Step.OPEN]


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.csv", TALL.encode(), READ),
        ("a.csv", TALL.encode() + b"Ada,ada@example.org,1\n", MENDED),
        ("a.csv", TALL.encode("utf-16"), [Step.SCAN, *READ]),
        ("a.csv.gz", gzip.compress(TALL.encode()), [Step.UNPACK, Step.SCAN, *READ]),
        ("a.csv.zst", zstandard.compress(TALL.encode()), [Step.UNPACK, Step.SCAN, *READ]),
        ("a.zip", zipped, [Step.UNPACK, Step.SCAN, *READ]),
        ("a.jsonl", b'{"Email": "ada@example.org"}\n' * 5000, [Step.SCAN, Step.SCAN, Step.OPEN, Step.OPEN]),
        ("a.parquet", parquet, [Step.SCAN, Step.SCAN, Step.OPEN, Step.OPEN]),
        ("a.xlsx", workbook, [Step.SCAN, Step.OPEN, Step.OPEN, Step.OPEN]),
    ],
)
def test_whoever_looks_on_sees_how_much_is_read(
    tmp_path: Path, name: str, content: bytes | Callable[[Path], None], parts: list[Step]
) -> None:
    path = tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    seen: list[tuple[Step, int | None, Meter, list[int]]] = []
    with watching(lambda step, total, meter: seen.append((step, total, meter, []))):
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.001):
                if seen:
                    seen[-1][3].append(seen[-1][2].read())

        with ThreadPoolExecutor(1) as watcher:
            watcher.submit(look)
            try:
                open_contact_file(path, store=tmp_path / "store.duckdb")
            finally:
                over.set()
    assert [step for step, *_ in seen] == parts
    size = path.stat().st_size
    assert seen[0][1] == size
    assert parts[0] is Step.UNPACK or seen[0][2].read() == size, "all of it, in the end"
    assert seen[-1][1] is None, "how long the store takes to close cannot be known"
    for step, total, _, read in seen:
        assert read == sorted(read), step
        assert total is None or max(read, default=0) <= total


def test_a_second_opening_replaces_the_store_and_a_failed_one_keeps_it(tmp_path: Path) -> None:
    open_text(PEOPLE, tmp_path)
    assert open_text("Name,Email\nAlan,alan@example.org\n", tmp_path).rows == [["Alan", "alan@example.org"]]
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(UnreadableFile):
        open_contact_file(empty, store=tmp_path / "opened.duckdb")
    assert read_opened(tmp_path / "opened.duckdb").rows == 1


def test_headers_are_trimmed_and_unique(tmp_path: Path) -> None:
    table = open_text("\ufeff Name ,Email,,Email,Email (2)\na,b,c,d,e\n", tmp_path)
    assert table.opened.headers == ("Name", "Email", "Column 3", "Email (2)", "Email (2) (2)")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ":", "^", "~"])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    table = open_text(PEOPLE.replace(",", delimiter), tmp_path)
    assert table.opened.delimiter == delimiter
    assert table.rows[1] == ["Grace", "grace@example.org"]


def test_excel_declares_its_delimiter(tmp_path: Path) -> None:
    table = open_text('sep=;\r\nName;Email\r\n"Ada; L";a@b.org\r\n', tmp_path)
    assert (table.opened.header_line, table.lines, table.rows) == (2, [3], [["Ada; L", "a@b.org"]])


@pytest.mark.parametrize(
    ("text", "headers", "rows"),
    [
        ("Email\nada@example.org\ngrace@example.org\n", ("Email",), [["ada@example.org"], ["grace@example.org"]]),
        ("Time\n10:11:12\n11:12:13\n12:13:14\n", ("Time",), [["10:11:12"], ["11:12:13"], ["12:13:14"]]),
        ("Name\nAda\n\nGrace\n", ("Name",), [["Ada"], ["Grace"]]),
        ('Town\n"Leeds, UK"\n"York, UK"\n', ("Town",), [["Leeds, UK"], ["York, UK"]]),
    ],
)
def test_one_column(tmp_path: Path, text: str, headers: tuple[str, ...], rows: list[list[str]]) -> None:
    table = open_text(text, tmp_path)
    assert (table.opened.headers, table.rows) == (headers, rows)


def test_header_only_is_no_error(tmp_path: Path) -> None:
    for text in ("Name,Email\n", "Name,Email", "Email\n", "Name;Email\r\n"):
        table = open_text(text, tmp_path)
        assert (table.opened.rows, table.opened.header_line) == (0, 1)


def test_ten_thousand_columns(tmp_path: Path) -> None:
    header = ",".join(f"Label {number}" for number in range(10_000))
    row = ",".join(str(number) for number in range(10_000))
    table = open_text(f"{header}\n{row}\n{row}\n", tmp_path)
    assert len(table.opened.headers) == 10_000
    assert table.rows[1][9_999] == "9999"
    path = tmp_path / "wider.csv"
    path.write_text(",".join(f"l{number}" for number in range(17_000)) + "\n")
    with pytest.raises(UnreadableFile, match=r"17,000 columns, more than 16,000: is the comma really its delimiter\?"):
        open_contact_file(path, store=tmp_path / "wide.duckdb")


def test_a_line_of_100_mb_is_unreadable_and_memory_stays_low(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write(PEOPLE)
        for _ in range(100):
            file.write("x" * 1024 * 1024)
        file.write("\nAlan,alan@example.org\n")
    code = f"""
        from pathlib import Path
        from pipelines.contact_files import open_contact_file
        open_contact_file(Path({str(path)!r}), store=Path({str(tmp_path / "own.duckdb")!r}))
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT)
    assert 50 < watch(child) / 1024**2 < 400
    assert child.wait() == 0
    table = open_table(path, tmp_path)
    assert table.lines == [2, 3, 5]
    [(line, reason, raw)] = table.unreadable
    assert (line, len(raw)) == (4, 100_000)
    assert reason == "Line 4 is longer than 1,048,576 characters: is it a row of this table?"


def test_ragged_rows(tmp_path: Path) -> None:
    table = open_text("A,B,C\n1,2,3\n4,5\n6,7,8,9\n\n10,11,12\n", tmp_path)
    assert table.rows == [["1", "2", "3"], ["4", "5", ""], ["10", "11", "12"]]
    assert table.lines == [2, 3, 6]
    reason = "Line 4 has 4 values, the header has 3: is a delimiter inside a value missing its quotes?"
    assert table.unreadable == [(4, reason, "6,7,8,9")]
    assert table.opened.notes == (
        "Rows with fewer values than the header, whose last cells were left empty: 1 (line 3).",
    )


def test_a_delimiter_too_many_never_moves_values_silently(tmp_path: Path) -> None:
    """DuckDB itself would drop the empty value at the end of line 3 and keep its values one column too far right."""
    table = open_text('A,B,C,D\n"1,1",2,3,\n1,,2,3,\n1,2,3,\n', tmp_path)
    assert table.rows == [["1,1", "2", "3", ""], ["1", "2", "3", ""]]
    assert [line for line, _, _ in table.unreadable] == [3]


def test_a_delimiter_at_the_end_of_every_row_is_no_column(tmp_path: Path) -> None:
    assert open_text("A,B\n1,2,\n3,4,\n", tmp_path).rows == [["1", "2"], ["3", "4"]]


def test_line_ends_of_every_kind_are_counted(tmp_path: Path) -> None:
    table = open_text(b'A,B\r1,2\n3,4\r\n"5\r\n5",6\r\n\r7,8', tmp_path)
    assert table.lines == [2, 3, 4, 7]
    assert table.rows == [["1", "2"], ["3", "4"], ["5\r\n5", "6"], ["7", "8"]]


def test_lone_carriage_returns(tmp_path: Path) -> None:
    table = open_text(PEOPLE.replace("\n", "\r"), tmp_path)
    assert (table.lines, table.rows[0]) == ([2, 3], ["Ada", "ada@example.org"])


def test_values_over_several_lines_keep_later_line_numbers_exact(tmp_path: Path) -> None:
    table = open_text('Name,Notes\nAda,"one\ntwo, ""three""\n"\nGrace,x\nAlan,1,2\n', tmp_path)
    assert table.rows == [["Ada", 'one\ntwo, "three"\n'], ["Grace", "x"]]
    assert table.lines == [2, 5]
    assert table.unreadable[0][0] == 6


def test_nul_characters_are_removed_and_told(tmp_path: Path) -> None:
    table = open_text(b"Name,Email\nA\0da,ada@example.org\0\n", tmp_path)
    assert table.rows == [["Ada", "ada@example.org"]]
    assert table.opened.notes == ("2 NUL characters were removed.",)


def test_a_quote_never_closed_costs_one_line_of_200_000(tmp_path: Path) -> None:
    lines = [f"Person {number},p{number}@example.org,note" for number in range(200_000)]
    lines[70_000] = 'Person 70000,p70000@example.org,"never closed'
    table = open_text("Name,Email,Notes\n" + "\n".join(lines) + "\n", tmp_path)
    assert table.opened.rows == 200_000 == len(table.rows)
    assert table.rows[70_000] == ["Person 70000", "p70000@example.org", "never closed"]
    assert table.rows[199_999][0] == "Person 199999"
    assert table.opened.notes == ("Lines with a stray or missing quote, read by themselves: 1 (line 70002).",)


def test_stray_quotes_stay_in_the_value(tmp_path: Path) -> None:
    text = 'Name,Notes\n5" disk,x\nAda,"He said "no" twice"\nAda "the first",y\n"Big" Co,z\nAda, "spaced, out" \n'
    assert open_text(text, tmp_path).rows == [
        ['5" disk', "x"],
        ["Ada", 'He said "no" twice'],
        ['Ada "the first"', "y"],
        ['"Big" Co', "z"],
        ["Ada", "spaced, out"],
    ]


def test_backslash_quotes(tmp_path: Path) -> None:
    table = open_text('Name,Notes\n"Ada \\"the first\\", L","C:\\\\temp"\n"B","x"\n', tmp_path)
    assert table.rows == [['Ada "the first", L', "C:\\temp"], ["B", "x"]]


def test_a_row_with_another_delimiter_is_read_by_its_own(tmp_path: Path) -> None:
    table = open_text("Name,Email,City\nA,a@b.org,X\nB;b@b.org;Y\nC\tc@b.org\tZ\n", tmp_path)
    assert table.rows[1:] == [["B", "b@b.org", "Y"], ["C", "c@b.org", "Z"]]
    assert table.opened.notes == ("Rows with another delimiter than the file's, read by theirs: 2 (lines 3, 4).",)


def test_without_header_the_first_row_is_data(tmp_path: Path) -> None:
    table = open_text("Ada,ada@example.org\nGrace,grace@example.org\n", tmp_path)
    assert (table.opened.headers, table.opened.header_line) == (("Column 1", "Column 2"), 0)
    assert table.lines == [1, 2]
    assert table.opened.notes == ("Line 1 holds data where labels would stand: the columns are numbered.",)


def test_comments_before_the_header_are_skipped_but_a_label_may_begin_with_a_hash(tmp_path: Path) -> None:
    table = open_text("# from the CRM, today\n# Employees,Company,City\n10,Acme,Rome\n", tmp_path)
    assert table.opened.headers == ("# Employees", "Company", "City")
    assert table.opened.notes == ("1 line before the header was skipped.",)


@pytest.mark.parametrize(
    ("encoding", "bom", "expected", "text"),
    [
        ("utf-8", b"\xef\xbb\xbf", "utf-8-sig", "José"),
        ("utf-16-le", b"\xff\xfe", "utf-16", "José"),
        ("utf-16-be", b"\xfe\xff", "utf-16", "José"),
        ("utf-16-le", b"", "utf-16-le", "José"),
        ("utf-16-be", b"", "utf-16-be", "José"),
        ("utf-32-le", b"\xff\xfe\x00\x00", "utf-32", "José"),
        ("cp1252", b"", "cp1252", "José Müller – “Zürich” España"),
        ("cp1250", b"", "cp1250", "Łukasz Wójcik Żółć"),
        ("mac_roman", b"", "mac_roman", "José Müller Zürich"),
        ("cp850", b"", "cp850", "José Müller Zürich"),
        ("cp1251", b"", "cp1251", "Пётр Петров Казань"),
        ("cp932", b"", "cp932", "田中太郎 株式会社日立 東京"),
        ("cp949", b"", "cp949", "김철수 삼성전자 서울"),
        ("gb18030", b"", "gb18030", "张伟 华为技术有限公司 深圳"),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, bom: bytes, expected: str, text: str) -> None:
    table = open_text(bom + f"Name,City\n{text},x\nAda,y\n".encode(encoding), tmp_path)
    assert table.opened.encoding == expected
    assert table.rows == [[text, "x"], ["Ada", "y"]]


def test_the_encoding_is_seen_far_into_the_file(tmp_path: Path) -> None:
    lines = [f"Person {number},City" for number in range(900_000)]
    lines[880_000] = "José Müller,Málaga"
    table = open_text(("Name,City\n" + "\n".join(lines)).encode("cp1252"), tmp_path)
    assert table.rows[880_000] == ["José Müller", "Málaga"]


def test_undecodable_bytes_are_counted(tmp_path: Path) -> None:
    text = "Name,City\n" + "Müller,Zürich\n" * 50
    table = open_text(text.encode() + b"Br\xfcder,Bonn\n", tmp_path)
    assert table.rows[50] == ["Br\ufffdder", "Bonn"]
    assert "1 characters could not be decoded and are shown as \ufffd." in table.opened.notes


def test_archives_of_one_file(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__MACOSX/._people.csv", "clutter")
        archive.writestr("export/people.csv", PEOPLE)
    inputs = {
        "people.csv.gz": gzip.compress(PEOPLE.encode()),
        "people.csv.zst": zstandard.compress(PEOPLE.encode()),
        "people.zip": packed.getvalue(),
        "wrongly-named.csv": gzip.compress(PEOPLE.encode()),
    }
    for name, content in inputs.items():
        table = open_text(content, tmp_path, name)
        assert table.rows[0] == ["Ada", "ada@example.org"]
        assert table.opened.bytes == len(content)


def zip_of(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, PEOPLE)
    return packed.getvalue()


LONG = ("Name,Email\n" + "".join(f"Person {n},p{n * 7919}@example.org\n" for n in range(20_000))).encode()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.csv", b"", "empty.csv is empty: export the contacts again."),
        ("blank.csv", b"\n\n  \n", "blank.csv holds only blank lines"),
        ("a.csv", b"\xff\xd8\xff\xe0\x00\x10JFIF", "a.csv is a JPEG picture, whatever its name says"),
        ("a.csv", b"\x89PNG\r\n\x1a\n....", "a.csv is a PNG picture"),
        ("a.xlsx", b"%PDF-1.7\n", "a.xlsx is a PDF document"),
        ("a.csv", bytes(range(256)) * 40, "a.csv is not text"),
        ("a.xls", b"<html><table><tr><td>x</table>", "a.xls is a web page or XML"),
        ("a.zip", zip_of(), "a.zip is an empty archive"),
        ("a.zip", zip_of("x.csv", "y.csv"), "a.zip holds 2 files (x.csv, y.csv): upload them one at a time."),
        ("a.zip", zip_of("x.csv")[:60], "a.zip is cut off or damaged"),
        ("a.docx", zip_of("word/document.xml"), "a.docx is a Word document"),
        ("a.csv.gz", gzip.compress(LONG)[:-2000], "a.csv.gz is cut off"),
        ("a.csv.gz", gzip.compress(gzip.compress(LONG)), "a.csv.gz is packed twice"),
        ("a.csv.zst", zstandard.compress(LONG)[:-2000], "a.csv.zst is"),
        ("a.parquet", b"PAR1" + b"x" * 100, "a.parquet is cut off or damaged"),
        ("a.xlsx", zip_of("xl/workbook.xml"), "a.xlsx is damaged or no workbook"),
        ("a.json", b"[1, 2, 3]", "a.json holds no JSON objects"),
        ("a.csv", b"x" * 3_000_000, "Line 1 of a.csv is longer than 2,000,000 characters"),
    ],
)
def test_what_holds_no_contacts_is_refused_with_its_cause(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path, tmp_path).startswith(sentence)


@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.csv.zst", "bomb.zip"])
def test_a_zip_bomb_is_refused_without_filling_the_disk(tmp_path: Path, name: str) -> None:
    path, piece, pieces = tmp_path / name, b"a,b\n" * 262_144, 1_100
    if name.endswith(".gz"):
        with gzip.open(path, "wb", compresslevel=1) as out:
            for _ in range(pieces):
                out.write(piece)
    elif name.endswith(".zst"):
        with zstandard.open(path, "wb") as out:
            for _ in range(pieces):
                out.write(piece)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a", "w") as out:
            for _ in range(pieces):
                out.write(piece)
    assert "unpacks to more than 1,0" in refusal(path, tmp_path)


@pytest.mark.parametrize("road", ["fast", "careful", "gzip", "workbook"])
def test_a_full_disk_is_named(tmp_path: Path, road: str) -> None:
    """A real limit on file size, in a process of its own: every write past 2 MB fails with EFBIG."""
    people = "".join(f"Person {n * 7919},p{n * 104729 % 99991}@example{n}.org\n" for n in range(200_000))
    path = tmp_path / {"gzip": "people.csv.gz", "workbook": "people.xlsx"}.get(road, "people.csv")
    text = ("Name,Email\n" + people + ('x,"two\nlines"\n' if road == "careful" else "")).encode()
    if road == "workbook":
        with xlsxwriter.Workbook(path) as workbook:
            workbook.add_worksheet().write_column(0, 0, ["Name", *(f"Person {n}" * 10 for n in range(20_000))])
    else:
        path.write_bytes(gzip.compress(text) if road == "gzip" else text)
    code = f"""
        import resource, signal
        from pathlib import Path
        from pipelines.contact_files import open_contact_file
        from models.disk_space import NoRoom
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        try:
            open_contact_file(Path({str(path)!r}), store=Path({str(tmp_path / "full.duckdb")!r}))
        except NoRoom as error:
            print(error.sentence)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == (
        f"The disk is full: there was no room to open {path.name}. Free some space and try again."
    ), done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name]


def test_parquet(tmp_path: Path) -> None:
    columns = {
        "Name": ["Ada", None],
        "Tags": [["a", "b"], []],
        "Active": [True, False],
        "Employees": [51.0, 1.5],
        "Seen": pa.array([0, 1_500_000], pa.timestamp("us", tz="UTC")),
    }
    pq.write_table(pa.table(columns), tmp_path / "people.parquet")
    table = open_table(tmp_path / "people.parquet", tmp_path)
    assert table.opened.headers == ("Name", "Tags", "Active", "Employees", "Seen")
    assert table.rows == [
        ["Ada", '["a","b"]', "TRUE", "51", "1970-01-01T00:00:00+00"],
        ["", "[]", "FALSE", "1.5", "1970-01-01T00:00:01.5+00"],
    ]


def test_json_lines(tmp_path: Path) -> None:
    text = '{"Name": "Ada", "Tags": ["a"]}\nnot json\n\n{"Name": "B", "Age": 5, "Ok": true, "Gone": null}\n[1]\n'
    table = open_text(text, tmp_path, "people.jsonl")
    assert table.opened.headers == ("Name", "Tags", "Age", "Ok", "Gone")
    assert table.rows == [["Ada", '["a"]', "", "", ""], ["B", "", "5", "TRUE", ""]]
    assert table.lines == [1, 4]
    assert [line for line, _, _ in table.unreadable] == [2, 5]
    assert table.unreadable[0][1].startswith("Line 2 is not valid JSON")


def test_json_array_over_many_lines(tmp_path: Path) -> None:
    text = '[\n  {"Name": "Ada",\n   "City": "L]"},\n  7,\n  {"Name": "Grace"}\n]\n'
    table = open_text(text, tmp_path, "people.json")
    assert table.rows == [["Ada", "L]"], ["Grace", ""]]
    assert table.lines == [2, 5]
    assert [line for line, _, _ in table.unreadable] == [4]


def test_an_object_over_many_lines_is_not_parsed_at_each(tmp_path: Path) -> None:
    """Parsed anew at each brace, this takes an hour."""
    parts = "{},\n" * 200_000
    table = open_text(f'[\n{{"Name": "Ada", "Parts": [\n{parts}{{}}]}},\n{{"Name": "Grace"}}\n]\n', tmp_path, "p.json")
    assert [row[0] for row in table.rows] == ["Ada", "Grace"]
    assert table.lines == [2, 200_004]


def test_a_hundred_thousand_columns_of_one_name_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(["a"] * 100_000) + "\n")
    assert "100,000 columns" in refusal(path, tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('[{"Name": "Ada"},\n{"Name": ' + "1" * 5_000 + "}]\n", 2, "it has a number that is too long"),
        ('[{"Name": "Ada"},\n{"Name": "Gra', 2, "Unterminated string starting at"),
        ('[{"Name": "Ada"},\n', 2, "the file ends before its array is closed with ]"),
        ('[{"Name": "Ada"},\n{\n"Name" "Grace"},\n{"Name": "Alan"}]\n', 3, "Expecting ':' delimiter"),
        ('[\n{"Name": "Ada"},\nNone,\n{"Name": "Alan"}]\n', 3, "Expecting value"),
        ('[\n{"Name": "Ada\n"}]', 2, "Invalid control character at"),
        ('[{"Name": "Ada"},\n{"Name": ' + "[" * 100_000 + "]}]\n", 2, "its values are nested too deep"),
        ('[{"Name": "Ada"},\n{"Name": "' + "x" * 1_100_000 + '"}]\n', 2, "it is longer than 1,048,576 characters"),
        ('[\n{"Name": [\n' + '"x",\n' * 300_000 + "0]}]\n", 2, "its object is longer than 1,048,576 characters"),
    ],
)
def test_an_array_that_cannot_be_parsed_on_is_refused(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = tmp_path / "people.json"
    path.write_text(text)
    assert refusal(path, tmp_path).startswith(f"people.json cannot be read from line {line} on: {what}")


def test_a_slip_in_a_big_array_is_found_where_it_is(tmp_path: Path) -> None:
    """Behind it are 200,000 lines that are not parsed once more each."""
    path = tmp_path / "people.json"
    path.write_text('[\n{"Name" "Ada"},\n' + '{"Name": "Grace"},\n' * 200_000 + '{"Name": "Alan"}]\n')
    assert refusal(path, tmp_path).startswith("people.json cannot be read from line 2 on: Expecting ':' delimiter")


@pytest.mark.parametrize("layout", ["lines", "array"])
def test_escaped_nul_characters_of_json_are_removed_and_told(tmp_path: Path, layout: str) -> None:
    rows = [r'{"Na\u0000me": "A\u0000\u0000da", "Tags": ["a\u0000", {"b": "\\\u0000"}]}', r'{"Name": "\\u0000"}']
    text = "\n".join(rows) if layout == "lines" else f"[\n{rows[0]},\n{rows[1]}]"
    table = open_text(text, tmp_path, "people.json")
    assert table.opened.headers == ("Name", "Tags")
    assert table.rows == [["Ada", r'["a", {"b": "\\"}]'], [r"\u0000", ""]]
    assert table.opened.notes == ("5 NUL characters were removed.",)


def test_nul_characters_of_parquet_are_removed_and_told(tmp_path: Path) -> None:
    columns = {"Name": ["A\0da\0", None], "Tags": [["a\0\\\0"], [r"\u0000"]], "Age": [5, 6]}
    pq.write_table(pa.table(columns), tmp_path / "people.parquet")
    table = open_table(tmp_path / "people.parquet", tmp_path)
    assert table.rows == [["Ada", r'["a\\"]', "5"], ["", r'["\\u0000"]', "6"]]
    assert table.opened.notes == ("4 NUL characters were removed.",)


def test_a_line_too_long_to_be_read_keeps_no_nul_characters(tmp_path: Path) -> None:
    table = open_text('{"Name": "Ada"}\n{"Name": "\0' + "x" * 1_100_000 + '"}\n', tmp_path, "people.jsonl")
    assert table.unreadable[0][2].startswith('{"Name": "xxx')


CELL = st.text(st.sampled_from("ab,;\"' \n\r#é|"), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8))
def test_what_a_csv_writer_wrote_comes_back_cell_for_cell(tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    """Rows without any content are blank to some readers, hence the first column."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["Key", "First", "Second", "Third"])
    writer.writerows([f"key {number}", *row] for number, row in enumerate(rows))
    table = open_text(out.getvalue(), tmp_path)
    assert table.rows == [[f"key {number}", *row] for number, row in enumerate(rows)]


MESSY = st.text(st.sampled_from('ab," \n'), max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=MESSY)
def test_both_roads_read_a_file_alike(tmp_path: Path, text: str) -> None:
    """A NUL at the very end sends the same file the careful road."""
    source = "Key,First,Second\nx,y,z\nx,y,z\nx,y,z\n" + text
    fast, careful = open_text(source, tmp_path), open_text(source + "\0", tmp_path)
    assert not careful.fast
    assert (fast.rows, fast.lines, fast.unreadable) == (careful.rows, careful.lines, careful.unreadable)
