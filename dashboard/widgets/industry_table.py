"""The table of industries with what can be done with the selected one: a fragment, which reruns alone."""

import pandas as pd
import streamlit as st

from dashboard import formats, places, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.industry_dialogs import (
    activate_now,
    deactivate_dialog,
    merge_dialog,
    rename_dialog,
    unmerge_dialog,
)
from dashboard.widgets.row_buttons import clicked, row_button
from models.industries import Industry
from models.permissions import Permission

Listing = list[tuple[Industry, int]]
STATES = {"In use": "green", "Merged": "violet", "Not in use": "gray"}
ROWS_SHOWN, ROW_HEIGHT = 11, 36
OPENED = "industry opened"  # the key of clicks on a row's sign


@part
def industry_table(listing: Listing) -> None:
    """`listing` is what the screen has read; selecting a row or searching reads nothing."""
    by = session.actor()
    with page.card("All industries", "The sign in front shows an industry's contacts"):
        rows = _chosen(listing)
        selected = _table(listing, rows, acting=by.may(Permission.INDUSTRIES_MANAGE))
        if by.may(Permission.INDUSTRIES_MANAGE):
            _actions(listing, selected)
    if opened := clicked(OPENED):
        places.go("contacts", {"industry": opened[0]})


def state(industry: Industry) -> str:
    if industry.is_active:
        return "In use"
    return "Not in use" if industry.merged_into is None else "Merged"


def _chosen(listing: Listing) -> Listing:
    """The rows that search and state leave."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        words = st.text_input(
            "Search", key="industry search", type="search", live="300ms", icon=":material/search:",
            placeholder="Search industries", label_visibility="collapsed", width=200,
        )  # fmt: skip
        counts = pd.Series([state(one) for one, _ in listing]).value_counts()
        wanted = st.segmented_control(
            "State", [name for name in STATES if name in counts], key="industry state", label_visibility="collapsed",
            format_func=lambda name: f"{name} :gray[{formats.number(int(counts[name]))}]",
        )  # fmt: skip
    sought = words.strip().casefold()
    return [row for row in listing if sought in row[0].name.casefold() and wanted in (None, state(row[0]))]


def _table(listing: Listing, rows: Listing, *, acting: bool) -> tuple[Industry, int] | None:
    """Draws the rows; returns the selected one."""
    if not rows:
        with page.empty("search_off", "No industry is called so", "Search for a part of its name, in any state."):
            pass
        return None
    names = {one.id: one.name for one, _ in listing}
    most = max((number for _, number in listing), default=0)
    table = pd.DataFrame(
        {
            "open": ":material/open_in_full:",
            "name": one.name,
            "state": [state(one)],
            "contacts": number,
            "share": number,
            "into": names.get(one.merged_into or 0),
            "added": one.created_at,
        }
        for one, number in rows
    )
    marked = st.dataframe(
        table,
        key=f"industries {hash(tuple(one.id for one, _ in rows))}",
        on_select="rerun" if acting else "ignore",
        selection_mode="single-row",
        height="content" if len(rows) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        row_height=ROW_HEIGHT,
        hide_index=True,
        placeholder="–",
        column_order=_columns(rows),
        column_config=_drawings(most, [one.name for one, _ in rows]),
        alt="Industries",
    )
    picked = marked.selection.rows if acting else []
    return rows[picked[0]] if picked and picked[0] < len(rows) else None


def _columns(rows: Listing) -> list[str]:
    merged = ["into"] if any(state(one) == "Merged" for one, _ in rows) else []
    return ["open", "name", "contacts", "share", "state", *merged, "added"]


def _drawings(most: int, shown: list[str]) -> dict[str, object]:
    config = st.column_config
    colours = [page.token(f"{colour}BackgroundColor") for colour in STATES.values()]
    return {
        "open": row_button("", key=OPENED, meant=shown, width=36, type="tertiary", pinned=True),
        "name": config.TextColumn("Name", width=260),
        "state": config.MultiselectColumn("State", width=110, options=list(STATES), color=colours),
        "contacts": config.NumberColumn("Contacts", width=90, format="localized"),
        "share": config.ProgressColumn("", width=170, format=" ", min_value=0, max_value=max(most, 1)),
        "into": config.TextColumn("Merged into", width=200),
        "added": config.DatetimeColumn("Added", width=120, format=formats.pattern(), timezone=formats.time_zone()),
    }


def _actions(listing: Listing, selected: tuple[Industry, int] | None) -> None:
    """Always there, so that nothing jumps when a row is selected."""
    one, number = selected or (None, 0)
    merged = one is not None and one.merged_into is not None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_said_of(one, number), width="content")
        st.space("stretch")
        if _action("Rename", "edit", one):
            rename_dialog(one, number, listing)
        if _action("Merge into another", "merge", one):
            merge_dialog(one, listing)
        if _action("Take the merge back", "undo", one if merged else None):
            unmerge_dialog(one, listing)
        if one is not None and not one.is_active:
            if _action("Activate", "toggle_on", one):
                activate_now(one)
        elif _action("Deactivate", "toggle_off", one):
            deactivate_dialog(one, number)


def _action(label: str, icon: str, selected: Industry | None) -> bool:
    return st.button(label, icon=f":material/{icon}:", type="tertiary", disabled=selected is None)


def _said_of(one: Industry | None, number: int) -> str:
    if one is None:
        return "Select an industry to change it"
    return f"**{page.plain(one.name)}** · {formats.counted(number, 'contact')}"
