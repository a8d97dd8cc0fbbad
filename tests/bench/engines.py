"""Both engines beside each other, at one size or several: pages with their counts, facets, the overview, an edit, an
import that the mirror comes after, and what its memory and its load cost. Nothing is counted already."""

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Column, Table
from sqlalchemy import text

from models import filters
from models.contacts import mirror, own_mirror, search
from models.contacts.mirror import Mirror
from models.contacts.table import FIELDS
from models.database import writing
from models.filters import Filters
from models.permissions import OPERATOR
from tests.bench import browse
from tests.bench.browse import VIEWS
from tests.bench.limits import Measured, milliseconds
from tests.waiting import until

MEMORY, THREADS = "1GB", 2
ROUNDS = 5
IMPORTED = 100_000
FACETS = ("email_status", "seniority", "country", "industry", "tags", "technologies", "departments", "city")
SIZES = ((1, 10), (11, 50), (51, 200), (201, 1000), (1001, 5000), (5001, None))
TIMES = 4  # that ten million contacts may take of what one million do


@dataclass
class Engine:
    """Seconds of each view: of its page with the exact count, and of its facets."""

    pages: dict[tuple[str, str, int], list[float]] = field(default_factory=dict)
    facets: dict[tuple[str, str, int], list[float]] = field(default_factory=dict)
    overview: float = 0.0

    def both(self) -> list[float]:
        """Page, count and facets together."""
        pairs = ((self.pages[view], self.facets[view]) for view in self.pages)
        return [page + beside for pages, facets in pairs for page, beside in zip(pages, facets, strict=True)]


@dataclass
class Side:
    """One size. `load`, `edit` and `catch_up` in seconds, `disk` and `memory` in bytes."""

    rows: int
    mirror: Engine
    postgres: Engine
    totals: dict[tuple[str, str, int], int]
    load: float
    reopened: float
    edit: float
    catch_up: float
    disk: int
    memory: int


def measure(folder: Path, rows: int) -> Side:
    """Of the bound database, whose contacts are mirrored in the folder."""
    began = time.perf_counter()
    with _following(folder):
        load = time.perf_counter() - began
    began = time.perf_counter()
    with _following(folder) as made:
        reopened = time.perf_counter() - began
        ours, totals = _engine(ROUNDS)
        memory = psutil.Process().memory_info().rss
        edit, catch_up = _edit(), _catch_up(made)
        disk = sum(one.stat().st_size for one in folder.iterdir())
    theirs, _ = _engine(1, warm=False)
    return Side(rows, ours, theirs, totals, load, reopened, edit, catch_up, disk, memory)


@contextmanager
def _following(folder: Path) -> Iterator[Mirror]:
    with mirror.held(folder, threads=THREADS, memory=MEMORY) as made:
        assert made.wait(3600)
        yield made


def _engine(rounds: int, *, warm: bool = True) -> tuple[Engine, dict[tuple[str, str, int], int]]:
    """Each view so often, each time in another order. `warm`: once before, since what is read for the first time comes
    from the disk; Postgres has read all contacts many times by then, for the mirror among others."""
    found, totals, chance = Engine(), {}, random.Random(360)
    for view in VIEWS if warm else ():
        browse.read(view)
        _facets(view)
    for _ in range(rounds):
        for view in chance.sample(VIEWS, len(VIEWS)):
            search._totals.drop()
            began = time.perf_counter()
            totals[view] = browse.read(view).total
            there = time.perf_counter()
            _facets(view)
            found.pages.setdefault(view, []).append(there - began)
            found.facets.setdefault(view, []).append(time.perf_counter() - there)
    began = time.perf_counter()
    search.statistics_of(Filters(), by=OPERATOR)
    found.overview = time.perf_counter() - began
    return found, totals


def _facets(view: tuple[str, str, int]) -> None:
    wanted = filters.parse_query(view[0], by=OPERATOR)
    search.count_by_each(wanted, FACETS, ranges={"employees": SIZES}, by=OPERATOR, limit=200)


def _edit() -> float:
    """Seconds of the count that comes after an edit, in which it is; the median of some."""
    somewhere, waited = filters.parse_query("city=Atlantis", by=OPERATOR), []
    for number in range(1, 8):
        with writing(OPERATOR) as session:
            session.execute(text("UPDATE contacts SET city = 'Atlantis' WHERE id = :id"), {"id": number * 1000})
        began = time.perf_counter()
        counted = search.count(somewhere, by=OPERATOR)
        waited.append(time.perf_counter() - began)
        assert counted == number, f"{counted} contacts, and {number} were edited"
    return statistics.median(waited)


def _catch_up(made: Mirror) -> float:
    """Seconds from the commit of an import's contacts until the mirror answers with them."""
    columns = ", ".join(one.column for one in FIELDS.values() if one.name != "contact_id")
    with writing(OPERATOR) as session:
        session.execute(
            text(
                f"""INSERT INTO contacts ({columns}, import_id)
                SELECT {columns}, 999 FROM contacts WHERE id <= :number"""  # the names are our own
            ),
            {"number": IMPORTED},
        )
    began = time.perf_counter()
    made.tell()
    until("the mirror answers", _answers, every=0.01)
    seconds = time.perf_counter() - began
    assert search.count(filters.parse_query("import=999", by=OPERATOR), by=OPERATOR) > 0
    return seconds


def _answers() -> bool:
    with own_mirror.viewing() as view:
        return view is not None


def measured(sides: Sequence[Side]) -> list[Measured]:
    """What is asked of the largest of them."""
    last, first = sides[-1], sides[0]
    pages = _all(last.mirror.pages)
    limits = [
        Measured("page and exact count, p50", milliseconds(pages, 0.5), "ms"),
        Measured("page and exact count, p95", milliseconds(pages, 0.95), "ms", 100),
        Measured("the same with 8 facets, p95", milliseconds(last.mirror.both(), 0.95), "ms", 300),
        Measured("overview", last.mirror.overview * 1000, "ms", 300),
        Measured("an edit in the next count", last.edit * 1000, "ms"),
        Measured(f"catch-up after {IMPORTED:,} rows", last.catch_up * 1000, "ms", 2000),
        Measured("load of the mirror", last.load, "s"),
        Measured("going on after a restart", last.reopened, "s"),
        Measured("its file", last.disk / 2**20, "MB"),
        Measured("memory of the process", last.memory / 2**20, "MB", 2048),
    ]
    if len(sides) > 1:
        before = milliseconds(_all(first.mirror.pages), 0.95)
        limits.insert(2, Measured(f"times that of {first.rows:,}", milliseconds(pages, 0.95) / before, "", TIMES))
    return limits


def _all(timed: dict[tuple[str, str, int], list[float]]) -> list[float]:
    return [seconds for times in timed.values() for seconds in times]


def show(sides: Sequence[Side]) -> None:
    """For each view the median of the mirror's page with count + of its facets | those of Postgres alone, in
    milliseconds; and then what half of all views and 95 % of them do not exceed."""
    numbers = [Column(f"{side.rows:,}", justify="right") for side in sides]
    table = Table("view: filter, order, page", Column("contacts", justify="right"), *numbers)
    for view in VIEWS:
        query, sort, number = view
        cells = []
        for side in sides:
            ours, theirs = (_median(one, view) for one in (side.mirror, side.postgres))
            cells.append(f"{ours} | {theirs}")
        table.add_row(f"{query or 'everything'}, {sort}, {number}", f"{sides[-1].totals[view]:,}", *cells)
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        table.add_row(name, "", *(f"{_share(side.mirror, share)} | {_share(side.postgres, share)}" for side in sides))
    for name, what in (("overview", _overview), ("load", _load), ("file, memory", _room)):
        table.add_row(name, "", *map(what, sides))
    Console(width=150).print(table)


def _median(engine: Engine, view: tuple[str, str, int]) -> str:
    page, facets = (statistics.median(one[view]) * 1000 for one in (engine.pages, engine.facets))
    return f"{page:,.0f}+{facets:,.0f}"


def _share(engine: Engine, share: float) -> str:
    page, facets = (milliseconds(_all(one), share) for one in (engine.pages, engine.facets))
    return f"{page:,.0f}+{facets:,.0f}"


def _overview(side: Side) -> str:
    return f"{side.mirror.overview * 1000:,.0f} | {side.postgres.overview * 1000:,.0f} ms"


def _load(side: Side) -> str:
    return f"{side.load:,.0f} s, again {side.reopened:,.1f} s"


def _room(side: Side) -> str:
    return f"{side.disk / 2**20:,.0f} MB, {side.memory / 2**20:,.0f} MB"
