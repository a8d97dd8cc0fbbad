"""What was done last, said by the entry script once the whole page ran again, whatever page that is by then."""

from typing import NoReturn

import streamlit as st

from dashboard.widgets.page import plain

KEY = "said"


def say(sentence: str) -> NoReturn:
    """Close the dialog, show everything as it is by now, and say so."""
    st.session_state[KEY] = sentence
    st.rerun()


def said() -> None:
    if sentence := st.session_state.pop(KEY, None):
        st.toast(plain(sentence), icon=":material/check_circle:")
