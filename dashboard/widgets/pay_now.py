"""The way to the page where something is paid; it is no screen, so the browser goes there."""

import itertools

import streamlit as st

from dashboard.widgets import script

GO = """
export default function ({ data }) {
  if (window.lastPayment === data.number) return;
  window.lastPayment = data.number;
  window.location.assign(data.path);
}
"""
_numbers = itertools.count(1)


def pay_now(path: str) -> None:
    """`path` is an address on this host."""
    number = next(_numbers)
    script.run("pay_now", GO, key=f"pay {number}", data={"path": path, "number": number})
    st.caption(f":material/open_in_browser: The payment opens. [Open it]({path}) where it does not.")
