"""The table of people with what can be done with the selected one: a fragment, which reruns alone."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats
from dashboard.parts import part
from dashboard.widgets import page, user_dialogs
from dashboard.widgets.page import plain
from dashboard.widgets.press import pressed
from models.contacts.table import FIELDS
from models.filters import fields_of
from models.permissions import Role
from models.users import Person, Status

Usage = dict[int, tuple[int, int | None, int]]  # user -> used this month, limit, credits that last
ROLES = {Role.ADMIN: "orange", Role.MANAGER: "violet", Role.ANALYST: "blue"}
STATES = {Status.ACTIVE: "green", Status.INVITED: "yellow", Status.DEACTIVATED: "gray"}
ROWS_SHOWN, ROW_HEIGHT = 11, 36


@part
def user_table(found: list[Person], usage: Usage) -> None:
    if not found:
        with page.empty("search_off", "Nobody matches this", "Search for a part of a name or an e-mail."):
            st.button("Show everybody", on_click=st.query_params.clear)
        return
    _actions(_rows(found, usage))


def _rows(found: list[Person], usage: Usage) -> Person | None:
    """Draws the table; returns the selected person."""
    marked = st.dataframe(
        pd.DataFrame([_row(one, *usage.get(one.id, (0, one.download_limit, 0))) for one in found]),
        key=f"people {hash(tuple(one.id for one in found))}",
        on_select="rerun",
        selection_mode="single-row",
        height="content" if len(found) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        row_height=ROW_HEIGHT,
        hide_index=True,
        placeholder=formats.MISSING,
        column_config=_drawings(),
        alt="People",
    ).selection.rows
    return found[marked[0]] if marked and marked[0] < len(found) else None


def _row(one: Person, used: int, limit: int | None, lasting: int) -> dict[str, Any]:
    return {
        "name": one.name,
        "email": one.email,
        "role": [one.role.label],
        "status": [one.status.label],
        "used": used,
        "limit": "No limit" if limit is None else formats.number(limit),
        "share": min(used / limit, 1) if limit else None,
        "lasting": lasting or None,
        "columns": _seen(one),
        "factor": None if one.status is Status.INVITED else "On" if one.second_factor else "Off",
        "seen": one.last_seen_at,
    }


def _seen(one: Person) -> str:
    if one.column_allowed is None:
        return "All"
    return f"{formats.number(len(fields_of(one.column_allowed)))} of {formats.number(len(FIELDS))}"


def _drawings() -> dict[str, Any]:
    config = st.column_config
    roles = [page.token(f"{colour}BackgroundColor") for colour in ROLES.values()]
    states = [page.token(f"{colour}BackgroundColor") for colour in STATES.values()]
    return {
        "name": config.TextColumn("Name", width=125),
        "email": config.TextColumn("E-mail", width=175),
        "role": config.MultiselectColumn("Role", width=82, options=[one.label for one in ROLES], color=roles),
        "status": config.MultiselectColumn("Status", width=102, options=[one.label for one in STATES], color=states),
        "used": config.NumberColumn("Used", width=56, format="localized", help="Contacts taken out this month"),
        "limit": config.TextColumn("Limit", width=72, alignment="right", help="Contacts a month"),
        "share": config.ProgressColumn("Of the limit", width=92, format="percent", min_value=0, max_value=1),
        "lasting": config.NumberColumn("Granted", width=70, format="localized", help="Credits left that last"),
        "columns": config.TextColumn("Columns", width=74, help="Fields of contacts that the person sees"),
        "factor": config.TextColumn("2nd factor", width=80),
        "seen": config.DatetimeColumn(
            "Last seen", width=136, format=formats.pattern(clock=True), timezone=formats.time_zone()
        ),
    }


def _actions(one: Person | None) -> None:
    """Always there, so that nothing jumps when a row is selected."""
    gone = one is not None and one.status is Status.DEACTIVATED
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        st.caption(f"**{plain(one.name)}**" if one else "Select a person to change the account", width="content")
        with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            _action("Edit", "edit", user_dialogs.edit, one)
            _action("Columns", "view_column", user_dialogs.columns, one)
            _action("Grant credits", "add_card", user_dialogs.grant, one)
            _action("New link", "link", user_dialogs.new_link, None if gone else one)
            factor = one if one and one.second_factor else None
            _action("Reset second factor", "phonelink_erase", user_dialogs.reset_factor, factor)
            _action("End sessions", "logout", user_dialogs.end_sessions, one if one and one.last_seen_at else None)
            if gone:
                _action("Reactivate", "toggle_on", user_dialogs.reactivate, one)
            else:
                _action("Deactivate", "toggle_off", user_dialogs.deactivate, one)


def _action(label: str, icon: str, act: Callable[[Person], None], one: Person | None) -> None:
    if pressed(label, key=f"person {label}", icon=f":material/{icon}:", type="tertiary", disabled=one is None) and one:
        act(one)
