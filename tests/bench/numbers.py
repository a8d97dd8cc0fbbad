"""The numbers beside a page of contacts: what it takes to count them, and to give them again while they are exact."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Column, Table

from dashboard import cached
from models import kept
from models.contacts import search
from models.filters import Filters, parse_query
from models.permissions import OPERATOR
from tests.bench.limits import Measured

COUNTED_ROUNDS, KEPT_ROUNDS = 3, 30
WRITES = 2000  # single contacts
AT_MOST = 10  # ms of an answer that is kept
VIEWS = (
    "seniority=VP", "country=Germany", "email_status=Verified", "country=Germany&seniority=VP",
    "employees.between=51,200",
)  # fmt: skip
ONE = "INSERT INTO contacts (last_name) VALUES ('One')"


@dataclass(frozen=True)
class Timed:
    """Milliseconds, the medians: counted, given again, and given again while a transaction writes."""

    what: str
    counted: float
    kept: float
    while_written: float


def timed(url: str) -> list[Timed]:
    found = []
    for what, read in _questions().items():
        counted = _median(COUNTED_ROUNDS, read, before=kept.drop)
        again = _median(KEPT_ROUNDS, read)
        with _writing(url):
            found.append(Timed(what, counted, again, _median(KEPT_ROUNDS, read)))
    return found


def show(found: list[Timed]) -> None:
    right = [Column(name, justify="right") for name in ("counted", "kept", "kept, while written", "saves")]
    table = Table("numbers beside the page", *right)
    for one in found:
        times = f"{one.counted:,.1f} ms", f"{one.kept:,.1f} ms", f"{one.while_written:,.1f} ms"
        table.add_row(one.what, *times, f"{1 - one.kept / one.counted:.1%}")
    Console(width=110).print(table)


def measured(found: list[Timed], url: str) -> list[Measured]:
    """The slowest that is kept; and what it costs those who write to say that they did."""
    slowest = max(max(one.kept, one.while_written) for one in found)
    told, untold = _written(url)
    return [
        Measured("the slowest answer that is kept", slowest, "ms", AT_MOST),
        Measured(f"{WRITES:,} contacts created one by one, each of which moves", told, "ms"),
        Measured("the same where nobody is told", untold, "ms"),
    ]


def _questions() -> dict[str, Callable[[], Any]]:
    by, germany = OPERATOR, parse_query("country=Germany", by=OPERATOR)
    views = [parse_query(query, by=by) for query in VIEWS]
    return {
        "facets of all contacts": lambda: cached.facet(Filters(), "country", by=by),
        "facets of one country": lambda: cached.facet(germany, "seniority", by=by),
        "values of a field": lambda: cached.values("title", by=by),
        "overview of all contacts": lambda: cached.statistics(Filters(), by=by),
        "overview of one country": lambda: cached.statistics(germany, by=by),
        f"counts of {len(views)} views": lambda: cached.view_counts(views, by=by),
        "all contacts": lambda: cached.everything(by=by),
        "a page and its total": lambda: search.page(germany, columns=["company"], size=50, by=by),
    }


def _median(rounds: int, read: Callable[[], Any], *, before: Callable[[], None] | None = None) -> float:
    seconds = []
    for _ in range(rounds):
        if before:
            before()
        started = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) * 1000


@contextmanager
def _writing(url: str) -> Iterator[None]:
    """While somebody has written and not committed."""
    with psycopg.connect(url) as writer:
        writer.execute(ONE)
        yield
        writer.rollback()


def _written(url: str) -> tuple[float, float]:
    """Milliseconds of WRITES transactions, with and without the trigger that tells; taken back by deleting them."""
    found = []
    with psycopg.connect(url, autocommit=True) as connection:
        for way in ("ENABLE", "DISABLE"):
            connection.execute(f"ALTER TABLE contacts {way} TRIGGER contacts_moved".encode())
            started = time.perf_counter()
            for _ in range(WRITES):
                connection.execute(ONE)
            found.append((time.perf_counter() - started) * 1000)
        connection.execute("ALTER TABLE contacts ENABLE TRIGGER contacts_moved")
        connection.execute("DELETE FROM contacts WHERE last_name = 'One' AND email IS NULL")
    return found[0], found[1]
