"""On a contact's page: how many possible duplicates it has, and what was merged into it."""

import streamlit as st

from dashboard import formats, places
from dashboard.widgets.duplicate_pair import unmerge
from dashboard.widgets.page import card, plain
from dashboard.widgets.press import pressed
from models.contacts import merging
from models.contacts.records import Record
from models.duplicates import pairs, runs
from models.duplicates.pairs import Wanted
from models.permissions import Actor, Permission

SHOWN = 5  # merges


def contact_duplicates(record: Record, *, by: Actor) -> None:
    """Nothing where there is none, or the person may not review duplicates."""
    if record.deleted_at or not (by.may(Permission.CONTACTS_EDIT) and runs.sees_all(by)):
        return
    number = pairs.count(Wanted(contact_id=record.id), by=by)
    made = merging.made(contact_id=record.id, standing=True, size=SHOWN, by=by)
    if not (number or made):
        return
    with card("Duplicates"):
        if number and st.button(
            formats.counted(number, "possible duplicate"), icon=":material/join_inner:", key="to duplicates"
        ):
            places.go("duplicates", {"contact": str(record.id)})
        for one in made:
            others = ", ".join(map(str, one.others))
            what = "Contact" if len(one.others) == 1 else "Contacts"
            st.markdown(f"{what} {others} merged into this one")
            st.caption(f"{formats.moment(one.at)} · by {plain(one.by_name)}")
            if pressed("Un-merge", key=f"unmerge {one.id}", type="tertiary", icon=":material/call_split:"):
                unmerge(one.id, by=by)
