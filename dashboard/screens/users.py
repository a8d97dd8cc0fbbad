"""People: who may sign in, in which role, seeing what, taking out how much: `/users?q=...&status=...`."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.role_card import role_card
from dashboard.widgets.user_dialogs import hand_over, invite
from dashboard.widgets.user_table import user_table
from models import credits, users
from models.users import Person, Status

TITLE = "People"
QUERY, STATUS = "q", "status"  # in the address
SEARCH, CHOICE = "people search", "people status"  # the controls


def show() -> None:
    by = session.actor()
    words, status = st.query_params.get(QUERY, "").strip(), _status()
    with page.skeleton("users", TITLE, 420, 320) as place:
        everyone = users.everyone(by=by)
        found = users.everyone(search=words, status=status, by=by) if words or status else everyone
        usage = credits.usage([one.id for one in found], by=by)
    with place.container():
        with page.header(TITLE, _note(everyone)):
            if st.button("Invite", icon=":material/person_add:", type="primary"):
                invite()
        with page.card("Accounts", "Limits begin anew on the first of a month"):
            _filters(everyone, words, status)
            user_table(found, usage)
        role_card(everyone)
    hand_over()


def _status() -> Status | None:
    """Of the address; one that there is not is none."""
    text = st.query_params.get(STATUS, "")
    return Status(text) if text in [one.value for one in Status] else None


def _note(everyone: list[Person]) -> str:
    waiting = sum(one.status is Status.INVITED for one in everyone)
    people = formats.counted(len(everyone), "person", "people")
    return people + (f", {formats.counted(waiting, 'invitation')} waiting" if waiting else "")


def _filters(everyone: list[Person], words: str, status: Status | None) -> None:
    st.session_state.update({SEARCH: words, CHOICE: status})
    counts = {one: sum(person.status is one for person in everyone) for one in Status}
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.text_input(
            "Search", key=SEARCH, type="search", icon=":material/search:", placeholder="Search name or e-mail",
            label_visibility="collapsed", width=260, max_chars=200, on_change=_changed,
        )  # fmt: skip
        st.segmented_control(
            "Status", [one for one in Status if counts[one] or one is status], key=CHOICE, on_change=_changed,
            label_visibility="collapsed", format_func=lambda one: f"{one.label} :gray[{formats.number(counts[one])}]",
        )  # fmt: skip


def _changed() -> None:
    chosen = {QUERY: st.session_state[SEARCH].strip(), STATUS: st.session_state[CHOICE] or ""}
    st.query_params.from_dict({name: str(value) for name, value in chosen.items() if value})
