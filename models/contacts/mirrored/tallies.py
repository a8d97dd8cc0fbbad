"""How many contacts of a view of the mirror have each value of a field."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    select,
    tuple_,
)

from models.contacts.facets import Counts, Range
from models.contacts.mirrored.matching import Matching
from models.contacts.table import FIELDS
from models.fields import REFERENCES, Kind

TOTALS = Table("totals", MetaData(), Column("field", Text), Column("code", BigInteger), Column("contacts", BigInteger))
Tally = dict[Any, int]  # number of a dictionary, or value -> contacts
MOST = 0.6  # of all contacts


class Tallies(Matching):
    """Values with their numbers; references by id."""

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
        totals = select(TOTALS.c.field, TOTALS.c.code, func.sum(TOTALS.c.contacts).label("contacts"))
        totals = totals.where(TOTALS.c.field.in_(columns)).group_by(TOTALS.c.field, TOTALS.c.code)
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


def _written(value: Any) -> str:
    """As the database writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _between(column: ColumnElement[Any], low: int, high: int | None) -> ColumnElement[bool]:
    return column >= low if high is None else column.between(low, high)
