"""Physical lines of a text, with their numbers, never holding more than about a megabyte of one line."""

import io
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from pipelines.watched import place_in

LONGEST_LINE = 1024 * 1024


class Lines:
    """Lines end in LF, CRLF or a lone CR, and keep their end. `number` is that of the line last returned, from 1."""

    def __init__(self, file: TextIO, *, has_nuls: bool = False) -> None:
        self._file = file
        self._has_nuls = has_nuls
        self._again: deque[str] = deque()
        self.number = 0

    @classmethod
    def of_text(cls, text: str) -> "Lines":
        """The lines of a text in memory."""
        return cls(io.StringIO(text, newline=""))

    @classmethod
    def of_file(cls, path: Path, *, has_nuls: bool) -> "Lines":
        """The lines of a UTF-8 file, which is closed when the object goes."""
        return cls(path.open(encoding="utf-8-sig", errors="replace", newline=""), has_nuls=has_nuls)

    @property
    def place(self) -> Callable[[], int]:
        """How many bytes of the file are read."""
        return place_in(self._file)

    def close(self) -> None:
        """Close the file behind the lines."""
        self._file.close()

    def next(self) -> str | None:
        """The next line without NUL characters, or None at the end.

        A line longer than LONGEST_LINE comes cut, but still longer than that; its rest is read past.
        """
        if self._again:
            self.number += 1
            return self._again.popleft()
        line = self._file.readline(LONGEST_LINE + 1)
        if not line:
            return None
        self.number += 1
        if len(line) > LONGEST_LINE:
            self._pass_over(line)
        return line.replace("\0", "") if self._has_nuls and len(line) <= LONGEST_LINE else line

    def _pass_over(self, line: str) -> None:
        while line and line[-1] not in "\r\n":
            line = self._file.readline(LONGEST_LINE)
        if line.endswith("\r"):
            following = self._file.readline(LONGEST_LINE)
            if following not in ("\n", ""):
                self._again.append(following)

    def back(self, lines: Sequence[str]) -> None:
        """Give lines back, to be returned once more."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)

    def skip(self, count: int) -> None:
        """Read past the next `count` lines."""
        for _ in range(count):
            self.next()
