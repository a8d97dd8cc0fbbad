"""The search box, one sentence for each filter with a way to remove it, and the way to add one."""

import streamlit as st

from dashboard import address, formats
from dashboard.address import View
from dashboard.widgets.filter_dialog import filter_dialog
from dashboard.widgets.page import plain
from models.filters import OPERATORS, Filter
from models.permissions import Actor

LONGEST = 60  # characters of a chip


def filter_bar(view: View, *, by: Actor) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        _search_box(view, by)
        if st.button("Filter", icon=":material/filter_list:", help="Filter by any field", shortcut="F"):
            filter_dialog(view)
        for one in view.filters.required:
            _chip(view, one, by)
        _alternatives(view, by)
        if view.filters:
            st.button("Clear all", type="tertiary", on_click=address.clear_filters, args=(view,))


def _alternatives(view: View, by: Actor) -> None:
    for place, group in enumerate(view.filters.alternatives.values()):
        st.caption("or" if place else "either", width="content")
        for one in group:
            _chip(view, one, by)


def _search_box(view: View, by: Actor) -> None:
    def search() -> None:
        words = st.session_state.q.strip()
        address.filter_by(view, "q", [words] if words else [], by=by)

    # What is being typed may end in a space, which the filter does not keep: the box must not lose it.
    if " ".join(st.session_state.get("q", "").split()) != view.filters.q:
        st.session_state.q = view.filters.q
    st.text_input(
        "Search",
        key="q",
        type="search",
        live="300ms",
        icon=":material/search:",
        placeholder="Search name, title, company or e-mail",
        label_visibility="collapsed",
        width=330,
        on_change=search,
    )


def _chip(view: View, one: Filter, by: Actor) -> None:
    st.button(
        shortened(one),
        key=f"chip {one.key}",
        icon=":material/close:",
        icon_position="right",
        help="Remove this filter",
        on_click=address.filter_by,
        args=(view, one.key, []),
        kwargs={"by": by},
    )


def shortened(one: Filter) -> str:
    """“Country is **Germany or France**”; a long list of values is only counted."""
    sentence, label = one.sentence(formats.value), one.field.label.removeprefix("# ")
    if len(sentence) > LONGEST and len(one.values) > 1:
        return f"{plain(label)} is **any of {len(one.values)}**"
    if len(sentence) > LONGEST:
        sentence = sentence[: LONGEST - 1] + "…"
    before = OPERATORS[one.operator].sentence.format(label=label, value="")
    return f"{plain(before)}**{plain(sentence.removeprefix(before))}**"
