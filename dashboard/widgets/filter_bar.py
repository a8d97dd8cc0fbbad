"""The search box, one sentence for each filter with a way to remove it, and the way to add one."""

import streamlit as st

from dashboard import address
from dashboard.address import View
from dashboard.widgets.chips import chips
from dashboard.widgets.filter_dialog import filter_dialog
from models.permissions import Actor


def filter_bar(view: View, *, by: Actor) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        _search_box(view, by)
        if st.button("Filter", icon=":material/filter_list:", help="Filter by any field", shortcut="F"):
            filter_dialog(view)
        chips(
            view.filters,
            remove=lambda key: address.filter_by(view, key, [], by=by),
            clear=lambda: address.clear_filters(view),
        )


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
