"""Counts of several fields' values in one look at the contacts that match. Read through search.py.

The combinations of all values are counted, which are far fewer than the contacts; their sums are each field's counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, Text, cast, func, literal, select, union_all
from sqlalchemy.orm import Session

from models.contacts.table import FIELDS, Contact
from models.fields import Kind

Range = tuple[int, int | None]  # from the one to the other, both included; None is no upper end
Counts = list[tuple[Any, int]]


def read(
    session: Session, where: ColumnElement[bool], names: Sequence[str], ranges: Mapping[str, Sequence[Range]], most: int
) -> dict[str, Counts]:
    """For each field its `most` commonest values with their counts, commonest first; references by id.

    Of the numbers in `ranges` the count of each range, in the order given. Only fields of few values are worth it.
    """
    if not names and not any(ranges.values()):
        return {name: [] for name in ranges}
    columns = [_column(name).label(name) for name in names]
    # Counted beside each combination, not as a part of it: of so many values the planner would expect no few of them.
    within = {
        f"{name} {place}": func.count().filter(_between(_column(name), *one))
        for name, wanted in ranges.items()
        for place, one in enumerate(wanted)
    }
    counted = [func.count().label("contacts"), *(count.label(label) for label, count in within.items())]
    combined = select(*columns, *counted).where(where).group_by(*columns).cte("combined")
    parts = [select(_commonest(name, combined, most).subquery(f"of_{name}")) for name in names]
    parts += [select(literal(label, Text), literal(label, Text), func.sum(combined.c[label])) for label in within]
    rows = session.execute(union_all(*parts)).all()
    found: dict[str, Counts] = {name: [] for name in names}
    for name, value, contacts in rows:
        if name in found:
            found[name].append((int(value) if _is_reference(name) else value, int(contacts)))
    for counts in found.values():
        counts.sort(key=lambda one: (-one[1], one[0]))
    sums = {row[0]: int(row[2] or 0) for row in rows}
    for name, wanted in ranges.items():
        found[name] = [(one, sums[f"{name} {place}"]) for place, one in enumerate(wanted)]
    return found


def _between(column: ColumnElement[Any], low: int, high: int | None) -> ColumnElement[bool]:
    return column >= low if high is None else column.between(low, high)


def _is_reference(name: str) -> bool:
    return FIELDS[name].kind in (Kind.INDUSTRY, Kind.OWNER)


def _commonest(name: str, combined: CTE, most: int) -> Select[Any]:
    column = combined.c[name]
    value = func.unnest(column) if FIELDS[name].kind is Kind.LIST else column
    each = select(cast(value, Text).label("value"), combined.c.contacts).where(column.is_not(None)).subquery()
    contacts = func.sum(each.c.contacts)
    counted = select(literal(name, Text).label("field"), each.c.value, contacts.label("contacts"))
    return counted.group_by(each.c.value).order_by(contacts.desc(), each.c.value.collate("C")).limit(most)


def _column(name: str) -> ColumnElement[Any]:
    return Contact.__table__.c[FIELDS[name].column]
