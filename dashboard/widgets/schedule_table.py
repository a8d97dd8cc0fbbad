"""The scheduled exports with how the last one went, and what can be done with the selected one: a fragment."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import flow_runs, formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.export_dialog import FORMATS
from dashboard.widgets.said import say
from dashboard.widgets.schedule_dialog import change_dialog
from models import view_exports, view_runs
from models.permissions import Actor, Permission
from models.view_exports import Schedule, ViewRun

STATES = {"Active": "green", "Runs": "blue", "Failed": "red", "Paused": "gray", "View is deleted": "gray"}
ROWS_SHOWN, ROW_HEIGHT = 8, 36


@part
def schedule_table(found: list[Schedule]) -> None:
    by = session.actor()
    note = "With the rights and credits of who set it up"
    with page.card("Exports by schedule", note):
        selected = _table(found, by)
        _actions(selected, by)
        if selected:
            _runs(selected)


def state(one: Schedule) -> str:
    if one.rests:
        return "View is deleted"
    if one.running:
        return "Runs"
    if not one.active:
        return "Paused"
    return "Failed" if one.last is not None and one.last.state == view_runs.FAILED else "Active"


def _table(found: list[Schedule], by: Actor) -> Schedule | None:
    picked = st.dataframe(
        pd.DataFrame([_row(one) for one in found]),
        key=f"schedules {hash(tuple(one.id for one in found))}",
        on_select="rerun",
        selection_mode="single-row",
        height="content" if len(found) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        row_height=ROW_HEIGHT,
        hide_index=True,
        placeholder="–",
        column_order=[
            "view", "state", "when", "next", "last", "outcome", "place", "format",
            *(["who"] if by.may(Permission.OTHERS_OVERSEE) else []),
        ],
        column_config=_drawings(),
        alt="Exports by schedule",
    ).selection.rows  # fmt: skip
    return found[picked[0]] if picked and picked[0] < len(found) else None


def _row(one: Schedule) -> dict[str, Any]:
    rests = one.rests or not one.active
    return {
        "view": one.view,
        "state": [state(one)],
        "when": one.sentence,
        "next": None if rests else one.next_at,
        "place": one.wanted.place,
        "format": FORMATS[one.wanted.format],
        "last": one.last.finished_at if one.last else None,
        "outcome": _outcome(one.last),
        "who": "You" if one.mine else one.owner,
    }


def _outcome(run: ViewRun | None) -> str | None:
    if run is None:
        return None
    return run.error or run.file_name


def _drawings() -> dict[str, Any]:
    config, clock, zone = st.column_config, formats.pattern(clock=True), formats.time_zone()
    colours = [page.token(f"{colour}BackgroundColor") for colour in STATES.values()]
    return {
        "view": config.TextColumn("View", width=135),
        "state": config.MultiselectColumn("State", width=115, options=list(STATES), color=colours),
        "when": config.TextColumn("When", width=185),
        "next": config.DatetimeColumn("Next", width=140, format=clock, timezone=zone),
        "place": config.TextColumn("Place", width=150),
        "format": config.TextColumn("Format", width=75),
        "last": config.DatetimeColumn("Last", width=140, format=clock, timezone=zone),
        "outcome": config.TextColumn("Outcome", width=260),
        "who": config.TextColumn("By", width=110),
    }


def _actions(one: Schedule | None, by: Actor) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            "Select one to change it" if one is None else f"**{page.plain(one.view)}**, {page.plain(one.sentence)}",
            width="content",
        )
        st.space("stretch")
        if _action("Run now", "play_arrow", one is not None and not one.rests) and one:
            _run_now(one, by)
        active = one is None or one.active
        if _action("Pause" if active else "Go on", "pause" if active else "resume", one is not None) and one:
            with page.refusals(passing=True):
                view_exports.pause(one.id, active, by=by)
                say(f"The schedule of “{one.view}” {'rests' if active else 'goes on with its next moment'}.")
        if _action("Change", "edit_calendar", one is not None) and one:
            change_dialog(one)
        if _action("End", "event_busy", one is not None) and one:
            with page.refusals(passing=True):
                view_exports.unschedule(one.id, by=by)
                say(f"“{one.view}” is exported by this schedule no more. Its files and receipts stay.")


def _run_now(one: Schedule, by: Actor) -> None:
    with page.refusals(passing=True):
        view_exports.run_now(one.id, by=by)
        flow_runs.start_view_exports()
        say(f"“{one.view}” is exported now, beside its schedule: within a minute or two.")


def _action(label: str, icon: str, possible: bool) -> bool:
    return st.button(label, icon=f":material/{icon}:", type="tertiary", disabled=not possible)


def _runs(one: Schedule) -> None:
    """How the last times went."""
    for run in view_runs.recent(one.id, limit=5):
        when = formats.moment(run.due_at)
        if run.state == view_runs.DONE:
            st.caption(f":green[:material/check_circle:] {when} · {page.plain(run.file_name or '')}")
        elif run.state == view_runs.FAILED:
            st.caption(f":red[:material/error:] {when} · {page.plain(run.error or '')}")
        else:
            waits = f" · {page.plain(run.error)}" if run.error else ""
            st.caption(f":gray[:material/schedule:] {when} · It waits or runs{waits}")
