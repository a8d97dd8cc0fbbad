"""The contacts screen's address: filters in their one syntax, plus `sort`, `columns` and `page`.

The address is the only place where a view is kept: widgets show it and change it, so that a link, a reload and the
browser's back button always mean the same rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import streamlit as st

from models import filters
from models.contacts import search
from models.errors import InvalidInput
from models.filters import Filters
from models.permissions import Actor

OWN = ("sort", "columns", "page")


@dataclass(frozen=True)
class View:
    """What the screen shows. `columns` are names of widgets.columns; None is the default set."""

    filters: Filters
    sort: str = search.NEWEST_FIRST
    columns: tuple[str, ...] | None = None
    page: int = 1

    def pairs(self) -> list[tuple[str, str]]:
        pairs = parse_qsl(self.filters.query())
        if self.sort != search.NEWEST_FIRST:
            pairs.append(("sort", self.sort))
        if self.columns is not None:
            pairs.append(("columns", ",".join(self.columns)))
        if self.page > 1:
            pairs.append(("page", str(self.page)))
        return pairs


def read(*, by: Actor) -> View:
    """The view of the present address. Raises InvalidInput or NotAllowed, naming what does not fit."""
    params = st.query_params
    pairs = [(key, value) for key in params if key not in OWN for value in params.get_all(key)]
    sort = params.get("sort", search.NEWEST_FIRST)
    search.chosen_columns([sort.removeprefix("-")], by=by)
    columns = tuple(params["columns"].split(",")) if params.get("columns") else None
    return View(filters.parse_pairs(pairs, by=by), sort, columns, page())


def page() -> int:
    """The number of the page, from 1. Raises InvalidInput."""
    text = st.query_params.get("page", "1")
    if not text.isdecimal() or not 1 <= len(text) <= 9 or int(text) == 0:
        raise InvalidInput(f"page={text}: pages are numbers from 1.")
    return int(text)


def write(view: View) -> None:
    grouped: dict[str, list[str]] = {}
    for key, value in view.pairs():
        grouped.setdefault(key, []).append(value)
    st.query_params.from_dict(grouped)


def filter_by(view: View, key: str, values: Iterable[object], *, by: Actor) -> None:
    """Replace the conditions under `key` by `values`, or drop them where there are none, and go to page 1."""
    kept = parse_qsl(view.filters.without(key).query())
    wanted = [(key, str(value)) for value in values]
    write(replace(view, filters=filters.parse_pairs(kept + wanted, by=by), page=1))


def clear_filters(view: View) -> None:
    write(replace(view, filters=Filters(), page=1))


def forget() -> None:
    """Back to the screen as it opens without anything in its address."""
    st.query_params.clear()
