"""The only door for reading contacts in sets: pages, counts, facets, statistics, and the select that exports stream."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, text

from models.contacts import statistics
from models.contacts.statistics import Statistics
from models.contacts.table import FIELDS, Contact
from models.database import reading
from models.errors import InvalidInput, NotAllowed
from models.fields import Kind
from models.filters import Filters, visible_fields
from models.industries import Industry
from models.permissions import Actor, Permission, require
from models.users import User

MAX_PAGE_SIZE = 1000
NEWEST_FIRST = "-id"
SORTABLE_SYSTEM = ("id", "created_at", "updated_at")


@dataclass(frozen=True)
class Page:
    """`rows` are dicts of the chosen columns plus `id`; `total` is the exact count of all that match."""

    rows: list[dict[str, Any]]
    total: int
    number: int
    size: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.size))


def page(
    filters: Filters,
    *,
    columns: list[str] | None = None,
    sort: str = NEWEST_FIRST,
    number: int = 1,
    size: int = 50,
    by: Actor,
) -> Page:
    """Page `number` (from 1) and the exact count, read from one snapshot.

    `sort` is a field, or "-field" for descending. Raises NotAllowed, InvalidInput.
    """
    require(by, Permission.CONTACTS_READ)
    if not 1 <= size <= MAX_PAGE_SIZE or number < 1:
        raise InvalidInput(f"Pages start at 1 and hold 1 to {MAX_PAGE_SIZE:,} contacts.")
    shown = chosen_columns(columns, by=by)
    where = filters.condition(by=by)
    order = _order(sort, by)
    # The ids first, the rows after: sorting 49 wide columns costs ten times as much as sorting ids.
    ids = select(Contact.id).where(where).order_by(*order).limit(size).offset((number - 1) * size).subquery()
    rows = select(Contact.id, *labelled(shown)).join(ids, ids.c.id == Contact.id).order_by(*order)
    with reading() as session:
        total = session.scalar(select(func.count()).select_from(Contact).where(where)) or 0
        found = [dict(row._mapping) for row in session.execute(rows)]
    return Page(found, total, number, size)


def count(filters: Filters, *, by: Actor) -> int:
    """Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    with reading() as session:
        return session.scalar(select(func.count()).select_from(Contact).where(filters.condition(by=by))) or 0


def count_by(filters: Filters, name: str, *, by: Actor, limit: int | None = None) -> list[tuple[Any, int]]:
    """The field's values with their exact counts, commonest first; list fields count each element.

    Raises NotAllowed, InvalidInput (no such field).
    """
    require(by, Permission.CONTACTS_READ)
    if name not in FIELDS:
        raise InvalidInput(f"There is no field “{name}” to count by. Fields are: {', '.join(visible_fields(by))}.")
    chosen_columns([name], by=by)
    column = Contact.__table__.c[FIELDS[name].column]
    value = func.unnest(column) if FIELDS[name].kind is Kind.LIST else column
    matching = select(value.label("value")).where(filters.condition(by=by)).subquery()
    number = func.count().label("count")
    counted = select(matching.c.value, number).group_by(matching.c.value)
    counted = counted.order_by(number.desc(), matching.c.value.asc().nulls_last()).limit(limit)
    with reading() as session:
        found = [(row[0], row[1]) for row in session.execute(counted)]
        names = _names(session, FIELDS[name].kind) if FIELDS[name].kind in (Kind.INDUSTRY, Kind.OWNER) else None
    return [(names.get(value) if names else value, number) for value, number in found]


def statistics_of(filters: Filters, *, by: Actor) -> Statistics:
    """The numbers of all contacts that match, read from one snapshot; nothing of what `by` may not see.

    Raises NotAllowed.
    """
    require(by, Permission.CONTACTS_READ)
    where = filters.condition(by=by)
    with reading() as session:
        return statistics.read(session, where, visible_fields(by))


def clock() -> int:
    """Moves with every statement that changes contacts or their industries: the same clock, the same answers.

    It moves when the statement runs, which is before the change can be seen.
    """
    with reading() as session:
        return session.scalar(text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM contacts_clock")) or 0


def matching(filters: Filters, columns: list[str], *, by: Actor) -> Select[Any]:
    """The rows of an export in the order they were created: `id` and the columns, references by name."""
    require(by, Permission.CONTACTS_READ)
    return select(Contact.id, *labelled(columns)).where(filters.condition(by=by)).order_by(Contact.id)


def chosen_columns(columns: list[str] | None, *, by: Actor) -> list[str]:
    """`columns`, or all that `by` may see. Raises InvalidInput for one unknown, NotAllowed for one hidden."""
    seen = visible_fields(by)
    if columns is None:
        return seen
    if unknown := [name for name in columns if name not in FIELDS and name not in SORTABLE_SYSTEM]:
        raise InvalidInput(f"There is no field “{unknown[0]}”. Fields are: {', '.join(seen)}.")
    if hidden := [name for name in columns if name in FIELDS and name not in seen]:
        raise NotAllowed(f"You may not see the field “{hidden[0]}”: an administrator can allow it.")
    return columns


def labelled(columns: list[str]) -> list[ColumnElement[Any]]:
    """Each column under its field's name; industries and owners as text."""
    return [_readable(name).label(name) for name in columns]


def _readable(name: str) -> ColumnElement[Any]:
    if name not in FIELDS:
        return Contact.__table__.c[name]
    column = Contact.__table__.c[FIELDS[name].column]
    if FIELDS[name].kind is Kind.INDUSTRY:
        return select(Industry.name).where(Industry.id == column).correlate(Contact).scalar_subquery()
    if FIELDS[name].kind is Kind.OWNER:
        return select(User.email).where(User.id == column).correlate(Contact).scalar_subquery()
    return column


def _order(sort: str, by: Actor) -> list[ColumnElement[Any]]:
    name = sort.removeprefix("-")
    chosen_columns([name], by=by)
    column = _readable(name)
    if name == "id":
        return [column.desc() if sort.startswith("-") else column.asc()]
    ordered = column.desc().nulls_last() if sort.startswith("-") else column.asc()
    return [ordered, Contact.__table__.c.id]  # the id last: pages need one order, also among equals


def _names(session: Any, kind: Kind) -> dict[int, str]:
    table, label = (Industry, Industry.name) if kind is Kind.INDUSTRY else (User, User.email)
    return {row.id: row[1] for row in session.execute(select(table.id, label))}
