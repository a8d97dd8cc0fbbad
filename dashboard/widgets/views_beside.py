"""The views in the sidebar, each with how many contacts it has now."""

import streamlit as st

from dashboard import address, cached, formats, saved_views
from dashboard.address import View
from dashboard.widgets.contact_header import OURS
from dashboard.widgets.page import plain
from models.errors import AppError
from models.permissions import Actor, Permission
from models.views import View as SavedView

MOST = 30  # here; the screen of views has the rest
ROOM = 27  # characters of a name and its number
CHANGED = " · changed"
RANGE = "range"  # of the overview


def views_beside(*, by: Actor) -> None:
    """Draws into the container that it is called in; nothing where there are no views."""
    found = saved_views.listed(by=by) if by.may(Permission.CONTACTS_READ) else []
    if not found:
        return
    shown, view = found[:MOST], _address(by)
    usable = [one for one in shown if one.filters is not None]
    numbers = cached.view_counts([one.usable() for one in usable], by=by) if usable else []
    counts = {one.id: number for one, number in zip(usable, numbers, strict=True)}
    st.caption("Views")
    for one in shown:
        _link(one, counts.get(one.id), view, by)
    if len(found) > MOST:
        st.caption(f"{formats.number(len(found) - MOST)} more stand under Views")


def _address(by: Actor) -> View | None:
    if address.saved() is None:
        return None
    try:
        return address.read(besides=(*OURS, RANGE), by=by)
    except AppError:
        return None


def _link(saved: SavedView, number: int | None, view: View | None, by: Actor) -> None:
    open_here = view is not None and view.saved == saved.id
    changed = CHANGED if open_here and view is not None and saved_views.changed(view, saved) else ""
    count = formats.number(number)
    room = ROOM - len(count) - len(changed)
    name = plain(saved.name if len(saved.name) <= room else saved.name[: room - 1] + "…") + changed
    label = f"**{name}**" if open_here else name
    if st.button(
        f"{label} :gray[{count}]",
        key=f"view {saved.id}",
        icon=f":material/{_icon(saved, open_here)}:",
        type="tertiary",
        help=plain(_told(saved)),
        width="stretch",
    ):
        saved_views.open_view(saved, by=by)


def _icon(saved: SavedView, open_here: bool) -> str:
    if saved.filters is None:
        return "bookmark_remove"
    if open_here:
        return "bookmark_check"
    return "bookmark" if saved.mine else "group"


def _told(saved: SavedView) -> str:
    if saved.filters is None:
        return f"{saved.name} cannot be used: {saved.problem}"
    whose = "" if saved.mine else f" of {saved.owner}"
    sentence = saved.filters.sentence(formats.value)
    return f"{saved.name}{whose}: {sentence if len(sentence) <= 200 else sentence[:199] + '…'}"
