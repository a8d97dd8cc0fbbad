"""The button that sends a dialog's form, at the place of `confirm.confirmed`'s way on."""

import streamlit as st


def send_button(label: str) -> bool:
    with st.container(horizontal=True, horizontal_alignment="right"):
        return st.form_submit_button(label, type="primary")
