"""How a CSV file separates and quotes its values, decided from the first part of its text."""

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pipelines.contact_files.opened_file import UnreadableFile

SAMPLE_CHARACTERS = 256 * 1024
LONGEST_SAMPLE = 2 * 1024 * 1024
COMMON = (",", ";", "\t", "|")
# Colons, carets and tildes also stand inside values, so they must be clearly better to win.
WEIGHTS = {",": 1.0, ";": 1.0, "\t": 1.0, "|": 1.0, ":": 0.5, "^": 0.7, "~": 0.7, "\x01": 1.0, "\x1f": 1.0}
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
SEP_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?[\r\n]+", re.IGNORECASE)
SINGLE_QUOTED = re.compile(r"(?:^|[,;\t|])'[^'\r\n]*'(?=[,;\t|]|\r|\n|$)", re.MULTILINE)


@dataclass(frozen=True)
class Dialect:
    """How values are told apart.

    `backslash`: \\" stands for a quote. `declared_lines`: lines at the top that only name the delimiter.
    `usual_width`: the number of values that most records have.
    """

    delimiter: str
    quote: str = '"'
    backslash: bool = False
    declared_lines: int = 0
    usual_width: int = 1

    def split(self, text: str, *, strict: bool = False) -> list[list[str]]:
        """All records of a text that has its line ends in place."""
        if self.backslash:
            text = doubled_quotes(text, self.quote)
        return list(csv.reader(_lines(text), delimiter=self.delimiter, quotechar=self.quote, strict=strict))


def doubled_quotes(text: str, quote: str) -> str:
    """Text in which a quote escaped by a backslash is doubled instead, and a doubled backslash is one."""
    if "\\" + quote not in text:
        return text
    return re.sub(rf"\\(\\|{quote})", lambda found: quote * 2 if found[1] == quote else "\\", text)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)


def read_sample(path: Path, name: str) -> str:
    """The first 256 K characters in whole lines, or more when the first lines are longer."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        text = file.read(SAMPLE_CHARACTERS)
        if len(text) == SAMPLE_CHARACTERS and len(_lines(text)) < 3:
            text += file.read(LONGEST_SAMPLE - SAMPLE_CHARACTERS)
        at_end = file.read(1) == ""
    text = text.replace("\0", "")
    if at_end:
        return text
    end = max(text.rfind("\n"), text.rfind("\r"))
    if end < 0:
        raise UnreadableFile(f"Line 1 of {name} is longer than 2,000,000 characters: that is no header of contacts.")
    return text[: end + 1]


def find_dialect(sample: str) -> Dialect:
    """The dialect under which the sample's records agree best on their number of values."""
    declared = SEP_LINE.match(sample)
    rest = sample[declared.end() :] if declared else sample
    quote = _quote(rest)
    if declared:
        delimiter, usual = declared[1], _agreement(rest, Dialect(declared[1], quote))[1]
    else:
        found = {candidate: _agreement(rest, Dialect(candidate, quote)) for candidate in WEIGHTS}
        delimiter = max(found, key=lambda candidate: found[candidate][0])
        usual = found[delimiter][1]
    return Dialect(delimiter, quote, _uses_backslash(rest, delimiter, quote), int(declared is not None), usual)


def _quote(sample: str) -> str:
    """Single quotes count only without double ones, and where most lines have a value in them: O'Brien is a name."""
    if '"' in sample:
        return '"'
    lines = sample.count("\n") + sample.count("\r") + 1
    return "'" if len(SINGLE_QUOTED.findall(sample)) > lines / 2 else '"'


def _agreement(sample: str, dialect: Dialect) -> tuple[float, int]:
    """How well the records agree, 0 to 1, and their usual number of values; (0, 1) when nothing is separated."""
    if dialect.delimiter not in sample:
        return 0.0, 1
    records = [record for record in dialect.split(sample)[:2000] if any(cell.strip() for cell in record)]
    widths = Counter(len(record) for record in records)
    wide = {width: count for width, count in widths.items() if width > 1}
    if not wide or not _separates(records, wide, dialect):
        return 0.0, 1
    usual = max(wide, key=lambda width: (wide[width], width))
    share = (wide[usual] + 0.5 * (sum(wide.values()) - wide[usual])) / len(records)
    quality = share * _share_without_stray_quotes(records, dialect.quote) * (1 - 0.5 / usual)
    return WEIGHTS.get(dialect.delimiter, 1.0) * quality * (1 - 0.3 * _spaced_share(records)), usual


def _separates(records: list[list[str]], wide: dict[int, int], dialect: Dialect) -> bool:
    """Whether the character separates columns, rather than standing inside the values of a single one."""
    split = sum(wide.values())
    if len(records[0]) > 1:
        return WEIGHTS.get(dialect.delimiter, 1.0) == 1.0 or split > 0.9 * len(records)
    # The first line may be a title. It is a label over one column when only punctuation follows, or hardly anything.
    return WEIGHTS.get(dialect.delimiter, 1.0) == 1.0 and split > 1 and _spaced_share(records) < 0.8


def _share_without_stray_quotes(records: list[list[str]], quote: str) -> float:
    """Values that begin or end with a quote were cut in the wrong place."""
    cells = [cell for record in records[:200] for cell in record if cell]
    stray = sum(1 for cell in cells if (cell[0] == quote) != (cell[-1] == quote))
    return 1 - stray / (len(cells) + 1)


def _spaced_share(records: list[list[str]]) -> float:
    """A delimiter that is mostly followed by a space is punctuation inside a text."""
    first = [cell for record in records[:50] for cell in record[1:] if cell]
    return sum(1 for cell in first if cell[0] == " ") / (len(first) + 1)


def _uses_backslash(sample: str, delimiter: str, quote: str) -> bool:
    """Whether reading \\" as a quote makes more records agree than reading it as a backslash and the end of a value."""
    if "\\" + quote not in sample:
        return False
    plain, escaped = Dialect(delimiter, quote), Dialect(delimiter, quote, backslash=True)
    return _usual_share(escaped.split(sample)) > _usual_share(plain.split(sample))


def _usual_share(records: list[list[str]]) -> float:
    widths = Counter(len(record) for record in records if record)
    return max(widths.values(), default=0) / max(sum(widths.values()), 1)
