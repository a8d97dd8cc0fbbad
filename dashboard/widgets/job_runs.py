"""What ran, the newest first; the selected run with its numbers, its log, and running it once more."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import flow_logs, formats, session
from dashboard.widgets import page
from dashboard.widgets.job_words import STATES, counts, ended, job, whom
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models import flow_runs, jobs
from models.database import LARGEST_ID
from models.errors import InvalidInput
from models.flow_runs import Run, RunState
from models.permissions import Permission

SIZE = 25
ROW_HEIGHT, ROWS_SHOWN = 36, 11
JOB, STATE = "jobs job", "jobs state"  # the controls


def job_runs() -> None:
    """`job=`, `state=` and `before=` of the address. Raises InvalidInput."""
    flow, state, before = _wanted()
    by = session.actor()
    with page.card("What ran", f"The newest first, times in {formats.time_zone()}; select one to see more"):
        _controls(flow, state, flow_runs.known_flows(by=by))
        found = flow_runs.page(flow=flow, state=state, before=before, limit=SIZE + 1, by=by)
        if not found:
            st.caption("Nothing like this ran." if flow or state or before else "Nothing ran yet.")
            return
        picked = _table(found[:SIZE])
        _pager(found, before)
    if picked is not None:
        _one(picked)


def _wanted() -> tuple[str | None, RunState | None, int | None]:
    params = st.query_params
    state, before = params.get("state"), params.get("before")
    if state and state not in set(RunState):
        raise InvalidInput(f"state={state[:30]}: choose one of {', '.join(RunState)}.")
    if before and not (before.isdecimal() and before.isascii() and len(before) < len(str(LARGEST_ID))):
        raise InvalidInput(f"before={before[:30]}: it is the number of a run.")
    return params.get("job") or None, RunState(state) if state else None, int(before) if before else None


def _controls(flow: str | None, state: RunState | None, flows: list[str]) -> None:
    st.session_state.update({JOB: flow, STATE: state})
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        options = flows if flow is None or flow in flows else [*flows, flow]
        st.selectbox(
            "Job", options, key=JOB, format_func=job, placeholder="All jobs", label_visibility="collapsed", width=230,
            on_change=_changed,
        )  # fmt: skip
        st.segmented_control(
            "State", jobs.ENDED, key=STATE, format_func=lambda one: STATES[one][0], label_visibility="collapsed",
            on_change=_changed,
        )  # fmt: skip


def _changed() -> None:
    told = {"job": st.session_state[JOB], "state": st.session_state[STATE]}
    st.query_params.from_dict({name: str(value) for name, value in told.items() if value})


def _table(found: list[Run]) -> Run | None:
    config = st.column_config
    named = dict(STATES.values())
    colours = [page.token(f"{colour}BackgroundColor") for colour in named.values()]
    moment: dict[str, Any] = {"format": formats.pattern(clock=True), "timezone": formats.time_zone()}
    rows = st.dataframe(
        pd.DataFrame([_row(one) for one in found]),
        key=f"job runs {hash(tuple(one.id for one in found))}",
        on_select="rerun",
        selection_mode="single-row",
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(found) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        placeholder=formats.MISSING,
        alt="What ran",
        column_config={
            "number": config.NumberColumn("No.", width=60, format="localized"),
            "job": config.TextColumn("Job", width=135),
            "about": config.TextColumn("About", width=95),
            "state": config.MultiselectColumn("State", width=105, options=list(named), color=colours),
            "started": config.DatetimeColumn("Began", width=130, **moment),
            "took": config.TextColumn("Took", width=80),
            "by": config.TextColumn("Asked", width=95),
            "counts": config.TextColumn("Counted", width=185),
            "error": config.TextColumn("Why", width=240),
        },
    ).selection.rows
    return found[rows[0]] if rows and rows[0] < len(found) else None


def _row(one: Run) -> dict[str, Any]:
    return {
        "number": one.id,
        "job": job(one.flow),
        "about": one.about,
        "state": [STATES[one.state][0]],
        "started": one.started_at,
        "took": formats.duration(one.seconds),
        "by": whom(one),
        "counts": counts(one.counts),
        "error": one.error,
    }


def _pager(found: list[Run], before: int | None) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        if before is not None:
            st.button("Newest", icon=":material/first_page:", type="tertiary", on_click=_turn, args=(None,))
        if len(found) > SIZE:
            st.button(
                "Older", icon=":material/chevron_right:", type="tertiary", on_click=_turn, args=(found[SIZE - 1].id,)
            )


def _turn(before: int | None) -> None:
    kept = {name: value for name, value in st.query_params.items() if name != "before"}
    st.query_params.from_dict(kept | ({"before": str(before)} if before else {}))


def _one(one: Run) -> None:
    with page.card(
        f"{job(one.flow)}, run {formats.number(one.id)}",
        f"{ended(one)}, asked {whom(one)}" if not one.scheduled else f"{ended(one)}, {whom(one)}",
    ):
        if one.error:
            page.refusal(one.error)
        if one.counts:
            st.markdown(plain(counts(one.counts)))
        _log(one)
        _actions(one)


def _log(one: Run) -> None:
    lines = flow_logs.lines(one.prefect_id)
    if lines is None:
        st.caption("Prefect has no log of it." if one.prefect_id is None else "Prefect does not tell its log just now.")
    elif not lines:
        st.caption("Nothing was logged.")
    else:
        told = "\n".join(f"{formats.clock(line.at)}  {line.level:<8} {line.message}" for line in lines)
        st.code(told, language=None, height=min(28 * len(lines) + 40, 340), wrap_lines=True)


def _actions(one: Run) -> None:
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
        may = session.actor().may(Permission.SERVER_MANAGE)
        if may and one.prefect_id is not None and (prefect := flow_logs.address(one.prefect_id)) is not None:
            st.link_button("In Prefect", prefect, icon=":material/open_in_new:", type="tertiary")
        if not may or one.state not in jobs.ENDED_BADLY:
            return
        if (why := jobs.why_not_again(one)) is not None:
            st.caption(why, width="content")
        elif st.button("Retry", icon=":material/replay:", key=f"again {one.id}"):
            with page.refusals():
                run = jobs.retry(one.id, by=session.actor())
                number = f", as run {formats.number(run)}" if run else ""
                say(f"{job(one.flow)} begins again within a minute{number}.")
