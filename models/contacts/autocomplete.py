"""Values of one field that begin with what somebody types, at once whatever the number of contacts.

First come those that stand most often, which the planner's statistics know of every field. Where these are few, fields
with an index of their own are looked through value by value, and of all others a sample, which is everything where
there are no more than some ten thousand contacts. Where this process has a mirror of them (mirror.py), it is asked
first, and knows all values.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from models.contacts import own_mirror
from models.contacts.search import chosen_columns
from models.contacts.table import FIELDS
from models.database import reading
from models.errors import InvalidInput, about
from models.fields import REFERENCES, Field, Kind
from models.filters import Filters
from models.industries import Industry
from models.permissions import OPERATOR, Actor, Permission, require
from models.users import User

MOST = 100  # values
LONGEST = 200  # characters that were typed
WALKED = ("last_name", "company", "email", "contact_id")  # each the first column of a btree index
BLOCKS = 2_000  # of the table, in a sample: some twenty thousand contacts
OFFERED = frozenset({Kind.TEXT, Kind.CHOICE, Kind.LIST, Kind.EMAIL, Kind.INDUSTRY, Kind.OWNER, Kind.URL, Kind.PHONE})

_COMMON = sql(
    """SELECT coalesce(most_common_elems, most_common_vals)::text::text[] AS common FROM pg_stats
    WHERE schemaname = current_schema() AND tablename = 'contacts' AND attname = :column"""
)
# Each step goes down the index to the next value, so that a million contacts of one company are one step. Capitals do
# not end it: in some orders of databases “Acme” stands between “acme” and “acme inc”. LIMIT ends the recursion early.
_WALK = """WITH RECURSIVE walk AS (
    (SELECT {column} AS value FROM contacts WHERE {column} >= :typed ORDER BY {column} LIMIT 1)
    UNION ALL
    SELECT (SELECT c.{column} FROM contacts c WHERE c.{column} > w.value ORDER BY c.{column} LIMIT 1)
    FROM walk w WHERE starts_with(lower(w.value), lower(:typed))
) SELECT value FROM walk WHERE starts_with(lower(value), lower(:typed)) LIMIT :most"""

# Whole blocks, always the same ones as long as the table does not grow.
_SAMPLE = """SELECT value FROM (
    SELECT {value} AS value FROM contacts TABLESAMPLE SYSTEM (:percent) REPEATABLE (0)) AS looked_at
WHERE starts_with(lower(value), lower(:typed)) GROUP BY value ORDER BY count(*) DESC, value LIMIT :most"""
_PERCENT = sql(
    """SELECT least(100, 100.0 * :blocks * current_setting('block_size')::int
        / greatest(1, pg_relation_size('contacts')))"""
)


@own_mirror.asks
def values(name: str, typed: str = "", *, most: int = 20, by: Actor) -> list[str]:
    """At most `most` values of the field that begin with `typed`, capitals aside; of industries and owners the names
    and e-mail addresses of those in use. The commonest first; beyond those that are common not every rare one is found.

    Raises NotAllowed, InvalidInput (no such field, or one of numbers, days or yes and no).
    """
    require(by, Permission.CONTACTS_READ)
    with about("field"):
        chosen_columns([name], by=by)
    if name not in FIELDS:
        raise InvalidInput(f"“{name}” has no values to offer: name a field of contacts.", field="field")
    field, wanted = FIELDS[name], typed.replace("\x00", "").strip()
    if field.kind not in OFFERED:
        raise InvalidInput(f"{field.title} is a {field.kind.value}: there is nothing to complete.", field="field")
    if len(wanted) > LONGEST:
        raise InvalidInput(f"What is typed has {len(wanted):,} characters; {LONGEST} are the most.", field="typed")
    found: dict[str, str] = {}  # by its small letters, as it is spelled most often
    _take(_mirrored(field, wanted, most), wanted, most, found)
    if len(found) < most:  # else no second connection is needed, nor asked for while the first one is held
        with reading() as session:
            _take(_sources(session, field, wanted, most), wanted, most, found)
    return list(found.values())


def _take(values: Iterable[str], typed: str, most: int, found: dict[str, str]) -> None:
    for value in values:
        if value and value.casefold().startswith(typed.casefold()):
            found.setdefault(value.casefold(), value)
        if len(found) == most:
            break


def _mirrored(field: Field, typed: str, most: int) -> list[str]:
    """All of them, where this process has a mirror: twice as many as are wanted, since some differ in capitals only."""
    if field.kind in REFERENCES:
        return []
    with own_mirror.viewing() as view:
        if view is None:
            return []
        from models.contacts.mirrored import Mirrored

        return Mirrored(view, Filters(), OPERATOR).completed(field.name, typed, 2 * most) or []


def _sources(session: Session, field: Field, typed: str, most: int) -> Iterator[str]:
    """The nearer a source, the earlier: those behind it are not asked where it gives enough."""
    match field.kind:
        case Kind.INDUSTRY:
            yield from session.scalars(select(Industry.name).where(Industry.is_active).order_by(Industry.name))
            return
        case Kind.OWNER:
            yield from session.scalars(select(User.email).where(User.is_active).order_by(User.email))
            return
    yield from field.choices
    yield from session.scalars(_COMMON, {"column": field.column}).one_or_none() or []
    if typed and field.column in WALKED:
        for spelled in _spellings(typed):
            walk = sql(_WALK.format(column=field.column)).bindparams(typed=spelled, most=most)
            yield from session.scalars(walk)
    else:
        yield from _sampled(session, field, typed, most)


def _sampled(session: Session, field: Field, typed: str, most: int) -> Iterator[str]:
    value = f"unnest({field.column})" if field.kind is Kind.LIST else field.column
    percent = session.scalars(_PERCENT, {"blocks": BLOCKS}).one()
    sample = sql(_SAMPLE.format(value=value)).bindparams(percent=percent, typed=typed, most=most)
    yield from session.scalars(sample)


def _spellings(typed: str) -> list[str]:
    """An index holds values as they are spelled: the usual ways, as it was typed first."""
    return list(dict.fromkeys([typed, typed.title(), typed.capitalize(), typed.upper(), typed.lower()]))
