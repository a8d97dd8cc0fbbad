"""What runs by schedule: when next, and how it went last; running one now, and letting a schedule rest."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.job_words import STATES, job
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models import flow_schedules, jobs
from models.flow_runs import Run
from models.flow_schedules import Schedule
from models.permissions import Permission

ROW_HEIGHT = 36
KINDS = {"On": "green", "Asked for": "blue", "Waits": "blue", "Paused": "yellow", "Off": "gray"}


def job_schedules(there: list[Schedule], newest: dict[str, Run]) -> None:
    """`newest` is the last run of each."""
    if not there:
        hint = "The runner writes down what it runs when it starts, some seconds after the web."
        with page.empty("schedule", "Nothing is scheduled yet", hint):
            pass
        return
    with page.card("By schedule", f"Schedules and times in the time zone {plain(there[0].time_zone)}"):
        one = _table(there, newest)
        _actions(one)


def kind(one: Schedule) -> str:
    if one.asked_at is not None:
        return "Asked for"
    if one.cron is None:
        return "Off"
    if one.waits_since is not None:
        return "Waits"
    return "Paused" if one.paused else "On"


def _table(there: list[Schedule], newest: dict[str, Run]) -> Schedule | None:
    config = st.column_config
    moment: dict[str, Any] = {"format": formats.pattern(clock=True), "timezone": there[0].time_zone}
    rows = st.dataframe(
        pd.DataFrame([_row(one, newest.get(one.flow)) for one in there]),
        key="job schedules",
        on_select="rerun",
        selection_mode="single-row",
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content",
        placeholder=formats.MISSING,
        alt="By schedule",
        column_config={
            "job": config.TextColumn("Job", width=170),
            "kind": _words("Schedule", KINDS.items()),
            "when": config.TextColumn("When", width=230),
            "next": config.DatetimeColumn("Next", width=150, **moment),
            "last": config.DatetimeColumn("Last run", width=150, **moment),
            "state": _words("Ended", dict(STATES.values()).items()),
            "took": config.TextColumn("Took", width=90),
        },
    ).selection.rows
    return there[rows[0]] if rows and rows[0] < len(there) else None


def _words(title: str, words: Any) -> Any:
    named = dict(words)
    colours = [page.token(f"{colour}BackgroundColor") for colour in named.values()]
    return st.column_config.MultiselectColumn(title, width=110, options=list(named), color=colours)


def _row(one: Schedule, last: Run | None) -> dict[str, Any]:
    return {
        "job": job(one.flow),
        "kind": [kind(one)],
        "when": one.sentence.removesuffix(f", {one.time_zone}"),
        "next": one.next_at,
        "last": last and last.started_at,
        "state": [STATES[last.state][0]] if last else [],
        "took": formats.duration(last.seconds) if last else None,
    }


def _actions(one: Schedule | None) -> None:
    """Always there, so that nothing jumps when a row is selected."""
    may = one is not None and session.actor().may(Permission.SERVER_MANAGE)
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
        st.caption(_said_of(one), width="stretch")  # which breaks within itself, so that the buttons stay beside it
        paused = one is not None and one.paused
        label, icon = ("Resume", "play_arrow") if paused else ("Pause", "pause")
        can_rest = may and one is not None and one.cron is not None
        if _action(label, icon, can_rest) and one:
            _rest(one)
        if _action("Run now", "play_circle", may and one is not None and one.asked_at is None) and one:
            said = f"{job(one.flow)} begins within seconds, as run {{}}."
            _carry_out(lambda: formats.number(jobs.run(one.flow, by=session.actor())), said)


def _rest(one: Schedule) -> None:
    by, name = session.actor(), job(one.flow)
    if one.paused:
        _carry_out(lambda: flow_schedules.resume(one.flow, by=by), f"{name} runs by its schedule again.")
    else:
        _carry_out(lambda: flow_schedules.pause(one.flow, by=by), f"{name} runs only when somebody asks for it.")


def _said_of(one: Schedule | None) -> str:
    if one is None:
        return "Select a job to run it now, or to pause its schedule"
    told = [f"**{plain(job(one.flow))}**", f"a second run: {plain(one.again)}"]
    if one.paused:
        told.insert(1, f"paused by {plain(one.paused_by or 'the operator')} on {plain(formats.moment(one.paused_at))}")
    if one.waits_since is not None:
        told.insert(1, f"due since {plain(formats.moment(one.waits_since))}, it waits until others are done")
    return " · ".join([*told, f"changed by {plain(one.setting)}"])


def _action(label: str, icon: str, may: bool) -> bool:
    return st.button(label, icon=f":material/{icon}:", type="tertiary", disabled=not may)


def _carry_out(operation: Callable[[], object], sentence: str) -> None:
    """`sentence` may have a place, {}, for what the operation gives."""
    with page.refusals(passing=True):
        say(sentence.format(operation()))
