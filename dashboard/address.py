"""The contacts screen's address: filters in their one syntax, plus `sort`, `columns`, `page`, `view` and `exact`.

The address is the only place where a view is kept: widgets show it and change it, so that a link, a reload and the
browser's back button always mean the same rows.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import streamlit as st

from models import filters
from models.contacts import search
from models.errors import InvalidInput, NotAllowed
from models.filters import OPERATORS, Filters
from models.permissions import Actor

OWN = ("sort", "columns", "page", "view", "exact")
LONGEST_NUMBER = 9  # digits of a saved view’s


@dataclass(frozen=True)
class View:
    """What the screen shows. `columns` are names of widgets.columns; None is the default set."""

    filters: Filters
    sort: str = search.NEWEST_FIRST
    columns: tuple[str, ...] | None = None
    page: int = 1
    saved: int | None = None  # the saved view that it was opened from, which it may differ from by now
    exact: bool = False  # the free text is meant as it is typed, though no contact has it

    def pairs(self) -> list[tuple[str, str]]:
        pairs = self.filters.pairs()
        if self.sort != search.NEWEST_FIRST:
            pairs.append(("sort", self.sort))
        if self.columns is not None:
            pairs.append(("columns", ",".join(self.columns)))
        if self.page > 1:
            pairs.append(("page", str(self.page)))
        if self.saved is not None:
            pairs.append(("view", str(self.saved)))
        if self.exact:
            pairs.append(("exact", "yes"))
        return pairs


def read(*, besides: Collection[str] = (), by: Actor) -> View:
    """The view of the present address, whose parameters `besides` are the screen's own affair.

    Raises InvalidInput or NotAllowed, naming what does not fit.
    """
    params = st.query_params
    pairs = [(key, value) for key in params if key not in (*OWN, *besides) for value in params.get_all(key)]
    sort = search.ordered(params.get("sort", search.NEWEST_FIRST), by=by)
    columns = tuple(params["columns"].split(",")) if params.get("columns") else None
    asked = filters.parse_pairs(pairs, by=by)
    return View(asked, sort, columns, page(), saved(), bool(asked.q) and params.get("exact") == "yes")


def saved() -> int | None:
    """The number of the saved view; what is none means none: the rest of the address says what to show."""
    text = st.query_params.get("view", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else None


def page() -> int:
    """The number of the page, from 1. Raises InvalidInput."""
    text = st.query_params.get("page", "1")
    if not text.isdecimal() or not 1 <= len(text) <= 9 or int(text) == 0:
        raise InvalidInput(f"page={text}: pages are numbers from 1.")
    return int(text)


def write(view: View) -> None:
    st.query_params.from_dict(query_params(view))


def query_params(view: View) -> dict[str, str | list[str]]:
    """The view as another screen's address takes it."""
    grouped: dict[str, str | list[str]] = {}
    for key, value in view.pairs():
        grouped.setdefault(key, [])
        grouped[key] = [*grouped[key], value]
    return grouped


def readable(*, by: Actor) -> list[tuple[str, str]]:
    """Of the address's filters those that can be read: a colleague's may be on a hidden field."""
    found: list[tuple[str, str]] = []
    for key in (key for key in st.query_params if key not in OWN):
        for value in st.query_params.get_all(key):
            with suppress(InvalidInput, NotAllowed):
                filters.parse_pairs([*found, (key, value)], by=by)
                found.append((key, value))
    return found


def filter_by(view: View, key: str, values: Iterable[object], *, by: Actor) -> None:
    """Replace the conditions under `key` by `values`, or drop them where there are none, and go to page 1."""
    filter_anew(view, view.filters.without(key).pairs() + [(key, str(value)) for value in values], by=by)


def add_filter(view: View, key: str, values: Iterable[str], *, by: Actor) -> None:
    """Add a condition: to the values of one under the same key, or in its place where there can be one only.

    Raises InvalidInput.
    """
    added = filters.parse_pairs([(key, value) for value in values], by=by)
    replaced = [one.key for one in added.filters if OPERATORS[one.operator].arity]
    others = [pair for pair in view.filters.pairs() if pair[0] not in replaced]
    filter_anew(view, others + added.pairs(), by=by)


def filter_anew(view: View, pairs: Iterable[tuple[str, str]], *, by: Actor) -> None:
    """These conditions in place of all others, from page 1. Raises InvalidInput."""
    asked = filters.parse_pairs(pairs, by=by)
    write(replace(view, filters=asked, page=1, exact=view.exact and asked.q == view.filters.q))


def clear_filters(view: View) -> None:
    write(replace(view, filters=Filters(as_of=view.filters.as_of), page=1, exact=False))


def forget() -> None:
    """Back to the screen as it opens without anything in its address."""
    st.query_params.clear()
