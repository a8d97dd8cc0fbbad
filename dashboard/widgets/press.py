"""Buttons whose click is never lost.

A click's value is True in one run of the script only, and that run may be cut short by another rerun, or be that of a
fragment: the browser sends a click straight from one of its fields together with what was typed there. A callback runs
in any case, so it notes the click until the page sees it.
"""

from typing import Any

import streamlit as st


def pressed(label: str, *, key: str, **button: Any) -> bool:
    """Draws the button (`st.button` with what else it takes); whether it was clicked since it was asked last."""
    st.button(label, key=key, on_click=_note, args=(key,), **button)
    return taken(key)


def taken(key: str) -> bool:
    """The same for a button that is no longer drawn."""
    return st.session_state.pop(_noted(key), False)


def waiting(*keys: str) -> bool:
    """Whether one of these buttons was clicked and the page has not seen it yet."""
    return any(_noted(key) in st.session_state for key in keys)


def _note(key: str) -> None:
    st.session_state[_noted(key)] = True


def _noted(key: str) -> str:
    return f"{key} was pressed"
