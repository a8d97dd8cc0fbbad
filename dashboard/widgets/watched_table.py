"""The watched folders; the selected one's files with what became of them, and what can be done with it."""

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.import_orders import go
from dashboard.widgets.page import plain
from dashboard.widgets.row_buttons import clicked, row_button
from dashboard.widgets.watched_dialogs import (
    again_now,
    look_now,
    pause_now,
    remove_dialog,
    set_up_dialog,
)
from models import imports, watched_files
from models.permissions import Permission
from models.watched_files import Seen
from models.watched_folders import Folder

ROW_HEIGHT, MOST_ROWS = 36, 11
STATES = {"Watched": "green", "Cannot be read": "red", "Paused": "gray"}
OUTCOMES = {
    "Imported": "green", "Waits for you": "violet", "Under way": "blue", "Failed": "red", "Cancelled": "gray",
    "Undone": "gray", "To be tried again": "yellow",
}  # fmt: skip
OPENED = "import of a watched file opened"
EVERY = "5s"


def watched_table(there: list[Folder]) -> None:
    """`there` is what the screen has read."""
    with page.card("All watched folders", formats.counted(len(there), "folder")):
        one = _table(there)
        _actions(one)
    if one is not None:
        if one.error:
            page.refusal(one.error)
        part(_files, run_every=EVERY)(one)


def state(one: Folder) -> str:
    if not one.is_active:
        return "Paused"
    return "Cannot be read" if one.error else "Watched"


def _table(there: list[Folder]) -> Folder | None:
    config = st.column_config
    colours = [page.token(f"{colour}BackgroundColor") for colour in STATES.values()]
    rows = [
        {
            "name": one.watching.name,
            "state": [state(one)],
            "place": one.watching.address,
            "schedule": one.schedule,
            "then": "Commits" if one.watching.commits else "Stops at the plan",
            "looked": one.looked_at,
            "files": one.files,
        }
        for one in there
    ]
    marked = st.dataframe(
        pd.DataFrame(rows),
        key=f"watched {hash(tuple(one.id for one in there))}",
        on_select="rerun",
        selection_mode="single-row",
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(there) <= MOST_ROWS else (MOST_ROWS + 1) * ROW_HEIGHT + 2,
        placeholder=formats.MISSING,
        alt="Watched folders",
        column_config={
            "name": config.TextColumn("Name", width=170),
            "state": config.MultiselectColumn("State", width=125, options=list(STATES), color=colours),
            "place": config.TextColumn("Place", width=205),
            "schedule": config.TextColumn("Looked at", width=205),
            "then": config.TextColumn("Then", width=125),
            "looked": config.DatetimeColumn(
                "Last look", width=145, format=formats.pattern(clock=True), timezone=formats.time_zone()
            ),
            "files": config.NumberColumn("Files", width=60, format="localized"),
        },
    )
    picked = marked.selection.rows
    return there[picked[0]] if picked and picked[0] < len(there) else None


def _actions(one: Folder | None) -> None:
    """Always there, so that nothing jumps when a row is selected."""
    by = session.actor()
    may = one is not None and imports.sees_all(by)
    manages = may and by.may(Permission.FOLDERS_WATCH)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_said_of(one), width="content")
        st.space("stretch")
        active = one is None or one.is_active
        if _action("Look now", "visibility", may and active) and one:
            look_now(one)
        if _action("Pause" if active else "Go on", "pause" if active else "play_arrow", may) and one:
            pause_now(one)
        if by.may(Permission.FOLDERS_WATCH):
            if _action("Change", "edit", manages) and one:
                set_up_dialog(one)
            if _action("Remove", "delete", manages) and one:
                remove_dialog(one)


def _action(label: str, icon: str, may: bool) -> bool:
    return st.button(label, icon=f":material/{icon}:", type="tertiary", disabled=not may)


def _said_of(one: Folder | None) -> str:
    if one is None:
        return "Select a folder to see its files"
    told = [f"**{plain(one.watching.name)}**", f"with the rights of {plain(one.owner or 'the operator')}"]
    told += [f"mapped by {plain(one.mapping)}"] if one.mapping else []
    told += [f"mails to {plain(one.watching.mail_to)}"] if one.watching.mail_to else []
    return " · ".join(told)


def _files(one: Folder) -> None:
    seen = watched_files.of_folder(one.id, by=session.actor())
    with page.card("Its files", f"called {plain(one.watching.pattern)}, newest first"):
        if not seen:
            st.caption("Nothing has come yet. A file that still grows is left for the next look.")
            return
        _rows(seen)
    for each in seen[:5]:
        if each.error:
            st.caption(f":material/error: {plain(each.name)}: {plain(each.error)}")
    if opened := clicked(OPENED):
        chosen = next(each for each in seen if each.id == opened[0])
        if opened[1] == "Try again":
            again_now(chosen)
        elif chosen.import_id:
            go(chosen.import_id)


def _rows(seen: list[Seen]) -> None:
    config = st.column_config
    colours = [page.token(f"{colour}BackgroundColor") for colour in OUTCOMES.values()]
    rows = [
        {
            "open": _label(one),
            "file": one.name,
            "outcome": [one.outcome.capitalize()],
            "seen": one.seen_at,
            "size": formats.size(one.size),
            "created": one.created if one.outcome == "imported" else None,
            "updated": one.updated if one.outcome == "imported" else None,
            "rejected": one.rejected if one.outcome == "imported" else None,
        }
        for one in seen
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(seen) <= MOST_ROWS else (MOST_ROWS + 1) * ROW_HEIGHT + 2,
        placeholder=formats.MISSING,
        alt="Files of the watched folder",
        column_config={
            "open": row_button("", key=OPENED, meant=[one.id for one in seen], width=90),
            "file": config.TextColumn("File", width=220),
            "outcome": config.MultiselectColumn("Outcome", width=135, options=list(OUTCOMES), color=colours),
            "seen": config.DatetimeColumn(
                "Seen", width=145, format=formats.pattern(clock=True), timezone=formats.time_zone()
            ),
            "size": config.TextColumn("Size", width=80),
            "created": config.NumberColumn("Created", width=75, format="localized"),
            "updated": config.NumberColumn("Updated", width=75, format="localized"),
            "rejected": config.NumberColumn("Rejected", width=75, format="localized"),
        },
    )


def _label(one: Seen) -> str:
    """Of the button; without one there is none."""
    if one.outcome in ("failed", "cancelled"):
        return "Try again" if imports.sees_all(session.actor()) else ""
    return "Open" if one.import_id else ""
