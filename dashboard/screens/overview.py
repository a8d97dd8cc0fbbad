"""Overview: what the contacts are, in numbers and charts; each leads to the contacts behind it.

It takes the address of the contacts screen, and keeps its order and columns for the way back.
"""

from dataclasses import replace
from datetime import date
from typing import NoReturn

import streamlit as st

from dashboard import address, cached, failures, formats, places, session
from dashboard.address import View
from dashboard.widgets import page
from dashboard.widgets.as_of_choice import banner
from dashboard.widgets.chart_cards import Shown, cards
from dashboard.widgets.chips import chips
from dashboard.widgets.metrics import NO_CONDITION, Condition, metrics
from dashboard.widgets.mirror_notice import mirror_notice
from models import filters
from models.contacts import search
from models.contacts.statistics import Statistics
from models.errors import AppError, InvalidInput
from models.filters import Filters
from models.permissions import Actor, Permission

RANGE = "range"  # how far growth goes back; the rest of the address is that of the contacts screen
RANGES = {"3m": 3, "12m": 12, "all": None}
LABELS = {"3m": "3 months", "12m": "12 months", "all": "All time"}
STANDARD = "12m"


def show() -> None:
    by = session.actor()
    try:
        view, span = address.read(besides=(RANGE,), by=by), _span()
        moment = search.moment(view.filters, by=by)
    except AppError as error:
        _unreadable(error)
        return
    chosen = view.filters
    with page.skeleton("overview", "Overview", 250, 956) as place:
        numbers = cached.statistics(chosen, by=by)
    with place.container():
        with page.header("Overview", _note(numbers)):
            _actions(view, span, by)
        if moment:
            banner(view, moment, by=by)
        _chips(view, span)
        mirror_notice()
        if not numbers.total:
            _nothing(view, by)
            st.empty()  # takes the place of the last grey block, which nothing else would
            return
        clicked = metrics(numbers)
        shown = Shown(numbers, chosen.sentence(formats.value), RANGES[span], by.may(Permission.CONTACTS_EXPORT))
        clicked = cards(shown) or clicked
    if clicked:
        session.remembered().clicks += 1
        _see(view, clicked, by)


def _span() -> str:
    span = st.query_params.get(RANGE, STANDARD)
    if span not in RANGES:
        raise InvalidInput(f"{RANGE}={span[:60]}: write {', '.join(RANGES)}.")
    return span


def _note(numbers: Statistics) -> str:
    companies = f" in {formats.counted(numbers.companies, 'company', 'companies')}" if numbers.companies else ""
    return f"As of {formats.moment(numbers.at)} · {formats.counted(numbers.total, 'contact')}{companies}"


def _actions(view: View, span: str, by: Actor) -> None:
    def change() -> None:
        _write(view, st.session_state[RANGE])

    st.session_state[RANGE] = span
    st.segmented_control(
        "Growth over",
        list(RANGES),
        key=RANGE,
        required=True,
        format_func=LABELS.__getitem__,
        label_visibility="collapsed",
        on_change=change,
    )
    st.button("Refresh", icon=":material/refresh:")  # whatever is clicked, what is drawn then is of that moment
    if view.filters and st.button("Show these contacts", icon=":material/contacts:", type="primary"):
        _see(view, NO_CONDITION, by)


def _chips(view: View, span: str) -> None:
    if not view.filters:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        chips(
            view.filters,
            remove=lambda key: _write(_filtered(view, view.filters.without(key)), span),
            clear=lambda: _write(_filtered(view, Filters(as_of=view.filters.as_of)), span),
            searched=True,
        )


def _filtered(view: View, chosen: Filters) -> View:
    return replace(view, filters=chosen, page=1)


def _write(view: View, span: str) -> None:
    params = address.query_params(view)
    if span != STANDARD:
        params[RANGE] = span
    st.query_params.from_dict(params)


def _see(view: View, condition: Condition, by: Actor) -> NoReturn:
    """Leave for the contacts that match the filter and the condition; without one, for the page that one came from."""
    key, values = condition
    if key:
        pairs = view.filters.without(key).pairs() + [(key, value) for value in _within(view.filters, key, values)]
        view = _filtered(view, filters.parse_pairs(pairs, by=by))
    places.go("contacts", address.query_params(view))


def _within(chosen: Filters, key: str, values: list[str]) -> list[str]:
    """A condition on days, no wider than the filter's own under the same key, which it replaces."""
    present = next((one.values for one in chosen.required if one.key == key), None)
    if present is None or not key.startswith("added."):
        return values
    days = [date.fromisoformat(day) for day in values[0].split(",")]
    narrowed = [
        max(days[0], present[0]),
        *(min(last, bound) for last, bound in zip(days[1:], present[1:], strict=True)),
    ]
    return [",".join(map(str, narrowed))]


def _nothing(view: View, by: Actor) -> None:
    if view.filters:
        with page.empty("search_off", "No contact matches", "Remove a filter above, or start again."):
            st.button("Clear all filters", on_click=_write, args=(_filtered(view, Filters()), STANDARD))
    elif by.may(Permission.IMPORTS_RUN):
        with page.empty("monitoring", "No contacts yet", "Import a file: then their numbers stand here."):
            if st.button("Import a file", icon=":material/upload_file:", type="primary"):
                places.go("imports")
    else:
        with page.empty("monitoring", "No contacts yet", "A manager imports files. Then the numbers stand here."):
            pass


def _unreadable(error: AppError) -> None:
    with page.header("Overview"):
        pass
    icon, told = failures.of_address(error, "count")
    with page.empty(icon, told, error.sentence, colour="red"):
        st.button("Show all contacts", on_click=address.forget)
