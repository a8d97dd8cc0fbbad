"""The only caches of query results; a page of contacts and its count never come from here.

Counts are kept for as long as nobody changes contacts. What was running when they were read and ends later is missing
from them until their lifetime is over, or until somebody asks for new ones.

The key holds the filters and what the person may see: without the latter one person would read another's counts.
"""

from typing import Any

import streamlit as st

from models import import_rejects, imports
from models.contacts import search
from models.contacts.statistics import Statistics
from models.filters import Filters, visible_fields
from models.import_rejects import Reason
from models.imports import Changed, Import
from models.permissions import Actor

Range = tuple[int, int | None]

LIFETIME = 15  # seconds
VALUES_LIFETIME = 300
FACET_VALUES = 200  # of each field, the commonest


def facet(filters: Filters, name: str, *, by: Actor) -> dict[Any, int]:
    """The field's values with their counts among the contacts that match, commonest first, empty ones left out."""
    return _facet(filters.query(), name, search.clock(), _sight(by), filters, by)


def ranges(filters: Filters, name: str, wanted: tuple[Range, ...], *, by: Actor) -> list[int]:
    """How many of the contacts that match have a number in each of the ranges."""
    return _ranges(filters.query(), name, wanted, search.clock(), _sight(by), filters, by)


def values(name: str, *, by: Actor) -> list[Any]:
    """The field's commonest values among all contacts; new ones may take VALUES_LIFETIME to appear."""
    return _values(name, _sight(by), by)


def everything(*, by: Actor) -> int:
    """How many contacts there are."""
    return _everything(search.clock(), _sight(by), by)


def statistics(filters: Filters, *, by: Actor) -> Statistics:
    """The numbers of all contacts that match."""
    return _statistics(filters.query(), search.clock(), _sight(by), filters, by)


def forget_statistics(filters: Filters, *, by: Actor) -> None:
    _statistics.clear(filters.query(), search.clock(), _sight(by), filters, by)


def changed_values(found: Import, *, by: Actor) -> list[Changed]:
    """What the import's plan changes; a plan stays as it was made, and the contacts are as they were then."""
    return _changed_values(found.id, (found.planned or {}).get("at"), found.state, _sight(by), by)


def reject_reasons(found: Import, *, by: Actor) -> list[Reason]:
    """Why rows of the import are refused."""
    return _reject_reasons(found.id, (found.planned or {}).get("at"), _sight(by), by)


def forget() -> None:
    """Count anew at once, since somebody here changed contacts."""
    _facet.clear()
    _ranges.clear()
    _everything.clear()
    _statistics.clear()


def _sight(by: Actor) -> tuple[str, ...]:
    """What decides a person's answer, besides the question."""
    return by.role, *visible_fields(by)


@st.cache_data(ttl=LIFETIME, max_entries=1000, show_spinner=False)
def _facet(query: str, name: str, clock: int, sight: tuple[str, ...], _filters: Filters, _by: Actor) -> dict[Any, int]:
    counted = search.count_by(_filters, name, by=_by, limit=FACET_VALUES)
    return {value: count for value, count in counted if value is not None}


@st.cache_data(ttl=LIFETIME, max_entries=200, show_spinner=False)
def _ranges(
    query: str, name: str, wanted: tuple[Range, ...], clock: int, sight: tuple[str, ...], _filters: Filters, _by: Actor
) -> list[int]:
    return search.count_between(_filters, name, wanted, by=_by)


@st.cache_data(ttl=VALUES_LIFETIME, max_entries=200, show_spinner=False)
def _values(name: str, sight: tuple[str, ...], _by: Actor) -> list[Any]:
    return [value for value, _ in search.count_by(Filters(), name, by=_by, limit=FACET_VALUES) if value is not None]


@st.cache_data(ttl=LIFETIME, max_entries=100, show_spinner=False)
def _everything(clock: int, sight: tuple[str, ...], _by: Actor) -> int:
    return search.count(Filters(), by=_by)


@st.cache_data(ttl=LIFETIME, max_entries=200, show_spinner=False)
def _statistics(query: str, clock: int, sight: tuple[str, ...], _filters: Filters, _by: Actor) -> Statistics:
    return search.statistics_of(_filters, by=_by)


@st.cache_data(ttl=VALUES_LIFETIME, max_entries=50, show_spinner=False)
def _changed_values(
    import_id: int, planned: str | None, state: str, sight: tuple[str, ...], _by: Actor
) -> list[Changed]:
    return imports.changed_values(import_id, by=_by)


@st.cache_data(ttl=VALUES_LIFETIME, max_entries=50, show_spinner=False)
def _reject_reasons(import_id: int, planned: str | None, sight: tuple[str, ...], _by: Actor) -> list[Reason]:
    return import_rejects.reasons(import_id, by=_by)
