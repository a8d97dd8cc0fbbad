"""Duplicates: contacts that are perhaps the same, one pair after the other, the surest first."""

import streamlit as st

from dashboard import places, session
from dashboard.widgets import page
from dashboard.widgets.contact_fields import style
from dashboard.widgets.duplicate_many import merge_sure
from dashboard.widgets.duplicate_merges import merges_table
from dashboard.widgets.duplicate_pair import last_act, review
from dashboard.widgets.duplicate_run import follow, last_numbers, run_button
from models.contacts import merging, merging_many
from models.duplicates import pairs, runs
from models.duplicates.pairs import Wanted
from models.duplicates.tables import Decision, DuplicateRun
from models.errors import NotAllowed
from models.permissions import Actor

TITLE = "Duplicates"
NOTE = "Contacts that are perhaps the same, the surest first. A merge can be taken apart at any time."
OPEN, LATER, APART, MERGED = "Open", "Later", "Not the same", "Merged"
STATES = (OPEN, LATER, APART, MERGED)
DECISIONS = {OPEN: None, LATER: Decision.LATER, APART: Decision.NOT_SAME}
WEIGHTS = {0: "Any", 10: "1,000 to 1", 20: "1 million to 1", 30: "1 billion to 1"}  # bits, in words
STATE, CONTACT = "state", "contact"  # in the address


def show() -> None:
    by = session.actor()
    try:
        runs.require_reviewing(by)
    except NotAllowed as error:
        with page.header(TITLE):
            pass
        with page.empty("visibility_off", "You do not see every column", error.sentence):
            pass
        return
    style()
    with page.skeleton("duplicates", TITLE, 90, 560) as place:
        newest, done = runs.newest(by=by), runs.last_done(by=by)
    with place.container():
        _screen(newest, done, by)


def _screen(newest: DuplicateRun | None, done: DuplicateRun | None, by: Actor) -> None:
    with page.header(TITLE, NOTE):
        run_button(newest, by=by)
    follow(newest)
    decided = pairs.count(Wanted(Decision.NOT_SAME), by=by)
    merged = merging.made(by=by)
    if done is None and not decided and not merged:
        if newest is None or newest.error:
            _nothing_yet()
        return
    if done is not None:
        last_numbers(done)
    last_act(by=by)
    state, wanted = _choice(by)
    if state == MERGED:
        merges_table(merged, by=by)
    elif not (total := pairs.count(wanted, by=by)):
        _none_left(state, wanted)
    else:
        review(wanted, total, by=by)


def _choice(by: Actor) -> tuple[str, Wanted]:
    contact_id = _asked_contact()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        asked = st.query_params.get(STATE, OPEN)
        state = st.segmented_control(
            "Show", STATES, default=asked if asked in STATES else OPEN, key="duplicates shown", required=True,
            on_change=_turned, width="content",
        )  # fmt: skip
        least = st.selectbox(
            "How sure at least", list(WEIGHTS), format_func=WEIGHTS.__getitem__, width=180, key="duplicates least",
            disabled=state not in (OPEN, LATER), help="The odds that both are the same: weights of 10, 20 and 30.",
        )  # fmt: skip
        if (
            state == OPEN
            and least
            and least >= merging_many.LEAST
            and st.button("Merge all of these", icon=":material/merge:")
        ):
            merge_sure(float(least), by=by)
        if contact_id is not None:
            st.button(
                f"Contact is **{contact_id}**", icon=":material/close:", icon_position="right",
                on_click=lambda: st.query_params.pop(CONTACT, None),
            )  # fmt: skip
    chosen = state or OPEN
    floor = float(least or 0) if chosen in (OPEN, LATER) else 0.0
    return chosen, Wanted(DECISIONS.get(chosen), floor, contact_id)


def _turned() -> None:
    st.query_params[STATE] = st.session_state["duplicates shown"] or OPEN


def _asked_contact() -> int | None:
    asked = st.query_params.get(CONTACT, "")
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 19 else None


def _nothing_yet() -> None:
    body = "Press “Look for duplicates”: all contacts are compared, which takes a while with many."
    with page.empty("join_inner", "Nobody has looked for duplicates yet", body):
        pass


def _none_left(state: str, wanted: Wanted) -> None:
    if state == OPEN and not wanted.least and wanted.contact_id is None:
        with page.empty("check_circle", "No open pair", "What a new search finds stands here.", colour="green"):
            if st.button("Contacts", icon=":material/contacts:"):
                places.go("contacts")
        return
    with page.empty("search_off", f"No pair here: {state.lower()}", "Choose another state, or let less sure ones in."):
        pass
