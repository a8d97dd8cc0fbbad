"""Who somebody is, and their password: shown, and changed in dialogs."""

import streamlit as st

from dashboard import session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.column_choice import hidden_words
from dashboard.widgets.said import say
from dashboard.widgets.send_button import send_button
from models import profile
from models.profile import Profile

RULE = "At least 12 characters. A few unrelated words are easy to keep and hard to guess."


def about(me: Profile) -> None:
    with page.card("About you", border=False):
        _told("Name", me.name)
        _told("E-mail, with which you sign in", me.email)
        _told("Role", f"{me.role.label}. {me.role.description}")
        if me.column_allowed is not None:
            st.caption(f"{page.plain(hidden_words(me.column_allowed))} An administrator can change that.")
        with st.container(horizontal=True, gap="xsmall"):
            if st.button("Change the name", icon=":material/edit:"):
                rename_dialog(me)
            if st.button("Change the e-mail", icon=":material/alternate_email:"):
                email_dialog(me)


def _told(label: str, value: str) -> None:
    with st.container(gap=None):
        st.caption(label)
        st.text(value)


def password() -> None:
    with page.card("Password", border=False):
        st.caption("Changing it signs you out everywhere else.")
        if st.button("Change the password", icon=":material/key:"):
            password_dialog()


@dialog("Change your name", icon=":material/edit:")
def rename_dialog(me: Profile) -> None:
    with st.form("rename", border=False):
        name = st.text_input("Name", value=me.name, autocomplete="name")
        sent = send_button("Save")
    if sent:
        with page.refusals():
            profile.rename(name, by=session.actor())
            say("Your name was changed.")


@dialog("Change your e-mail", icon=":material/alternate_email:")
def email_dialog(me: Profile) -> None:
    st.caption("A link goes to the new address. Until you open it you sign in with the old one.")
    with st.form("change email", border=False):
        email = st.text_input("New e-mail", autocomplete="email", placeholder="you@company.com")
        word = st.text_input("Your password", type="password", autocomplete="current-password")
        sent = send_button("Send the link")
    if sent:
        with page.refusals():
            profile.ask_email_change(email, word, by=session.actor())
            say(f"A link is on its way to {email.strip()}. It works for one hour.")


@dialog("Change your password", icon=":material/key:")
def password_dialog() -> None:
    with st.form("change password", border=False):
        now = st.text_input("Current password", type="password", autocomplete="current-password")
        new = st.text_input("New password", type="password", autocomplete="new-password")
        st.caption(RULE)
        sent = send_button("Change")
    if sent:
        with page.refusals():
            profile.change_password(now, new, by=session.actor(), token=session.cookie_token())
            say("Your password was changed. You are signed out everywhere else.")
