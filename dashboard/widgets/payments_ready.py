"""What to set before anything can be bought, where it is not set."""

import streamlit as st

from dashboard.widgets.page import plain
from models.payments import gateway


def not_ready() -> None:
    if not gateway.ready():
        st.info(plain(gateway.how()), icon=":material/key_off:")
