"""What Razorpay told, with what became of it; the selected event word for word, and applying it again."""

import json
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models.database import LARGEST_BIGINT
from models.errors import InvalidInput
from models.payments import events
from models.payments.events import Listed
from models.payments.states import EventState, Source
from models.permissions import Permission

SIZE = 50
ROW_HEIGHT, ROWS_SHOWN = 36, 11
STATES = {
    EventState.WAITING: ("Waits", "blue"), EventState.APPLIED: ("Applied", "green"),
    EventState.IGNORED: ("Not ours", "gray"), EventState.DEAD: ("Given up", "red"),
}  # fmt: skip
SOURCES = {
    Source.WEBHOOK: "Webhook", Source.RETURN: "Return from checkout", Source.ANSWER: "Answer",
    Source.RECONCILIATION: "Comparison",
}  # fmt: skip
STATE, ABOUT = "payment events state", "payment events about"  # the controls


def payment_events() -> None:
    """`state=`, `about=` and `before=` of the address. Raises InvalidInput."""
    by = session.actor()
    state, about, before = _wanted()
    numbers = events.numbers(by=by)
    found, more = events.page(state=state, about=about or None, before_id=before, size=SIZE, by=by)
    _controls(state, about, numbers)
    if not found:
        filtered = state is not None or about or before
        title = "No event matches this" if filtered else "Razorpay has not told anything yet"
        hint = "Leave out a condition." if filtered else "Its webhook has to lead to /api/v1/payments/webhook here."
        with page.empty("webhook", title, hint):
            pass
        return
    with page.card("Events", "The newest first; select one to read it"):
        picked = _table(found)
        _pager(found, more, before)
    if picked:
        _whole(picked)


def _wanted() -> tuple[EventState | None, str, int | None]:
    params = st.query_params
    state, before = params.get("state"), params.get("before")
    if state and state not in set(EventState):
        raise InvalidInput(f"state={state}: choose one of {', '.join(EventState)}.")
    if before and not (before.isdecimal() and before.isascii() and len(before) < len(str(LARGEST_BIGINT))):
        raise InvalidInput(f"before={before[:30]}: it is the number of an event.")
    return EventState(state) if state else None, params.get("about", "").strip(), int(before) if before else None


def _controls(state: EventState | None, about: str, numbers: dict[EventState, int]) -> None:
    st.session_state.update({STATE: state, ABOUT: about})
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.text_input(
            "About", key=ABOUT, type="search", icon=":material/search:", placeholder="pay_…, order_…, sub_…",
            label_visibility="collapsed", width=260, max_chars=60, on_change=_changed,
        )  # fmt: skip
        st.segmented_control(
            "State", list(STATES), key=STATE, label_visibility="collapsed", on_change=_changed,
            format_func=lambda one: f"{STATES[one][0]} :gray[{formats.number(numbers[one])}]",
        )  # fmt: skip
        st.space("stretch")
        may, dead = session.actor().may(Permission.PAYMENTS_MANAGE), numbers[EventState.DEAD]
        if may and st.button("Apply all that were given up", icon=":material/replay:", disabled=not dead):
            _again_all()


def _changed() -> None:
    told = {"part": "events", "state": st.session_state[STATE], "about": st.session_state[ABOUT].strip()}
    st.query_params.from_dict({name: str(value) for name, value in told.items() if value})


def _table(found: list[Listed]) -> Listed | None:
    config = st.column_config
    colours = [page.token(f"{colour}BackgroundColor") for _, colour in STATES.values()]
    moment: dict[str, Any] = {"format": formats.pattern(clock=True), "timezone": formats.time_zone()}
    rows = st.dataframe(
        pd.DataFrame([_row(one) for one in found]),
        key=f"payment events {hash(tuple(one.id for one in found))}",
        on_select="rerun",
        selection_mode="single-row",
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(found) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        placeholder=formats.MISSING,
        alt="Events",
        column_config={
            "number": config.NumberColumn("No.", width=70, format="localized"),
            "received": config.DatetimeColumn("Came", width=150, **moment),
            "kind": config.TextColumn("What", width=190),
            "state": config.MultiselectColumn(
                "State", width=100, options=[word for word, _ in STATES.values()], color=colours
            ),
            "source": config.TextColumn("By", width=150),
            "about": config.TextColumn("About", width=220),
            "tries": config.NumberColumn("Failed", width=70, format="localized"),
            "error": config.TextColumn("Why", width=260),
        },
    ).selection.rows
    return found[rows[0]] if rows and rows[0] < len(found) else None


def _row(one: Listed) -> dict[str, Any]:
    return {
        "number": one.id,
        "received": one.received_at,
        "kind": one.kind,
        "state": [STATES[one.state][0]],
        "source": SOURCES[one.source],
        "about": ", ".join(one.about) or None,
        "tries": one.tries or None,
        "error": one.error,
    }


def _pager(found: list[Listed], more: bool, before: int | None) -> None:
    if before is None and not more:
        return
    with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall"):
        st.button("Newest", icon=":material/first_page:", type="tertiary", disabled=before is None,
                  on_click=_go, args=(None,))  # fmt: skip
        st.button("Older", icon=":material/chevron_right:", icon_position="right", type="tertiary", disabled=not more,
                  on_click=_go, args=(found[-1].id,))  # fmt: skip


def _go(before: int | None) -> None:
    if before is None:
        st.query_params.pop("before", None)
    else:
        st.query_params["before"] = str(before)


def _whole(one: Listed) -> None:
    by = session.actor()
    found, words = events.get(one.id, by=by)
    with page.card(plain(found.kind), f"Event {formats.number(found.id)}, {plain(found.event_id)}"):
        st.markdown(_story(found))
        if by.may(Permission.PAYMENTS_MANAGE) and st.button("Apply again", icon=":material/replay:"):
            with page.refusals():
                done = events.replay(found.id, by=by)
                say(f"Event {done.id}: {STATES[done.state][0].lower()}.")
        st.code(_pretty(words), language="json", height=320)


def _story(one: Listed) -> str:
    """What became of it, as Markdown."""
    told = [f"Told {formats.moment(one.told_at)}, came {formats.moment(one.received_at)}"]
    told += [f"applied {formats.moment(one.applied_at)}"] if one.applied_at else []
    told += [f"failed {formats.counted(one.tries, 'time')}"] if one.tries else []
    told += [f"tried again {formats.moment(one.next_try_at)}"] if one.next_try_at else []
    return "; ".join(told) + "." + (f" {plain(one.error)}" if one.error else "")


def _pretty(words: str) -> str:
    try:
        return json.dumps(json.loads(words), indent=2, ensure_ascii=False)
    except ValueError:
        return words


def _again_all() -> None:
    with page.refusals():
        done = events.replay_dead(by=session.actor())
        say(f"{formats.counted(done, 'event was', 'events were')} applied.")
