"""What the contacts screen reads, for 30 different views, against plain SQL without the indexes of browsing."""

import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, func, select, text

from dashboard import cached
from models import database, filters
from models.contacts import browsing, order, search
from models.contacts.table import Contact
from models.permissions import OPERATOR

ROUNDS = 5
PEOPLE = 20
SIZE = 50
COLUMNS = [
    "first_name", "last_name", "title", "company", "email_status", "country", "employees", "annual_revenue", "email",
    "work_direct_phone", "city", "state", "tags", "created_at",
]  # fmt: skip
# A filter, an order, and a page: 1 where nothing is said.
VIEWS: list[tuple[str, str, int]] = [
    ("", "-id", 1),
    ("", "-id", 9000),
    ("", "-id", 18_000),
    ("", "last_name", 1),
    ("", "-company", 200),
    ("", "-annual_revenue", 1),
    ("", "-created_at", 1),
    ("", "employees", 1),
    ("", "industry", 1),
    ("country=Germany", "-id", 1),
    ("country=Germany&country=France&seniority=VP", "last_name", 1),
    ("industry=Computer Software", "-id", 1),
    ("email_status=Verified", "-annual_revenue", 1),
    ("seniority=VP", "-id", 500),
    ("employees.gte=5000", "-id", 1),
    ("employees.between=51,200", "-employees", 1),
    ("annual_revenue.gte=10000000&employees.lte=1000", "-id", 1),
    ("last_raised_at.gte=2020-01-01&total_funding.gte=50000000", "last_name", 1),
    ("technologies=SAP", "-id", 1),
    ("technologies=SAP&technologies=AWS&country=Germany&employees.gte=500", "-id", 1),
    ("tags=Newsletter", "company", 1),
    ("q=orbit", "-id", 1),
    ("q=greta health", "last_name", 1),
    ("q=an", "-id", 1),
    ("company.contains=solar&country=India", "-company", 1),
    ("email.contains=@bluesystems1", "-id", 1),
    ("website.contains=quantum", "-id", 1),
    ("mobile_phone.empty=yes", "-id", 1),
    ("city=Berlin&title=Buyer", "-updated_at", 1),
    ("or1.country=Germany&or2.technologies=Kafka&added.gte=2020-01-01", "-id", 1),
]


@dataclass
class Timed:
    """Seconds of each time that one view was read."""

    view: tuple[str, str, int]
    ours: list[float] = field(default_factory=list)
    plain: float = 0.0
    total: int = 0


def measure() -> tuple[list[Timed], list[float]]:
    """Each view ROUNDS times, in another order each; then the seconds of each click where PEOPLE click at once."""
    timed = [Timed(view) for view in VIEWS]
    chance = random.Random(360)
    for one in timed:
        read(one.view)  # what is read for the first time comes from the disk, ours as theirs
    for _ in range(ROUNDS):
        for one in chance.sample(timed, len(timed)):
            started = time.perf_counter()
            one.total = read(one.view).total
            one.ours.append(time.perf_counter() - started)
    with _without_indexes() as connection:
        for one in timed:
            one.plain = _plain(connection, one.view)
    return timed, at_once(chance)


def read(view: tuple[str, str, int]) -> search.Page:
    query, sort, number = view
    wanted = filters.parse_query(query, by=OPERATOR)
    return search.page(wanted, columns=COLUMNS, sort=sort, number=number, size=SIZE, by=OPERATOR)


def at_once(chance: random.Random) -> list[float]:
    """Seconds of each click until its rows are read: all PEOPLE click at the same moment, and again when everybody has
    their rows and the facets beside them, which are counted after the rows and kept by nobody."""
    seconds: list[float] = []
    gate = threading.Barrier(PEOPLE)

    def person(views: list[tuple[str, str, int]]) -> None:
        for view in views:
            gate.wait()
            started = time.perf_counter()
            read(view)
            seconds.append(time.perf_counter() - started)
            wanted = filters.parse_query(view[0], by=OPERATOR)
            search.count_by_each(wanted, cached.FACETS, ranges={"employees": cached.SIZES}, by=OPERATOR)

    everybody = [threading.Thread(target=person, args=(chance.sample(VIEWS, ROUNDS),)) for _ in range(PEOPLE)]
    for one in everybody:
        one.start()
    for one in everybody:
        one.join()
    return seconds


@contextmanager
def _without_indexes() -> Iterator[Connection]:
    with database.engine().connect() as connection:
        for name in browsing.INDEXES:
            connection.execute(text(f"DROP INDEX IF EXISTS {name}"))
        yield connection
        connection.rollback()


def _plain(connection: Connection, view: tuple[str, str, int]) -> float:
    """Seconds of the two statements that one writes first: the rows in their order from an offset, and their count."""
    query, sort, number = view
    where = filters.parse_query(query, by=OPERATOR).condition(by=OPERATOR)
    listed = order.by(sort.removeprefix("-"), falling=sort.startswith("-"))
    key = Contact.__table__.c.id if listed.key is None else listed.key
    ordered = key.desc().nulls_last() if listed.falling else key.asc()
    rows = select(Contact.id, *search.labelled(COLUMNS)).select_from(listed.source).where(where)
    started = time.perf_counter()
    connection.execute(rows.order_by(ordered, Contact.id).limit(SIZE).offset((number - 1) * SIZE)).all()
    connection.execute(select(func.count()).select_from(Contact).where(where)).all()
    return time.perf_counter() - started


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed."""
    return sorted(values)[max(0, -(-int(len(values) * share * 1000) // 1000) - 1)]


def show(timed: list[Timed], clicks: list[float]) -> None:
    console = Console(width=120)
    table = Table("view: filter, order, page", "contacts", "p50 ms", "p95 ms", "max ms", "plain ms")
    for one in timed:
        query, sort, number = one.view
        described = f"{query or 'everything'}, {sort}, {number}"
        table.add_row(described, f"{one.total:,}", *_milliseconds(one.ours), f"{one.plain * 1000:.0f}")
    every = [seconds for one in timed for seconds in one.ours]
    table.add_section()
    plain = statistics.median(one.plain for one in timed)
    table.add_row(
        f"all {len(timed)} views (limit: p95 300 ms)", "", *_milliseconds(every), f"median {plain * 1000:.0f}"
    )
    table.add_row(f"{PEOPLE} people click at once (limit: p95 2,000 ms)", "", *_milliseconds(clicks), "")
    console.print(table)


def _milliseconds(seconds: list[float]) -> tuple[str, str, str]:
    points = (percentile(seconds, 0.5), percentile(seconds, 0.95), max(seconds))
    return f"{points[0] * 1000:.0f}", f"{points[1] * 1000:.0f}", f"{points[2] * 1000:.0f}"
