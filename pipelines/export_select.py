"""The select of an export: which contacts, which columns, in the shape that each format wants.

Postgres makes the text of the cells itself: a loop over rows in Python would cost ten times as much.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Text,
    any_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)

from models.contacts import search
from models.contacts.table import FIELDS, Contact
from models.database import engine
from models.exports import EXTRA
from models.fields import Kind
from models.filters import Filters
from models.industries import Industry
from models.permissions import Actor
from models.users import User
from pipelines.spreadsheet_formulas import neutralised

SYSTEM_LABELS = {"id": "Record ID", "created_at": "Created At", "updated_at": "Updated At", EXTRA: "Extra"}
# A list is joined by ", " unless an element holds one of these, or the text would look like a JSON array.
BETWEEN = "\x1f"  # joined by it first: no element should hold it, so that what is found is the elements' own
NOT_JOINABLE = (",", ";", " ::: ", "\n")
REFERRED = {
    "industry": (Industry.__table__.c.id, Industry.__table__.c.name),
    "owner": (User.__table__.c.id, User.__table__.c.email),
}
UTC_TEXT = 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'


@dataclass(frozen=True)
class Wanted:
    """What an export takes out; `columns` are fields, `id`, `created_at`, `updated_at` or `extra`."""

    filters: Filters
    columns: Sequence[str]
    ids: Sequence[int] | None
    by: Actor


def label(name: str) -> str:
    """The header of a column in files for people; the importer maps each to its field."""
    return FIELDS[name].label if name in FIELDS else SYSTEM_LABELS[name]


def kind(name: str) -> Kind | None:
    """None for the columns that are no fields."""
    return FIELDS[name].kind if name in FIELDS else None


def total(wanted: Wanted) -> Select[int]:
    condition = wanted.filters.condition(by=wanted.by)
    return select(func.count()).select_from(Contact).where(condition, *_selection(wanted))


def as_cells(wanted: Wanted, *, raw_formulas: bool) -> Select[Any]:
    """Every column as the text of a spreadsheet's cell, under its label."""
    rows = _matching(wanted)
    cells = [_cell(name, rows, raw_formulas).label(label(name)) for name in wanted.columns]
    return select(*cells)


def as_json(wanted: Wanted) -> Select[Any]:
    """One column: each row as a JSON object of field names, values typed, nulls kept."""
    rows = _matching(wanted)
    chosen = select(*(rows.c[name] for name in wanted.columns)).subquery("chosen")
    return select(func.row_to_json(literal_column("chosen"))).select_from(chosen)


def as_values(wanted: Wanted) -> Select[Any]:
    """Typed columns under their field names; money and JSON as text, for Arrow has other types for them."""
    rows = _matching(wanted)
    as_text = (Kind.MONEY,)
    values = [
        cast(rows.c[name], Text).label(name) if kind(name) in as_text or name == EXTRA else rows.c[name]
        for name in wanted.columns
    ]
    return select(*values)


def literal_sql(statement: Select[Any], connection: psycopg.Connection[Any]) -> str:
    """The statement with its values quoted into it by libpq: COPY takes no parameters."""
    compiled = statement.compile(dialect=engine().dialect, compile_kwargs={"render_postcompile": True})
    return psycopg.ClientCursor(connection).mogrify(str(compiled), compiled.params)


def _matching(wanted: Wanted) -> Subquery:
    # Its ORDER BY keeps Postgres from folding the subquery into the outer select, where each reference to an
    # industry's name, or to a joined list, would compute it again.
    fields = [name for name in wanted.columns if name not in ("id", EXTRA, *REFERRED)]
    rows = search.matching(wanted.filters, fields, by=wanted.by).where(*_selection(wanted))
    if EXTRA in wanted.columns:
        rows = rows.add_columns(Contact.extra.label(EXTRA))
    lists = [name for name in fields if kind(name) is Kind.LIST]
    inside = [func.array_to_string(Contact.__table__.c[name], BETWEEN).label(_inside(name)) for name in lists]
    rows = rows.add_columns(*inside)
    # Joined: Postgres remembers what a join found for an id, but runs a subquery among the columns anew each time.
    for name in [name for name in REFERRED if name in wanted.columns]:
        key, shown = REFERRED[name]
        rows = rows.add_columns(shown.label(name)).outerjoin(key.table, key == Contact.__table__.c[FIELDS[name].column])
    return rows.subquery("matching")


def _inside(name: str) -> str:
    return f"inside {name}"


def _selection(wanted: Wanted) -> list[ColumnElement[bool]]:
    if wanted.ids is None:
        return []
    return [Contact.id == any_(literal(list(wanted.ids), ARRAY(BigInteger)))]


def _cell(name: str, rows: Subquery, raw_formulas: bool) -> ColumnElement[Any]:
    column = rows.c[name]
    if name in ("created_at", "updated_at"):
        return func.to_char(func.timezone("UTC", column), UTC_TEXT)
    match kind(name):
        case Kind.FLAG:
            return case((column.is_(None), null()), (column, "TRUE"), else_="FALSE")
        case Kind.LIST:
            return _list_cell(column, rows.c[_inside(name)], raw_formulas)
        case None | Kind.WHOLE | Kind.MONEY | Kind.DATE:
            return column
    return column if raw_formulas else neutralised(column)


def _list_cell(column: ColumnElement[Any], inside: ColumnElement[str], raw_formulas: bool) -> ColumnElement[Any]:
    joined = func.replace(inside, BETWEEN, ", ")
    text = joined if raw_formulas else neutralised(joined)
    # strpos, for one regular expression takes ten times as long as all of these.
    quoted = or_(inside.like("[%"), inside.like('"%'))
    doubtful = or_(inside == "", quoted, *(func.strpos(inside, sign) > 0 for sign in NOT_JOINABLE))
    return case((column.is_(None), null()), (doubtful, cast(func.array_to_json(column), Text)), else_=text)
