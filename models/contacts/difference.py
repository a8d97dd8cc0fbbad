"""What became of a view between two moments: contacts that came into it, that left it, and that changed within it.

Only a contact that has a version from between them, or a state that began there, can differ: just these are looked at,
in one statement that puts both of their states side by side.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    DateTime,
    RowMapping,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    column,
    false,
    func,
    literal,
    select,
    table,
    text,
    true,
)
from sqlalchemy.orm import Session

from models import replica
from models.contacts import as_of, moments, search
from models.contacts.history import FieldChange, readable
from models.contacts.moments import NOW, When
from models.contacts.table import FIELDS, Contact
from models.errors import InvalidInput
from models.filters import Filters, visible_fields
from models.permissions import Actor, Permission, require

SINCE, UNTIL = "from", "to"  # in an address
MAX_PAGE_SIZE = 200
FEW = 50_000  # contacts that are looked up one by one
TOUCHED = """
SELECT id FROM contact_history WHERE replaced_at > :since AND replaced_at <= :until
UNION SELECT id FROM contact_history WHERE replaced_at > :until AND updated_at > :since AND updated_at <= :until
UNION SELECT id FROM contacts WHERE updated_at > :since AND updated_at <= :until
"""


class Way(StrEnum):
    CAME = "came"
    LEFT = "left"
    CHANGED = "changed"


@dataclass(frozen=True)
class Asked:
    """The view and the two moments; None is now. Raises InvalidInput for a view that is itself of the past."""

    filters: Filters
    since: When | None
    until: When | None

    def __post_init__(self) -> None:
        if self.filters.as_of:
            raise InvalidInput("A difference has two moments of its own: leave as_of out of the filter.", field="as_of")

    @property
    def moments(self) -> str:
        """ "from 2026-11-01 to now", as they are written."""
        since, until = (one.written if one else NOW for one in (self.since, self.until))
        return f"from {since} to {until}"

    @property
    def sentence(self) -> str:
        since, until = (one.words if one else NOW for one in (self.since, self.until))
        return f"{self.filters.sentence()}, from {since} to {until}".replace("from as of", "from").replace(
            "to as of", "to"
        )


@dataclass(frozen=True)
class Numbers:
    """How many contacts; `since` and `until` are what the moments mean, the later one at the latest now."""

    came: int
    left: int
    changed: int
    since: datetime
    until: datetime

    def of(self, way: Way) -> int:
        return {Way.CAME: self.came, Way.LEFT: self.left, Way.CHANGED: self.changed}[way]

    @property
    def total(self) -> int:
        return self.came + self.left + self.changed


@dataclass(frozen=True)
class Differing:
    """A contact: `values` are the reader's fields as they are at the later moment, or were at the earlier one where it
    is not there any more. `fields` are those that differ, none where it is there at one of the moments only."""

    id: int
    way: Way
    values: dict[str, Any]
    fields: tuple[FieldChange, ...]
    was_there: bool
    is_there: bool


def moment(written: str, name: str) -> When | None:
    """The moment that `name` gives; None is now. Raises InvalidInput."""
    return None if written.strip().lower() == NOW else moments.parse(written, name)


@replica.browses
def numbers(asked: Asked, *, by: Actor) -> Numbers:
    """Raises NotAllowed, InvalidInput (moments that are to come, or the wrong way round)."""
    with _compared(asked, by) as (session, states):
        counted = (func.count().filter(states.way == way) for way in Way)
        came, left, changed = session.execute(states.found(*counted)).one()
        return Numbers(came, left, changed, states.since, states.until)


@replica.browses
def page(asked: Asked, way: Way, *, number: int = 1, size: int = 50, by: Actor) -> list[Differing]:
    """Those of one way, the newest contacts first. Raises NotAllowed, InvalidInput."""
    if not 1 <= size <= MAX_PAGE_SIZE or number < 1:
        raise InvalidInput(f"Pages start at 1 and hold 1 to {MAX_PAGE_SIZE} contacts.", field="page")
    with _compared(asked, by) as (session, states):
        ids = list(
            session.scalars(
                states.found(states.id)
                .where(states.way == way)
                .order_by(states.id.desc())
                .limit(size)
                .offset((number - 1) * size)
            )
        )
        # Their numbers first, all of their columns after: wide rows are not sorted.
        rows = session.execute(states.whole(ids)).mappings()
        found = {row["id"]: told(row, states.seen) for row in rows}
    return [found[one] for one in ids]


@contextmanager
def _compared(asked: Asked, by: Actor) -> Iterator[tuple[Session, "States"]]:
    require(by, Permission.CONTACTS_READ)
    with search.looking(Filters(), by) as session:
        yield session, compared(session, asked, by=by)


def compared(session: Session, asked: Asked, *, by: Actor) -> "States":
    """Both moments' states, for a session that only reads. Raises InvalidInput, NotAllowed (a hidden field)."""
    now = session.scalars(select(func.now())).one().astimezone(UTC)
    since, until = (
        min(now, as_of.resolve(session, one, field=name, may_be_empty=True)) if one else now
        for name, one in ((SINCE, asked.since), (UNTIL, asked.until))
    )
    if since > until:
        raise InvalidInput(
            "Nothing lies between: the first moment is the later one. Put them the other way round.", field=SINCE
        )
    states = States(asked.filters, since, until, by)
    some = select(table("touched", column("id")).c.id).limit(FEW + 1).add_cte(states.touched)
    ids = tuple(session.scalars(some))
    return replace(states, among=ids) if len(ids) <= FEW else replace(states, is_few=False)


@dataclass(frozen=True)
class States:
    """Contacts at `since` beside what they are at `until`, where they may differ."""

    filters: Filters
    since: datetime
    until: datetime
    by: Actor
    among: tuple[int, ...] | None = None  # only these are looked at
    is_few: bool = True  # of many each is not looked up: all contacts are compared

    @cached_property
    def seen(self) -> list[str]:
        return visible_fields(self.by)

    @cached_property
    def touched(self) -> CTE:
        """The ids of those that may differ."""
        if self.among is not None:
            given = text("SELECT unnest(:ids) AS id").bindparams(
                bindparam("ids", list(self.among), ARRAY(BigInteger), unique=True)
            )
            return given.columns().cte("touched").prefix_with("MATERIALIZED")
        between = (
            bindparam(name, moment, DateTime(timezone=True), unique=True)
            for name, moment in (("since", self.since), ("until", self.until))
        )
        return text(TOUCHED).bindparams(*between).columns().cte("touched").prefix_with("MATERIALIZED")

    @cached_property
    def was(self) -> Subquery:
        return self._at(self.since, "was")

    @cached_property
    def then(self) -> Subquery:
        return self._at(self.until, "then")

    @cached_property
    def id(self) -> ColumnElement[int]:
        return func.coalesce(self.was.c.id, self.then.c.id)

    @cached_property
    def way(self) -> ColumnElement[str]:
        """The word of a Way; NULL where nothing of it is told."""
        before, after = (func.coalesce(state.c.holds, false()) for state in (self.was, self.then))
        differs = self.was.c.digest != self.then.c.digest
        return case(
            (and_(after, ~before), Way.CAME.value),
            (and_(before, ~after), Way.LEFT.value),
            (and_(before, after, differs), Way.CHANGED.value),
        )

    def found(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """A select of the contacts that differ."""
        both = self.was.join(self.then, self.was.c.id == self.then.c.id, full=True)
        differing = select(*columns).select_from(both).where(self.way.is_not(None))
        return differing.add_cte(self.touched) if self.is_few else differing

    def whole(self, ids: Sequence[int]) -> Select[Any]:
        """Of these contacts all that `by` sees, as “was ...” and “then ...”, industries and owners by name."""
        return replace(self, among=tuple(ids), is_few=True).every()

    def every(self) -> Select[Any]:
        """`whole` of all that differ."""
        values = [
            shown.label(f"{which} {name}")
            for which, state in (("was", self.was), ("then", self.then))
            for name, shown in zip(self.seen, readable(state, self.seen), strict=True)
        ]
        there = self.was.c.id.is_not(None).label("was_there"), self.then.c.id.is_not(None).label("is_there")
        return self.found(self.id.label("id"), self.way.label("way"), *there, *values)

    def _at(self, moment: datetime, name: str) -> Subquery:
        """Each contact that may differ: whether it `holds` what the filter asks, and a `digest` of what `by` sees of
        it, so that no wide rows are joined to compare them. It has 64 bits: one of 2e19 changes would be overlooked.
        """
        columns = [Contact.__table__.c[FIELDS[one].column] for one in self.seen]
        holds = case((self.filters.condition(by=self.by), true()), else_=false()).label("holds")
        row = func.row(*columns) if columns else func.row(0)
        digest = func.hash_record_extended(row, literal(0, BigInteger)).label("digest")
        rows = select(Contact.id, holds, digest, *columns)
        states = as_of.contacts_at(moment, chosen="touched" if self.is_few else "", by=self.by)
        return rows.add_cte(states, nest_here=True).subquery(name)


def told(row: RowMapping, seen: Sequence[str]) -> Differing:
    """A row of `whole`."""
    was_there, is_there = row["was_there"], row["is_there"]
    pairs = [FieldChange(name, row[f"was {name}"], row[f"then {name}"]) for name in seen]
    changed = tuple(one for one in pairs if one.old != one.new) if was_there and is_there else ()
    values = {one.name: one.new if is_there else one.old for one in pairs}
    return Differing(row["id"], Way(row["way"]), values, changed, was_there, is_there)
