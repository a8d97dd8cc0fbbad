"""The filters used most, with the count of each value, at the side of the table."""

from typing import Any

import streamlit as st

from dashboard import address, cached, formats
from dashboard.address import View
from dashboard.widgets import columns
from dashboard.widgets.page import plain
from models import industries
from models.contacts.table import FIELDS
from models.fields import Kind
from models.filters import visible_fields
from models.permissions import Actor

PILLS = ("email_status", "seniority")
LISTS = ("country", "industry", "tags")


def facets(view: View, *, by: Actor) -> None:
    seen = set(visible_fields(by))
    for name in PILLS:
        if name in seen:
            _pills(view, name, by)
    if "employees" in seen:
        _sizes(view, by)
    for name in LISTS:
        if name in seen:
            _list(view, name, by)
    if "company" in seen:
        _contains(view, by)


def _pills(view: View, name: str, by: Actor) -> None:
    known = cached.values(name, by=by)
    if not known:
        return
    counts, widget = _counts(view, name, by), _synced(view, name, _chosen(view, _key(name)))
    # In the declared order, also those without a hit: a pill neither moves nor goes when counts change.
    declared = [value for value in FIELDS[name].choices if value in known]
    st.pills(
        columns.label(name),
        list(dict.fromkeys([*declared, *known, *counts])),
        selection_mode="multi",
        key=widget,
        format_func=lambda value: f"{plain(str(value))} :gray[{formats.number(counts.get(value, 0))}]",
        on_change=_changed,
        args=(view, _key(name), widget, by),
    )


def _sizes(view: View, by: Actor) -> None:
    """One range of employees; another one, set in the address or the filter dialog, stands in its chip alone."""
    others = view.filters.without("employees.between").without("employees.gte")
    labels = {
        _between(*size): f"{_size_label(*size)} :gray[{formats.number(count)}]"
        for size, count in cached.sizes(others, is_alone=others != view.filters, by=by).items()
    }
    widget = _synced(view, "employees", next((pair for pair in labels if pair in view.filters.pairs()), None))

    def changed() -> None:
        chosen = st.session_state[widget]
        address.filter_anew(view, [*others.pairs(), *([chosen] if chosen else [])], by=by)

    st.pills("Employees", list(labels), key=widget, format_func=labels.get, on_change=changed)


def _between(low: int, high: int | None) -> tuple[str, str]:
    return ("employees.between", f"{low},{high}") if high else ("employees.gte", str(low))


def _size_label(low: int, high: int | None) -> str:
    return f"{formats.compact(low)}–{formats.compact(high)}" if high else f"{formats.compact(low - 1)}+"


def _list(view: View, name: str, by: Actor) -> None:
    counts = _counts(view, name, by)
    if not counts and not cached.values(name, by=by):
        return
    widget = _synced(view, name, _chosen(view, _key(name)))
    # Of more values than are listed any other can be typed: those of industries are all listed, and no other is one.
    takes_others = len(counts) >= cached.FACET_VALUES and FIELDS[name].kind is not Kind.INDUSTRY
    st.multiselect(
        columns.label(name),
        list(counts),
        key=widget,
        placeholder="Any, or type one" if takes_others else "Any",
        accept_new_options=takes_others,
        format_func=lambda value: f"{value} · {formats.number(counts[value])}" if value in counts else value,
        on_change=_changed,
        args=(view, _key(name), widget, by),
    )


def _contains(view: View, by: Actor) -> None:
    key = "company.contains"
    chosen = _chosen(view, key)
    widget = _synced(view, key, chosen[0] if len(chosen) == 1 else "")
    st.text_input(
        "Company contains",
        key=widget,
        placeholder="Any",
        max_chars=200,
        on_change=_changed,
        args=(view, key, widget, by),
    )


def _key(name: str) -> str:
    """How the filter syntax calls “any of these”."""
    return f"{name}.has" if FIELDS[name].kind is Kind.LIST else name


def _counts(view: View, name: str, by: Actor) -> dict[Any, int]:
    """Counted without the facet's own filter, so that one sees what another choice would add; the chosen ones stay."""
    others = view.filters.without(_key(name))
    counts = cached.facet(others, name, is_alone=others != view.filters, by=by)
    if FIELDS[name].kind is Kind.INDUSTRY and (gone := industries.out_of_use(by=by) & set(counts)):
        counts = {value: number for value, number in counts.items() if value not in gone}
    missing = [value for value in _chosen(view, _key(name)) if value not in counts]
    if len(counts) < cached.FACET_VALUES:
        return counts | dict.fromkeys(missing, 0)
    return counts | {value: cached.number_with(others, _key(name), value, by=by) for value in missing}


def _chosen(view: View, key: str) -> list[Any]:
    return [value for one in view.filters.filters if one.key == key for value in one.values]


def _synced(view: View, name: str, value: Any) -> str:
    """The widget's key, after giving the widget what the address says."""
    widget = f"facet {name}"
    st.session_state[widget] = value
    return widget


def _changed(view: View, key: str, widget: str, by: Actor) -> None:
    value = st.session_state[widget]
    values = value if isinstance(value, list) else [value] if value not in (None, "") and str(value).strip() else []
    address.filter_by(view, key, values, by=by)
