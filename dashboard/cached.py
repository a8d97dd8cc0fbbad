"""The only caches of query results; a page of contacts and its count never come from here.

Counts are kept for as long as nobody changes contacts. While somebody is, they are counted anew now and then, since
what is being written may be seen at any moment.

The key holds the filters and what the person may see: without the latter one person would read another's counts.
"""

import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import session
from models import imports, views
from models.contacts import clock, search
from models.contacts.moments import When
from models.contacts.search import Range
from models.contacts.statistics import Statistics
from models.filters import Filters, visible_fields
from models.imports import Changed, Import
from models.permissions import Actor

LIFETIME = 600  # seconds
WHILE_WRITTEN = 15  # seconds
VALUES_LIFETIME = 300
FACET_VALUES = 200  # of each field, the commonest
# What stands beside the table is counted in one look at the contacts: one by one it would take several times as long.
FACETS = ("email_status", "seniority", "country", "industry", "tags")
SIZES: tuple[Range, ...] = ((1, 10), (11, 50), (51, 200), (201, 1000), (1001, 5000), (5001, None))  # as Apollo's


def facet(filters: Filters, name: str, *, by: Actor) -> dict[Any, int]:
    """The field's values with their counts among the contacts that match, commonest first, empty ones left out.

    Raises NotAllowed for a field that `by` may not see.
    """
    search.chosen_columns([name], by=by)
    if name in FACETS:
        return _facets(filters.query(), _moment(), _sight(by), filters, by)[name]
    return _facet(filters.query(), name, _moment(), _sight(by), filters, by)


def sizes(filters: Filters, *, by: Actor) -> dict[Range, int]:
    """How many of the contacts that match have so many employees, for each of SIZES.

    Raises NotAllowed where `by` may not see it.
    """
    search.chosen_columns(["employees"], by=by)
    return _facets(filters.query(), _moment(), _sight(by), filters, by)["employees"]


def values(name: str, *, by: Actor) -> list[Any]:
    """The field's commonest values among all contacts; new ones may take VALUES_LIFETIME to appear."""
    return _values(name, _sight(by), by)


def everything(as_of: When | None = None, *, by: Actor) -> int:
    """How many contacts there are, or were."""
    return _everything(as_of.written if as_of else "", _moment(), _sight(by), as_of, by)


def view_counts(asked: Sequence[Filters], *, by: Actor) -> list[int | None]:
    """How many contacts match each of them; None where counting takes longer than people wait."""
    return _view_counts(tuple(one.query() for one in asked), _moment(), _sight(by), asked, by)


def statistics(filters: Filters, *, by: Actor) -> Statistics:
    """The numbers of all contacts that match."""
    return _statistics(filters.query(), _moment(), _sight(by), filters, by)


def forget_statistics(filters: Filters, *, by: Actor) -> None:
    _statistics.clear(filters.query(), _moment(), _sight(by), filters, by)


def changed_values(found: Import, *, by: Actor) -> list[Changed]:
    """What the import's plan changes; a plan stays as it was made, and the contacts are as they were then."""
    return _changed_values(found.id, (found.planned or {}).get("at"), found.state, _sight(by), by)


def forget() -> None:
    """Count anew at once, since somebody here changed contacts."""
    _facet.clear()
    _facets.clear()
    _everything.clear()
    _view_counts.clear()
    _statistics.clear()


def _moment() -> tuple[int, int]:
    """What the present numbers are kept under."""
    now = session.once("moment", clock.moment)
    return now.at, 0 if now.quiet else int(time.time() / WHILE_WRITTEN)


def _sight(by: Actor) -> tuple[str, ...]:
    """What decides a person's answer, besides the question."""
    return by.role, *(["every column"] if by.columns is None else ["only", *sorted(by.columns)])


@st.cache_data(ttl=LIFETIME, max_entries=1000, show_spinner=False)
def _facet(
    query: str, name: str, moment: tuple[int, int], sight: tuple[str, ...], _filters: Filters, _by: Actor
) -> dict[Any, int]:
    counted = search.count_by(_filters, name, by=_by, limit=FACET_VALUES)
    return {value: count for value, count in counted if value is not None}


@st.cache_data(ttl=LIFETIME, max_entries=200, show_spinner=False)
def _facets(
    query: str, moment: tuple[int, int], sight: tuple[str, ...], _filters: Filters, _by: Actor
) -> dict[str, dict[Any, int]]:
    seen = visible_fields(_by)
    ranges = {"employees": SIZES} if "employees" in seen else {}
    names = [name for name in FACETS if name in seen]
    counted = search.count_by_each(_filters, names, ranges=ranges, by=_by, limit=FACET_VALUES)
    return {name: dict(counts) for name, counts in counted.items()}


@st.cache_data(ttl=VALUES_LIFETIME, max_entries=200, show_spinner=False)
def _values(name: str, sight: tuple[str, ...], _by: Actor) -> list[Any]:
    return [value for value, _ in search.count_by(Filters(), name, by=_by, limit=FACET_VALUES) if value is not None]


@st.cache_data(ttl=LIFETIME, max_entries=100, show_spinner=False)
def _everything(written: str, moment: tuple[int, int], sight: tuple[str, ...], _as_of: When | None, _by: Actor) -> int:
    return search.count(Filters(as_of=_as_of), by=_by)


@st.cache_data(ttl=LIFETIME, max_entries=200, show_spinner=False)
def _view_counts(
    queries: tuple[str, ...], moment: tuple[int, int], sight: tuple[str, ...], _asked: Sequence[Filters], _by: Actor
) -> list[int | None]:
    return views.counts(_asked, by=_by)


@st.cache_data(ttl=LIFETIME, max_entries=200, show_spinner=False)
def _statistics(
    query: str, moment: tuple[int, int], sight: tuple[str, ...], _filters: Filters, _by: Actor
) -> Statistics:
    return search.statistics_of(_filters, by=_by)


@st.cache_data(ttl=VALUES_LIFETIME, max_entries=50, show_spinner=False)
def _changed_values(
    import_id: int, planned: str | None, state: str, sight: tuple[str, ...], _by: Actor
) -> list[Changed]:
    return imports.changed_values(import_id, by=_by)
