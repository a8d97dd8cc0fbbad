"""The second factor in a person's own account: set up, removed, recovery codes made anew."""

from typing import NoReturn

import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.said import say
from dashboard.widgets.second_factor import enrolment, recovery_codes
from dashboard.widgets.send_button import send_button
from models import second_factors
from models.profile import Profile

FOUND, CODES = "enrolment", "recovery codes"  # what a dialog keeps while it is open, and what it made


def second_factor(me: Profile, left: int) -> None:
    """`left` is how many recovery codes there still are."""
    with page.card("Second factor", border=False):
        if me.second_factor:
            _there(me, left)
        else:
            st.caption("A code of an app on your phone beside the password: who has only the password stays out.")
            if st.button("Set it up", icon=":material/phonelink_lock:"):
                st.session_state.pop(FOUND, None)
                set_up_dialog()


def _there(me: Profile, left: int) -> None:
    st.markdown(page.badge("On", "green", "verified_user"))
    st.caption(f"{formats.counted(left, 'recovery code')} left.")
    with st.container(horizontal=True, gap="xsmall"):
        if st.button("New recovery codes", icon=":material/autorenew:"):
            codes_dialog()
        if st.button("Remove", icon=":material/phonelink_erase:"):
            remove_dialog(me)


@dialog("Set up a second factor", icon=":material/phonelink_lock:")
def set_up_dialog() -> None:
    by = session.actor()
    with page.refusals():
        found = st.session_state.get(FOUND) or second_factors.begin(by=by)
        st.session_state[FOUND] = found
        if code := enrolment(found, "Turn it on", key="set up"):
            _keep(second_factors.confirm(code, by=by), "Your second factor is on.")


@dialog("New recovery codes", icon=":material/autorenew:")
def codes_dialog() -> None:
    st.caption("The codes that you have now will no longer work.")
    if word := _password("Make new ones"):
        with page.refusals():
            codes = second_factors.new_recovery_codes(by=session.actor(), password=word)
            _keep(codes, "The codes from before no longer work.")


@dialog("Remove the second factor?", icon=":material/phonelink_erase:")
def remove_dialog(me: Profile) -> None:
    after = "Your role asks for one: you are signed out, and set up a new one when you sign in."
    st.caption(after if me.second_factor_required else "Then your password alone signs you in.")
    if word := _password("Remove"):
        with page.refusals():
            second_factors.remove(password=word, by=session.actor())
            say("Your second factor was removed.")


def put_codes_away() -> None:
    """The codes that were just made, until they are put away."""
    if CODES in st.session_state:
        put_away_dialog()


@dialog("Keep your recovery codes", icon=":material/password:", dismissible=False)
def put_away_dialog() -> None:
    codes, after = st.session_state[CODES]
    st.markdown("Each replaces the app once, should you lose it.")
    recovery_codes(codes)
    if st.button("I have put them away", type="primary", width="stretch"):
        del st.session_state[CODES]
        say(after)


def _keep(codes: list[str], after: str) -> NoReturn:
    """For `put_codes_away`, in the next run of the whole page: what stood in a dialog would stay below them."""
    st.session_state[CODES] = (codes, after)
    st.rerun()


def _password(label: str) -> str:
    with st.form(label, border=False):
        word = st.text_input("Your password", type="password", autocomplete="current-password")
        sent = send_button(label)
    return word if sent else ""
