"""What a search that finds nothing shows in its place, where one letter of it is wrong."""

from dataclasses import replace

import streamlit as st

from dashboard import address, cached
from dashboard.address import View
from dashboard.widgets.page import plain
from models.permissions import Actor


def meant(view: View, *, by: Actor) -> View:
    """For a view without contacts: that of what is meant, which has some; the same where nothing is, or where it is
    asked for exactly."""
    found = None if view.exact or not view.filters.q else cached.meant(view.filters, by=by)
    return view if found is None else replace(view, filters=found, page=1)


def meant_notice(asked: View, shown: View) -> None:
    """That others are shown than were asked for, and the way back."""
    found = plain(shown.filters.q)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        told = f"{plain(nobody(asked))}: these have **“{found}”**."
        st.info(told, icon=":material/spellcheck:", width="stretch")
        st.button(
            "Search as typed",
            key="search as typed",
            icon=":material/search:",
            on_click=address.write,
            args=(replace(asked, page=1, exact=True),),
        )


def nobody(asked: View) -> str:
    which = "that matches the filters " if asked.filters.filters else ""
    return f"No contact {which}has “{asked.filters.q}”"


def offer(view: View, *, by: Actor) -> str:
    """For a view that is asked for exactly: what is meant; "" where nothing is."""
    found = cached.meant(view.filters, by=by) if view.exact else None
    return found.q if found else ""
