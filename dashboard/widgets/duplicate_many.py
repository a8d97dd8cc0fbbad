"""Merging many groups at once that are surely the same: how many they are is said before, one undo takes all back."""

import streamlit as st

from dashboard import formats
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.duplicate_pair import did
from models.contacts import merging_many
from models.permissions import Actor


@dialog("Merge all of these?", icon=":material/merge:")
def merge_sure(least: float, *, by: Actor) -> None:
    found = merging_many.sure(least, by=by)
    number = len(found.groups)
    if not number:
        st.markdown("No open pair is as sure as that.")
        return
    st.markdown(f"**{formats.counted(found.contacts, 'contact')}** become **{formats.number(number)}**.")
    more = f" The surest {merging_many.MOST} pairs at a time." if number >= merging_many.MOST // 2 else ""
    st.caption(f"Of each group the fullest stays, and values are taken as proposed. One undo takes it back.{more}")
    if confirmed(f"Merge {formats.counted(number, 'group')}"):
        with page.refusals():
            done = merging_many.merge(least, expected=number, by=by)
            did(("merges", tuple(done)), f"{formats.counted(number, 'group')} merged")
