"""The one filter syntax: `FIELD=VALUE` (repeated: any of), `FIELD.OP=VALUE`, and `q=` for free text.

All conditions must hold. Those whose key begins with `or1.`, `or2.`, ... are alternatives: all of `or1` or all of `or2`
must hold beside the rest, as in `country=Germany&or1.seniority=VP&or2.employees.gte=500`.

`check=RULE` asks for the contacts that break a rule of data quality (models/contacts/quality.py).

`as_of=2026-11-01` asks of contacts as they were at a moment (models/contacts/moments.py); searches know what to do.

The same string is a screen's address, an API query, the CLI's `--where`, a saved view and an export's receipt.
Each operator is a line of OPERATORS: the kinds it fits, its SQL condition and its sentence.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    cast,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session

from models.check_rules import Rule
from models.contacts import moments, quality
from models.contacts.amounts import MONEY_LIMIT, WHOLE_LIMIT
from models.contacts.moments import When
from models.contacts.table import FIELDS, SEARCHED, Contact
from models.errors import InvalidInput, NotAllowed
from models.fields import REFERENCES, Field, Group, Kind
from models.industries import Industry
from models.permissions import OPERATOR, Actor, hidden_check, hidden_column, visible
from models.users import User

MAX_TEXT = 1000  # characters of one value
AS_OF = "as_of"  # a key beside the fields, as “q” is
TEXTS = frozenset({Kind.TEXT, Kind.CHOICE, Kind.EMAIL, Kind.PHONE, Kind.URL, Kind.INDUSTRY, Kind.OWNER})
ORDERED = frozenset({Kind.WHOLE, Kind.MONEY, Kind.DATE})
EVERY = frozenset(Kind)
ALTERNATIVE = re.compile(r"or([1-9][0-9]?)\.(.+)", re.DOTALL)

# What the system keeps of every contact, for everybody to filter by. Days are days in UTC.
SYSTEM = {
    "added": Field("Added", Group.OURS, Kind.DATE, name="added", column="created_at"),
    "changed": Field("Changed", Group.OURS, Kind.DATE, name="changed", column="updated_at"),
    "import": Field("Import", Group.OURS, Kind.WHOLE, name="import", column="import_id"),
    "contact": Field("Contact", Group.OURS, Kind.WHOLE, name="contact", column="id"),
    # A check has no column: each looks into those of its rule.
    "check": Field("Check", Group.OURS, Kind.CHECK, name="check", example="email_is_an_address"),
}

Values = tuple[Any, ...]
Condition = Callable[[ColumnElement[Any], Values], ColumnElement[bool]]
Shown = Callable[[Any], str]


@dataclass(frozen=True)
class Operator:
    """`sentence` gets {label} and {value}; `arity` is how many values make one use (0: any number)."""

    kinds: frozenset[Kind]
    condition: Condition
    sentence: str
    arity: int = 1


def _like(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def _any_of(column: ColumnElement[Any], values: Values) -> ColumnElement[bool]:
    return column == values[0] if len(values) == 1 else column.in_(values)


OPERATORS: dict[str, Operator] = {
    "is": Operator(EVERY - {Kind.LIST}, _any_of, "{label} is {value}", arity=0),
    "not": Operator(
        EVERY - {Kind.LIST}, lambda c, v: or_(c.is_(None), not_(_any_of(c, v))), "{label} is not {value}", arity=0
    ),
    "gte": Operator(ORDERED, lambda c, v: c >= v[0], "{label} at least {value}"),
    "lte": Operator(ORDERED, lambda c, v: c <= v[0], "{label} at most {value}"),
    "between": Operator(ORDERED, lambda c, v: c.between(v[0], v[1]), "{label} between {value}", arity=2),
    "has": Operator(
        frozenset({Kind.LIST}), lambda c, v: or_(*(c.contains([one]) for one in v)), "{label} has {value}", arity=0
    ),
    "starts": Operator(
        TEXTS, lambda c, v: or_(*(c.ilike(_like(one) + "%") for one in v)), "{label} starts with {value}", arity=0
    ),
    "contains": Operator(
        TEXTS, lambda c, v: or_(*(c.ilike(f"%{_like(one)}%") for one in v)), "{label} contains {value}", arity=0
    ),
    "empty": Operator(EVERY - {Kind.CHECK}, lambda c, v: c.is_(None) if v[0] else c.is_not(None), "{label} is {value}"),
}

BROKEN = {"is": "Breaks the rule {value}", "not": "Does not break the rule {value}"}


@dataclass(frozen=True)
class Filter:
    """One condition on one field, its values parsed. All of `group` 0 must hold; other groups are alternatives."""

    field: Field
    operator: str
    values: Values
    group: int = 0

    @property
    def key(self) -> str:
        name = self.field.name if self.operator == "is" else f"{self.field.name}.{self.operator}"
        return f"or{self.group}.{name}" if self.group else name

    def sentence(self, shown: Shown | None = None) -> str:
        """In words; `shown` writes a value for a person, else as programs do."""
        if self.field.kind is Kind.CHECK:
            value = " or ".join(f"“{quality.named()[name].sentence.removesuffix('.')}”" for name in self.values)
        elif self.operator == "empty":
            value = "empty" if self.values[0] else "filled"
        else:
            value = (" and " if self.operator == "between" else " or ").join(map(shown or _shown, self.values))
        return self.form.format(label=self.field.title, value=value)

    @property
    def form(self) -> str:
        """The sentence that {label} and {value} are put into."""
        return BROKEN[self.operator] if self.field.kind is Kind.CHECK else OPERATORS[self.operator].sentence

    def pairs(self) -> list[tuple[str, str]]:
        if self.operator == "between":
            return [(self.key, ",".join(map(_written, self.values)))]
        return [(self.key, _written(value)) for value in self.values]

    def condition(self) -> ColumnElement[bool]:
        if self.field.kind is Kind.CHECK:
            broken = or_(*quality.broken_by(self.values))
            return not_(broken) if self.operator == "not" else broken
        column: ColumnElement[Any] = Contact.__table__.c[self.field.column]
        if self.field.name in SYSTEM and self.field.kind is Kind.WHOLE:
            column = cast(column, BigInteger)  # any number may be asked for, also one that no id can be
        if self.field.name in SYSTEM and self.field.kind is Kind.DATE:
            return on_days(column, self.operator, self.values)
        if self.field.kind not in REFERENCES or self.operator == "empty":
            return OPERATORS[self.operator].condition(column, self.values)
        if self.operator == "not":
            return or_(column.is_(None), column.not_in(referred(self.field, "is", self.values)))
        return column.in_(referred(self.field, self.operator, self.values))


def on_days(column: ColumnElement[Any], operator: str, values: Values) -> ColumnElement[bool]:
    """The condition on days, asked of moments: none of them has to be made a day for it."""
    match operator:
        case "is":
            return or_(*(and_(column >= _start(day), column < _end(day)) for day in values))
        case "not":
            return not_(on_days(column, "is", values))
        case "gte":
            return column >= _start(values[0])
        case "lte":
            return column < _end(values[0])
        case "between":
            return and_(column >= _start(values[0]), column < _end(values[1]))
    return OPERATORS[operator].condition(column, values)


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _end(day: date) -> ColumnElement[Any] | datetime:
    """Where the next day begins; after the last one that Python knows there is none."""
    return literal_column("'infinity'::timestamptz") if day == date.max else _start(day + timedelta(days=1))


def referred(field: Field, operator: str, values: Values) -> Select[Any]:
    """The ids of the industries or users that the condition is true of: people filter by names, not by ids."""
    if field.kind is Kind.INDUSTRY:
        return select(Industry.id).where(OPERATORS[operator].condition(Industry.__table__.c.name, values))
    return select(User.id).where(OPERATORS[operator].condition(User.__table__.c.email, values))


def reference_names(session: Session, kind: Kind) -> dict[int, str]:
    """What all industries, or users, are called, by their ids."""
    table, label = (Industry, Industry.name) if kind is Kind.INDUSTRY else (User, User.email)
    return {row[0]: row[1] for row in session.execute(select(table.id, label))}


@dataclass(frozen=True)
class Filters:
    """All conditions of a search; `q` is the free text. With `as_of` they are asked of contacts as they were then."""

    filters: tuple[Filter, ...] = ()
    q: str = ""
    as_of: When | None = None

    @property
    def of_now(self) -> "Filters":
        """The same conditions, of contacts as they are."""
        return replace(self, as_of=None)

    @property
    def required(self) -> list[Filter]:
        return [one for one in self.filters if not one.group]

    @property
    def alternatives(self) -> dict[int, list[Filter]]:
        """Group -> its conditions, which must all hold for the alternative to hold; by number."""
        groups = sorted({one.group for one in self.filters} - {0})
        return {group: [one for one in self.filters if one.group == group] for group in groups}

    def __bool__(self) -> bool:
        return bool(self.filters or self.q)

    def require_seen(self, *, by: Actor) -> None:
        """Raises NotAllowed for a hidden field, and for a rule that looks into one."""
        known = filterable(by)
        if hidden := [one.field.name for one in self.filters if one.field.name not in known]:
            raise hidden_field(hidden[0])
        _require_seen_checks(self.filters, by)

    def condition(self, *, by: Actor) -> ColumnElement[bool]:
        """The WHERE clause; free text looks only into what `by` may see. Raises NotAllowed for a hidden field, and
        InvalidInput where it is asked of the past: only what search.py reads can be."""
        if self.as_of:
            raise InvalidInput(
                "Contacts as they were can be looked at, not changed: go back to now first.", field=AS_OF
            )
        self.require_seen(by=by)
        words = [search_text(by).ilike(f"%{_like(word)}%") for word in self.q.split()]
        either = [and_(*(one.condition() for one in group)) for group in self.alternatives.values()]
        return and_(true(), *(one.condition() for one in self.required), *([or_(*either)] if either else []), *words)

    def sentence(self, shown: Shown | None = None) -> str:
        """ "All contacts", or the conditions in words: “Country is Germany and Employees at least 50”."""
        parts = [one.sentence(shown) for one in self.required]
        if either := [_joined(group, shown) for group in self.alternatives.values()]:
            parts.append(either[0] if len(either) == 1 else f"either {' or '.join(either)}")
        if self.q:
            parts.append(f"name, title, company, e-mail or website contains “{self.q}”")
        conditions = " and ".join(parts) or "All contacts"
        return f"{conditions}, {self.as_of.words}" if self.as_of else conditions

    def pairs(self) -> list[tuple[str, str]]:
        """Keys and values as they stand in an address; `parse_pairs` reads them back to an equal Filters."""
        pairs = [pair for one in self.filters for pair in one.pairs()] + ([("q", self.q)] if self.q else [])
        return pairs + ([(AS_OF, self.as_of.written)] if self.as_of else [])

    def query(self) -> str:
        """The same as one canonical query string, for `parse_query`."""
        return urlencode(self.pairs())

    def without(self, key: str) -> "Filters":
        rest = tuple(one for one in self.filters if one.key != key)
        return Filters(rest, "" if key == "q" else self.q, None if key == AS_OF else self.as_of)


def _joined(group: list[Filter], shown: Shown | None) -> str:
    words = " and ".join(one.sentence(shown) for one in group)
    return f"({words})" if len(group) > 1 or len(group[0].values) > 1 else words


def search_text(by: Actor) -> ColumnElement[str]:
    """What free text looks into; `contact_search_text` is made by the first migration."""
    seen = visible_fields(by)
    return func.contact_search_text(*(Contact.__table__.c[name] if name in seen else null() for name in SEARCHED))


def parse(conditions: Iterable[str], *, by: Actor) -> Filters:
    """Filters from `FIELD.OP=VALUE` strings, as the CLI takes them. Raises InvalidInput, NotAllowed."""
    pairs = []
    for condition in conditions:
        key, equals, value = condition.partition("=")
        if not equals:
            raise InvalidInput(
                f"“{condition}” is no filter: write FIELD=VALUE or FIELD.OP=VALUE, as in employees.gte=50."
            )
        pairs.append((key.strip(), value))
    return parse_pairs(pairs, by=by)


def parse_query(query: str, *, by: Actor) -> Filters:
    """Filters from a query string, as addresses and receipts hold it. Raises InvalidInput, NotAllowed."""
    return parse_pairs(parse_qsl(query, keep_blank_values=True), by=by)


def parse_pairs(pairs: Iterable[tuple[str, str]], *, by: Actor) -> Filters:
    """Raises InvalidInput that names the unknown field, operator or value, and NotAllowed that names a hidden field."""
    asked: dict[str, tuple[Filter, list[str]]] = {}
    words, as_of = [], set[When | None]()
    for key, value in pairs:
        if len(value) > MAX_TEXT:
            what = "The search" if key == "q" else f"The value of {key}"
            raise InvalidInput(f"{what} has {len(value):,} characters; {MAX_TEXT:,} are the most.", field=key)
        text = value.replace("\x00", "")
        if key == "q":
            words.append(text)
        elif key == AS_OF:
            as_of.add(None if text.strip().lower() == moments.NOW else moments.parse(text))
        else:
            one = _asked(key, by)
            asked.setdefault(one.key, (one, []))[1].append(text)
    found = tuple(replace(one, values=_values(one, texts)) for one, texts in asked.values())
    _require_seen_checks(found, by)
    if len(as_of) > 1:
        raise InvalidInput(f"{AS_OF} takes one moment, and there are {len(as_of)}.", field=AS_OF)
    return Filters(found, " ".join(" ".join(words).split()), next(iter(as_of), None))


def _asked(key: str, by: Actor) -> Filter:
    """What a key asks, still without values: “country” and “country.is” are one question."""
    alternative = ALTERNATIVE.fullmatch(key)
    group, condition = (int(alternative[1]), alternative[2]) if alternative else (0, key)
    name, _, operator = condition.partition(".")
    operator = operator or "is"
    known = filterable(by)
    if name in FIELDS and name not in known:
        raise hidden_field(name, key)
    if name not in known:
        raise InvalidInput(f"There is no field “{name[:60]}” to filter by.{_meant(name, known)}", field=key)
    field = known[name]
    if operator == "is" and field.kind is Kind.LIST:
        operator = "has"
    fitting = [word for word, one in OPERATORS.items() if field.kind in one.kinds]
    if operator not in fitting:
        raise InvalidInput(
            f"“{key}” does not fit: {name} takes {', '.join(f'{name}.{word}' for word in fitting)}.", field=key
        )
    return Filter(field, operator, (), group)


def _meant(name: str, known: Iterable[str]) -> str:
    """A field of a similar name, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else f" Fields are: {', '.join(known)}."


def _values(asked: Filter, texts: list[str]) -> Values:
    field, operator, key = asked.field, asked.operator, asked.key
    if OPERATORS[operator].arity == 0:
        return tuple(dict.fromkeys(_parsed(field, key, text) for text in texts))
    if len(set(texts)) > 1:
        raise InvalidInput(f"{key} takes one value, and there are two: {texts[0][:60]} and {texts[1][:60]}.", field=key)
    if operator == "empty":
        return (_flag(key, texts[0]),)
    if operator == "between":
        low, comma, high = texts[0].partition(",")
        if not comma:
            raise InvalidInput(f"{key} takes two values with a comma between, for example {key}=10,50.", field=key)
        first, last = _parsed(field, key, low), _parsed(field, key, high)
        if first > last:
            raise InvalidInput(
                f"{key}={texts[0][:60]}: the first value is above the second, so nothing can be between.", field=key
            )
        return (first, last)
    return (_parsed(field, key, texts[0]),)


def _parsed(field: Field, key: str, value: str) -> Any:
    value = value.strip()
    if not value:
        raise InvalidInput(f"{key} has no value. For contacts without one, write {field.name}.empty=yes.", field=key)
    try:
        match field.kind:
            case Kind.WHOLE:
                return _whole(_within(Decimal(value.replace(",", "")), WHOLE_LIMIT))
            case Kind.MONEY:
                return _within(Decimal(value.replace(",", "")), MONEY_LIMIT)
            case Kind.DATE:
                return date.fromisoformat(value)
            case Kind.FLAG:
                return _flag(key, value)
            case Kind.EMAIL:
                return value.lower()
            case Kind.CHECK:
                return _rule(value)
    except (ValueError, InvalidOperation) as error:
        raise InvalidInput(
            f"{key}={value}: “{value}” is no {field.kind.value}{_example(field.kind)}.", field=key
        ) from error
    return value


def _rule(name: str) -> str:
    if name not in quality.named():
        close = difflib.get_close_matches(name, quality.named(), n=1)
        meant = f" Did you mean {close[0]}?" if close else " Data quality and `appointment360 checks list` name them."
        raise InvalidInput(
            f"There is no rule “{name[:60]}” for contacts, and rules for industries and payments find none.{meant}"
        )
    return name


def _require_seen_checks(filters: Iterable[Filter], by: Actor) -> None:
    """Whoever may not see what a rule looks into learns from no count which contacts break it. Raises NotAllowed."""
    seen = {rule.name for rule in visible_checks(by)}
    for name in (name for one in filters if one.field.kind is Kind.CHECK for name in one.values):
        if name not in seen:
            rule = quality.named()[name]
            raise hidden_field(rule.field) if rule.field else hidden_check(rule.sentence)


def _within(number: Decimal, limit: Decimal | int) -> Decimal:
    if not number.is_finite() or abs(number) >= limit:
        raise ValueError(number)
    return number


def _whole(number: Decimal) -> int:
    if number != int(number):
        raise ValueError(number)
    return int(number)


def _example(kind: Kind) -> str:
    return {Kind.DATE: " (write 2026-03-31)", Kind.WHOLE: " (write 250)", Kind.MONEY: " (write 1500000)"}.get(kind, "")


def _flag(key: str, value: str) -> bool:
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if value.strip().lower() not in words:
        raise InvalidInput(f"{key}={value}: write yes or no.", field=key)
    return words[value.strip().lower()]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def filterable(by: Actor) -> dict[str, Field]:
    """What `by` may filter by: the visible fields, then those of the system."""
    return {name: FIELDS[name] for name in visible_fields(by)} | SYSTEM


def hidden_field(name: str, asked: str | None = None) -> NotAllowed:
    """`asked` is what the program wrote, where that is not the name alone."""
    return hidden_column(FIELDS[name].title, asked or name)


def visible_fields(by: Actor) -> list[str]:
    """The names of the fields `by` may see, in the declared order."""
    return list(_visible(by.columns))


@lru_cache(maxsize=200)
def _visible(columns: frozenset[str] | None) -> tuple[str, ...]:
    groups = {name: field.group.value for name, field in FIELDS.items()}
    return tuple(visible(FIELDS, groups, replace(OPERATOR, columns=columns)))


def visible_checks(by: Actor) -> list[Rule]:
    """The rules about fields that `by` may see; one about whole rows is for who sees every column."""
    if by.columns is None:
        return list(quality.rules())
    seen = visible_fields(by)
    return [rule for rule in quality.rules() if rule.field in seen]


def fields_of(allowed: Iterable[str]) -> list[str]:
    """The fields that these names of fields and groups mean, in the declared order."""
    names = set(allowed)
    return [name for name, field in FIELDS.items() if name in names or field.group.value in names]
