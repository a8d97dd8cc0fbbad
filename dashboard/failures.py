"""What a person sees when something fails: the error's own sentence, or a reference to what the log holds."""

import logging
import secrets

import streamlit as st
from sqlalchemy.exc import OperationalError

from models.errors import AppError

log = logging.getLogger(__name__)


def show(error: Exception) -> bool:
    """Streamlit's hook for whatever a screen, a callback or a fragment raises; True: the error has been shown."""
    title, body = described(error)
    with st.container(border=True):
        st.space("medium")
        st.markdown("## :red[:material/error:]", text_alignment="center", anchors=False)
        st.markdown(f"**{title}**", text_alignment="center")
        st.caption(body, text_alignment="center")
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.button("Try again", icon=":material/refresh:", key=f"again {secrets.token_hex(4)}")
        st.space("medium")
    return True


def described(error: Exception) -> tuple[str, str]:
    """The title and the text for `error`. What we did not foresee is logged under the reference that the text names."""
    if isinstance(error, AppError):
        return error.sentence, "Nothing was changed."
    reference = secrets.token_hex(4).upper()
    log.error("reference %s", reference, exc_info=error)
    if isinstance(error, OperationalError):
        return "The database does not answer", f"Try again in a moment. Reference {reference}."
    return "Something went wrong on our side", f"Try again; if it stays, tell an administrator. Reference {reference}."
