"""Filters with the count of each value, at the side of the table."""

from typing import Any

import streamlit as st

from dashboard import address, cached
from dashboard.address import View
from dashboard.widgets.page import plain
from models.contacts.table import FIELDS
from models.filters import visible_fields
from models.permissions import Actor

PILLS = {"email_status": "E-mail status", "seniority": "Seniority"}
LISTS = {"country": "Country", "industry": "Industry", "tags": "Tags"}
KEYS = {"tags": "tags.has"}  # how the filter syntax calls a list's condition


def facets(view: View, *, by: Actor) -> None:
    seen = set(visible_fields(by))
    for name, label in PILLS.items():
        if name in seen:
            _pills(view, name, label, by)
    if "employees" in seen:
        _at_least(view, by)
    for name, label in LISTS.items():
        if name in seen:
            _list(view, name, label, by)
    if "company" in seen:
        _contains(view, by)


def _pills(view: View, name: str, label: str, by: Actor) -> None:
    counts = _counts(view, name, by)
    if not counts:
        return
    widget = _synced(view, name, _chosen(view, name))
    declared = [value for value in FIELDS[name].choices if value in counts]
    st.pills(
        label,
        list(dict.fromkeys([*declared, *counts])),  # in the declared order: a pill does not move when its count changes
        selection_mode="multi",
        key=widget,
        format_func=lambda value: f"{plain(str(value))} :gray[{counts[value]:,}]",
        on_change=_changed,
        args=(view, name, widget, by),
    )


def _list(view: View, name: str, label: str, by: Actor) -> None:
    counts = _counts(view, name, by)
    if not counts:
        return
    widget = _synced(view, name, _chosen(view, name))
    st.multiselect(
        label,
        list(counts),
        key=widget,
        placeholder="Any",
        format_func=lambda value: f"{value} · {counts[value]:,}",
        on_change=_changed,
        args=(view, name, widget, by),
    )


def _at_least(view: View, by: Actor) -> None:
    chosen = _chosen(view, "employees.gte")
    widget = _synced(view, "employees.gte", chosen[0] if chosen else None)
    st.number_input(
        "Employees, at least",
        key=widget,
        min_value=0,
        value=None,
        step=50,
        placeholder="Any",
        on_change=_changed,
        args=(view, "employees.gte", widget, by),
    )


def _contains(view: View, by: Actor) -> None:
    chosen = _chosen(view, "company.contains")
    widget = _synced(view, "company.contains", chosen[0] if len(chosen) == 1 else "")
    st.text_input(
        "Company contains",
        key=widget,
        placeholder="Any",
        max_chars=200,
        on_change=_changed,
        args=(view, "company.contains", widget, by),
    )


def _counts(view: View, name: str, by: Actor) -> dict[Any, int]:
    """Counted without the facet's own filter, so that one sees what another choice would add; the chosen ones stay."""
    key = KEYS.get(name, name)
    counts = cached.facet(view.filters.without(key), name, by=by)
    return counts | {value: 0 for value in _chosen(view, name) if value not in counts}


def _chosen(view: View, name: str) -> list[Any]:
    key = KEYS.get(name, name)
    return [value for one in view.filters.filters if one.key == key for value in one.values]


def _synced(view: View, name: str, value: Any) -> str:
    """The widget's key, after giving the widget what the address says."""
    widget = f"facet {name}"
    st.session_state[widget] = value
    return widget


def _changed(view: View, name: str, widget: str, by: Actor) -> None:
    value = st.session_state[widget]
    values = value if isinstance(value, list) else [value] if value not in (None, "") and str(value).strip() else []
    address.filter_by(view, KEYS.get(name, name), values, by=by)
