"""On the contacts screen: save what is shown as a view, and what can be done with the view that is open."""

from dataclasses import replace

import streamlit as st

from dashboard import address, saved_views
from dashboard.address import View
from dashboard.widgets import view_dialogs
from dashboard.widgets.page import plain
from dashboard.widgets.schedule_dialog import schedule_dialog
from models.permissions import Actor, Permission
from models.views import View as SavedView

SAVE, BACK, SAVE_AS = "Save changes", "Back to the view as it was saved", "Save as another view…"
RENAME, SHARE, UNSHARE = "Rename…", "Share with everybody", "Share no longer"
PUT_BACK, SCHEDULE, DELETE = "Put the last change back", "Export by schedule…", "Delete"
LONGEST = 24  # characters of a name


def view_menu(view: View, *, by: Actor) -> None:
    saved = saved_views.opened(view.saved, by=by)
    if saved is None:
        if st.button("Save view", icon=":material/bookmark_add:", help="Find this filter again, under a name"):
            view_dialogs.save_dialog(view)
        return
    changed = saved_views.changed(view, saved)
    name = plain(saved.name if len(saved.name) <= LONGEST else saved.name[: LONGEST - 1] + "…")
    choice = st.menu_button(
        f"{name} · changed" if changed else name,
        _offered(saved, changed, by),
        key="view menu",
        icon=f":material/{'bookmark_flag' if changed else 'bookmark'}:",
        help="What can be done with this view",
    )
    if choice:
        _do(choice, view, saved)


def _offered(saved: SavedView, changed: bool, by: Actor) -> list[str]:
    own = saved.editable
    return [
        *([SAVE] if changed and own else []),
        *([BACK] if changed and saved.filters is not None else []),
        SAVE_AS,
        *([RENAME, UNSHARE if saved.shared else SHARE] if own else []),
        *([PUT_BACK] if own and not changed and saved.put_back_to is not None else []),
        *([SCHEDULE] if by.may(Permission.CONTACTS_EXPORT) and saved.filters is not None else []),
        *([DELETE] if own else []),
    ]


def _do(choice: str, view: View, saved: SavedView) -> None:
    match choice:
        case "Save changes":
            view_dialogs.save_changes(view, saved)
        case "Back to the view as it was saved":
            address.write(saved_views.address_of(saved))
            st.rerun()
        case "Save as another view…":
            view_dialogs.save_dialog(replace(view, saved=None))
        case "Rename…":
            view_dialogs.rename_dialog(saved)
        case "Share with everybody" | "Share no longer":
            view_dialogs.share_now(saved, shared=not saved.shared)
        case "Put the last change back":
            view_dialogs.put_back_now(saved, follow=True)
        case "Export by schedule…":
            schedule_dialog(saved)
        case "Delete":
            view_dialogs.delete_now(saved)
