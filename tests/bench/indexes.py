"""What imports gain without the indexes that served browsing alone: the same files into a base that has them and into
one that has not, in one run; what they take on the disk; and how much longer Postgres reads without them, which is what
answers where there is no mirror."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console
from rich.table import Column, Table

from models.contacts import search
from tests.bench import browse
from tests.bench.browse import VIEWS
from tests.bench.limits import Measured, milliseconds
from tests.bench.processes import Run
from tests.waiting import until

# As the versions before schema 0026 had them: one from the beginning, the others built after a first load.
FACETS = "CREATE INDEX contacts_country_seniority ON contacts (country, seniority)"
AFTER = (
    """CREATE INDEX contacts_browsed ON contacts (id) INCLUDE (created_at, updated_at, import_id, industry_id, owner_id,
    employees, is_active, last_raised_at, annual_revenue, total_funding, latest_funding_amount, country, seniority,
    email_status)""",
    """CREATE INDEX contacts_lists ON contacts USING gin (technologies, keywords, tags, departments)
    WITH (gin_pending_list_limit = 65536)""",
    """CREATE INDEX contacts_words ON contacts
    USING gin (contact_search_text(first_name, last_name, title, company, email, website) gin_trgm_ops)
    WITH (gin_pending_list_limit = 262144)""",
)
WAITING = ("contacts_lists", "contacts_words")  # what imports add waits in a list, and is merged by the next sweep
SIZES = "SELECT pg_indexes_size('contacts'), pg_total_relation_size('contacts')"
LOGGED = "SELECT pg_current_wal_insert_lsn() - '0/0'"
WORKING = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
AT_MOST = 75  # percent of the server's work and of the disk that they took with them
MB = 2**20
Import = Callable[[Path], Run]


@dataclass(frozen=True)
class Cost:
    """`seconds` that it took, those that the server's processes worked, which others on the machine do not lengthen,
    and the bytes of its log."""

    seconds: float
    worked: float
    logged: int


@dataclass(frozen=True)
class Side:
    """What each import cost; bytes of the indexes of contacts, and of contacts with them; and seconds of each view as
    Postgres reads it, page with exact count."""

    costs: dict[str, Cost]
    indexes: int
    whole: int
    views: dict[tuple[str, str, int], float]


def measure(url: str, files: Sequence[Path], bring: Import, undo: Callable[[Run], Any], *, former: bool) -> Side:
    """The files into the empty base, one after the other; what the last one did is taken back. `former`: with the
    indexes. Merging what waits belongs to each import."""
    found: dict[str, Cost] = {}
    first, *others = files
    if former:
        _run(url, FACETS)
    found[first.stem], _ = _cost(url, lambda: bring(first))
    _run(url, "VACUUM contacts")
    if former:
        found["indexes"], _ = _cost(url, lambda: _run(url, *AFTER))
    merge = [f"SELECT gin_clean_pending_list('{name}')" for name in WAITING] if former else []

    def merged(work: Callable[[], Run]) -> Run:
        done = work()
        _run(url, *merge)
        return done

    for file in others:
        found[file.stem], last = _cost(url, lambda file=file: merged(partial(bring, file)))
    found["undo"], _ = _cost(url, lambda: merged(partial(undo, last)))
    _run(url, "VACUUM ANALYZE contacts")
    [(indexes, whole)] = _run(url, SIZES)
    return Side(found, indexes, whole, _views())


def _cost(url: str, work: Callable[[], Any]) -> tuple[Cost, Any]:
    server, [(logged,)] = _worked(url), _run(url, LOGGED)
    began = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - began
    until("the server has done its part", lambda: _run(url, WORKING) == [(0,)])
    [(after,)] = _run(url, LOGGED)
    return Cost(seconds, _worked(url) - server, int(after - logged)), done


def _worked(url: str) -> float:
    """Seconds that all processes of the server worked which have ended."""
    with psycopg.connect(url) as connection:
        server = psutil.Process(connection.info.backend_pid).parent()
    assert server is not None
    times = server.cpu_times()
    return float(times.children_user + times.children_system)


def _run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """In a connection of its own; what the last of them finds."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if statements and cursor.description else []


def _views() -> dict[tuple[str, str, int], float]:
    """Of the bound database. What is read for the first time may come from the disk."""
    found = {}
    for view in VIEWS:
        browse.read(view)
        search._totals.drop()
        began = time.perf_counter()
        browse.read(view)
        found[view] = time.perf_counter() - began
    return found


def measured(before: Side, now: Side) -> list[Measured]:
    imports = [name for name in now.costs if name != "undo"]
    ours, theirs = (sum(one.costs[name].worked for name in one.costs if name != "undo") for one in (now, before))
    small = [sum(one.costs[name].logged for name in imports[1:]) for one in (now, before)]
    return [
        Measured("the server's work for all imports, of that before", 100 * ours / theirs, "%", AT_MOST),
        Measured("its log of those after the first, of that before", 100 * small[0] / small[1], "%", AT_MOST),
        Measured("disk of the indexes of contacts, of that before", 100 * now.indexes / before.indexes, "%", AT_MOST),
    ]


def show(before: Side, now: Side, words: dict[str, str]) -> None:
    """`words`: what each file is called."""
    numbers = [Column(name, justify="right") for name in ("with the former indexes", "without")]
    table = Table("work: seconds, server's work, its log", *numbers)
    told = {**words, "indexes": "building them, after it", "undo": "undo of the last"}
    for name in before.costs:
        table.add_row(told[name], *(_told(side.costs.get(name)) for side in (before, now)))
    disk = {"indexes of contacts": (before.indexes, now.indexes), "contacts, all": (before.whole, now.whole)}
    for what, sizes in disk.items():
        table.add_row(f"disk: {what}", *(f"{size / MB:,.0f} MB" for size in sizes))
    for share in (0.5, 0.95, 1):
        read = (f"{milliseconds(list(side.views.values()), share):,.0f} ms" for side in (before, now))
        table.add_row(f"page and count by Postgres, {share:.0%} of {len(VIEWS)} views within", *read)
    Console(width=120).print(table)


def _told(cost: Cost | None) -> str:
    return f"{cost.seconds:.1f} s, {cost.worked:.1f} s, {cost.logged / MB:,.0f} MB" if cost else ""
