"""The numbers of a set of contacts: totals, the commonest values, growth, completeness. Read through search.py.

Four statements of one pass each instead of one with everything: grouped counts of fifty columns, GROUPING SETS over the
table and a distinct count beside other aggregates each keep Postgres from working in parallel, and take twice as long.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Date, Select, cast, func, select
from sqlalchemy.orm import Session

from models.contacts import facets
from models.contacts.table import FIELDS, Contact
from models.filters import Filter
from models.industries import Industry

INDUSTRY = "industry"
COUNTED = ("country", "seniority", INDUSTRY, "email_status")
MOST = 1000  # values of one field, the commonest: a wrongly mapped column may have a million
VERIFIED = "Verified"
IS_VERIFIED = Filter(FIELDS["email_status"], "is", (VERIFIED,))
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


def read(session: Session, where: ColumnElement[bool], seen: list[str], *, at: datetime | None = None) -> Statistics:
    """The statistics of the contacts for which `where` holds; of fields only those `seen`. `at` is the moment of which
    they are, if it is not now."""
    now = session.scalars(select(func.now())).one().astimezone(UTC)  # as what is kept: a day ends at one moment for all
    at = min(at or now, now)
    since = at.date() - timedelta(days=NEW_DAYS - 1)
    totals = session.execute(_totals(where, seen, since)).one()._mapping
    return Statistics(
        at=at,
        total=totals["total"],
        filled={name: totals[f"filled {name}"] for name in seen},
        values=_values(session, where, [name for name in COUNTED if name in seen]),
        months=months(_days(session, where), at.date()),
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
    counted = facets.read(session, where, names, {}, MOST) if names else {}
    if INDUSTRY in counted:
        called = dict(session.execute(select(Industry.id, Industry.name)).all())
        counted[INDUSTRY] = sorted(((called[key], number) for key, number in counted[INDUSTRY]), key=commonest_first)
    return {name: dict(counts) for name, counts in counted.items()}


def commonest_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _days(session: Session, where: ColumnElement[bool]) -> list[tuple[date, int]]:
    """Counted by days, as filters know them: the planner has statistics of these, and months cost twice as much."""
    day = cast(func.timezone("UTC", Contact.created_at), Date).label("day")
    return [(row[0], row[1]) for row in session.execute(select(day, func.count()).where(where).group_by(day))]


def months(days: Iterable[tuple[date, int]], today: date) -> dict[date, int]:
    """The days' contacts by the first day of their month, from the first month to that of today, without a gap."""
    counted: Counter[date] = Counter()
    for added, contacts in days:
        counted[added.replace(day=1)] += contacts
    if not counted:
        return {}
    now, last = min(counted), max(*counted, today.replace(day=1))
    found = {}
    while now <= last:
        found[now] = counted[now]
        now = (now + timedelta(days=31)).replace(day=1)
    return found


def _companies(where: ColumnElement[bool]) -> Select[Any]:
    """The inner DISTINCT reads the index alone where nothing is filtered, and leaves fewer names to fold."""
    spelled = select(Contact.company).where(where, Contact.company.is_not(None)).distinct().subquery()
    names = select(func.lower(spelled.c.company)).distinct().subquery()
    return select(func.count()).select_from(names)


def _column(name: str) -> ColumnElement[Any]:
    return Contact.__table__.c[FIELDS[name].column]
