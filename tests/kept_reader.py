"""A process that keeps answers, for tests: `python -m tests.kept_reader URL` reads a word from each line.

    look    every kept answer, and right after it the same without what was kept; tells where they differ, and whether
            they are others than those of the last look
    held    how many answers it keeps
    end

It answers each with one line of JSON. What it keeps stays between two looks: whatever somebody writes meanwhile, it has
what was true before.
"""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from dashboard import cached
from models import database, imports, kept, kept_listener
from models.contacts import search
from models.contacts.moments import When
from models.database import reading
from models.errors import AppError
from models.filters import Filters, parse_query, visible_fields
from models.imports import Import
from models.permissions import OPERATOR, Actor, Role

NARROW = Actor(360, "A narrow one", Role.ANALYST, frozenset({"last_name", "company", "country", "industry"}))
BEGAN = datetime.now(UTC).replace(microsecond=0)
QUERIES = (
    "", "q=ann", "industry=Charcoal", "title=CTO", "tags.has=new", "owner=benjamin%40example.com",
    "check=last_raised_at_is_not_in_the_future",
)  # fmt: skip
OF_NARROW = ("", "q=ann")
CHARTED = ("", "title=CTO")  # with what stands beside the page, and as an overview


def reads(by: Actor) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Whatever this program keeps an answer to, by a name."""
    queries = OF_NARROW if by is NARROW else QUERIES
    for query in queries:
        yield f"total of {query}", lambda query=query: total(made(query, by), by)
        if query in CHARTED:
            yield f"facets of {query}", lambda query=query: facets(made(query, by), by)
            yield f"overview of {query}", lambda query=query: numbers(made(query, by), by)
    yield "counts", lambda: search.counts([made(query, by) for query in queries], by=by)
    yield "views", lambda: cached.view_counts([made(query, by) for query in queries], by=by)
    for name in ("title", "owner") if by is OPERATOR else ("company",):
        yield f"values of {name}", lambda name=name: cached.values(name, by=by)
    yield "everything", lambda: cached.everything(by=by)
    past = Filters(as_of=When(BEGAN))
    yield "everything then", lambda: cached.everything(past.as_of, by=by)
    with reading() as session:
        newest = session.scalar(select(func.max(Import.id)))
    if newest:
        before = Filters(as_of=When(newest, before=True))
        yield "what an import changes", lambda: cached.changed_values(imports.get(newest, by=by), by=by)
        yield "total before an import", lambda: total(before, by)
        yield "everything before an import", lambda: cached.everything(before.as_of, by=by)


def total(filters: Filters, by: Actor) -> int:
    return search.page(filters, columns=["company"], size=1, by=by).total


def facets(filters: Filters, by: Actor) -> Any:
    seen = set(visible_fields(by))
    counted = {name: cached.facet(filters, name, by=by) for name in cached.FACETS if name in seen}
    return counted, cached.sizes(filters, by=by) if "employees" in seen else None


def made(query: str, by: Actor) -> Filters:
    return parse_query(query, by=by)


def numbers(filters: Filters, by: Actor) -> dict[str, Any]:
    """Without the moment, which is that of the look."""
    return {name: value for name, value in vars(cached.statistics(filters, by=by)).items() if name != "at"}


def answers() -> dict[str, str]:
    """What each read gives, or how it is refused, as text."""
    return {f"{by.name}: {name}": answer(read) for by in (OPERATOR, NARROW) for name, read in reads(by)}


def answer(read: Callable[[], Any]) -> str:
    try:
        return repr(read())
    except AppError as error:
        return error.sentence


def look(before: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    given = answers()
    kept.drop()
    true = answers()
    wrong = {name: [given.get(name), true.get(name)] for name in true if given.get(name) != true[name]}
    return {"wrong": wrong, "moved": before != true, "reads": len(true)}, true


def main() -> None:
    database.bind(sys.argv[1])
    true: dict[str, str] = {}
    with kept_listener.listening():
        for line in sys.stdin:
            told: Any = None
            if line.strip() == "look":
                told, true = look(true)
            elif line.strip() == "held":
                told = sum(one.kept for one in kept.tallies().values())
            elif line.strip() == "end":
                return
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
