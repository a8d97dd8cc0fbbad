"""Asks before a difference is taken out as a file: how many contacts, and what that costs."""

from urllib.parse import urlencode

import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.credits import words
from dashboard.widgets.file_download import download_now
from models import credits
from models.contacts import difference_file as file
from models.contacts.difference import SINCE, UNTIL, Asked, Numbers
from models.contacts.moments import NOW

PATH = "/contacts/difference.csv"
FREE = "One for each contact; those that you took out in this month already are free."


@dialog("The difference as a file", icon=":material/download:")
def difference_file(asked: Asked, numbers: Numbers) -> None:
    by = session.actor()
    with page.refusals():
        cost = file.cost(asked, by=by)
        with st.grid(2, min_column_width=130, border=True, gap="xsmall"):
            st.metric("Contacts", formats.number(numbers.total))
            st.metric("Takes credits", formats.number(cost), help=FREE)
        balance = credits.balance(by=by)
        balance.require(cost)
        st.caption(f"CSV, a line for each value: before and after. You have {words(balance)}.")
        if confirmed("Download", no="Close"):
            download_now(f"{PATH}?{query(asked)}")


def query(asked: Asked) -> str:
    since, until = (one.written if one else NOW for one in (asked.since, asked.until))
    return urlencode([*asked.filters.pairs(), (SINCE, since), (UNTIL, until)])
