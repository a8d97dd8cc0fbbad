"""Puts a text into the clipboard after a click that came by way of Python, as those in a table do."""

import itertools

import streamlit as st

from dashboard.widgets import script
from dashboard.widgets.page import plain

# Browsers let a page write for some seconds after a click; without https only the old way through a field is there.
COPY = """
export default async function ({ data }) {
  if (window.lastCopied === data.number) return;
  window.lastCopied = data.number;
  try { await navigator.clipboard.writeText(data.text); }
  catch {
    const field = document.createElement("textarea");
    field.value = data.text; document.body.append(field); field.select();
    document.execCommand("copy"); field.remove();
  }
}
"""
_numbers = itertools.count(1)
SHOWN = 60  # characters of a copied text


def copy_now(text: str) -> None:
    number = next(_numbers)
    script.run("copy_now", COPY, key=f"copy {number}", data={"text": text, "number": number})
    first = text.splitlines()[0] if text else ""
    more = len(text) > SHOWN or text != first
    st.toast(f"Copied {plain(first[:SHOWN])}{'…' if more else ''}", icon=":material/content_copy:")
