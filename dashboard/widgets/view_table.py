"""All views that the person may use, with what can be done with the selected one: a fragment, which reruns alone."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cached, formats, saved_views, session
from dashboard.parts import part
from dashboard.widgets import page, view_dialogs
from dashboard.widgets.row_buttons import clicked, row_button
from dashboard.widgets.schedule_dialog import schedule_dialog
from models.permissions import Actor, Permission
from models.view_exports import Schedule
from models.views import View as SavedView

STATES = {"Own": "blue", "Shared": "violet", "Cannot be used": "red"}
ROWS_SHOWN, ROW_HEIGHT = 11, 36
OPENED = "view opened"  # the key of clicks on a row's sign
LONGEST = 200  # characters of the filter's sentence


@part
def view_table(found: list[SavedView], schedules: list[Schedule]) -> None:
    by = session.actor()
    with page.card("All views", "The sign in front opens a view"):
        selected = _table(found, schedules, by)
        _actions(selected, by)
    if opened := clicked(OPENED):
        one = next((one for one in found if one.id == opened[0]), None)
        if one is not None and one.filters is not None:
            saved_views.open_view(one, by=by)


def state(saved: SavedView) -> str:
    if saved.filters is None:
        return "Cannot be used"
    return "Shared" if saved.shared else "Own"


def _table(found: list[SavedView], schedules: list[Schedule], by: Actor) -> SavedView | None:
    usable = [one for one in found if one.filters is not None]
    numbers = cached.view_counts([one.usable() for one in usable], by=by) if usable else []
    counts = {one.id: number for one, number in zip(usable, numbers, strict=True)}
    times = {one.view_id: one.sentence for one in reversed(schedules) if one.active}
    rows = [_row(one, counts.get(one.id), times.get(one.id)) for one in found]
    picked = st.dataframe(
        pd.DataFrame(rows),
        key=f"views {hash(tuple(one.id for one in found))}",
        on_select="rerun",
        selection_mode="single-row",
        height="content" if len(found) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        row_height=ROW_HEIGHT,
        hide_index=True,
        placeholder="–",
        column_order=["open", "name", "state", "contacts", "filter", "who", "used", *(["schedule"] if times else [])],
        column_config=_drawings([one.id for one in found]),
        alt="Views",
    ).selection.rows
    return found[picked[0]] if picked and picked[0] < len(found) else None


def _row(saved: SavedView, number: int | None, schedule: str | None) -> dict[str, Any]:
    return {
        "open": ":material/open_in_full:" if saved.filters is not None else "",
        "name": saved.name,
        "state": [state(saved)],
        "contacts": number,
        "filter": words(saved),
        "who": "You" if saved.mine else saved.owner,
        "used": saved.used_at,
        "schedule": schedule,
    }


def words(saved: SavedView) -> str:
    """The filter, or why it cannot be used."""
    told = saved.problem or "" if saved.filters is None else saved.filters.sentence(formats.value)
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"


def _drawings(ids: list[int]) -> dict[str, Any]:
    config = st.column_config
    colours = [page.token(f"{colour}BackgroundColor") for colour in STATES.values()]
    return {
        "open": row_button("", key=OPENED, meant=ids, width=36, type="tertiary", pinned=True),
        "name": config.TextColumn("View", width=180),
        "state": config.MultiselectColumn("State", width=115, options=list(STATES), color=colours),
        "contacts": config.NumberColumn("Contacts", width=85, format="localized"),
        "filter": config.TextColumn("Filter", width=300),
        "who": config.TextColumn("By", width=95),
        "used": config.DatetimeColumn(
            "Last used", width=140, format=formats.pattern(clock=True), timezone=formats.time_zone()
        ),
        "schedule": config.TextColumn("Exported", width=200),
    }


def _actions(saved: SavedView | None, by: Actor) -> None:
    """Always there, so that nothing jumps when a row is selected."""
    editable = saved is not None and saved.editable
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_said_of(saved), width="content")
        st.space("stretch")
        if _action("Rename", "edit", editable) and saved:
            view_dialogs.rename_dialog(saved)
        shared = saved is not None and saved.shared
        if _action("Share no longer" if shared else "Share", "group_off" if shared else "group", editable) and saved:
            view_dialogs.share_now(saved, shared=not shared)
        changed_once = editable and saved is not None and saved.put_back_to is not None
        if _action("Put the last change back", "undo", changed_once) and saved:
            view_dialogs.put_back_now(saved, follow=False)
        if by.may(Permission.CONTACTS_EXPORT):
            usable = saved is not None and saved.filters is not None
            if _action("Export by schedule", "schedule_send", usable) and saved:
                schedule_dialog(saved)
        if _action("Delete", "delete", editable) and saved:
            view_dialogs.delete_now(saved)


def _action(label: str, icon: str, possible: bool) -> bool:
    return st.button(label, icon=f":material/{icon}:", type="tertiary", disabled=not possible)


def _said_of(saved: SavedView | None) -> str:
    if saved is None:
        return "Select a view to change it"
    if not saved.editable:
        return f"**{page.plain(saved.name)}** is {page.plain(saved.owner)}’s"
    return f"**{page.plain(saved.name)}**"
