"""Cells that a spreadsheet would run as a formula, and the apostrophe that keeps them text."""

import re
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, literal

# The characters stand in the patterns themselves: Postgres, Python and RE2 (DuckDB) escape them in different ways.
SPACES = " \t\n\v\f\r\u00a0\u200b\u3000\ufeff"
SIGNS = "-=+@\uff1d\uff0b\uff0d\uff20"  # and their full-width forms, which Excel takes as the same
DANGEROUS = f"[{SPACES}]*[{SIGNS}]|[\t\n\r]"
MARKED = f"^'({DANGEROUS}|')"
NEEDS_MARK = f"^({DANGEROUS}|'({DANGEROUS}|'))"
_MARKED, _NEEDS_MARK = re.compile(MARKED), re.compile(NEEDS_MARK)


def neutralised(column: ColumnElement[str]) -> ColumnElement[Any]:
    """The text with an apostrophe before it where a spreadsheet would calculate it, else as it is.

    The rule, after OWASP's page on CSV injection. A value is dangerous when it starts with = + - @ (or the full-width
    form of one), also after white space (SPACES), or with tab, line feed or carriage return. It is marked when it is
    dangerous, or when it starts with an apostrophe that is followed by another one or by something dangerous.

    An importer takes the first apostrophe away exactly when the cell matches MARKED: an apostrophe followed by
    something dangerous or by an apostrophe. So `'+44 20` (Apollo writes phones so) reads as `+44 20`,
    `'s-Hertogenbosch` stays, and whatever this function marked comes back as it was; `unmarked` does it in Python.
    """
    # A million wide rows have 35 million texts, most of which start with a letter or digit. To compare bytes is much
    # cheaper than the pattern, so that only the others, and phones with their plus, are looked at any closer.
    first = column.collate("C")
    marked_column = literal("'", String).concat(column)
    return case(
        (and_(first >= "A", first < "\u00a0"), column),
        (and_(first >= "0", first < ":"), column),
        (and_(first >= "+", first < ","), marked_column),
        (column.regexp_match(NEEDS_MARK), marked_column),
        else_=column,
    )


def marked(value: str) -> str:
    """What `neutralised` makes of one value."""
    return f"'{value}" if _NEEDS_MARK.match(value) else value


def unmarked(cell: str) -> str:
    """The value that `neutralised` made the cell from."""
    return cell[1:] if _MARKED.match(cell) else cell
