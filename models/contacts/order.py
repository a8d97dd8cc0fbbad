"""The order of a list of contacts, and walking along it: from either end, or from one contact to the next.

Empty values come last, whichever way the others go. Equal ones are in the order of their ids, so that a list has one
order only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Integer,
    Numeric,
    Select,
    Subquery,
    and_,
    any_,
    false,
    func,
    literal,
    or_,
    select,
    tablesample,
    true,
    tuple_,
)
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import TableSample
from sqlalchemy.sql.util import ClauseAdapter

from models.contacts.table import FIELDS, Contact
from models.errors import InvalidInput
from models.fields import Kind
from models.industries import Industry
from models.users import User

SAMPLE = 0.1  # percent of the table, whole blocks
FEW = 50_000  # contacts that are all read for one page; of more only those that are wanted
NEAR = 20_000  # contacts that are looked at one by one along an index
FIRST = 5_000  # contacts from the start, which the look that counts can bring along
INDEXED = ("last_name", "company")  # orders with an index of their own, beside that of ids
_contacts = Contact.__table__


@dataclass(frozen=True)
class Neighbours:
    """The ids of the contacts before and after one, None at the ends; its place from 1, and how many there are."""

    previous: int | None
    next: int | None
    place: int
    total: int


@dataclass(frozen=True)
class Part:
    """Contacts that stand together, with a value or without one; by `keys`, which all rise or all fall.

    In two parts, since an index has its empty values at one end, and that is the wrong one when it is read backwards.
    """

    rows: ColumnElement[bool]
    keys: tuple[ColumnElement[Any], ...]

    def directed(self, falling: bool) -> list[ColumnElement[Any]]:
        return [key.desc() if falling else key.asc() for key in self.keys]

    def beyond(self, values: Sequence[Any], falling: bool) -> ColumnElement[bool]:
        """The contacts of this part that come after the one with these values of the keys."""
        here, there = tuple_(*values), tuple_(*self.keys)
        return there < here if falling else there > here


@dataclass(frozen=True)
class Order:
    """By `key`, and by id alone where that is None. `source` is contacts with whatever the key is read from.

    `is_whole`: contacts are no table of which a sample could be taken, so that all that match are always read.
    """

    name: str  # of the field or column
    key: ColumnElement[Any] | None
    falling: bool
    source: FromClause
    is_indexed: bool
    is_whole: bool = False

    @property
    def is_of_text(self) -> bool:
        """Whether it depends on how the database compares texts."""
        return self.key is not None and not isinstance(self.key.type, (Numeric, Integer, Date, DateTime, Boolean))

    def page(
        self, session: Session, where: ColumnElement[bool], *, first: int, size: int, total: int | None = None
    ) -> tuple[int, list[int]]:
        """How many contacts match, and the ids of those at the places `first` (from 0) and following.

        `total` is that number where it is known already.
        """
        if total is None and (self.is_whole or are_few(session, where)):
            found = self._at_once(session, where, first, size)
            if found[1] or first == 0:
                return found
        if total is None and not self.is_indexed and first + size <= FIRST:
            total, ids = self._counted_with_first(session, where, first, size)
            if len(ids) == size:
                return total, ids
        if total is None:
            total = _count(session, _contacts, where)
        if total <= FEW and not (self.is_indexed and first + size <= NEAR):
            return total, self._at_once(session, where, first, size)[1]
        return total, self._walked_to(session, where, first, min(size, total - first), total)

    def around(self, session: Session, where: ColumnElement[bool], contact_id: int) -> Neighbours:
        """Where the contact stands among those that match, or would stand. Raises NoResultFound where it is gone."""
        if self.is_whole or are_few(session, where):
            numbered = self._numbered(where)
            row = session.execute(select(numbered).where(numbered.c.id == contact_id)).one_or_none()
            if row is not None:
                return Neighbours(row.previous, row.next, row.place, row.total)
        values = self.values(session, contact_id)
        before, after, total = self._counted_around(session, where, values)
        previous = self._next(session, where, values, back=True) if before else None
        following = self._next(session, where, values, back=False) if after else None
        return Neighbours(previous, following, before + 1, total)

    def following(
        self, session: Session, where: ColumnElement[bool], values: Sequence[Any] | None, size: int
    ) -> list[list[Any]]:
        """The keys, with the id last, of the `size` contacts after the one with these keys, or of the first ones.

        Raises InvalidInput for keys that no contact has in this order.
        """
        parts = self._parts(back=False)
        if values:
            self.require_keys(values)
        own = self._own(parts, list(values)) if values else parts[0]
        few = self.is_whole or are_few(session, where)
        found: list[list[Any]] = []
        for part in parts[parts.index(own) :]:
            after = part.beyond(values, self.falling) if values and part is own else true()
            rows = select(*part.keys).select_from(self.source).where(where, part.rows)
            if few:  # or the planner follows an index past many that do not match
                rows = rows.add_columns(_contacts.c.id.label("again")).offset(0)
                listed = rows.subquery()
                renamed = Part(true(), tuple(listed.c)[:-1])
                beyond = renamed.beyond(values, self.falling) if values and part is own else true()
                rows = select(*renamed.keys).where(beyond).order_by(*renamed.directed(self.falling))
            else:
                rows = rows.where(after).order_by(*part.directed(self.falling))
            found += [list(row) for row in session.execute(rows.limit(size - len(found)))]
            if len(found) == size:
                break
        return found

    def _at_once(self, session: Session, where: ColumnElement[bool], first: int, size: int) -> tuple[int, list[int]]:
        """One look at the contacts gives the page and the number, where reading both apart would take two."""
        found = self._found(where)
        rows = select(found.c.id, func.count().over()).order_by(*self._terms(found, self.falling))
        read = session.execute(rows.limit(size).offset(first)).all()
        return (read[0][1] if read else 0), [row.id for row in read]

    def _counted_with_first(
        self, session: Session, where: ColumnElement[bool], first: int, size: int
    ) -> tuple[int, list[int]]:
        """How many contacts match, and the page where it is short of a border that a sample finds; else too few ids."""
        filled = self._parts(back=False)[0]
        border = self._sampled(session, filled, where, 3 + round((first + size) * 2 * SAMPLE / 100))
        near = filled.beyond(border, not self.falling) if border else false()
        looked = select(func.count(), func.array_agg(_contacts.c.id).filter(near))
        total, ids = session.execute(looked.select_from(self.source).where(where)).one()
        listed = self._listed(filled, _contacts.c.id == any_(literal(ids or [], ARRAY(BigInteger))), back=False)
        return total, list(session.scalars(listed.offset(first).limit(size)))

    def _sampled(self, session: Session, part: Part, where: ColumnElement[bool], place: int) -> Sequence[Any] | None:
        """The keys of the contact at this place of a sample of the part; None where it has no so many."""
        rows = select(*part.keys).select_from(self.source).where(where, part.rows)
        listed = rows.order_by(*part.directed(self.falling)).offset(place).limit(1)
        return session.execute(ClauseAdapter(_sample(SAMPLE)).traverse(listed)).first()

    def _numbered(self, where: ColumnElement[bool]) -> Subquery:
        found = self._found(where)
        terms = self._terms(found, self.falling)
        return select(
            found.c.id,
            func.lag(found.c.id).over(order_by=terms).label("previous"),
            func.lead(found.c.id).over(order_by=terms).label("next"),
            func.row_number().over(order_by=terms).label("place"),
            func.count().over().label("total"),
        ).subquery()

    def _found(self, where: ColumnElement[bool]) -> Subquery:
        """All that match, before they are sorted: OFFSET 0 keeps the planner from following an index instead."""
        keys = [] if self.key is None else [self.key.label("key")]
        return select(*keys, _contacts.c.id).select_from(self.source).where(where).offset(0).subquery()

    def _terms(self, found: Subquery, falling: bool) -> list[ColumnElement[Any]]:
        empty_last = [] if self.key is None else [found.c.key.is_(None)]
        return [*empty_last, *Part(true(), tuple(found.c)).directed(falling)]

    def _walked_to(self, session: Session, where: ColumnElement[bool], first: int, size: int, total: int) -> list[int]:
        """The page of a long list, counted from its nearer end."""
        if size <= 0:
            return []
        back = first > total // 2
        skip = total - first - size if back else first
        found: list[int] = []
        for part in self._parts(back):
            found += self._some(session, part, where, back, skip, size - len(found))
            if len(found) == size:
                break
            skip = 0 if found else skip - _count(session, self.source, and_(where, part.rows))
        return found[::-1] if back else found

    def _next(self, session: Session, where: ColumnElement[bool], values: list[Any], *, back: bool) -> int | None:
        parts = self._parts(back)
        own = self._own(parts, values)
        for part in parts[parts.index(own) :]:
            after = part.beyond(values, self.falling != back) if part is own else true()
            found: int | None = session.scalar(self._listed(part, and_(where, after), back).limit(1))
            if found is not None:
                return found
        return None

    def _counted_around(self, session: Session, where: ColumnElement[bool], values: list[Any]) -> tuple[int, int, int]:
        """How many contacts stand before the one with these values, how many after it, and how many there are."""
        parts = self._parts(back=False)
        own = self._own(parts, values)
        earlier, later = parts[: parts.index(own)], parts[parts.index(own) + 1 :]
        before = or_(*(part.rows for part in earlier), and_(own.rows, own.beyond(values, not self.falling)))
        after = or_(*(part.rows for part in later), and_(own.rows, own.beyond(values, self.falling)))
        counted = select(func.count().filter(before), func.count().filter(after), func.count())
        numbers = session.execute(counted.select_from(self.source).where(where)).one()
        return numbers[0], numbers[1], numbers[2]

    def _some(
        self, session: Session, part: Part, where: ColumnElement[bool], back: bool, skip: int, size: int
    ) -> list[int]:
        """Those after the first `skip` of the part. Where an index is to be followed, only while it is short.

        Contacts that match may all be at its other end, as those of one country may have no company with an A: to
        sort them is then quicker than to look at each before them.
        """
        listed = self._listed(part, where, back)
        if self.is_indexed and skip + size <= NEAR:
            everything = select(*part.keys).select_from(self.source).where(part.rows)
            border = session.execute(
                everything.order_by(*part.directed(self.falling != back)).offset(NEAR).limit(1)
            ).first()
            if border is not None:
                near = part.beyond(border, self.falling == back)
                found = list(session.scalars(self._listed(part, and_(where, near), back).offset(skip).limit(size)))
                if len(found) == size:
                    return found
                all_found = self._found(and_(where, part.rows))
                listed = select(all_found.c.id).order_by(*self._terms(all_found, self.falling != back))
        return list(session.scalars(listed.offset(skip).limit(size)))

    def _parts(self, back: bool) -> list[Part]:
        if self.key is None:
            return [Part(true(), (_contacts.c.id,))]
        filled = Part(self.key.is_not(None), (self.key, _contacts.c.id))
        empty = Part(self.key.is_(None), (_contacts.c.id,))
        return [empty, filled] if back else [filled, empty]

    def _listed(self, part: Part, where: ColumnElement[bool], back: bool) -> Select[Any]:
        rows = select(_contacts.c.id).select_from(self.source).where(where, part.rows)
        return rows.order_by(*part.directed(self.falling != back))

    def values(self, session: Session, contact_id: int) -> list[Any]:
        """Of the keys of the part that the contact stands in. Raises NoResultFound."""
        found = self.keys_of(session, [contact_id])
        if not found:
            raise NoResultFound
        return found[contact_id]

    def keys_of(self, session: Session, ids: Sequence[int]) -> dict[int, list[Any]]:
        """By the id, which is the last of them; for those that there are."""
        keys = [] if self.key is None else [self.key]
        among = _contacts.c.id == any_(literal(list(ids), ARRAY(BigInteger)))
        rows = session.execute(select(*keys, _contacts.c.id).select_from(self.source).where(among))
        return {row[-1]: [value for value in row if value is not None] for row in rows}

    def require_keys(self, values: Sequence[Any]) -> None:
        """They come from a program, which may have made them up: the database would refuse another type. Raises
        InvalidInput."""
        fitting = [part for part in self._parts(back=False) if len(part.keys) == len(values)]
        kinds = zip(values, fitting[0].keys, strict=True) if fitting else ()
        if not fitting or not all(type(value) is key.type.python_type for value, key in kinds):
            raise InvalidInput("This is not where a page ended: begin again with the first one.", field="after")

    def _own(self, parts: list[Part], values: list[Any]) -> Part:
        return next(part for part in parts if len(part.keys) == len(values))


def are_few(session: Session, where: ColumnElement[bool]) -> bool:
    """Whether, by a sample, a list is so short that all of it is read for one page. Where the sample errs, it is only
    slower; the planner's own guess errs by far more where one condition follows from another."""
    here = ClauseAdapter(_sample(SAMPLE)).traverse(where)
    return _count(session, _sample(SAMPLE), here) * 100 / SAMPLE <= FEW


@cache
def _sample(percent: float) -> TableSample:
    """Made once: to name all columns anew takes some milliseconds of each page."""
    return tablesample(_contacts, func.system(percent))


def _count(session: Session, source: FromClause, where: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(source).where(where)) or 0


def by(name: str, *, falling: bool) -> Order:
    """The order by a field or a column; industries and owners by what people read."""
    if name == "id":
        return Order(name, None, falling, _contacts, is_indexed=True)
    column = _contacts.c[FIELDS[name].column if name in FIELDS else name]
    # Under names of their own, since filters look into the same tables.
    match FIELDS[name].kind if name in FIELDS else None:
        case Kind.INDUSTRY:
            industry = Industry.__table__.alias("sorted_industry")
            return Order(name, industry.c.name, falling, _contacts.outerjoin(industry, industry.c.id == column), False)
        case Kind.OWNER:
            owner = User.__table__.alias("sorted_owner")
            return Order(name, owner.c.email, falling, _contacts.outerjoin(owner, owner.c.id == column), False)
    return Order(name, column, falling, _contacts, is_indexed=name in INDEXED)
