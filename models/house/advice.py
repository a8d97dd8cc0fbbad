"""Which tables want VACUUM or ANALYZE, why, and carrying that out. Autovacuum does the most of it; this finds what it
left, such as after a large deletion that stays below its thresholds, or where it was turned off.

Sources of the rules: PostgreSQL's documentation, “Routine Vacuuming”. VACUUM FULL, which locks a table for as long as
it takes, is never advised here, and never run.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Error as DriverError
from sqlalchemy import text
from sqlalchemy.orm import Session

from models.database import engine, reading
from models.house.shapes import HouseAdvice

LEAST = 1_000  # rows: below that nothing is worth a word
DEAD, CHANGED = 0.1, 0.1  # shares of a table
OLD = 0.5  # of the age at which the server begins to freeze a table by itself, whatever else it does
PATIENCE = "2s"  # for a table's lock; whoever holds it goes first

_CARE = """
    SELECT format('%I.%I', counted.schemaname, counted.relname) AS name, counted.relname AS shown,
        counted.n_live_tup AS live, counted.n_dead_tup AS dead, counted.n_mod_since_analyze AS changed,
        greatest(counted.last_analyze, counted.last_autoanalyze) AS analyzed,
        greatest(counted.last_vacuum, counted.last_autovacuum) AS vacuumed,
        greatest(classes.reltuples, counted.n_live_tup)::bigint AS rows,
        CASE WHEN classes.relfrozenxid = '0' THEN 0 ELSE age(classes.relfrozenxid) END AS age,
        current_setting('autovacuum_freeze_max_age')::bigint AS most_age
    FROM pg_stat_user_tables AS counted JOIN pg_class AS classes ON classes.oid = counted.relid
    WHERE classes.relpersistence <> 't' ORDER BY classes.relpages DESC, 1"""


@dataclass(frozen=True)
class Care:
    """What the server says of a table: rows by its counters, `age` in transactions since all of it was frozen."""

    name: str
    shown: str
    live: int
    dead: int
    changed: int
    analyzed: datetime | None
    vacuumed: datetime | None
    rows: int
    age: int
    most_age: int


def found(session: Session) -> list[HouseAdvice]:
    """The largest table first."""
    each = [Care(**row) for row in session.execute(text(_CARE)).mappings()]
    return [advice for one in each for advice in of(one)]


def of(one: Care) -> list[HouseAdvice]:
    """At most one VACUUM and one ANALYZE."""
    told = []
    if one.age >= OLD * one.most_age:
        told.append(_advice(one, "freeze", f"VACUUM (FREEZE, SKIP_LOCKED) {one.name}", _of_age(one)))
    elif one.dead >= LEAST and one.dead >= DEAD * (one.live + one.dead):
        told.append(_advice(one, "vacuum", f"VACUUM (SKIP_LOCKED) {one.name}", _of_dead(one)))
    if (reason := _stale(one)) is not None:
        told.append(_advice(one, "analyze", f"ANALYZE (SKIP_LOCKED) {one.name}", reason))
    return told


def carried_out(advice: HouseAdvice) -> HouseAdvice:
    """The advice with what came of it. Where another holds the table, or the role may not, that is what came of it."""
    assert advice.sql is not None
    said: list[str] = []
    taken = engine().raw_connection()
    driver = taken.driver_connection
    assert driver is not None
    try:
        driver.autocommit = True
        driver.add_notice_handler(lambda told: said.append(told.message_primary or ""))
        driver.execute(f"SET lock_timeout = '{PATIENCE}'")
        driver.execute("SET statement_timeout = 0")
        driver.execute(advice.sql.encode())
    except DriverError as error:
        said.append(str(error).splitlines()[0])
    finally:
        taken.invalidate()  # its settings and its handler are of no use to anybody else
        taken.close()
    outcome = f"Not done: {said[0]}." if said else "Done."
    return advice.model_copy(update={"outcome": outcome})


def now() -> list[HouseAdvice]:
    with reading() as session:
        return found(session)


def _advice(one: Care, kind: str, sql: str, sentence: str) -> HouseAdvice:
    return HouseAdvice(kind=kind, subject=one.shown, sentence=sentence, sql=sql)


def _of_age(one: Care) -> str:
    return (
        f"{one.age:,} transactions began since all of {one.shown} was frozen. From {one.most_age:,} on the server does "
        "so by itself, at a moment of its own."
    )


def _of_dead(one: Care) -> str:
    share = one.dead / (one.live + one.dead)
    return (
        f"{one.dead:,} rows of {one.shown} are dead, {share:.0%} of it; {_when('vacuumed', one.vacuumed)}. New rows "
        "take their place once it is vacuumed."
    )


def _stale(one: Care) -> str | None:
    if one.analyzed is None and one.rows >= LEAST:
        return f"{one.shown} has {one.rows:,} rows and was never analyzed: the planner guesses what is in it."
    if one.changed >= LEAST and one.changed >= CHANGED * one.rows:
        share = one.changed / max(one.rows, 1)
        return (
            f"{one.changed:,} rows of {one.shown} changed, {share:.0%} of it; {_when('analyzed', one.analyzed)}. The "
            "planner still counts on how it was."
        )
    return None


def _when(done: str, at: Any) -> str:
    return f"it was never {done}" if at is None else f"it was {done} last at {at:%d %b %Y, %H:%M} UTC"
