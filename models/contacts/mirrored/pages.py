"""Pages of a view of the mirror, in the order that the database has."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import groupby
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    false,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)

from models.contacts.mirrored.tallies import Tallies, Tally
from models.contacts.order import Neighbours, Order
from models.contacts.table import FIELDS
from models.fields import REFERENCES, Kind
from models.filters import reference_names

_MATCHING = Table("matching", MetaData(), Column("id", BigInteger))
NEAR = 2000  # contacts from the begin of a list within which a page is looked for without a look at the others
# Counts, while the rows of the page are read of the database.
_COUNTING = ThreadPoolExecutor(8, thread_name_prefix="counts of the mirror")
RANGE = 16  # bits of numbers that are counted together


class Pages(Tallies):
    """As Order, of models/contacts/order.py, has them of the database."""

    def page(
        self, listed: Order, *, first: int, size: int, total: int | None, then: Callable[[list[int]], None]
    ) -> tuple[int, list[int]]:
        """As Engine.page of models/contacts/search.py."""
        self.know(total)
        if listed.key is None and first < NEAR:
            return self._from_an_end(listed, first, size, then)
        total, ids = self._page(listed, first, size)
        then(ids)
        return total, ids

    def _page(self, listed: Order, first: int, size: int) -> tuple[int, list[int]]:
        if listed.key is None:
            return self._by_number(listed, first, size)
        if self._total is None and self._is_costly:
            return self._looked_once(listed, first, size)
        if (name := self._few_valued(listed)) is not None:
            return self._among_few(listed, name, first, size)
        if first >= self.count():
            return self.count(), []
        found = self._at_the_first_values(listed, first, size, self.count())
        return self.count(), self._ids(listed, self.where, first, size) if found is None else found

    def _ids(self, listed: Order, where: ColumnElement[bool], first: int, size: int) -> list[int]:
        source, key = self._order(listed)
        wanted = select(self.contacts.c.id).select_from(source).where(where)
        rows = self._all(wanted.order_by(*self._terms(listed, key)).limit(size).offset(first))
        return [row[0] for row in rows]

    def _from_an_end(
        self, listed: Order, first: int, size: int, then: Callable[[list[int]], None]
    ) -> tuple[int, list[int]]:
        """Of many that match the first are found at once; to find that there are few is to count them."""
        ids = self._ids(listed, self.where, first, size)
        if self._total is None and len(ids) < size and (ids or first == 0):
            self.know(first + len(ids))
        if self._total is not None:
            then(ids)
            return self._total, ids
        counted = _COUNTING.submit(self.count)
        try:
            then(ids)
        finally:
            wait([counted])  # on the cursor of this view
        return counted.result(), ids

    def _by_number(self, listed: Order, first: int, size: int) -> tuple[int, list[int]]:
        """Far from the begin: how many there are of each range of numbers tells how many match, and which of these the
        page is in."""
        number = self.contacts.c.id.op(">>", return_type=BigInteger())(RANGE)
        ranges = self._all(select(number, func.count()).select_from(self.contacts).where(self.where).group_by(number))
        self._total, passed = 0, 0
        near: list[int] = []
        for place, contacts in sorted(map(tuple, ranges), reverse=listed.falling):
            if self._total + contacts <= first:
                passed = self._total + contacts
            elif self._total < first + size:
                near.append(place)
            self._total += contacts
        if not near:
            return self._total, []
        within = self.contacts.c.id.between(min(near) << RANGE, (max(near) + 1 << RANGE) - 1)
        return self._total, self._ids(listed, and_(self.where, within), first - passed, size)

    def _looked_once(self, listed: Order, first: int, size: int) -> tuple[int, list[int]]:
        """Both from the numbers of those that match: to look through texts twice takes longer than to note these."""
        self.view.dictionaries.look_up()
        self.view.dictionaries.keep("matching", select(self.contacts.c.id).where(self.where))
        total = self._one(select(func.count()).select_from(_MATCHING))[0]
        return total, self._ids(listed, self.contacts.c.id.in_(select(_MATCHING.c.id)), first, size)

    def _few_valued(self, listed: Order) -> str | None:
        """The column that the list is sorted by, where its values are few, and numbers of a dictionary or of rows."""
        if listed.name not in FIELDS:
            return None
        name, kind = FIELDS[listed.name].column, FIELDS[listed.name].kind
        is_named = kind in REFERENCES or (kind is not Kind.LIST and self._is_coded(name))
        return name if is_named and self._is_tallied(name) else None

    def _among_few(self, listed: Order, name: str, first: int, size: int) -> tuple[int, list[int]]:
        """How many have each value tells how many match, and among which values the page is: only these are sorted."""
        tally, kind = self._valued(name), FIELDS[listed.name].kind
        total, passed, reached = sum(tally.values()), 0, 0
        called = reference_names(self.session, kind) if kind in REFERENCES else self._known(name, tally)
        named = sorted((code for code in tally if code is not None), key=called.__getitem__, reverse=listed.falling)
        chosen: list[Any] = []
        for _, same in groupby([*named, *([None] if None in tally else [])], key=lambda code: code and called[code]):
            codes = list(same)
            number = sum(tally[code] for code in codes)
            if reached + number <= first:
                passed = reached + number
            else:
                chosen += codes
            reached += number
            if reached >= first + size:
                break
        if not chosen:
            return total, []
        column: ColumnElement[Any] = self.contacts.c[name]
        there: list[ColumnElement[Any]] = [literal_column(str(code)) for code in chosen if code is not None]
        among = or_(false(), column.in_(there), *([column.is_(None)] if None in chosen else []))
        return total, self._ids(listed, and_(self.where, among), first - passed, size)

    def _valued(self, name: str) -> Tally:
        if self.is_everything:
            return self._tally([name])[name]
        column = self.contacts.c[name]
        counted = select(column, func.count()).select_from(self.contacts).where(self.where).group_by(column)
        return {code: int(number) for code, number in self._all(counted)}

    def _at_the_first_values(self, listed: Order, first: int, size: int, total: int) -> list[int] | None:
        """The page, where it is among the contacts that have the first values of a dictionary, in its order: most need
        not be compared then. None for another order, and for a page further on."""
        name = FIELDS[listed.name].column if listed.name in FIELDS else listed.name
        if listed.key is None or name not in self.view.file.by_name or not self._is_coded(name):
            return None
        values = self._values(name)
        length = self._one(select(func.count()).select_from(values))[0]
        most = 1 + 2 * (first + size) * length // total
        while most * 2 <= length:
            ordered = values.c.value.desc() if listed.falling else values.c.value.asc()
            border = self._all(select(values.c.value).order_by(ordered).limit(1).offset(most))[0][0]
            near = self._among(name, values.c.value > border if listed.falling else values.c.value < border)
            ids = self._ids(listed, and_(self.where, near), first, size)
            if len(ids) == size:
                return ids
            most *= 8
        return None

    def following(self, listed: Order, values: Sequence[Any] | None, size: int) -> list[list[Any]]:
        """As Order.following."""
        if values:
            listed.require_keys(values)
        source, key = self._order(listed)
        wanted = select(self.contacts.c.id).select_from(source).where(self.where)
        if values:
            wanted = wanted.where(self._beyond(listed, key, values, listed.falling))
        rows = self._all(wanted.order_by(*self._terms(listed, key)).limit(size))
        ids = [row[0] for row in rows]
        keys = listed.keys_of(self.session, ids)
        return [keys[one] for one in ids]

    def around(self, listed: Order, contact_id: int) -> Neighbours:
        """As Order.around. Raises NoResultFound where it is gone."""
        values = listed.values(self.session, contact_id)
        source, key = self._order(listed)
        before = self._beyond(listed, key, values, not listed.falling, back=True)
        after = self._beyond(listed, key, values, listed.falling)
        counted = select(func.count().filter(before), func.count().filter(after), func.count())
        earlier, later, total = self._one(counted.select_from(source).where(self.where))
        ids = select(self.contacts.c.id).select_from(source).where(self.where)
        terms = self._terms(listed, key)
        previous = self._all(ids.where(before).order_by(*self._reversed(listed, key)).limit(1)) if earlier else []
        following = self._all(ids.where(after).order_by(*terms).limit(1)) if later else []
        first = [rows[0][0] if rows else None for rows in (previous, following)]
        return Neighbours(first[0], first[1], earlier + 1, total)

    def _order(self, listed: Order) -> tuple[FromClause, ColumnElement[Any] | None]:
        """What the list is read from, and its key."""
        name = listed.name
        if name == "id":
            return self.contacts, None
        column_name = FIELDS[name].column if name in FIELDS else name
        column = self.contacts.c[column_name]
        kind = FIELDS[name].kind if name in FIELDS else None
        if kind in REFERENCES:
            called = self._called(kind)
            return self.contacts.outerjoin(called, called.c.id == column), called.c.name
        if self._is_coded(column_name):
            values = self._values(column_name).alias("sorted_values")
            return self.contacts.outerjoin(values, values.c.code == column), values.c.value
        return self.contacts, self._as_written(column_name)

    def _called(self, kind: Kind) -> Table:
        """The names that references are sorted by, beside the contacts."""
        named = reference_names(self.session, kind)
        name = f"called_{kind.name.lower()}"
        rows = {"id": pa.array(named, pa.int32()), "name": pa.array(named.values(), pa.string())}
        self.view.cursor.register(name, pa.table(rows))
        return Table(name, MetaData(), Column("id", Integer), Column("name", Text))

    def _terms(self, listed: Order, key: ColumnElement[Any] | None) -> list[ColumnElement[Any]]:
        keys = [self.contacts.c.id] if key is None else [key, self.contacts.c.id]
        directed: list[ColumnElement[Any]] = [one.desc() if listed.falling else one.asc() for one in keys]
        return directed if key is None else [key.is_(None), *directed]

    def _reversed(self, listed: Order, key: ColumnElement[Any] | None) -> list[ColumnElement[Any]]:
        keys = [self.contacts.c.id] if key is None else [key, self.contacts.c.id]
        directed: list[ColumnElement[Any]] = [one.asc() if listed.falling else one.desc() for one in keys]
        return directed if key is None else [key.is_not(None), *directed]

    def _beyond(
        self, listed: Order, key: ColumnElement[Any] | None, values: Sequence[Any], falling: bool, *, back: bool = False
    ) -> ColumnElement[bool]:
        """The contacts after the one with these keys, or, `back`, before it; empty ones come last."""
        number = self.contacts.c.id
        here: ColumnElement[bool] = number < values[-1] if falling else number > values[-1]
        if key is None:
            return here
        if len(values) == 1:
            return or_(key.is_not(None), and_(key.is_(None), here)) if back else and_(key.is_(None), here)
        there = tuple_(key, number) < tuple_(*values) if falling else tuple_(key, number) > tuple_(*values)
        within = and_(key.is_not(None), there)
        return within if back else or_(within, key.is_(None))
