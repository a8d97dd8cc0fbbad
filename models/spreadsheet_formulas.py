"""Cells that a spreadsheet would run as a formula, and the apostrophe that keeps them text."""

import re
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, String, any_, case, func, literal, literal_column

# The characters stand in the patterns themselves: Postgres, Python and RE2 (DuckDB) escape them in different ways.
SPACES = " \t\n\v\f\r\u00a0\u200b\u3000\ufeff"
SIGNS = "-=+@\uff1d\uff0b\uff0d\uff20"  # and their full-width forms, which Excel takes as the same
QUOTE = "'"
DANGEROUS = f"[{SPACES}]*[{SIGNS}]|[\t\n\r]"
MARKED = f"^'({DANGEROUS}|')"
NEEDS_MARK = f"^({DANGEROUS}|'({DANGEROUS}|'))"
# The code points that NEEDS_MARK can start with, as SQL: six hundred parameters would take long to quote.
DOUBTFUL_FIRST = literal_column(
    f"'{{{','.join(str(ord(sign)) for sign in SPACES + SIGNS + QUOTE)}}}'::integer[]", ARRAY(Integer)
)
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
    # A million wide rows have 35 million texts, most of which start with a letter or digit. To look up the first
    # character is much cheaper than the pattern, so that only the others are looked at any closer.
    first = func.ascii(column)
    marked_column = literal("'", String).concat(column)
    doubtful = case((first == ord("+"), marked_column), (column.regexp_match(NEEDS_MARK), marked_column), else_=column)
    return case((first == any_(DOUBTFUL_FIRST), doubtful), else_=column)


def marked(value: str) -> str:
    """What `neutralised` makes of one value."""
    return f"'{value}" if _NEEDS_MARK.match(value) else value


def unmarked(cell: str) -> str:
    """The value that `neutralised` made the cell from."""
    return cell[1:] if _MARKED.match(cell) else cell
