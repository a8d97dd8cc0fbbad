"""The statements that took longest, as pg_stat_statements counts them, and who sent them, as our own timings say."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models.database import engine
from models.performance.people import Names
from models.performance.shapes import Cause, Statement
from models.timings import fingerprint

MOST = 15  # statements of a list
CAUSES = 4  # of a statement
LEAST_CALLS = 3  # of one that is slow on average
LONGEST = 2000  # characters of a statement
WORK = re.compile(r"\s*(select|with|insert|update|delete|merge|copy)\b", re.IGNORECASE)
SQL = Path(__file__).with_suffix(".sql").read_text()
# The same as `base` in the statement's file.
_BASE = """
    SELECT id, made_at FROM performance_reports WHERE made_at < clock_timestamp() - interval '6 days 12 hours'
    ORDER BY made_at DESC LIMIT 1"""
_CAUSES = text(
    """SELECT fingerprint, kind, operation, user_id, view_id, sum(times) AS times, sum(seconds) AS seconds
    FROM statement_timings WHERE day > (clock_timestamp() AT TIME ZONE 'UTC')::date - 7
        AND fingerprint = ANY(:fingerprints)
    GROUP BY fingerprint, kind, operation, user_id, view_id ORDER BY seconds DESC"""
)


@dataclass(frozen=True)
class Counted:
    """Of a week: `before` is the mean of the week before, in seconds. The others are the server's counters."""

    statement: int
    text: str
    calls: int
    seconds: float
    before: float | None
    all_calls: int
    all_seconds: float

    @property
    def mean(self) -> float:
        return self.seconds / max(1, self.calls)


@dataclass(frozen=True)
class Since:
    """From when on statements are counted here, and the report that this is; None: the server began then, as it says,
    if it says."""

    at: datetime | None
    report: int | None


def counted_since(session: Session) -> Since:
    base = session.execute(text(_BASE)).one_or_none()
    if base is not None:
        return Since(base.made_at, base.id)
    try:
        with session.begin_nested():
            return Since(session.scalar(text("SELECT stats_reset FROM pg_stat_statements_info")), None)
    except DBAPIError:
        return Since(None, None)  # `ready` says why


def ready() -> str | None:
    """Why the server does not count statements; None where it does. Makes the extension where that is allowed."""
    try:
        with engine().begin() as connection:
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_stat_statements"))
    except DBAPIError:
        pass  # the next question says what is missing
    try:
        with engine().connect() as connection:
            connection.execute(text("SELECT FROM pg_stat_statements LIMIT 1"))
    except DBAPIError as error:
        reason = str(error.orig).splitlines()[0]
        return (
            f"The server does not tell what its statements take: {reason}. A superuser can set shared_preload_libraries"
            " to pg_stat_statements, restart it, and run CREATE EXTENSION pg_stat_statements."
        )
    return None


def counted(session: Session) -> list[Counted]:
    """Those that did some work, with their counters."""
    found = []
    for row in session.execute(text(SQL)):
        if row.text and WORK.match(row.text):
            before = float(row.seconds_before) / int(row.calls_before) if row.calls_before else None
            found.append(
                Counted(
                    row.statement, row.text, int(row.calls), float(row.seconds), before, int(row.all_calls),
                    float(row.all_seconds),
                )
            )  # fmt: skip
    return found


def slowest(found: list[Counted]) -> list[Counted]:
    """By the time that they took in all."""
    known = [one for one in found if one.calls]
    return sorted(known, key=lambda one: -one.seconds)[:MOST]


def slowest_by_mean(found: list[Counted]) -> list[Counted]:
    known = [one for one in found if one.calls >= LEAST_CALLS]
    return sorted(known, key=lambda one: -one.mean)[:MOST]


def described(session: Session, chosen: list[Counted], whole: float, names: Names) -> list[Statement]:
    """With who sent each; `whole` are the seconds of all statements."""
    marks = {fingerprint(one.text) for one in chosen}
    causes: dict[str, list[Cause]] = defaultdict(list)
    for row in session.execute(_CAUSES, {"fingerprints": sorted(marks)}):
        if len(causes[row.fingerprint]) < CAUSES:
            causes[row.fingerprint].append(
                Cause(
                    kind=row.kind, operation=row.operation, person=names.person(row.user_id),
                    view=names.view(row.view_id), times=int(row.times), seconds=float(row.seconds),
                )
            )  # fmt: skip
    return [
        Statement(
            text=one.text[:LONGEST], calls=one.calls, seconds=one.seconds, mean_ms=1000 * one.mean,
            share=one.seconds / whole if whole else 0.0,
            before_ms=None if one.before is None else 1000 * one.before, causes=causes[fingerprint(one.text)],
        )
        for one in chosen
    ]  # fmt: skip
