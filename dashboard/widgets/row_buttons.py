"""Buttons in the rows of a table, whose click means what stood in the row that the person saw.

The browser tells a row's number alone, and the list may have moved by the time it arrives. So the buttons of other rows
are other buttons, and what a click means is bound to the rows that were painted with them.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

PAINTS = 4  # whose buttons are told apart; Streamlit keeps what it knows of a button for as long as the page is open


def row_button(title: str, *, key: str, meant: Sequence[Any], **look: Any) -> Any:
    """The column's configuration (`st.column_config.ButtonColumn` with what else it takes); `meant` goes by rows."""
    number, before = st.session_state.get(f"{key} painted", (0, None))
    if before != list(meant):
        number += 1
        st.session_state[f"{key} painted"] = (number, list(meant))
    button = f"{key} {number % PAINTS}"
    return st.column_config.ButtonColumn(title, key=button, on_click=_note, args=(key, button, list(meant)), **look)


def clicked(key: str) -> tuple[Any, str] | None:
    """What the click since it was asked last meant, and the label of its button."""
    return st.session_state.pop(_noted(key), None)


def _note(key: str, button: str, meant: list[Any]) -> None:
    click = st.session_state[button]
    if click is not None and click["row"] < len(meant):
        st.session_state[_noted(key)] = (meant[click["row"]], click["label"])


def _noted(key: str) -> str:
    return f"{key} was clicked"
