"""Saving, renaming, sharing and deleting a view; each can be taken back."""

from dataclasses import replace

import streamlit as st

from dashboard import address, formats, saved_views, session
from dashboard.address import View
from dashboard.parts import dialog
from dashboard.widgets import columns, page
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models import view_changes
from models.filters import Filters
from models.views import View as SavedView

DELETED = "view deleted"  # number and name of the last one
FROM_RIGHT = "<style>.st-key-view_name_buttons { flex-direction: row-reverse; }</style>"
LONGEST = 300  # characters of the filter's sentence


@dialog("Save view", icon=":material/bookmark_add:")
def save_dialog(view: View) -> None:
    by = session.actor()
    shown = columns.of_view(view, by=by)
    count = formats.counted(len(shown), "column")
    st.markdown(f"{plain(_words(view.filters))}, with the {count} and the order of now.")
    name, shared, sent = _form("", "Save", sharing=True)
    if not sent:
        return
    with page.refusals():
        made = view_changes.save(name, filters=view.filters, columns=shown, sort=view.sort, shared=shared, by=by)
        address.write(replace(saved_views.address_of(made), page=view.page))
        say(f"“{made.name}” is saved. It stands in the sidebar.")


@dialog("Rename the view", icon=":material/edit:")
def rename_dialog(saved: SavedView) -> None:
    name, _, sent = _form(saved.name, "Rename", sharing=False)
    if not sent:
        return
    with page.refusals():
        renamed = view_changes.rename(saved.id, name, by=session.actor())
        say(f"“{saved.name}” is “{renamed.name}” now.")


def save_changes(view: View, saved: SavedView) -> None:
    by = session.actor()
    with page.refusals(passing=True):
        shown = columns.of_view(view, by=by)
        kept = view_changes.change(saved.id, filters=view.filters, columns=shown, sort=view.sort, by=by)
        address.write(replace(saved_views.address_of(kept), page=view.page))
        say(f"“{kept.name}” holds what you see. Its menu puts the change back.")


def put_back_now(saved: SavedView, *, follow: bool) -> None:
    """`follow` shows what the view holds by then."""
    with page.refusals(passing=True):
        back = view_changes.put_back(saved.id, by=session.actor())
        if follow and back.filters is not None:
            address.write(saved_views.address_of(back))
        say(f"“{back.name}” is as it was before. The same takes that back.")


def share_now(saved: SavedView, *, shared: bool) -> None:
    with page.refusals(passing=True):
        view_changes.share(saved.id, shared, by=session.actor())
        said = "Everybody finds it, and sees of it what they may see." if shared else "Only its owner finds it now."
        say(f"“{saved.name}”: {said}")


def delete_now(saved: SavedView) -> None:
    """Without a question: it can be brought back."""
    with page.refusals(passing=True):
        view_changes.delete(saved.id, by=session.actor())
        st.session_state[DELETED] = (saved.id, saved.name)
        if address.saved() == saved.id:
            st.query_params.pop("view", None)
        st.rerun()


def last_deleted() -> None:
    """What was deleted last, with its undo, until it is put away."""
    view_id, name = st.session_state.get(DELETED, (None, ""))
    if view_id is None:
        return
    days = formats.counted(view_changes.DAYS_KEPT, "day")
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        said = f"The view “{plain(name)}” is deleted. For {days} it stands under Views, Deleted."
        st.markdown(f":green[:material/check_circle:] {said}", width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            undo = st.button("Undo", icon=":material/undo:", key="undo view")
            if st.button("", icon=":material/close:", help="Put this away", type="tertiary", key="put view away"):
                st.session_state.pop(DELETED, None)
                st.rerun()
    if undo:
        restore_now(view_id)


def restore_now(view_id: int) -> None:
    with page.refusals(passing=True):
        back = view_changes.restore(view_id, by=session.actor())
        st.session_state.pop(DELETED, None)
        say(f"“{back.name}” is back.")


def _form(name: str, label: str, *, sharing: bool) -> tuple[str, bool, bool]:
    """The name, whether everybody shall have it, and whether the form was sent just now."""
    with st.form(f"view {label}", border=False):
        entered = st.text_input("Name", value=name, max_chars=view_changes.LONGEST)
        shared = sharing and st.checkbox(
            "Share with everybody", help="Others see of it what they may see of contacts; only you change it."
        )
        # Enter presses the first button of a form, so that the way back, which stands before it, comes after it here.
        st.html(FROM_RIGHT)
        with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall", key="view_name_buttons"):
            sent = st.form_submit_button(label, type="primary")
            if st.form_submit_button("Cancel"):
                st.rerun()
    return entered, shared, sent


def _words(filters: Filters) -> str:
    sentence = filters.sentence(formats.value)
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…"
