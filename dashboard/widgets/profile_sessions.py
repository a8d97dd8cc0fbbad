"""Where a person is signed in, and signing out there."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.row_buttons import clicked, row_button
from models import sign_ins
from models.sign_in_sessions import OpenSession

END = "session ended"  # the key of clicks on a row's button


def sessions(found: list[OpenSession]) -> None:
    """This browser's own session first; it ends by signing out."""
    if ended := clicked(END):
        with page.refusals(passing=True):
            sign_ins.end(ended[0], by=session.actor())
            found = [one for one in found if one.id != ended[0]]
            st.toast("Signed out there.", icon=":material/check_circle:")
    with page.card("Where you are signed in", formats.counted(len(found), "browser")):
        moment = {"format": formats.pattern(clock=True), "timezone": formats.time_zone()}
        config = st.column_config
        st.dataframe(
            pd.DataFrame([_row(one) for one in found]),
            key=f"sessions {hash(tuple(one.id for one in found))}",
            hide_index=True,
            height="content",
            row_height=36,
            placeholder="–",
            column_config={
                "device": config.TextColumn("Device", width=210),
                "address": config.TextColumn("Address", width=110),
                "seen": config.DatetimeColumn("Last seen", width=140, **moment),
                "since": config.DatetimeColumn("Signed in", width=140, **moment),
                "end": row_button("", key=END, meant=[one.id for one in found], width=80, type="tertiary"),
            },
            alt="Where you are signed in",
        )
        if st.button("Sign out everywhere else", icon=":material/logout:", disabled=len(found) < 2):
            with page.refusals(passing=True):
                number = sign_ins.end_others(by=session.actor(), token=session.cookie_token())
                st.toast(f"Signed out in {formats.counted(number, 'other browser')}.", icon=":material/check_circle:")
                st.rerun()


def _row(one: OpenSession) -> dict[str, Any]:
    device = f"{one.device} (this one)" if one.is_this else one.device
    label = None if one.is_this else "Sign out"
    return {
        "device": device, "address": one.address, "seen": one.last_seen_at, "since": one.created_at, "end": label
    }  # fmt: skip
