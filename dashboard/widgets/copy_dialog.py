"""Asks which field of the selected contacts goes into the clipboard, with what that costs, and copies it."""

import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import columns, page
from dashboard.widgets.clipboard import copy_now
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.credits import words
from models import credits
from models.contacts import copies
from models.contacts.bulk import Selection

FREE = "One for each contact that has a value; those that you took out in this month already are free."


@dialog("Copy to the clipboard", icon=":material/content_copy:")
def copy_dialog(selection: Selection) -> None:
    by = session.actor()
    with page.refusals():  # what the person may see was changed meanwhile
        offered = copies.fields(by=by)
        name = st.selectbox("Field", offered, format_func=columns.label)
        number, cost = copies.cost(selection, name, by=by)
        _numbers(number, cost)
        balance = credits.balance(by=by)
        balance.require(cost)
        st.caption(f"One on a line, newest contact first. You have {words(balance)}.")
        if confirmed(f"Copy {formats.counted(number, 'value')}", no="Close", disabled=not number):
            done = copies.copy(selection, name, by=by)
            copy_now("\n".join(done.values))
            paid = f"It took {formats.counted(done.credits, 'credit')}." if done.credits else "It cost nothing."
            st.caption(f":green[:material/check_circle:] Copied. {paid}")


def _numbers(number: int, cost: int) -> None:
    with st.grid(2, min_column_width=130, border=True, gap="xsmall"):
        st.metric("With a value", formats.number(number))
        st.metric("Takes credits", formats.number(cost), help=FREE)
