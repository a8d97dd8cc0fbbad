"""What the mirror answers: the same questions as the database's, of the same filters, with the same rows in one order.

A filter is asked of a dictionary where the field has one, with the operators of models/filters.py, and of contacts by
the numbers found. Names of industries and people are read of the session, whose snapshot the mirror shows.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache, lru_cache
from itertools import groupby
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Integer,
    MetaData,
    Numeric,
    Select,
    SelectBase,
    Table,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.types import ARRAY

from models.contacts import columnar, misspelt, signatures, statistics
from models.contacts.amounts import CENT
from models.contacts.columnar import ADDED_ON, FILLED, SIGNED, WRITTEN, Form
from models.contacts.dictionaries import AnyOf
from models.contacts.facets import Counts, Range
from models.contacts.mirror import View
from models.contacts.order import Neighbours, Order
from models.contacts.statistics import Statistics
from models.contacts.table import FIELDS, SEARCHED
from models.fields import REFERENCES, Kind
from models.filters import OPERATORS, Filter, Filters, on_days, referred, visible_fields
from models.filters import SYSTEM as SYSTEM_FIELDS
from models.industries import Industry
from models.permissions import Actor
from models.users import User

_MATCHING = Table("matching", MetaData(), Column("id", BigInteger))
_TOTALS = Table("totals", MetaData(), Column("field", Text), Column("code", BigInteger), Column("contacts", BigInteger))
Tally = dict[Any, int]  # number of a dictionary, or value -> contacts
MOST = 0.6  # of all contacts
NEAR = 2000  # contacts from the begin of a list within which a page is looked for without a look at the others
FEW = 2_000_000  # contacts that are put apart for the overview
RANGE = 16  # bits of numbers that are counted together
_FIRST_DAY = date(1970, 1, 1)
_TYPES: dict[Kind, Any] = {
    Kind.WHOLE: BigInteger(), Kind.MONEY: Numeric(15, 2), Kind.DATE: Date(), Kind.FLAG: Boolean(),
    Kind.INDUSTRY: Integer(), Kind.OWNER: Integer(), Kind.LIST: ARRAY(Text()),
}  # fmt: skip


class Mirrored:
    """The contacts that match, as one view has them."""

    def __init__(self, view: View, filters: Filters, by: Actor) -> None:
        self.session, self.view, self.by = view.session, view, by
        filters.require_seen(by=by)
        self.is_everything = not filters
        self.contacts = _table(view.file.columns)
        self._is_costly = False
        self._total: int | None = None
        self._is_apart = False
        self.where = self._condition(filters)

    def count(self) -> int:
        if self._total is None:
            self._total = int(self._one(select(func.count()).select_from(self.contacts).where(self.where))[0])
        return self._total

    def know(self, total: int | None) -> None:
        """How many match, where somebody counted them in this snapshot before."""
        self._total = total

    def page(self, listed: Order, *, first: int, size: int, total: int | None) -> tuple[int, list[int]]:
        """As Order.page."""
        self.know(total)
        if listed.key is None:
            return self._by_number(listed, first, size)
        if total is None and self._is_costly:
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

    def _by_number(self, listed: Order, first: int, size: int) -> tuple[int, list[int]]:
        """Of many that match the first are found at once; to find that there are few is to count them. Further on, how
        many there are of each range of numbers tells how many match, and which of these the page is in."""
        if first < NEAR:
            ids = self._ids(listed, self.where, first, size)
            is_last = len(ids) < size and (ids or first == 0)
            return first + len(ids) if is_last else self.count(), ids
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
        called = self._names(kind) if kind in REFERENCES else self._known(name, tally)
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

    def count_by(self, name: str, limit: int | None) -> list[tuple[Any, int]]:
        """The field's values with their numbers, commonest first; references by id."""
        column = FIELDS[name].column
        if self._is_tallied(column):
            return self._commonest(name, self._tally([column])[column], limit)
        values, number = self._counted(name, self.where)
        counted = select(values, number).order_by(number.desc(), values.asc().nulls_last()).limit(limit)
        return [(row[0], int(row[1])) for row in self._all(counted)]

    def count_by_each(
        self, names: Sequence[str], ranges: Mapping[str, Sequence[Range]], limit: int
    ) -> dict[str, Counts]:
        """As facets.read: all fields of few values in one look at the contacts, every other one in its own."""
        columns = dict.fromkeys(FIELDS[name].column for name in (*names, *ranges))
        tallies = self._tally([one for one in columns if self._is_tallied(one)])
        found: dict[str, Counts] = {}
        for name in names:
            column = FIELDS[name].column
            if column in tallies:
                tally = {code: number for code, number in tallies[column].items() if code is not None}
                counted = self._commonest(name, tally, limit, key=str)
            else:
                values, number = self._counted(name, and_(self.where, self.contacts.c[column].is_not(None)))
                among = select(values, number).where(values.is_not(None))
                counted = self._all(among.order_by(number.desc(), cast(values, Text)).limit(limit))
            written = [(value if FIELDS[name].kind in REFERENCES else _written(value), int(n)) for value, n in counted]
            found[name] = sorted(written, key=lambda one: (-one[1], one[0]))
        for name, wanted in ranges.items():
            found[name] = self._in_ranges(FIELDS[name].column, wanted, tallies) if wanted else []
        return found

    def completed(self, name: str, typed: str, most: int) -> list[str] | None:
        """The field's values that begin with it, capitals aside, commonest first. None where it would take long: every
        other value is another one."""
        if not self._is_tallied(FIELDS[name].column) and (FIELDS[name].kind is Kind.LIST or not typed):
            return None
        return [value for value, _ in self.beginning(name, typed, most)]

    def beginning(self, name: str, typed: str, limit: int | None) -> list[tuple[str, int]]:
        """The same with their numbers, whatever it takes."""
        column, number = FIELDS[name].column, func.count().label("contacts")
        if self._is_tallied(column):
            return self._tallied_beginning(name, typed, limit)
        if FIELDS[name].kind is Kind.LIST:
            each, contacts = self._counted(name, and_(self.where, self.contacts.c[column].is_not(None)))
            begun = select(each, contacts).where(func.starts_with(func.lower(each), self._folded(typed)))
            return [(row[0], int(row[1])) for row in self._all(begun.order_by(contacts.desc(), each).limit(limit))]
        value = self._as_written(column)
        wanted = self._pattern(column, "starts", (typed,))
        named = select(value, number).select_from(self.contacts)
        if self._is_coded(column):
            values = self._values(column)
            value = values.c.value
            wanted = func.starts_with(values.c.folded, self._folded(typed))
            named = select(value, number).select_from(
                self.contacts.join(values, values.c.code == self.contacts.c[column])
            )
        begun = named.where(self.where, wanted).group_by(value).order_by(number.desc(), value).limit(limit)
        return [(row[0], int(row[1])) for row in self._all(begun)]

    def _tallied_beginning(self, name: str, typed: str, limit: int | None) -> list[tuple[str, int]]:
        """Of members of lists the capitals are those of this machine: the values are few, and are looked at here."""
        column = FIELDS[name].column
        tally = {code: number for code, number in self._tally([column])[column].items() if code is not None}
        begins = self._folded(typed).casefold()
        counted = self._commonest(name, tally, None)
        return [one for one in counted if one[0] is not None and one[0].casefold().startswith(begins)][:limit]

    def meant(self, word: str) -> list[str]:
        """What these contacts have, or had once, and `word` is but for one letter or accents: first what differs in
        these alone, then whole words, then what most texts have. See misspelt.py."""
        bare = misspelt.plain(self._folded(word))
        if not misspelt.SHORTEST <= len(bare) <= misspelt.LONGEST:
            return []
        found: Counter[tuple[bool, bool, str]] = Counter()
        for name in SEARCHED:
            if name in visible_fields(self.by):
                for meant, is_same, is_whole, number in self._all(self._near(FIELDS[name].column, bare)):
                    found[is_same, is_whole, meant] += number
        ordered = sorted(found, key=lambda one: (*one[:2], found[one], -abs(len(one[2]) - len(word)), one[2]))
        return list(dict.fromkeys(meant for *_, meant in reversed(ordered)))[: misspelt.MOST]

    def _near(self, column: str, bare: str) -> Select[Any]:
        """Of a dictionary the values that these contacts have, where they are not all."""
        is_coded = self._is_coded(column)
        of: Table = self._values(column) if is_coded else self.contacts
        text, signed = of.c["folded" if is_coded else column], of.c["signature" if is_coded else f"{column}{SIGNED}"]
        may: ColumnElement[bool] = or_(
            *(and_(_may_hold(signed, one), func.contains(text, one)) for one in misspelt.pieces(bare))
        )
        there = self.where
        if is_coded:
            numbered = self.view.dictionaries.numbers
            there = true() if self.is_everything else numbered(self.contacts.c[column], of, self.where)
        return misspelt.near(text, there, may, bare)

    def _in_ranges(self, column: str, wanted: Sequence[Range], tallies: dict[str, Tally]) -> Counts:
        if column in tallies:
            there = [(value, number) for value, number in tallies[column].items() if value is not None]
            return [
                (
                    (low, high),
                    sum(number for value, number in there if low <= value and (high is None or value <= high)),
                )
                for low, high in wanted
            ]
        counts = [func.count().filter(_between(self.contacts.c[column], *one)) for one in wanted]
        numbers = self._one(select(*counts).select_from(self.contacts).where(self.where))
        return [(one, int(number)) for one, number in zip(wanted, numbers, strict=True)]

    def _commonest(
        self, name: str, tally: Tally, limit: int | None, *, key: Callable[[Any], Any] = lambda value: value
    ) -> list[tuple[Any, int]]:
        """The values behind the numbers; of lists each member is counted. Equal ones by `key`, which none has last."""
        field = FIELDS[name]
        if self._is_coded(field.column):
            named = self._decoded(field.column, tally)
        else:
            named = {
                bool(code) if field.kind is Kind.FLAG and code is not None else code: tally[code] for code in tally
            }
        if field.kind is Kind.LIST:
            members: Counter[Any] = Counter()
            for value, number in named.items():
                for one in value or ():
                    members[one] += number
            named = dict(members)
        ordered = sorted(
            named.items(), key=lambda one: (-one[1], one[0] is None, one[0] if one[0] is None else key(one[0]))
        )
        return ordered[:limit]

    def _decoded(self, column: str, tally: Tally) -> Tally:
        """By value; a list's is a tuple."""
        known = self._known(column, tally)
        found: Counter[Any] = Counter()
        for code, number in tally.items():
            found[known[code]] += number
        return found

    def _known(self, column: str, tally: Tally) -> dict[Any, Any]:
        """What the numbers stand for, which never changes."""
        known = self.view.file.decoded.setdefault(column, {None: None})
        if not tally.keys() <= known.keys():
            values = self._values(column)
            for code, value in self._all(select(values.c.code, values.c.value)):
                known[code] = tuple(value) if isinstance(value, list) else value
        return known

    def _is_tallied(self, column: str) -> bool:
        return self.view.file.by_name[column].is_counted and column not in self.view.file.large

    def _tally(self, columns: list[str]) -> dict[str, Tally]:
        """How many of those that match have each number of each column. Where most do, those are counted that do not,
        and taken away from the totals of all."""
        if not columns:
            return {}
        totals = select(_TOTALS.c.field, _TOTALS.c.code, func.sum(_TOTALS.c.contacts).label("contacts"))
        totals = totals.where(_TOTALS.c.field.in_(columns)).group_by(_TOTALS.c.field, _TOTALS.c.code)
        if self.is_everything:
            return self._tallied(columns, totals)
        everybody = self._one(select(func.count()).select_from(self.contacts))[0]
        is_rest = not self._is_costly and not self._is_apart and self.count() > MOST * everybody
        where = func.coalesce(self.where, false()).is_(False) if is_rest else self.where
        labels: list[ColumnElement[Any]] = [literal_column(f'"{one}"') for one in columns]
        among = select(*(self.contacts.c[one] for one in columns)).select_from(self.contacts).where(where).cte("among")
        field = case(*((func.grouping(label) == 0, name) for name, label in zip(columns, labels, strict=True)))
        code = func.coalesce(*(cast(one, BigInteger) for one in labels))
        counted = select(field.label("field"), code.label("code"), func.count().label("contacts"))
        counted = counted.select_from(among).group_by(func.grouping_sets(*(tuple_(one) for one in labels)))
        found = self._tallied(columns, counted)
        if not is_rest:
            return found
        whole = self._tallied(columns, totals)
        return {
            column: {code: left for code, number in tally.items() if (left := number - found[column].get(code, 0))}
            for column, tally in whole.items()
        }

    def _tallied(self, columns: list[str], counted: Select[Any]) -> dict[str, Tally]:
        found: dict[str, Tally] = {column: {} for column in columns}
        for column, code, number in self._all(counted):
            if number:
                found[column][code] = int(number)
        return found

    def statistics(self, seen: list[str]) -> Statistics:
        """As statistics.read."""
        at = self.session.scalars(select(func.now())).one().astimezone(UTC)
        since = at.date() - timedelta(days=statistics.NEW_DAYS - 1)
        sums = [name for name in ("employees", "annual_revenue") if name in seen]
        verified = [statistics.IS_VERIFIED] if "email_status" in seen else []
        uncounted = [] if self.is_everything else seen
        wanted = [
            func.count(),
            func.count().filter(self.contacts.c.created_at >= datetime.combine(since, time(), UTC)),
            *(func.sum(self.contacts.c[FIELDS[name].column]) for name in sums),
            *(func.count().filter(self._of(one)) for one in verified),
            *(func.count(self.contacts.c[FIELDS[name].column]) for name in uncounted),
        ]
        total, new, *rest = self._one(select(*wanted).select_from(self.contacts).where(self.where))
        summed, rest = dict(zip(sums, rest, strict=False)), rest[len(sums) :]
        number_verified, rest = sum(rest[: len(verified)]), rest[len(verified) :]
        filled = self._filled(seen) if self.is_everything else dict(zip(uncounted, rest, strict=True))
        averages = {name: Decimal(summed[name]) / filled[name] if filled[name] else None for name in sums}
        counted = [name for name in (*statistics.COUNTED, "company") if name in seen]
        among = self if self.is_everything or total > FEW else self._apart(counted)
        values = among.count_by_each([name for name in statistics.COUNTED if name in seen], {}, statistics.MOST)
        if statistics.INDUSTRY in values:
            called = self._names(Kind.INDUSTRY)
            named = [(called[key], number) for key, number in values[statistics.INDUSTRY]]
            values[statistics.INDUSTRY] = sorted(named, key=statistics.commonest_first)
        by_value = {name: dict(counts) for name, counts in values.items()}
        return Statistics(
            at=at,
            total=total,
            filled=filled,
            values=by_value,
            months=statistics.months(among._days(), at.date()),
            new=new,
            new_since=since,
            companies=among._companies() if "company" in seen else 0,
            verified=number_verified,
            average_employees=averages.get("employees"),
            average_revenue=averages.get("annual_revenue"),
        )

    def _apart(self, names: list[str]) -> "Mirrored":
        """The same contacts, with these fields only, so that the rest is not asked of all contacts again and again."""
        fields = [FIELDS[name].column for name in names]
        written = [f"{one}{WRITTEN}" for one in fields if self.view.file.by_name[one].form is Form.TEXT]
        columns = [self.contacts.c[one] for one in ("created_at", *fields, *written)]
        self.view.dictionaries.look_up()
        self.view.dictionaries.keep("apart", select(*columns).where(self.where))
        apart = copy(self)
        apart.contacts = Table("apart", MetaData(), *(Column(one.name, one.type) for one in columns))
        apart.where, apart._is_apart = true(), True
        return apart

    def _filled(self, seen: list[str]) -> dict[str, int]:
        """How many of all contacts have a value in each field."""
        filled = func.sum(_TOTALS.c.contacts).filter(_TOTALS.c.code.is_not(None))
        by_field = dict(self._all(select(_TOTALS.c.field, filled).group_by(_TOTALS.c.field)))
        numbers = (
            by_field.get(column, by_field.get(f"{column}{FILLED}")) for column in (FIELDS[one].column for one in seen)
        )
        return {name: int(number or 0) for name, number in zip(seen, numbers, strict=True)}

    def _days(self) -> list[tuple[date, int]]:
        """The days on which contacts were added, by UTC, with their numbers."""
        if self.is_everything:
            tally = self._tally([ADDED_ON])[ADDED_ON]
            return [(_FIRST_DAY + timedelta(days=int(number)), contacts) for number, contacts in tally.items()]
        # A moment of no time zone becomes a day in a twentieth of the time.
        day = cast(func.make_timestamp(func.epoch_us(self.contacts.c.created_at)), Date).label("day")
        counted = select(day, func.count()).select_from(self.contacts).where(self.where).group_by(day)
        return [(row[0], row[1]) for row in self._all(counted)]

    def _companies(self) -> int:
        """Without regard to capitals."""
        column = self.contacts.c.company
        if not self._is_coded("company"):
            counted = select(func.count(column.distinct())).select_from(self.contacts).where(self.where)
            return int(self._one(counted)[0])
        values = self._values("company")
        there = self.view.dictionaries.numbers(column, values, self.where)
        return int(self._one(select(func.count(values.c.folded.distinct())).where(there))[0])

    def _counted(self, name: str, where: ColumnElement[bool]) -> tuple[ColumnElement[Any], ColumnElement[int]]:
        """Columns of values and their numbers."""
        column = self._as_written(FIELDS[name].column)
        by_code = select(column.label("code"), func.count().label("contacts")).where(where).group_by(column)
        return self._named(name, by_code.cte("by_code"))

    def _named(self, name: str, by_code: CTE) -> tuple[ColumnElement[Any], ColumnElement[int]]:
        """The same of the values that stand behind the numbers; of lists, of each member."""
        code, contacts, is_list = by_code.c.code, by_code.c.contacts, FIELDS[name].kind is Kind.LIST
        if self._is_coded(FIELDS[name].column):
            values = self._values(FIELDS[name].column)
            named = select(values.c.value.label("code"), contacts)
            by_code = named.select_from(by_code.outerjoin(values, values.c.code == code)).cte("named")
        if not is_list:
            return by_code.c.code, by_code.c.contacts
        each = select(func.unnest(by_code.c.code).label("value"), by_code.c.contacts).cte("each")
        summed = select(each.c.value, func.sum(each.c.contacts).cast(BigInteger).label("contacts"))
        whole = summed.group_by(each.c.value).cte("whole")
        return whole.c.value, whole.c.contacts

    def _values(self, column: str) -> Table:
        return _values(column, self.view.file.by_name[column].kind)

    def _is_coded(self, column: str) -> bool:
        return self.view.file.by_name[column].form is Form.CODED

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
        named = self._names(kind)
        name = f"called_{kind.name.lower()}"
        rows = {"id": pa.array(named, pa.int32()), "name": pa.array(named.values(), pa.string())}
        self.view.cursor.register(name, pa.table(rows))
        return Table(name, MetaData(), Column("id", Integer), Column("name", Text))

    def _names(self, kind: Kind) -> dict[int, str]:
        table, label = (Industry, Industry.name) if kind is Kind.INDUSTRY else (User, User.email)
        return dict(self.session.execute(select(table.id, label)).all())

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

    def _condition(self, filters: Filters) -> ColumnElement[bool]:
        either = [and_(*map(self._of, group)) for group in filters.alternatives.values()]
        words = [self._word(word) for word in filters.q.split()]
        return and_(true(), *map(self._of, filters.required), *([or_(*either)] if either else []), *words)

    def _word(self, word: str) -> ColumnElement[bool]:
        seen = visible_fields(self.by)
        return AnyOf([self._pattern(FIELDS[name].column, "contains", (word,)) for name in SEARCHED if name in seen])

    def _of(self, one: Filter) -> ColumnElement[bool]:
        """The condition of one filter, as Filter.condition has it for the database."""
        name, kind = one.field.column, one.field.kind
        column = self.contacts.c[name]
        if one.field.name in SYSTEM_FIELDS:
            if kind is Kind.DATE:
                return on_days(column, one.operator, one.values)
            return OPERATORS[one.operator].condition(cast(column, BigInteger), one.values)
        if one.operator == "empty":
            return OPERATORS["empty"].condition(column, one.values)
        if kind in REFERENCES:
            operator = "is" if one.operator == "not" else one.operator
            ids = list(self.session.scalars(referred(one.field, operator, one.values)))
            return or_(column.is_(None), column.not_in(ids)) if one.operator == "not" else column.in_(ids)
        if one.operator in ("starts", "contains"):
            return self._pattern(name, one.operator, one.values)
        if kind is Kind.MONEY:
            return _of_amounts(column, one.operator, one.values)
        if not self._is_coded(name):
            if kind is Kind.LIST:
                return or_(*(func.list_contains(column, value) for value in one.values))
            wanted = OPERATORS[one.operator].condition(self._as_written(name), one.values)
            if one.operator == "is" and kind not in _TYPES:
                return and_(column.in_([self._folded(value) for value in one.values]), wanted)
            return wanted
        values = self._values(name)
        if kind is Kind.LIST:
            return self._among(name, or_(*(func.list_contains(values.c.value, value) for value in one.values)))
        among = self._among(name, values.c.written.in_(one.values))
        return or_(column.is_(None), not_(among)) if one.operator == "not" else among

    def _pattern(self, name: str, operator: str, values: Sequence[str]) -> ColumnElement[bool]:
        compare: Callable[..., Any] = func.starts_with if operator == "starts" else func.contains
        patterns = [self._folded(value) for value in values]
        is_coded = self._is_coded(name)
        of = self._values(name) if is_coded else self.contacts
        written, signed = of.c["folded" if is_coded else name], of.c.get("signature" if is_coded else f"{name}{SIGNED}")
        may = [true() if signed is None else _may_hold(signed, one) for one in patterns]
        wanted = or_(*(and_(one, compare(written, pattern)) for one, pattern in zip(may, patterns, strict=True)))
        self._is_costly |= not is_coded
        return self._among(name, wanted) if is_coded else wanted

    def _as_written(self, name: str) -> ColumnElement[Any]:
        column = self.contacts.c[name]
        is_text = self.view.file.by_name[name].form is Form.TEXT
        return func.coalesce(self.contacts.c[f"{name}{WRITTEN}"], column) if is_text else column

    def _folded(self, value: str) -> str:
        if value.isascii():
            return value.lower()
        # As the database compares: with what stands around it, on which the form of a letter may depend.
        return str(self.session.scalars(select(func.lower(literal(f"%{value}%")))).one())[1:-1]

    def _among(self, name: str, wanted: ColumnElement[bool]) -> ColumnElement[bool]:
        """Whether the contact's value is one for which that is true."""
        return self.view.dictionaries.among(self.contacts.c[name], self._values(name), wanted)

    def all_of(self, numbers: Sequence[ColumnElement[Any]]) -> tuple[Any, ...]:
        """Of all contacts, in one look."""
        return tuple(self._one(select(*numbers).select_from(self.contacts)))

    def _one(self, wanted: Any) -> Any:
        [row] = self._all(wanted)
        return row

    def _all(self, wanted: SelectBase) -> list[Any]:
        self.view.dictionaries.look_up()
        return self.view.dictionaries.run(wanted)


def counts(view: View, asked: Sequence[Filters], *, by: Actor) -> list[int]:
    """How many contacts match each of them, in one look."""
    if not asked:
        return []
    each = [Mirrored(view, one, by) for one in asked]
    return list(each[0].all_of([func.count().filter(one.where) for one in each]))


def _may_hold(signed: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """By the signature of a text, which is looked at in a tenth of the time."""
    signature: ColumnElement[Any] = literal_column(f"{signatures.one(pattern)}::UBIGINT")
    return signed.op("&")(signature) == signature


def _of_amounts(column: ColumnElement[Any], operator: str, values: Sequence[Any]) -> ColumnElement[bool]:
    """A column of amounts has cents: of what lies between two of them the one beside it decides."""
    amounts = [Decimal(one) for one in values]
    if operator in ("gte", "lte", "between"):
        cents = [
            amount.quantize(CENT, ROUND_FLOOR if operator == "lte" or place else ROUND_CEILING)
            for place, amount in enumerate(amounts)
        ]
        return OPERATORS[operator].condition(column, tuple(cents))
    cents = [amount for amount in amounts if amount == amount.quantize(CENT, ROUND_FLOOR)]
    if not cents:
        return false() if operator == "is" else true()
    return OPERATORS[operator].condition(column, tuple(cents))


def _written(value: Any) -> str:
    """As the database writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _between(column: ColumnElement[Any], low: int, high: int | None) -> ColumnElement[bool]:
    return column >= low if high is None else column.between(low, high)


@lru_cache(maxsize=4)
def _table(kept: tuple[columnar.Column, ...]) -> Table:
    columns: list[Column[Any]] = [Column("id", BigInteger)]
    for one in kept:
        if one.form is Form.CODED:
            columns.append(Column(one.name, Integer))
        elif one.form is Form.TEXT:
            columns += [Column(one.name, Text), Column(f"{one.name}{WRITTEN}", Text)]
            columns += [Column(f"{one.name}{SIGNED}", BigInteger)] if one.is_signed else []
        else:
            columns.append(Column(one.name, DateTime(timezone=True) if one.is_moment else _TYPES[one.kind]))
    return Table("contacts", MetaData(), *columns)


@cache
def _values(name: str, kind: Kind) -> Table:
    """The dictionary of a column."""
    value: Any = ARRAY(Text()) if kind is Kind.LIST else Text()
    parts: list[Column[Any]] = [Column("code", Integer), Column("hashed", BigInteger), Column("written", Text)]
    parts += [Column("value", value), Column("folded", Text), Column("signature", BigInteger)]
    return Table(f"values_{name}", MetaData(), *parts)
