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
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.orm import Session

from models.contacts import search
from models.contacts.table import FIELDS, SYSTEM_HEADERS, Contact
from models.database import engine
from models.exports import EXTRA
from models.fields import Kind
from models.filters import Filters
from models.industries import Industry
from models.permissions import Actor
from models.spreadsheet_formulas import neutralised
from models.users import User

SYSTEM_LABELS = {**SYSTEM_HEADERS, EXTRA: "Extra"}
# A list is joined by ", " unless an element holds one of these, or the text would look like a JSON array.
BETWEEN = "\x1f"  # joined by it first: no element should hold it, so that what is found is the elements' own
NOT_JOINABLE = (",", ";", " ::: ", "\n")
# 30 MB of usual rows; a selective filter is looked up anew for each piece.
ROWS_OF_A_PIECE = 50_000
FIRST_ID, LAST_ID = "piece_first_id", "piece_last_id"
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


def extent(session: Session, wanted: Wanted) -> tuple[int, range]:
    """How many contacts there are, and the ids from the first of them to the last."""
    rows = search.matching(wanted.filters, [], by=wanted.by).where(*_selection(wanted)).order_by(None).subquery()
    counted = select(func.count(), func.min(rows.c.id), func.max(rows.c.id)).select_from(rows)
    total, first, last = session.execute(counted).one()
    return total, range(0) if first is None or last is None else range(first, last + 1)


def pieces(ids: range, rows: int) -> list[range]:
    """`ids` in as many parts as pieces of ROWS_OF_A_PIECE rows come together to `rows`."""
    if rows <= ROWS_OF_A_PIECE:
        return [ids]
    step = -(-len(ids) * ROWS_OF_A_PIECE // rows)
    return [ids[start : start + step] for start in range(0, len(ids), step)]


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


def literal_sql(
    statement: Select[Any], connection: psycopg.Connection[Any], pieces_of_ids: Sequence[range]
) -> list[str]:
    """The statement for each piece, with its values quoted into it by libpq: COPY takes no parameters.

    SQLAlchemy needs a tenth of a second for so many columns, hence once for all.
    """
    compiled = statement.compile(dialect=engine().dialect, compile_kwargs={"render_postcompile": True})
    text, cursor = str(compiled), psycopg.ClientCursor(connection)
    bounds = [{FIRST_ID: piece.start, LAST_ID: piece.stop - 1} for piece in pieces_of_ids]
    return [cursor.mogrify(text, {**compiled.params, **ends}) for ends in bounds]


def _matching(wanted: Wanted) -> Subquery:
    # Its ORDER BY keeps Postgres from folding the subquery into the outer select, where each reference to an
    # industry's name, or to a joined list, would compute it again.
    fields = [name for name in wanted.columns if name not in ("id", EXTRA, *REFERRED)]
    rows = search.matching(wanted.filters, fields, by=wanted.by).where(*_selection(wanted))
    rows = rows.where(Contact.id.between(bindparam(FIRST_ID, 0, BigInteger), bindparam(LAST_ID, 0, BigInteger)))
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
    # Marked before it is joined: what is written more than once here is computed more than once.
    text = func.replace(inside if raw_formulas else neutralised(inside), BETWEEN, ", ")
    # strpos, for one regular expression takes ten times as long as all of these.
    quoted = or_(inside.like("[%"), inside.like('"%'))
    doubtful = or_(inside == "", quoted, *(func.strpos(inside, sign) > 0 for sign in NOT_JOINABLE))
    return case((column.is_(None), null()), (doubtful, cast(func.array_to_json(column), Text)), else_=text)
