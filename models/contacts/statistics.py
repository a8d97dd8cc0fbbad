"""The numbers of a set of contacts: totals, the commonest values, growth, completeness. Read through search.py.

Four statements of one pass each instead of one with everything: grouped counts of fifty columns, GROUPING SETS over the
table and a distinct count beside other aggregates each keep Postgres from working in parallel, and take twice as long.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Date, Select, Text, cast, func, literal, select, union_all
from sqlalchemy.orm import Session

from models.contacts.table import FIELDS, Contact
from models.fields import Kind
from models.industries import Industry

COUNTED = ("country", "seniority", "industry", "email_status")
MOST = 1000  # values of one field, the commonest: a wrongly mapped column may have a million
VERIFIED = "Verified"
NEW_DAYS = 7


@dataclass(frozen=True)
class Statistics:
    """All counts are exact and, with `at`, of one moment. Days and months are those of UTC, as in filters."""

    at: datetime
    total: int
    filled: dict[str, int]  # visible field -> contacts that have it, in the declared order
    values: dict[str, dict[str, int]]  # visible field of COUNTED -> value -> contacts, commonest first, MOST at most
    months: dict[date, int]  # first day of the month -> contacts added, from the first contact's month to the present
    new: int  # added since `new_since`
    new_since: date
    companies: int  # without regard to capitals; 0 where the field is hidden, as with the next three
    verified: int
    average_employees: Decimal | None  # of the contacts that have the number
    average_revenue: Decimal | None

    def beyond(self, name: str) -> int:
        """How many contacts have a value of the field that is not among `values`."""
        return self.filled[name] - sum(self.values[name].values())


def read(session: Session, where: ColumnElement[bool], seen: list[str]) -> Statistics:
    """The statistics of the contacts for which `where` holds; of fields only those `seen`."""
    at = datetime.now(UTC)
    since = at.date() - timedelta(days=NEW_DAYS - 1)
    totals = session.execute(_totals(where, seen, since)).one()._mapping
    return Statistics(
        at=at,
        total=totals["total"],
        filled={name: totals[f"filled {name}"] for name in seen},
        values=_values(session, where, [name for name in COUNTED if name in seen]),
        months=_months(session, where, at.date()),
        new=totals["new"],
        new_since=since,
        companies=(session.scalar(_companies(where)) or 0) if "company" in seen else 0,
        verified=totals.get("verified", 0),
        average_employees=totals.get("average employees"),
        average_revenue=totals.get("average annual_revenue"),
    )


def _totals(where: ColumnElement[bool], seen: list[str], since: date) -> Select[Any]:
    midnight = datetime.combine(since, time(), UTC)
    wanted: list[ColumnElement[Any]] = [
        func.count().label("total"),
        func.count().filter(Contact.created_at >= midnight).label("new"),
        *(func.count(_column(name)).label(f"filled {name}") for name in seen),
        *(func.avg(_column(name)).label(f"average {name}") for name in ("employees", "annual_revenue") if name in seen),
    ]
    if "email_status" in seen:
        wanted.append(func.count().filter(Contact.email_status == VERIFIED).label("verified"))
    return select(*wanted).select_from(Contact).where(where)


def _values(session: Session, where: ColumnElement[bool], names: list[str]) -> dict[str, dict[str, int]]:
    """One pass counts the combinations of all values, which are few; their sums give the counts of each field."""
    if not names:
        return {}
    columns = [_column(name).label(name) for name in names]
    combined = select(*columns, func.count().label("contacts")).where(where).group_by(*columns).cte("combined")
    counted = union_all(*(select(_commonest(name, combined).subquery(f"of_{name}")) for name in names))
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    for name, value, contacts in session.execute(counted):
        found[name][value] = int(contacts)
    return {name: dict(sorted(values.items(), key=_commonest_first)) for name, values in found.items()}


def _commonest(name: str, combined: Any) -> Select[Any]:
    value, contacts = combined.c[name], func.sum(combined.c.contacts)
    if FIELDS[name].kind is not Kind.INDUSTRY:
        counted = select(literal(name, Text).label("field"), value, contacts).where(value.is_not(None))
        return counted.group_by(value).order_by(contacts.desc(), value).limit(MOST)
    counted = select(literal(name, Text).label("field"), Industry.name, contacts).join(Industry, Industry.id == value)
    return counted.group_by(Industry.name).order_by(contacts.desc(), Industry.name).limit(MOST)


def _commonest_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _months(session: Session, where: ColumnElement[bool], today: date) -> dict[date, int]:
    """Counted by days, as filters know them: the planner has statistics of these, and months cost twice as much."""
    day = cast(func.timezone("UTC", Contact.created_at), Date).label("day")
    counted: Counter[date] = Counter()
    for added, contacts in session.execute(select(day, func.count()).where(where).group_by(day)):
        counted[added.replace(day=1)] += contacts
    if not counted:
        return {}
    now, last = min(counted), max(*counted, today.replace(day=1))
    months = {}
    while now <= last:
        months[now] = counted[now]
        now = (now + timedelta(days=31)).replace(day=1)
    return months


def _companies(where: ColumnElement[bool]) -> Select[Any]:
    """The inner DISTINCT reads the index alone where nothing is filtered, and leaves fewer names to fold."""
    spelled = select(Contact.company).where(where, Contact.company.is_not(None)).distinct().subquery()
    names = select(func.lower(spelled.c.company)).distinct().subquery()
    return select(func.count()).select_from(names)


def _column(name: str) -> ColumnElement[Any]:
    return Contact.__table__.c[FIELDS[name].column]
