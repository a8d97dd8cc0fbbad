"""What a person sees when something fails: the error's own sentence, or a reference to what the log holds."""

import logging
import secrets
from dataclasses import dataclass

import streamlit as st

from dashboard.widgets import page
from dashboard.widgets.copy_button import copy_button
from models import outages
from models.errors import AppError, NotAllowed, NotFound, TooSlow, Unavailable

log = logging.getLogger(__name__)

ICONS = {TooSlow: "timer_off", NotAllowed: "lock", NotFound: "search_off", Unavailable: "cloud_off"}


@dataclass(frozen=True)
class Failure:
    """`reference` is the word under which the log holds the rest; "" where the title says it all."""

    icon: str
    title: str
    body: str
    reference: str = ""


def of_address(error: AppError, what: str) -> tuple[str, str]:
    """The icon and the title for an address that cannot be read, of a screen that is to show or to count contacts."""
    if isinstance(error, NotAllowed):
        return ICONS[NotAllowed], "This address asks for a hidden column"
    return "link_off", f"This address does not say which contacts to {what}"


def show(error: Exception, *, height: int | None = None) -> bool:
    """Streamlit's hook for whatever a screen, a callback or a fragment raises; True: the error has been shown.

    `height`, in pixels, is that of what would have stood there.
    """
    failure, once = described(error), secrets.token_hex(4)
    with page.empty(failure.icon, failure.title, failure.body, colour="red", height=height):
        st.button("Try again", icon=":material/refresh:", key=f"again {once}")
        if failure.reference:
            copy_button(failure.reference, label="Copy the reference", words=True, key=f"reference {once}")
    return True


def described(error: Exception) -> Failure:
    """What we did not foresee, and what was too slow, is logged under the reference that the text names."""
    if isinstance(error, TooSlow):
        title, _, _ = error.sentence.partition(":")
        return _logged("timer_off", title, "Nothing was changed. Narrow it with a filter, or try again.", error)
    if isinstance(error, AppError):
        icon = next((icon for kind, icon in ICONS.items() if isinstance(error, kind)), "error")
        return Failure(icon, error.sentence, "Nothing was changed.")
    if outages.is_away(error):
        reference = _reference()
        log.warning("reference %s: the database does not answer: %s", reference, error)
        body = f"Try again in a moment, and look first whether it was done already. Reference {reference}."
        return Failure("cloud_off", "The database does not answer", body, reference)
    body = "Try again. If it stays, tell an administrator."
    return _logged("error", "Something went wrong on our side", body, error)


def _logged(icon: str, title: str, body: str, error: Exception) -> Failure:
    reference = _reference()
    log.error("reference %s", reference, exc_info=error)
    return Failure(icon, title, f"{body} Reference {reference}.", reference)


def _reference() -> str:
    drawn = secrets.token_hex(4).upper()
    return f"{drawn[:4]}-{drawn[4:]}"
