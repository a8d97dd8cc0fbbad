"""What a rule of data quality is: what it demands of the rows of a table, in words and as the condition that fails.

data_checks asks Great Expectations the same of whole tables, from the same declarations; a test holds both together.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import ColumnElement, Date, FromClause, Select, and_, func, literal_column, not_, or_, select

# A rule with a tolerance below ALL warns of a column that slipped, not of single values that are merely unusual.
ALL = 1.0
NEARLY_ALL = 0.99
MOST = 0.95
USUALLY = 0.8

TODAY = "today"  # as the most of BETWEEN; by the database's clock, in UTC
TODAY_SQL = "(now() AT TIME ZONE 'UTC')::date"


class About(StrEnum):
    """What the rows of a rule are."""

    CONTACTS = "contacts"
    INDUSTRIES = "industries"
    PAYMENTS = "payments"


class Demand(StrEnum):
    """What a rule asks, and what is `given` with it."""

    FILLED = "one of its columns has a value"
    MATCHES = "the value has a form"  # pattern
    LIKE = "the value is like one of"  # patterns
    BETWEEN = "the value is between"  # least, most
    ONE_OF = "the value is one of"  # values
    LENGTH = "the value has at most so many characters"  # most
    ONCE = "no other row has the value"
    HOLDS = "a condition holds of the row"  # condition, in SQL, of `table`; its column is what the row is called


@dataclass(frozen=True)
class Rule:
    """`demand` of `columns`: at least the share `tolerance` of the filled values keep to it.

    `name` is stored with every result, and so never changes its meaning; `field` is None where the rule is about the
    whole row. One that `blocks` stops the commit of an import that breaks it until somebody accepts that; people may
    decide otherwise (models/check_switches.py).
    """

    name: str
    field: str | None
    sentence: str
    demand: Demand
    columns: tuple[str, ...]
    given: Mapping[str, Any] = attribute(default_factory=dict)
    tolerance: float = ALL
    blocks: bool = False
    about: About = About.CONTACTS

    def on(self, present: Set[str]) -> "Rule | None":
        """The rule for a table that has only the columns `present`; None where nothing of it is there."""
        kept = tuple(column for column in self.columns if column in present)
        return replace(self, columns=kept) if kept else None


def breaks(rule: Rule, table: FromClause) -> ColumnElement[bool]:
    """True of the rows of the table that break the rule, false (never null) of the others."""
    if rule.demand is Demand.FILLED:
        return and_(*(table.c[name].is_(None) for name in rule.columns))
    column = table.c[rule.columns[0]]
    return and_(column.is_not(None), _fails(rule, column, table))


def _fails(rule: Rule, column: ColumnElement[Any], table: FromClause) -> ColumnElement[bool]:
    """What is wrong with a value that is there."""
    given = rule.given
    match rule.demand:
        case Demand.MATCHES:
            return not_(column.regexp_match(given["pattern"]))
        case Demand.LIKE:
            return not_(or_(*(column.like(pattern) for pattern in given["patterns"])))
        case Demand.BETWEEN:
            most = literal_column(TODAY_SQL, Date) if given["most"] == TODAY else given["most"]
            return not_(column.between(given["least"], most))
        case Demand.ONE_OF:
            return column.not_in(given["values"])
        case Demand.LENGTH:
            return cast(ColumnElement[bool], func.length(column) > given["most"])
        case Demand.ONCE:
            return column.in_(_repeated(rule.columns[0], table))
    raise ValueError(f"{rule.name} is no rule about single values.")


def _repeated(name: str, table: FromClause) -> Select[Any]:
    """The values that come more than once: each beside the next one in their order, which an index has. Of groups the
    planner expects a third to be repeated, and reads the whole table for each page."""
    same = table.alias(f"same_{name}").c[name]
    following = func.lead(same).over(order_by=same).label("following")
    beside = select(same.label("value"), following).where(same.is_not(None)).subquery()
    return select(beside.c.value).where(beside.c.value == beside.c.following)
