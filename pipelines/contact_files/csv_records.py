"""Records of a CSV text, one by one, with line numbers; what is broken is mended where only one reading is possible."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipelines.contact_files.csv_lines import LONGEST_LINE, Lines
from pipelines.contact_files.dialect import COMMON, NAMES, Dialect, doubled_quotes
from pipelines.contact_files.headers import Record

# An opened quote that is not closed within this is taken for a stray one.
RECORD_LINES = 1_000
RECORD_CHARACTERS = LONGEST_LINE
PARSE_EFFORT = 8 * LONGEST_LINE


class Found(NamedTuple):
    """One record: its first and last line, and either its cells or the reason why it has none."""

    line: int
    last_line: int
    cells: list[str]
    reason: str
    raw: str


@dataclass
class Seen:
    """How often something was met, and on which lines first."""

    count: int = 0
    lines: list[int] = field(default_factory=list)

    def on(self, line: int) -> None:
        """Count one more, on this line."""
        self.count += 1
        if len(self.lines) < 3:
            self.lines.append(line)

    def __str__(self) -> str:
        numbers = ", ".join(str(line) for line in self.lines) + (", ..." if self.count > len(self.lines) else "")
        return f"{self.count:,} ({'line' if self.count == 1 else 'lines'} {numbers})"


@dataclass
class Tally:
    """What had to be mended while reading, for the notes."""

    short: Seen = field(default_factory=Seen)
    quotes: Seen = field(default_factory=Seen)
    other_delimiter: Seen = field(default_factory=Seen)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the person."""
        told = [
            (self.short, "Rows with fewer values than the header, whose last cells were left empty"),
            (self.quotes, "Lines with a stray or missing quote, read by themselves"),
            (self.other_delimiter, "Rows with another delimiter than the file's, read by theirs"),
        ]
        return tuple(f"{sentence}: {seen}." for seen, sentence in told if seen.count)


def sample_records(sample: str, dialect: Dialect) -> list[Record]:
    """The records of a file's first part; blank lines are left out."""
    lines = Lines.of_text(sample)
    lines.skip(dialect.declared_lines)
    found = RecordReader(lines, dialect, width=None)
    return [Record(record.line, record.last_line, record.cells) for record in found if not record.reason]


class RecordReader:
    """Iterates over the records that follow in `lines`; `width` None accepts any number of cells."""

    def __init__(self, lines: Lines, dialect: Dialect, *, width: int | None) -> None:
        self.tally = Tally()
        self._lines = lines
        self._dialect = dialect
        self._width = width
        self._spaced_quote = dialect.delimiter + " " + dialect.quote
        # The limit is the process's; ours is the lower one that counts.
        csv.field_size_limit(max(csv.field_size_limit(), RECORD_CHARACTERS * 4))

    def __iter__(self) -> Iterator[Found]:
        lines, delimiter, quote = self._lines, self._dialect.delimiter, self._dialect.quote
        while (line := lines.next()) is not None:
            number, text = lines.number, line.rstrip("\r\n")
            if len(line) > LONGEST_LINE:
                reason = f"Line {number} is longer than {LONGEST_LINE:,} characters: is it a row of this table?"
                yield Found(number, number, [], reason, line)
            elif not text or not text.strip(" "):
                continue
            elif quote in text:
                yield self._quoted(number, line, text)
            else:
                cells = text.split(delimiter)
                yield (
                    Found(number, number, cells, "", text)
                    if len(cells) == self._width
                    else self._fit(number, cells, text)
                )

    def _quoted(self, number: int, line: str, text: str) -> Found:
        if self._dialect.backslash:
            text = doubled_quotes(text, self._dialect.quote)
        try:
            cells = self._parse([text])
        except csv.Error as error:
            if not _ends_inside_quotes(error):
                return self._mended(number, text)
            return self._over_lines(number, line, text)
        if self._spaced_quote in text:
            cells = self._unspaced(cells, text)
        return self._fit(number, cells, text)

    def _parse(self, lines: Sequence[str]) -> list[str]:
        dialect = self._dialect
        return next(csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True))

    def _unspaced(self, cells: list[str], text: str) -> list[str]:
        """A space between delimiter and quote belongs to no value; spaces elsewhere stay."""
        quote = self._dialect.quote
        enclosed = [len(bare := cell.strip(" ")) > 1 and bare[0] == quote == bare[-1] for cell in cells]
        if len(cells) == self._width or self._width is None:
            return [_unquoted(c.strip(" "), quote) if e else c for c, e in zip(cells, enclosed, strict=True)]
        exact = [reading for reading in lenient_readings(text, self._dialect) if len(reading) == self._width]
        return exact[0] if exact else cells

    def _over_lines(self, number: int, line: str, text: str) -> Found:
        """A quoted value goes on in the next lines, unless they show that its quote is a stray one."""
        taken, size, effort = [line], len(line), 0
        while len(taken) < RECORD_LINES and size < RECORD_CHARACTERS and effort < PARSE_EFFORT:
            following = self._lines.next()
            if following is None:
                break
            taken.append(following)
            size += len(following)
            if self._dialect.quote not in following:
                continue
            effort += size
            cells, closed = self._try_lines(taken)
            if cells and (self._width in (None, len(cells)) or not self._fits_alone(text)):
                return self._fit(number, cells, "".join(taken).rstrip("\r\n"))
            if closed:
                break
        self._lines.back(taken[1:])
        return self._mended(number, text)

    def _try_lines(self, taken: list[str]) -> tuple[list[str], bool]:
        """The cells of a record over several lines (none when it is not whole), and whether more lines cannot help."""
        text = "".join(taken).rstrip("\r\n")
        if self._dialect.backslash:
            text = doubled_quotes(text, self._dialect.quote)
        try:
            return self._parse(text.splitlines(keepends=True) if text.isascii() else _split_lines(text)), True
        except csv.Error as error:
            return [], not _ends_inside_quotes(error)

    def _fits_alone(self, text: str) -> bool:
        return any(len(cells) == self._width for cells in lenient_readings(text, self._dialect))

    def _mended(self, number: int, text: str) -> Found:
        """Read one line whose quotes break the rules of CSV."""
        readings = lenient_readings(text, self._dialect)
        exact = [cells for cells in readings if len(cells) == self._width]
        if exact or self._width is None or all(len(cells) <= self._width for cells in readings):
            self.tally.quotes.on(number)
            return self._fit(number, (exact or readings)[0], text)
        reason = f"Line {number} has a quote in the wrong place, and its values cannot be told apart."
        return Found(number, number, [], reason, text)

    def _fit(self, number: int, cells: list[str], raw: str) -> Found:
        """Give a record the header's number of cells, where nothing is lost by it."""
        last, width = self._lines.number, self._width
        if width is None or len(cells) == width:
            return Found(number, last, cells, "", raw)
        if len(cells) > width:
            # Empty values at the end are nothing where rows usually have them. In a single row they show that a
            # delimiter too many has moved its values.
            if any(cells[width:]) or len(cells) != self._dialect.usual_width:
                return Found(number, last, [], too_many_values(number, len(cells), width), raw)
            return Found(number, last, cells[:width], "", raw)
        if len(cells) == 1 and (other := self._other_delimiter(raw)):
            self.tally.other_delimiter.on(number)
            return Found(number, last, other, "", raw)
        self.tally.short.on(number)
        return Found(number, last, cells + [""] * (width - len(cells)), "", raw)

    def _other_delimiter(self, raw: str) -> list[str] | None:
        for delimiter in COMMON:
            if delimiter in raw and delimiter != self._dialect.delimiter and "\n" not in raw:
                records = Dialect(delimiter, self._dialect.quote).split(raw)
                if len(records) == 1 and len(records[0]) == self._width:
                    return records[0]
        return None


def too_many_values(number: int, found: int, width: int) -> str:
    """The reason for a row that is longer than the header."""
    return (
        f"Line {number} has {found} values, the header has {width}: is a delimiter inside a value missing its quotes?"
    )


def delimiter_name(delimiter: str) -> str:
    """The delimiter as a person calls it."""
    return NAMES.get(delimiter, repr(delimiter))


def _ends_inside_quotes(error: csv.Error) -> bool:
    return "unexpected end of data" in str(error)


def _split_lines(text: str) -> list[str]:
    lines = Lines.of_text(text)
    return list(iter(lines.next, None))


def _unquoted(cell: str, quote: str) -> str:
    return cell[1:-1].replace(quote * 2, quote)


def lenient_readings(text: str, dialect: Dialect) -> list[list[str]]:
    """The ways to read one line with misplaced quotes, the most faithful first."""
    whole = [_values(text, dialect, doubled=doubled, over_openings=True) for doubled in (True, False)]
    apart = [_values(text, dialect, doubled=doubled, over_openings=False) for doubled in (True, False)]
    readings = [cells for cells in (*whole, *apart) if cells is not None]
    return [*readings, _split_everywhere(text, dialect)]


def _values(text: str, dialect: Dialect, *, doubled: bool, over_openings: bool) -> list[str] | None:
    """Values whose closing quote is one that stands before a delimiter or the line's end; other quotes are kept.

    `doubled`: two quotes are always one that is meant. `over_openings`: a value may contain what looks like the
    opening of the next; otherwise its own opening quote is a stray one. None when a quote stays open.
    """
    delimiter, quote = dialect.delimiter, dialect.quote
    cells, position = [], 0
    while position >= 0:
        start = _after_spaces(text, position)
        end = _closing_quote(text, start + 1, dialect, doubled) if text.startswith(quote, start) else -1
        if text.startswith(quote, start) and over_openings and end < 0:
            return None
        if end >= 0 and (over_openings or delimiter + quote not in text[start + 1 : end]):
            cells.append(text[start + 1 : end].replace(quote * 2, quote))
            position = text.find(delimiter, end + 1)
        else:
            end = text.find(delimiter, position)
            cells.append(_without_lone_quote(text[position:], quote) if end < 0 else text[position:end])
            position = end
        position = position + 1 if position >= 0 else -1
    return cells


def _without_lone_quote(last: str, quote: str) -> str:
    """The last value of a line without a quote that only opens it: the closing one was forgotten."""
    return last[1:] if last.startswith(quote) and last.count(quote) == 1 else last


def _after_spaces(text: str, at: int) -> int:
    while text.startswith(" ", at):
        at += 1
    return at


def _closing_quote(text: str, start: int, dialect: Dialect, doubled: bool) -> int:
    at = text.find(dialect.quote, start)
    while at >= 0:
        if doubled and text.startswith(dialect.quote, at + 1):
            at += 1
        else:
            after = _after_spaces(text, at + 1)
            if after >= len(text) or text.startswith(dialect.delimiter, after):
                return at
        at = text.find(dialect.quote, at + 1)
    return -1


def _split_everywhere(text: str, dialect: Dialect) -> list[str]:
    """Every delimiter separates; only quotes around a whole value go."""
    quote, cells = dialect.quote, text.split(dialect.delimiter)
    cells[-1] = _without_lone_quote(cells[-1], quote)
    enclosed = (len(cell) > 1 and cell[0] == quote == cell[-1] for cell in cells)
    return [_unquoted(cell, quote) if bare else cell for cell, bare in zip(cells, enclosed, strict=True)]
