"""The contacts that match, as one view of the mirror has them, and the conditions that say so.

A filter is asked of a dictionary where the field has one, with the operators of models/filters.py, and of contacts by
the numbers found.
"""

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    SelectBase,
    Table,
    Text,
    and_,
    cast,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.types import ARRAY

from models.contacts import columnar, signatures
from models.contacts.amounts import CENT
from models.contacts.columnar import SIGNED, WRITTEN, Form
from models.contacts.dictionaries import AnyOf
from models.contacts.mirror import View
from models.contacts.table import FIELDS, SEARCHED
from models.fields import REFERENCES, Kind
from models.filters import OPERATORS, Filter, Filters, on_days, referred, visible_fields
from models.filters import SYSTEM as SYSTEM_FIELDS
from models.permissions import Actor

TYPES: dict[Kind, Any] = {
    Kind.WHOLE: BigInteger(), Kind.MONEY: Numeric(15, 2), Kind.DATE: Date(), Kind.FLAG: Boolean(),
    Kind.INDUSTRY: Integer(), Kind.OWNER: Integer(), Kind.LIST: ARRAY(Text()),
}  # fmt: skip


class Matching:
    """The contacts that match, as one view has them."""

    def __init__(self, view: View, filters: Filters, by: Actor) -> None:
        self.session, self.moment, self.view, self.by = view.session, view.moment, view, by
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

    def all_of(self, numbers: Sequence[ColumnElement[Any]]) -> tuple[Any, ...]:
        """Of all contacts, in one look."""
        return tuple(self._one(select(*numbers).select_from(self.contacts)))

    def _one(self, wanted: Any) -> Any:
        [row] = self._all(wanted)
        return row

    def _all(self, wanted: SelectBase) -> list[Any]:
        self.view.dictionaries.look_up()
        return self.view.dictionaries.run(wanted)

    def _values(self, column: str) -> Table:
        return _values(column, self.view.file.by_name[column].kind)

    def _is_coded(self, column: str) -> bool:
        return self.view.file.by_name[column].form is Form.CODED

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
            if one.operator == "is" and kind not in TYPES:
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
        may = [true() if signed is None else may_hold(signed, one) for one in patterns]
        wanted = or_(*(and_(one, compare(written, pattern)) for one, pattern in zip(may, patterns, strict=True)))
        self._is_costly |= not is_coded
        return self._among(name, wanted) if is_coded else wanted


def may_hold(signed: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
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
            columns.append(Column(one.name, DateTime(timezone=True) if one.is_moment else TYPES[one.kind]))
    return Table("contacts", MetaData(), *columns)


@cache
def _values(name: str, kind: Kind) -> Table:
    """The dictionary of a column."""
    value: Any = ARRAY(Text()) if kind is Kind.LIST else Text()
    parts: list[Column[Any]] = [Column("code", Integer), Column("hashed", BigInteger), Column("written", Text)]
    parts += [Column("value", value), Column("folded", Text), Column("signature", BigInteger)]
    return Table(f"values_{name}", MetaData(), *parts)
