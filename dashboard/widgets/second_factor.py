"""The second factor as a person meets it: the field for a code, setting one up, recovery codes."""

import streamlit as st

from models.second_factors import Enrolment

GROUP = 4  # letters of the key at a time, for who types it


def code_form(label: str, *, help: str | None = None, key: str = "code") -> str:  # noqa: A002  # Streamlit's word
    """A field for a code and the button that sends it; "" until it was sent."""
    with st.form(key, border=False, clear_on_submit=True):
        code = st.text_input("Code", autocomplete="one-time-code", placeholder="123 456", help=help)
        sent = st.form_submit_button(label, type="primary", width="stretch")
    return code.strip() if sent else ""


def enrolment(found: Enrolment, label: str, *, key: str = "enrolment") -> str:
    """How to bring the account into an app, and the field for its first code; "" until that was sent."""
    st.markdown("**1.** Scan this with an authenticator app, such as Aegis, 1Password or Google Authenticator.")
    st.image(found.svg, width=200, alt="QR code with the key that is written below it")
    with st.expander("Type the key instead"):
        st.code(" ".join(found.secret[at : at + GROUP] for at in range(0, len(found.secret), GROUP)), language=None)
    st.markdown("**2.** Type the six digits that the app shows.")
    return code_form(label, key=key)


def recovery_codes(codes: list[str]) -> None:
    st.code("\n".join(codes), language=None)
    st.caption("They are shown only now. Copy them into a password manager, or print them.")
