"""What a report finds that somebody should look at, with a suggestion that was tried."""

from datetime import datetime, timedelta

from models.migrations import every_table
from models.performance import trial
from models.performance.relations import Known
from models.performance.shapes import PerformanceFinding, Report
from models.performance.statements import Counted, slowest, slowest_by_mean

TRIED = 6  # indexes of each kind: each takes seconds
LEAST_MEAN, LEAST_SECONDS = 0.0005, 0.05  # seconds, of a statement that an index is looked for
UNUSED_AFTER = timedelta(days=7)
SLOWER, LEAST_SLOW_MS = 2.0, 10.0  # times as long as the week before; what is quick anyway is no finding
MANY_STATEMENTS = 40
BLOATED, LEAST_BLOAT = 0.5, 50_000_000  # of a table; bytes
LEAST_HIT = 0.9
LONG = 600.0  # seconds of a transaction
CROWDED = 0.8
LATE_MS, LEAST_TIMES = 1000.0, 20
WAITED_FOR = ("screen", "part", "api", "web")  # a command may take its time


def of_indexes(counted: list[Counted], indexes: list[Known], now: datetime) -> list[PerformanceFinding]:
    return [*_missing(counted), *_unused(counted, indexes, now)]


def of_report(made: Report) -> list[PerformanceFinding]:
    """What its numbers say by themselves."""
    return [*_statements(made), *_operations(made), *_tables(made), *_server(made)]


def _missing(counted: list[Counted]) -> list[PerformanceFinding]:
    slow = {one.statement: one for one in (*slowest(counted), *slowest_by_mean(counted))}
    found: dict[trial.Candidate, PerformanceFinding] = {}
    tries = 0
    for one in sorted(slow.values(), key=lambda one: -one.seconds):
        if one.mean < LEAST_MEAN or one.seconds < LEAST_SECONDS or tries >= TRIED:
            continue
        wanted = trial.candidate(one.text)
        if wanted is None or wanted in found:
            continue
        tries += 1
        tried = trial.try_index(one.text, wanted)
        if tried is not None and tried.holds:
            found[wanted] = _missing_index(one, wanted, tried)
    return list(found.values())


def _missing_index(one: Counted, wanted: trial.Candidate, tried: trial.Tried) -> PerformanceFinding:
    does = {
        trial.Way.VALUES: f"reads all of {wanted.table} to find some of its rows",
        trial.Way.ORDER: f"reads and sorts all of {wanted.table} for the first of its rows",
        trial.Way.PATTERN: f"reads all of {wanted.table} for the rows whose {wanted.columns[0]} holds a text",
    }[wanted.way]
    needs = " It needs the extension pg_trgm." if wanted.way is trial.Way.PATTERN else ""
    return PerformanceFinding(
        kind="missing index", subject=wanted.subject,
        sentence=f"A statement {does}: {one.calls:,} times, {1000 * one.mean:,.0f} ms each. It begins with: "
        f"{' '.join(one.text.split())[:120]}",
        suggestion=f"Add an index of {wanted.subject}. It makes imports and changes of {wanted.table} a little slower."
        f"{needs}",
        tried=tried.sentence, sql=wanted.sql,
    )  # fmt: skip


def _unused(counted: list[Counted], indexes: list[Known], now: datetime) -> list[PerformanceFinding]:
    """The program's own are told once they are ripe: on its first day most of them wait for their screen."""
    own = {index.name for table in every_table.TABLES.values() for index in table.indexes}
    told = [one for one in indexes if one.is_unused and (one.name not in own or one.idle(now) >= UNUSED_AFTER)]
    found = []
    for one in told[:TRIED]:
        about = [each.text for each in slowest([each for each in counted if one.table in each.text])]
        tried = trial.without_index(one.table, one.definition, about)
        if tried is None:
            continue
        planned, dearer = tried
        if dearer:
            continue  # the planner would take it, the next time
        found.append(_unused_index(one, planned, now))
    return found


def _unused_index(one: Known, planned: int, now: datetime) -> PerformanceFinding:
    ripe = one.idle(now) >= UNUSED_AFTER
    if ripe:
        advice = f"Drop it: it takes {_megabytes(one.bytes)}, and each change of {one.table} pays for it."
    else:
        day = (now + UNUSED_AFTER - one.idle(now)).date()
        advice = f"Look again on {day}: once nothing has read it for a week, drop it. It takes {_megabytes(one.bytes)}."
    since = f"since {one.known_since.date()} at least" if one.known_since else "since the server counts that"
    return PerformanceFinding(
        kind="unused index", subject=one.name,
        sentence=f"Nothing has read the index {one.name} of {one.table} {since}; no rule needs it.",
        suggestion=advice,
        tried=f"On a copy without it no statement on {one.table} costs more, of {planned:,} that were planned.",
        sql=f"DROP INDEX CONCURRENTLY {one.name}",
    )  # fmt: skip


def _statements(made: Report) -> list[PerformanceFinding]:
    return [
        PerformanceFinding(
            kind="slower statement", subject=" ".join(one.text.split())[:60],
            sentence=f"It takes {one.mean_ms:,.0f} ms on average, {one.before_ms:,.0f} ms the week before.",
        )
        for one in made.statements
        if one.before_ms and one.mean_ms >= LEAST_SLOW_MS and one.mean_ms >= SLOWER * one.before_ms
    ]  # fmt: skip


def _operations(made: Report) -> list[PerformanceFinding]:
    found = []
    for one in made.operations:
        name, waits = f"{one.kind} {one.operation}", one.kind in WAITED_FOR
        if one.statements > MANY_STATEMENTS and waits:
            told = f"It sends {one.statements:,.0f} statements each time: perhaps one for each row."
            found.append(PerformanceFinding(kind="many statements", subject=name, sentence=told))
        if one.p99_ms > LATE_MS and one.times >= LEAST_TIMES and waits:
            told = f"Of a hundred one takes {one.p99_ms / 1000:,.1f} s or longer."
            found.append(PerformanceFinding(kind="slow operation", subject=name, sentence=told))
    return found


def _tables(made: Report) -> list[PerformanceFinding]:
    return [
        PerformanceFinding(
            kind="bloat", subject=one.name,
            sentence=f"{_megabytes(one.bloat)} of {_megabytes(one.bytes)} hold nothing, by {made.bloat_source}. New"
            " rows fill them; only VACUUM FULL gives them back, and nobody can use the table meanwhile.",
        )
        for one in made.tables
        if one.bloat is not None and one.bloat > max(LEAST_BLOAT, BLOATED * one.bytes)
    ]  # fmt: skip


def _server(made: Report) -> list[PerformanceFinding]:
    of, found = made.server, []
    if of.cache_hit is not None and of.cache_hit < LEAST_HIT and of.database_bytes > LEAST_BLOAT:
        told = f"Only {of.cache_hit:.0%} of what is read is in memory: a larger shared_buffers may help."
        found.append(PerformanceFinding(kind="memory", subject="cache", sentence=told))
    if of.connections > CROWDED * of.most_connections:
        told = f"{of.connections} of {of.most_connections} connections are in use."
        found.append(PerformanceFinding(kind="connections", subject="connections", sentence=told))
    found += [
        PerformanceFinding(kind="long transaction", subject=f"process {one.pid}",
            sentence=f"{one.program} has had a transaction open for {one.seconds / 60:,.0f} min ({one.state}): what is"
            " deleted meanwhile cannot be cleared away.")
        for one in made.transactions if one.seconds > LONG
    ]  # fmt: skip
    return found


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:,.1f} MB"
