"""The order of a list of contacts, and walking along it: from either end, or from one contact to the next.

Empty values come last, whichever way the others go. Equal ones are in the order of their ids, so that a list has one
order only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, and_, case, cast, func, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.orm import Session

from models.contacts.table import FIELDS, Contact
from models.fields import Kind
from models.industries import Industry
from models.users import User

FEW = 5000  # so many ids are read at once; of more contacts only those that are wanted
NEAR = 20_000  # contacts that are looked at one by one along an index
INDEXED = ("last_name", "company")  # orders with an index of their own, beside that of ids
_contacts = Contact.__table__


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
    """By `key`, and by id alone where that is None. `source` is contacts with whatever the key is read from."""

    key: ColumnElement[Any] | None
    falling: bool
    source: FromClause
    is_indexed: bool

    def few(self, session: Session, where: ColumnElement[bool]) -> list[int] | None:
        """The ids of all contacts that match, in order; None where they are more than FEW.

        One evaluation of the condition gives the rows and their number, where reading both apart would take two.
        """
        keys = [] if self.key is None else [self.key.label("key")]
        some = select(_contacts.c.id, *keys).select_from(self.source).where(where).limit(FEW + 1).subquery()
        wholly = [] if self.key is None else [some.c.key]
        terms = [*(key.is_(None) for key in wholly), *Part(true(), (*wholly, some.c.id)).directed(self.falling)]
        listed = func.coalesce(func.array_agg(aggregate_order_by(some.c.id, *terms)), cast([], ARRAY(BigInteger)))
        found: list[int] | None = session.scalar(select(case((func.count() <= FEW, listed))).select_from(some))
        return found

    def ids(self, session: Session, where: ColumnElement[bool], *, first: int, size: int, total: int) -> list[int]:
        """Those at the places `first` (from 0) and following of the `total` that match, counted from the nearer end."""
        size = min(size, total - first)
        if size <= 0:
            return []
        back = first > total // 2
        skip = total - first - size if back else first
        found: list[int] = []
        for part in self._parts(back):
            found += self._some(session, part, where, back, skip, size - len(found))
            if len(found) == size:
                break
            skip = 0 if found else skip - self._count(session, and_(where, part.rows))
        return found[::-1] if back else found

    def neighbour(self, session: Session, where: ColumnElement[bool], contact_id: int, *, back: bool) -> int | None:
        """The next contact, with `back` the previous one; None at the end of the list."""
        values = self._values(session, contact_id)
        parts = self._parts(back)
        own = self._own(parts, values)
        for part in parts[parts.index(own) :]:
            after = part.beyond(values, self.falling != back) if part is own else true()
            found: int | None = session.scalar(self._listed(part, and_(where, after), back).limit(1))
            if found is not None:
                return found
        return None

    def place(self, session: Session, where: ColumnElement[bool], contact_id: int) -> tuple[int, int, int]:
        """How many contacts that match stand before this one, how many after it, and how many match."""
        values = self._values(session, contact_id)
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
                listed = self._sorted(part, where, back)
        return list(session.scalars(listed.offset(skip).limit(size)))

    def _sorted(self, part: Part, where: ColumnElement[bool], back: bool) -> Select[Any]:
        """As `_listed`, but all that match are found first and sorted then: OFFSET 0 keeps the planner from more."""
        keys = [key.label(f"key{place}") for place, key in enumerate(part.keys)]
        found = select(*keys).select_from(self.source).where(where, part.rows).offset(0).subquery()
        terms = Part(true(), tuple(found.c)).directed(self.falling != back)
        return select(list(found.c)[-1]).order_by(*terms)

    def _parts(self, back: bool) -> list[Part]:
        if self.key is None:
            return [Part(true(), (_contacts.c.id,))]
        filled = Part(self.key.is_not(None), (self.key, _contacts.c.id))
        empty = Part(self.key.is_(None), (_contacts.c.id,))
        return [empty, filled] if back else [filled, empty]

    def _listed(self, part: Part, where: ColumnElement[bool], back: bool) -> Select[Any]:
        rows = select(_contacts.c.id).select_from(self.source).where(where, part.rows)
        return rows.order_by(*part.directed(self.falling != back))

    def _count(self, session: Session, where: ColumnElement[bool]) -> int:
        return session.scalar(select(func.count()).select_from(self.source).where(where)) or 0

    def _values(self, session: Session, contact_id: int) -> list[Any]:
        """Of the keys of the part that the contact stands in. Raises NoResultFound."""
        keys = [] if self.key is None else [self.key]
        read = select(*keys, _contacts.c.id).select_from(self.source).where(_contacts.c.id == contact_id)
        return [value for value in session.execute(read).one() if value is not None]

    def _own(self, parts: list[Part], values: list[Any]) -> Part:
        return next(part for part in parts if len(part.keys) == len(values))


def by(name: str, *, falling: bool) -> Order:
    """The order by a field or a column; industries and owners by what people read."""
    if name == "id":
        return Order(None, falling, _contacts, is_indexed=True)
    column = _contacts.c[FIELDS[name].column if name in FIELDS else name]
    # Under names of their own, since filters look into the same tables.
    match FIELDS[name].kind if name in FIELDS else None:
        case Kind.INDUSTRY:
            industry = Industry.__table__.alias("sorted_industry")
            return Order(industry.c.name, falling, _contacts.outerjoin(industry, industry.c.id == column), False)
        case Kind.OWNER:
            owner = User.__table__.alias("sorted_owner")
            return Order(owner.c.email, falling, _contacts.outerjoin(owner, owner.c.id == column), False)
    return Order(column, falling, _contacts, is_indexed=name in INDEXED)
