"""Views: the person's own and shared ones with their counts, their exports by schedule, and what was deleted."""

import streamlit as st

from dashboard import formats, places, saved_views, session
from dashboard.widgets import page
from dashboard.widgets.schedule_table import schedule_table
from dashboard.widgets.view_dialogs import last_deleted, restore_now
from dashboard.widgets.view_table import view_table
from models import view_changes, view_exports, views
from models.permissions import Permission
from models.view_exports import Schedule
from models.views import View as SavedView

NOTE = "A filter with its columns and order, under a name. A link to what a view shows works for every colleague."


def show() -> None:
    with page.skeleton("views", "Views", 420) as place:
        by = session.actor()
        found, deleted = saved_views.listed(by=by), views.deleted(by=by)
        schedules = view_exports.listed(by=by) if by.may(Permission.CONTACTS_EXPORT) else []
    with place.container():
        _screen(found, schedules, deleted)


def _screen(found: list[SavedView], schedules: list[Schedule], deleted: list[SavedView]) -> None:
    with page.header("Views", NOTE):
        if st.button("Choose contacts", icon=":material/contacts:", type="primary"):
            places.go("contacts")
    last_deleted()
    if found:
        view_table(found, schedules)
    else:
        with page.empty("bookmarks", "There are no views yet", "Choose contacts, then press Save view."):
            if st.button("Choose contacts", icon=":material/contacts:", key="choose"):
                places.go("contacts")
    if schedules:
        schedule_table(schedules)
    if deleted:
        _deleted(deleted)


def _deleted(deleted: list[SavedView]) -> None:
    with page.card("Deleted", f"For {formats.counted(view_changes.DAYS_KEPT, 'day')} they can be brought back"):
        for one in deleted:
            with st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
            ):
                words = f"**{page.plain(one.name)}** · {formats.moment(one.deleted_at)}"
                st.markdown(words, width="content")
                if st.button("Bring back", key=f"restore {one.id}", icon=":material/undo:", type="tertiary"):
                    restore_now(one.id)
