"""A JSON array of objects that may be laid out over any number of lines, read without holding all of it."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.contact_files.csv_lines import LONGEST_LINE, Lines
from pipelines.contact_files.nuls import Nuls
from pipelines.contact_files.opened_file import UnreadableFile

BETWEEN = re.compile(r"[ \r\n\t,\]]*")
DECODER = json.JSONDecoder()


class Item(NamedTuple):
    """One object of the file with its first line, or the reason why it is none."""

    line: int
    value: dict[str, object] | None
    reason: str
    raw: str


def item_of(line: int, value: object, raw: str) -> Item:
    """The item for a parsed value."""
    if isinstance(value, dict):
        return Item(line, value, "", raw)
    return Item(line, None, f"Line {line} is JSON, but not an object with keys and values.", raw)


def read_array(lines: Lines, nuls: Nuls, name: str) -> Iterator[Item]:
    """The elements of the array that the lines of the file `name` are.

    Raises UnreadableFile where it cannot be parsed on: behind a slip in it, nobody can tell where an element begins.
    """
    unread = _Unread(name)
    for line in iter(lines.next, None):
        unread.add(lines.number, nuls.without_escaped(line))
        # Objects end with a brace: parsing again after any other line would only find once more that more is to come.
        if unread.is_long or (unread.is_worth_a_try and ("}" in line or "]" in line)):
            yield from unread.elements()
    yield from unread.elements(is_all=True)


class _Unread:
    """The text that is not yet parsed: none, or the beginning of an element on line `line`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._text = ""
        self._at = 0
        self._line = 1
        self._added: list[str] = []
        self._length = self._tried = 0
        self._is_opened = self._is_closed = False

    def add(self, number: int, line: str) -> None:
        """Append the line with that number."""
        if len(line) > LONGEST_LINE:
            raise self._refusal(number, f"it is longer than {LONGEST_LINE:,} characters; write each object on its own")
        if not self._length:
            self._line = number
        if not self._is_opened and line.strip():
            line, self._is_opened = line.replace("[", " ", 1), True
        self._added.append(line)
        self._length += len(line)

    @property
    def is_long(self) -> bool:
        """Whether it is more than one element may be."""
        return self._length > LONGEST_LINE

    @property
    def is_worth_a_try(self) -> bool:
        """Whether there is twice as much as when an element was last not whole: else a long one is parsed too often."""
        return self._length >= 2 * self._tried

    def elements(self, *, is_all: bool = False) -> Iterator[Item]:
        """The elements that are whole; `is_all` says that no more lines come."""
        self._text, self._added = "".join([self._text, *self._added]), []
        while self._skip_to_element():
            found = self._parsed(is_all)
            if found is None:
                break
            value, end = found
            yield item_of(self._line, value, self._text[self._at : end])
            self._go_to(end)
        self._text, self._at = self._text[self._at :], 0
        self._length = self._tried = len(self._text)
        if self.is_long:
            raise self._refusal(self._line, f"its object is longer than {LONGEST_LINE:,} characters")
        if is_all and not self._is_closed:
            raise self._refusal(self._line, "the file ends before its array is closed with ]")

    def _skip_to_element(self) -> bool:
        between = BETWEEN.match(self._text, self._at)
        if between:
            self._is_closed = self._is_closed or "]" in between[0]
            self._go_to(between.end())
        return self._at < len(self._text)

    def _go_to(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _parsed(self, is_all: bool) -> tuple[object, int] | None:
        """The element and its end, or None when more lines are needed to tell."""
        try:
            return DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            # An element that goes on is an error at the very end; no string goes over a line's end.
            if not is_all and error.pos >= len(self._text.rstrip()):
                return None
            line = self._line + self._text.count("\n", self._at, error.pos)
            raise self._refusal(line, error.msg) from error
        except RecursionError as error:
            raise self._refusal(self._line, "its values are nested too deep") from error
        except ValueError as error:  # Python reads no number of more than 4,300 digits
            raise self._refusal(self._line, "it has a number that is too long; write it as a text") from error

    def _refusal(self, line: int, what: str) -> UnreadableFile:
        return UnreadableFile(f"{self._name} cannot be read from line {line} on: {what}. Export it again as JSON.")
