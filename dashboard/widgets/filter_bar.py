"""The search box, one sentence for each filter with a way to remove it, and the way to add one."""

import streamlit as st

from dashboard import address
from dashboard.address import View
from dashboard.widgets import columns, page
from dashboard.widgets.chips import chips
from dashboard.widgets.filter_dialog import filter_dialog
from models.contacts.table import DERIVED, FULL_NAME, SEARCHED
from models.errors import AppError
from models.filters import visible_fields
from models.permissions import Actor

REFUSED = "search refused"  # what was typed, and why it cannot be searched for


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
    if refused := _refused():
        page.refusal(refused)


def _search_box(view: View, by: Actor) -> None:
    def search() -> None:
        words = st.session_state.q.strip()
        try:
            address.filter_by(view, "q", [words] if words else [], by=by)
        except AppError as error:
            st.session_state[REFUSED] = (st.session_state.q, error.sentence)

    # What is being typed may end in a space, which the filter does not keep: the box must not lose it.
    if not _refused() and " ".join(st.session_state.get("q", "").split()) != view.filters.q:
        st.session_state.q = view.filters.q
    st.text_input(
        "Search",
        key="q",
        type="search",
        live="300ms",
        icon=":material/search:",
        placeholder=f"Search {_searched(by)}",
        label_visibility="collapsed",
        width=370,
        on_change=search,
    )


def _searched(by: Actor) -> str:
    """ "name, title, company, e-mail, website": of what free text looks into, that which `by` sees."""
    seen = [name for name in SEARCHED if name in visible_fields(by)]
    words = ["name" if name in DERIVED[FULL_NAME].parts else columns.label(name).lower() for name in seen]
    return ", ".join(dict.fromkeys(words))


def _refused() -> str:
    """Why what stands in the search box is not searched for; "" where it is."""
    typed, sentence = st.session_state.get(REFUSED, ("", ""))
    return sentence if typed and typed == st.session_state.get("q") else ""
