"""What the contacts screen reads, for 30 different views, against plain SQL."""

import random
import statistics
import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, func, select

from models import database, filters
from models.contacts import order, search
from models.contacts.table import Contact
from models.permissions import OPERATOR
from tests.bench.limits import Measured, milliseconds

ROUNDS = 5
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


def measure() -> list[Timed]:
    """Each view ROUNDS times, in another order each, and each time as after a change: nothing is counted already."""
    timed = [Timed(view) for view in VIEWS]
    chance = random.Random(360)
    for one in timed:
        read(one.view)  # what is read for the first time comes from the disk, ours as theirs
    for _ in range(ROUNDS):
        for one in chance.sample(timed, len(timed)):
            search._totals.drop()
            started = time.perf_counter()
            one.total = read(one.view).total
            one.ours.append(time.perf_counter() - started)
    with database.engine().connect() as connection:
        for one in timed:
            one.plain = _plain(connection, one.view)
    return timed


def read(view: tuple[str, str, int]) -> search.Page:
    query, sort, number = view
    wanted = filters.parse_query(query, by=OPERATOR)
    return search.page(wanted, columns=COLUMNS, sort=sort, number=number, size=SIZE, by=OPERATOR)


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


def measured(timed: list[Timed]) -> list[Measured]:
    every = [seconds for one in timed for seconds in one.ours]
    return [
        Measured("page and exact count, p50", milliseconds(every, 0.5), "ms"),
        Measured("page and exact count, p95", milliseconds(every, 0.95), "ms", 300),
        Measured("the longest", milliseconds(every, 1), "ms"),
        Measured("plain SQL, median of the views", statistics.median(one.plain for one in timed) * 1000, "ms"),
    ]


def show(timed: list[Timed]) -> None:
    table = Table("view: filter, order, page", "contacts", "p50 ms", "max ms", "plain ms")
    for one in timed:
        query, sort, number = one.view
        described = f"{query or 'everything'}, {sort}, {number}"
        points = (milliseconds(one.ours, 0.5), milliseconds(one.ours, 1), one.plain * 1000)
        table.add_row(described, f"{one.total:,}", *(f"{point:.0f}" for point in points))
    Console(width=120).print(table)
