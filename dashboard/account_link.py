"""What a link from a message opens: choosing a password, or confirming a new e-mail address."""

import streamlit as st

from dashboard import session, sign_in
from dashboard.widgets import page
from dashboard.widgets.profile_about import RULE
from dashboard.widgets.said import say
from models import account_links, sign_ins
from models.account_links import LinkInfo, LinkRefused, Purpose

PARAMETER = "link"
TITLES = {
    Purpose.INVITATION: "Welcome to Appointment360",
    Purpose.RESET: "Choose a new password",
    Purpose.EMAIL: "Confirm your e-mail",
}


def opened() -> str | None:
    """The link's token, where one was opened."""
    return st.query_params.get(PARAMETER)


def show(token: str) -> None:
    try:
        found = account_links.look(token)
    except LinkRefused as refused:
        title, _, reason = refused.sentence.partition(": ")
        with sign_in.narrow_page(title, f"{reason[:1].upper()}{reason[1:]}"):
            _leave("Go to sign-in")
        return
    if found.purpose is Purpose.EMAIL:
        _confirm(found, token)
    else:
        _choose_password(found, token)


def _choose_password(found: LinkInfo, token: str) -> None:
    actor = None
    with sign_in.narrow_page(TITLES[found.purpose], f"Hello {page.plain(found.name)}. You sign in with this address:"):
        with st.form("password", border=False):
            st.text_input("Work e-mail", value=found.email, disabled=True, autocomplete="username")
            password = st.text_input("New password", type="password", autocomplete="new-password")
            st.caption(RULE)
            sent = st.form_submit_button("Save and sign in")
        if someone := session.someone():
            st.info(f"This browser is signed in as {page.plain(someone.name)}, who is signed out then.")
        if sent:
            with page.refusals():
                actor = account_links.accept(token, password, address=session.address())
    if actor:
        step = sign_ins.after_link(actor)
        if step.needs is None:
            sign_in.post_ticket(step.ticket, next_page="/")
            return
        del st.query_params[PARAMETER]
        sign_in.go_on(step)


def _confirm(found: LinkInfo, token: str) -> None:
    with sign_in.narrow_page(TITLES[found.purpose], f"Hello {page.plain(found.name)}."):
        st.markdown(f"From now on you sign in as **{page.plain(found.email)}**.")
        if st.button("Use this address", type="primary", width="stretch"):
            with page.refusals():
                account_links.confirm_email(token, address=session.address())
                del st.query_params[PARAMETER]
                say(f"You sign in as {found.email} now.")
        _leave("Not now")


def _leave(label: str) -> None:
    if st.button(label, type="tertiary", icon=":material/arrow_back:"):
        del st.query_params[PARAMETER]
        st.rerun()
