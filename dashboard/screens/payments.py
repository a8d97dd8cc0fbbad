"""Payments, for who looks after them: `/payments?part=...`, each part with its own filters in the address."""

from collections.abc import Callable

import streamlit as st

from dashboard import session
from dashboard.widgets import page
from dashboard.widgets.offer_table import offer_table
from dashboard.widgets.payment_comparison import comparison
from dashboard.widgets.payment_events import payment_events
from dashboard.widgets.payment_table import payment_table
from dashboard.widgets.payments_ready import not_ready
from models.errors import InvalidInput
from models.payments import events
from models.payments.states import EventState

TITLE = "Payments"
PART = "part"  # in the address
CHOICE = "payments part"  # the control
PARTS: dict[str, tuple[str, Callable[[], None]]] = {
    "payments": ("All payments", payment_table),
    "events": ("Events", payment_events),
    "comparison": ("Comparison", comparison),
    "prices": ("Prices", offer_table),
}


def show() -> None:
    part = st.query_params.get(PART, "")
    part = part if part in PARTS else next(iter(PARTS))
    dead = events.numbers(by=session.actor())[EventState.DEAD]
    with page.header(TITLE, "Everybody’s, as Razorpay tells of them."):
        _parts(part, dead)
    not_ready()
    try:
        PARTS[part][1]()
    except InvalidInput as error:
        with page.empty("search_off", "This address cannot be read", error.sentence, colour="red"):
            st.button("Show all", on_click=_choose, args=(part,))


def _parts(part: str, dead: int) -> None:
    """`dead` events are said wherever one is: nobody would look for them."""
    st.session_state[CHOICE] = part
    titles = {name: title for name, (title, _) in PARTS.items()}
    if dead:
        titles["events"] += f" :red-badge[{dead} given up]"
    st.segmented_control(
        "Part", list(titles), key=CHOICE, format_func=titles.__getitem__, label_visibility="collapsed", required=True,
        on_change=lambda: _choose(st.session_state[CHOICE]),
    )  # fmt: skip


def _choose(part: str | None) -> None:
    """Its address, without the filters of the part before."""
    st.query_params.from_dict({} if part in (None, next(iter(PARTS))) else {PART: part})
