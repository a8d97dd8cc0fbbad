"""An XLSX workbook written as a stream from the text of Postgres' COPY.

Why not a library: openpyxl and xlsxwriter build every cell as Python objects, PyExcelerate and the wheels around
rust_xlsxwriter hold the sheet in memory. Here a row is one split and one join of bytes.
"""

import re
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from enum import Enum, auto
from functools import lru_cache
from types import TracebackType
from typing import IO, BinaryIO, Self
from xml.sax.saxutils import escape  # nosec B406  # it writes, and parses nothing

ROWS_OF_A_SHEET = 1_048_576  # Excel's limit, the header included
CHARACTERS_OF_A_CELL = 32_767  # in UTF-16 units, as Excel counts
DIGITS_OF_A_NUMBER = 15
NOTES_KEPT = 100
CELLS_BELOW_2_GB = 10_000_000
BYTES_BELOW_2_GB = 1_900_000_000

NULL = rb"\N"
EMPTY = b"<c/>"
HEADER_CELL = b'<c s="1" t="inlineStr"><is><t>%s</t></is></c>'
TEXT, TEXT_END = b'<c t="inlineStr"><is><t>', b"</t></is></c>"
EPOCH = date(1899, 12, 30)
FIRST_SURE_DAY = date(1900, 3, 1)  # Excel believes in 29 February 1900, and in nothing before 1900
ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"&#13;", b"b": b"_x0008_", b"v": b"_x000B_", b"f": b"_x000C_", b"\\": b"\\"}
# XML cannot hold these; Excel writes and reads them as _x0001_, hence a text that looks so is written with _x005F_.
UNWRITABLE = bytes([*range(1, 9), 11, 12, *range(14, 32)])
NOT_CHARACTERS = re.compile(rb"\xef\xbf[\xbe\xbf]")

HEADER = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = b"http://schemas.openxmlformats.org/package/2006/"
WORKBOOK = b'<workbook xmlns="%s" xmlns:r="%s"><sheets>%s</sheets></workbook>'
RELATIONSHIP = b'<Relationship Id="%s" Type="%s/%s" Target="%s"/>'
STYLES = (
    HEADER
    + (
        b'<styleSheet xmlns="%s"><numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
        b'<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts><fonts count="2">'
        b'<font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
        b'<fills count="2"><fill><patternFill patternType="none"/></fill>'
        b'<fill><patternFill patternType="gray125"/></fill>'
        b'</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        b'<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        b'<cellXfs count="4">'
        b'<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        b'<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
        b'<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        b'<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
        b'<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )
    % MAIN
)

Render = Callable[[bytes], bytes]


def _text(value: bytes) -> bytes:
    return TEXT + value + TEXT_END


def _number(value: bytes) -> bytes:
    if len(value.strip(b"-").replace(b".", b"")) > DIGITS_OF_A_NUMBER:
        return _text(value)  # Excel would round it
    return b"<c><v>" + value + b"</v></c>"


@lru_cache(maxsize=50_000)
def _date(value: bytes) -> bytes:
    try:
        day = date.fromisoformat(value.decode())
    except ValueError:
        return _text(value)
    if day < FIRST_SURE_DAY:
        return _text(value)
    return b'<c s="2"><v>%d</v></c>' % (day - EPOCH).days


def _moment(value: bytes) -> bytes:
    since = datetime.fromisoformat(value.decode()).replace(tzinfo=None) - datetime(EPOCH.year, EPOCH.month, EPOCH.day)
    return b'<c s="3"><v>%.9f</v></c>' % (since.total_seconds() / 86_400)


def _flag(value: bytes) -> bytes:
    return b'<c t="b"><v>1</v></c>' if value == b"TRUE" else b'<c t="b"><v>0</v></c>'


class Shape(Enum):
    """What the cells of a column are in Excel; COPY's text of them is a plain number, ISO, or TRUE and FALSE."""

    TEXT = auto()
    NUMBER = auto()
    DATE = auto()
    MOMENT = auto()
    FLAG = auto()


RENDERS: dict[Shape, Render] = {
    Shape.NUMBER: _number,
    Shape.DATE: _date,
    Shape.MOMENT: _moment,
    Shape.FLAG: _flag,
}


class Workbook:
    """`write` takes COPY's text format, whole lines; sheets follow each other at `rows_of_a_sheet`.

    `notes` names the cells that were cut at Excel's limit of characters.
    """

    def __init__(
        self,
        file: BinaryIO,
        columns: Sequence[tuple[str, Shape]],
        *,
        expected_rows: int = 0,
        rows_of_a_sheet: int = ROWS_OF_A_SHEET,
    ) -> None:
        self.notes: list[str] = []
        self._labels = [label for label, _ in columns]
        self._renders = [(at, RENDERS[shape]) for at, (_, shape) in enumerate(columns) if shape in RENDERS]
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        # Excel offers to repair a ZIP64 sheet that did not need to be one; a bigger one cannot be without.
        self._zip64 = expected_rows * len(columns) > CELLS_BELOW_2_GB
        self._rows_of_a_sheet = rows_of_a_sheet
        self._sheet: IO[bytes] | None = None
        self._sheets = self._rows = self._size = self._written = self._cut = 0

    def __enter__(self) -> Self:
        self._start_sheet()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end_sheet()
            self._write_frame()
            self._archive.close()
            if self._cut > NOTES_KEPT:
                self.notes.append(f"And {self._cut - NOTES_KEPT:,} more texts were cut.")
        else:
            self._archive.fp = None  # what was begun is thrown away: to write the archive's end could fail as well

    def write(self, block: bytes) -> None:
        """Append the lines of `block`."""
        lines = block.split(b"\n")[:-1]
        while lines:
            room = self._rows_of_a_sheet - self._rows
            if room <= 0 or (not self._zip64 and self._size > BYTES_BELOW_2_GB):
                self._end_sheet()
                self._start_sheet()
                continue
            self._append(lines[:room])
            lines = lines[room:]

    def _append(self, lines: list[bytes]) -> None:
        assert self._sheet is not None
        xml = b"".join([self._row(line, number) for number, line in enumerate(lines, self._rows + 1)])
        data = _decoded(xml)
        self._sheet.write(data)
        self._rows += len(lines)
        self._size += len(data)

    def _row(self, line: bytes, number: int) -> bytes:
        line = line.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
        cells = line.split(b"\t")
        if len(line) > CHARACTERS_OF_A_CELL:
            cells = [self._within_limit(cell, number, at) for at, cell in enumerate(cells)]
        typed = [(at, render(cells[at])) for at, render in self._renders if cells[at] != NULL]
        parts = [EMPTY if cell == NULL else TEXT + cell + TEXT_END for cell in cells]
        for at, cell in typed:
            parts[at] = cell
        return b"<row>" + b"".join(parts) + b"</row>"

    def _within_limit(self, cell: bytes, number: int, at: int) -> bytes:
        if len(cell) <= CHARACTERS_OF_A_CELL:
            return cell
        value = _plain(cell)
        units = value.encode("utf-16-le")
        if len(units) // 2 <= CHARACTERS_OF_A_CELL:
            return cell
        self._cut += 1
        if self._cut <= NOTES_KEPT:
            self.notes.append(
                f"Sheet {self._sheets}, row {number:,}, {self._labels[at]}: cut from {len(units) // 2:,} to the "
                f"{CHARACTERS_OF_A_CELL:,} characters that Excel holds. The other formats hold it whole."
            )
        return _copied(units[: CHARACTERS_OF_A_CELL * 2].decode("utf-16-le", "ignore"))

    def _start_sheet(self) -> None:
        self._sheets += 1
        self._sheet = self._archive.open(f"xl/worksheets/sheet{self._sheets}.xml", "w", force_zip64=self._zip64)
        cells = b"".join(HEADER_CELL % escape(label).encode() for label in self._labels)
        self._sheet.write(
            HEADER
            + b'<worksheet xmlns="%s"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" '
            b'activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetFormatPr defaultRowHeight="15"/>'
            b'<cols><col min="1" max="%d" width="20" customWidth="1"/></cols><sheetData><row>%s</row>'
            % (MAIN, len(self._labels), cells)
        )
        self._rows, self._size = 1, 0

    def _end_sheet(self) -> None:
        assert self._sheet is not None
        self._sheet.write(b"</sheetData></worksheet>")
        self._sheet.close()
        self._sheet = None

    def _write_frame(self) -> None:
        numbers = range(1, self._sheets + 1)
        sheets = b"".join(
            b'<sheet name="Contacts%s" sheetId="%d" r:id="rId%d"/>' % (b" %d" % n if n > 1 else b"", n, n)
            for n in numbers
        )
        parts = {
            "xl/workbook.xml": WORKBOOK % (MAIN, OFFICE, sheets),
            "xl/_rels/workbook.xml.rels": _relationships(
                [(b"rId%d" % n, b"worksheet", b"worksheets/sheet%d.xml" % n) for n in numbers]
                + [(b"rId%d" % (self._sheets + 1), b"styles", b"styles.xml")]
            ),
            "_rels/.rels": _relationships([(b"rId1", b"officeDocument", b"xl/workbook.xml")]),
            "[Content_Types].xml": _content_types(self._sheets),
        }
        for name, content in parts.items():
            self._write_part(name, HEADER + content)
        self._write_part("xl/styles.xml", STYLES)

    def _write_part(self, name: str, content: bytes) -> None:
        """Without the time of day, which `writestr` would note: the same rows make the same bytes."""
        with self._archive.open(name, "w") as part:
            part.write(content)


def _relationships(lines: list[tuple[bytes, bytes, bytes]]) -> bytes:
    each = b"".join(RELATIONSHIP % (key, OFFICE, kind, target) for key, kind, target in lines)
    return b'<Relationships xmlns="%srelationships">%s</Relationships>' % (PACKAGE, each)


def _content_types(sheets: int) -> bytes:
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml."
    line = b'<Override PartName="/xl/%s" ContentType="%s%s+xml"/>'
    each = b"".join(line % (b"worksheets/sheet%d.xml" % n, kind, b"worksheet") for n in range(1, sheets + 1))
    return (
        b'<Types xmlns="%scontent-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
        b'relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>%s%s%s</Types>'
        % (PACKAGE, line % (b"workbook.xml", kind, b"sheet.main"), line % (b"styles.xml", kind, b"styles"), each)
    )


def _decoded(xml: bytes) -> bytes:
    """Undo COPY's backslashes and write what XML cannot hold as Excel does; most blocks have little of either."""
    if b"_x" in xml:
        xml = re.sub(rb"_(?=x[0-9A-Fa-f]{4}_)", b"_x005F_", xml)
    if len(xml.translate(None, UNWRITABLE)) != len(xml):
        xml = re.sub(b"[%s]" % re.escape(UNWRITABLE), lambda found: b"_x%04X_" % found[0][0], xml)
    if b"\xef\xbf" in xml:
        xml = NOT_CHARACTERS.sub(lambda found: b"_xFFF%c_" % (b"E" if found[0][2] == 0xBE else b"F"), xml)
    if b"\\" in xml:
        xml = re.sub(rb"\\(.)", lambda found: ESCAPED[found[1]], xml, flags=re.DOTALL)
    if re.search(rb"<t>\s|\s</t>", xml):  # cell by cell: where a block ends must not be seen in the file
        xml = re.sub(rb"<t>(?=\s|[^<]*\s</t>)", b'<t xml:space="preserve">', xml)
    return xml


def _plain(cell: bytes) -> str:
    """A cell's own characters: COPY's backslashes and the entities undone."""
    controls = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"v": b"\v", b"f": b"\f"}
    cell = re.sub(rb"\\(.)", lambda found: controls.get(found[1], found[1]), cell, flags=re.DOTALL)
    return cell.replace(b"&lt;", b"<").replace(b"&gt;", b">").replace(b"&amp;", b"&").decode()


def _copied(value: str) -> bytes:
    """The reverse of `_plain`."""
    controls = str.maketrans(
        {"\\": r"\\", "\n": r"\n", "\t": r"\t", "\r": r"\r", "\b": r"\b", "\v": r"\v", "\f": r"\f"}
    )
    return escape(value).translate(controls).encode()
