"""The numbers beside a page of contacts, which take long to count and are asked for at every click.

They are kept by models/kept.py, for as long as they are exact: whoever asks is given what counting would give.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from models import imports, views
from models.contacts import own_mirror, search
from models.contacts.facets import Range
from models.contacts.moments import When
from models.contacts.statistics import Statistics
from models.filters import Filters, parse_pairs, visible_fields
from models.imports import Changed, Import
from models.kept import Kept
from models.permissions import Actor

UNTIL_TRIED_AGAIN = 60  # seconds after which a count that took too long may take less
FACET_VALUES = 200  # of each field, the commonest
# What stands beside the table is counted in one look at the contacts: one by one it would take several times as long.
FACETS = ("email_status", "seniority", "country", "industry", "tags")
SIZED = "employees"
SIZES: tuple[Range, ...] = ((1, 10), (11, 50), (51, 200), (201, 1000), (1001, 5000), (5001, None))  # as Apollo's

_facet = Kept[dict[Any, int]]("values of a field", 1000)
_facets = Kept[dict[str, dict[Any, int]]]("facets", 200)
_beginning = Kept[dict[Any, int]]("values that begin so", 1000)
_number = Kept[int]("how many with a value", 500)
_everything = Kept[int]("all contacts", 100)
_meant = Kept[Filters | None]("what is meant", 500)
_view_counts = Kept[tuple[float, list[int | None]]]("views", 200)
_statistics = Kept[Statistics]("overview", 200)
_changed_values = Kept[list[Changed]]("what an import changes", 50)


def facet(filters: Filters, name: str, *, is_alone: bool = False, by: Actor) -> dict[Any, int]:
    """The field's values with their counts among the contacts that match, commonest first, empty ones left out.

    `is_alone`: nothing else is asked of these filters, which are those of the screen without the field's own.
    Raises NotAllowed for a field that `by` may not see.
    """
    search.chosen_columns([name], by=by)
    if name in FACETS:
        return dict(_counted(filters, (name,) if is_alone else (*FACETS, SIZED), by)[name])
    return dict(_facet.answer((filters.query(), name), lambda: _values(filters, name, by), by=by))


def beginning(filters: Filters, name: str, typed: str, *, by: Actor) -> dict[Any, int]:
    """As `facet`, of all values of a text those that begin with what is typed, capitals aside. Raises NotAllowed."""
    search.chosen_columns([name], by=by)
    question = filters.query(), name, typed

    def read() -> dict[Any, int]:
        counted = search.count_by(filters, name, begins=typed, limit=FACET_VALUES, by=by)
        return {value: count for value, count in counted if value}

    return dict(_beginning.answer(question, read, by=by))


def sizes(filters: Filters, *, is_alone: bool = False, by: Actor) -> dict[Range, int]:
    """How many of the contacts that match have so many employees, for each of SIZES; `is_alone` as for `facet`.

    Raises NotAllowed where `by` may not see it.
    """
    search.chosen_columns([SIZED], by=by)
    return dict(_counted(filters, (SIZED,) if is_alone else (*FACETS, SIZED), by)[SIZED])


def values(name: str, *, by: Actor) -> list[Any]:
    """The field's commonest values among all contacts. Raises NotAllowed."""
    return list(facet(Filters(), name, by=by))


def everything(as_of: When | None = None, *, by: Actor) -> int:
    """How many contacts there are, or were."""
    asked = Filters(as_of=as_of)
    return _everything.answer(asked.query(), lambda: search.count(asked, by=by), by=by)


def meant(filters: Filters, *, by: Actor) -> Filters | None:
    """For a search that finds nothing: what is meant, and finds contacts. None where nothing is, and while this process
    has no mirror."""
    question = filters.query(), own_mirror.progress().phase
    return _meant.answer(question, lambda: search.meant(filters, by=by), by=by)


def number_with(others: Filters, key: str, value: Any, *, by: Actor) -> int:
    """How many contacts match the filters and this condition."""
    asked = parse_pairs([*others.pairs(), (key, str(value))], by=by)
    return _number.answer(asked.query(), lambda: search.count(asked, by=by), by=by)


def view_counts(asked: Sequence[Filters], *, by: Actor) -> list[int | None]:
    """How many contacts match each of them; None where counting takes longer than people wait."""
    question = tuple(one.query() for one in asked)

    def read() -> tuple[float, list[int | None]]:
        return time.monotonic(), views.counts(asked, by=by)

    read_at, numbers = _view_counts.answer(question, read, by=by)
    if None in numbers and time.monotonic() - read_at > UNTIL_TRIED_AGAIN:
        _view_counts.forget(question, by=by)
        _, numbers = _view_counts.answer(question, read, by=by)
    return list(numbers)


def statistics(filters: Filters, *, by: Actor) -> Statistics:
    """The numbers of all contacts that match: of this moment, whenever they were counted."""
    found = _statistics.answer(filters.query(), lambda: search.statistics_of(filters, by=by), by=by)
    now = datetime.now(UTC)
    moment = search.moment(filters, by=by)
    return replace(found, at=min(moment, now) if moment else now)


def changed_values(found: Import, *, by: Actor) -> list[Changed]:
    """What the import's plan changes."""
    question = found.id, (found.planned or {}).get("at"), found.state
    return list(_changed_values.answer(question, lambda: imports.changed_values(found.id, by=by), by=by))


def _counted(filters: Filters, wanted: tuple[str, ...], by: Actor) -> dict[str, dict[Any, int]]:
    """What stands beside the table, as far as `by` may see it."""

    def read() -> dict[str, dict[Any, int]]:
        seen = [name for name in wanted if name in visible_fields(by)]
        ranges = {SIZED: SIZES} if SIZED in seen else {}
        names = [name for name in seen if name != SIZED]
        counted = search.count_by_each(filters, names, ranges=ranges, by=by, limit=FACET_VALUES)
        return {name: dict(counts) for name, counts in counted.items()}

    return _facets.answer((filters.query(), wanted), read, by=by)


def _values(filters: Filters, name: str, by: Actor) -> dict[Any, int]:
    counted = search.count_by(filters, name, by=by, limit=FACET_VALUES)
    return {value: count for value, count in counted if value is not None}
