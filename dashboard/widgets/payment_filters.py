"""Which payments are shown: the address says it, these controls show it and change it."""

from datetime import date

import streamlit as st

from dashboard import formats
from dashboard.widgets.payment_columns import WORDS
from models.errors import InvalidInput
from models.payments.listing import FIRST_DAY, LAST_DAY, UNKNOWN, Wanted
from models.payments.states import OfferKind, PaymentState

KINDS = {OfferKind.PLAN: "A plan", OfferKind.PACK: "Credits at once", UNKNOWN: "Unknown"}
LONGEST = 300  # characters of an e-mail
STATE, KIND, WHO, PERIOD = (f"payments {name}" for name in ("state", "kind", "who", "period"))


def wanted() -> Wanted:
    """What the address asks for. Raises InvalidInput."""
    params = st.query_params
    state, kind = params.get("state"), params.get("kind")
    if state and state not in set(PaymentState):
        raise InvalidInput(f"state={state}: choose one of {', '.join(PaymentState)}.")
    if kind and kind not in KINDS:
        raise InvalidInput(f"kind={kind}: choose one of {', '.join(KINDS)}.")
    who = params.get("who", "").strip()[:LONGEST] or None
    return Wanted(PaymentState(state) if state else None, kind or None, who, _day("since"), _day("until"))


def payment_filters(chosen: Wanted) -> None:
    since, until = chosen.since, chosen.until
    period = tuple(one for one in (since or until, until if since else None) if one)
    st.session_state.update({STATE: chosen.state, KIND: chosen.kind, WHO: chosen.who or "", PERIOD: period})
    with st.grid(4, min_column_width=150, gap="small"):
        st.text_input(
            "Who", key=WHO, type="search", icon=":material/search:", placeholder="E-mail, or pay_…",
            max_chars=LONGEST, on_change=_changed,
        )  # fmt: skip
        st.selectbox(
            "State", list(PaymentState), key=STATE, placeholder="Any", on_change=_changed, index=None,
            format_func=WORDS.__getitem__,
        )  # fmt: skip
        st.selectbox(
            "For", list(KINDS), key=KIND, placeholder="Anything", on_change=_changed, index=None,
            format_func=KINDS.__getitem__,
        )  # fmt: skip
        st.date_input(
            "Period", key=PERIOD, min_value=FIRST_DAY, max_value=LAST_DAY, format=formats.day_pattern(),
            on_change=_changed, help="From and to, both included; days are days in UTC",
        )  # fmt: skip


def _changed() -> None:
    """Of a period whose end is not chosen yet nothing changes."""
    state = st.session_state
    period = state[PERIOD] if isinstance(state[PERIOD], tuple) else (state[PERIOD],)
    old = wanted()
    since, until = (old.since, old.until) if len(period) == 1 else period or (None, None)
    told = {"state": state[STATE], "kind": state[KIND], "who": state[WHO].strip(), "since": since, "until": until}
    st.query_params.from_dict({name: str(value) for name, value in told.items() if value})


def _day(name: str) -> date | None:
    text = st.query_params.get(name)
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{name}={text[:LONGEST]}: write a day like 2026-11-22.") from error
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidInput(f"{name}={text}: give a day from {FIRST_DAY:%Y} to {LAST_DAY:%Y}.")
    return day
