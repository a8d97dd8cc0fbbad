"""Deleted contacts: `/deleted?q=...&page=2`, newest first; what is ticked can be restored."""

import streamlit as st

from dashboard import address, failures, places, session
from dashboard.widgets import page
from dashboard.widgets.deleted_table import SIZE, deleted_table
from models.contacts import deleted
from models.errors import InvalidInput, TooSlow

TITLE, NOTE = "Deleted contacts", "Each can be restored, whole and with its history."
QUERY, SEARCH = "q", "deleted search"  # in the address; the search's control


def show() -> None:
    by = session.actor()
    if st.button("Contacts", icon=":material/arrow_back:", type="tertiary"):
        places.go("contacts")
    words = st.query_params.get(QUERY, "")
    try:
        with page.skeleton("deleted", TITLE, 640) as place:
            number = address.page()
            found, total = deleted.page(words, number=number, size=SIZE, by=by)
    except InvalidInput as error:
        with page.empty("search_off", "This address cannot be read", error.sentence, colour="red"):
            st.button("Show all", on_click=st.query_params.clear)
        return
    except TooSlow as error:
        with place.container():
            failures.show(error)
        return
    with place.container():
        _list(words, found, total, number)


def _list(words: str, found: list[deleted.Deleted], total: int, number: int) -> None:
    with page.header(TITLE, NOTE):
        st.session_state[SEARCH] = words
        st.text_input(
            "Search", key=SEARCH, type="search", icon=":material/search:", placeholder="Search name, company, e-mail",
            label_visibility="collapsed", width=280, max_chars=deleted.LONGEST_SEARCH, on_change=_search,
        )  # fmt: skip
    if total:
        deleted_table(found, total, min(number, -(-total // SIZE)))
    elif words:
        with page.empty("search_off", "No deleted contact matches this", "Search for a part of its name or e-mail."):
            st.button("Show all", on_click=st.query_params.clear)
    else:
        with page.empty("auto_delete", "No contact is deleted", "What somebody deletes stands here until restored."):
            pass


def _search() -> None:
    st.query_params.from_dict({QUERY: st.session_state[SEARCH]} if st.session_state[SEARCH].strip() else {})
