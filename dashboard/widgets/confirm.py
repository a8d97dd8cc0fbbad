"""The last row of a dialog that asks before it does something."""

import streamlit as st


def confirmed(yes: str, *, no: str = "Cancel", disabled: bool = False) -> bool:
    """The way back, which closes the dialog, and the way on; whether that was pressed."""
    with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall"):
        if st.button(no):
            st.rerun()
        return st.button(yes, type="primary", disabled=disabled)
