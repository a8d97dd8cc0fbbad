"""The only caches of query results. Facets may be some seconds old; a page and its count never come from here.

The key holds the filters and what the person may see: without the latter one person would read another's counts.
Entries end after LIFETIME.
"""

from typing import Any

import streamlit as st

from models.contacts import search
from models.filters import Filters, visible_fields
from models.permissions import Actor

LIFETIME = 15  # seconds
VALUES_LIFETIME = 300
FACET_VALUES = 200  # of each field, the commonest


def facet(filters: Filters, name: str, *, by: Actor) -> dict[Any, int]:
    """The field's values with their counts among the contacts that match, commonest first, empty ones left out."""
    return _facet(filters.query(), name, _sight(by), filters, by)


def values(name: str, *, by: Actor) -> list[Any]:
    """The field's commonest values among all contacts; new ones may take VALUES_LIFETIME to appear."""
    return _values(name, _sight(by), by)


def everything(*, by: Actor) -> int:
    """How many contacts there are."""
    return _everything(_sight(by), by)


def forget() -> None:
    """Count anew at once, since somebody here changed contacts."""
    _facet.clear()
    _everything.clear()


def _sight(by: Actor) -> tuple[str, ...]:
    """What decides a person's answer, besides the question."""
    return by.role, *visible_fields(by)


@st.cache_data(ttl=LIFETIME, max_entries=1000, show_spinner=False)
def _facet(query: str, name: str, sight: tuple[str, ...], _filters: Filters, _by: Actor) -> dict[Any, int]:
    counted = search.count_by(_filters, name, by=_by, limit=FACET_VALUES)
    return {value: count for value, count in counted if value is not None}


@st.cache_data(ttl=VALUES_LIFETIME, max_entries=200, show_spinner=False)
def _values(name: str, sight: tuple[str, ...], _by: Actor) -> list[Any]:
    return [value for value, _ in search.count_by(Filters(), name, by=_by, limit=FACET_VALUES) if value is not None]


@st.cache_data(ttl=LIFETIME, max_entries=100, show_spinner=False)
def _everything(sight: tuple[str, ...], _by: Actor) -> int:
    return search.count(Filters(), by=_by)
