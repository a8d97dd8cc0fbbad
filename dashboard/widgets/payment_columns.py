"""How payments are drawn in tables, one's own and everybody's."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats
from dashboard.widgets import page
from models.payments.listing import Listed
from models.payments.states import OfferKind, PaymentState

ROW_HEIGHT, ROWS_SHOWN = 36, 11
STATES = {
    "Begun": "gray", "Failed": "red", "Authorised": "yellow", "Paid": "green", "Given back": "gray",
    "Partly given back": "violet",
}  # fmt: skip
WORDS = {
    PaymentState.CREATED: "Begun", PaymentState.FAILED: "Failed", PaymentState.AUTHORIZED: "Authorised",
    PaymentState.CAPTURED: "Paid", PaymentState.REFUNDED: "Given back",
}  # fmt: skip
METHODS = {"upi": "UPI", "emi": "EMI", "netbanking": "Net banking"}


def state(one: Listed) -> str:
    if one.state == PaymentState.CAPTURED and one.refunded:
        return "Partly given back" if one.refunded < one.amount else "Given back"
    return WORDS[one.state]


def bought(one: Listed) -> str | None:
    """What it was paid for, in words."""
    if one.title is None:
        return "A subscription" if one.kind == OfferKind.PLAN else None
    return f"{one.title}, a month" if one.kind == OfferKind.PLAN else one.title


def row(one: Listed) -> dict[str, Any]:
    return {
        "number": one.id,
        "at": one.paid_at,
        "what": bought(one),
        "who": one.email,
        "amount": formats.money(one.amount, one.currency),
        "back": formats.money(one.refunded, one.currency) if one.refunded else None,
        "state": [state(one)],
        "credits": None if one.credits is None else one.credits - one.credits_back,
        "method": method(one),
        "invoice": one.invoice_url,
    }


def method(one: Listed) -> str | None:
    return METHODS.get(one.method, one.method.capitalize()) if one.method else None


def table(
    payments: Sequence[Listed], order: Sequence[str], receipts: Sequence[str | None] | None = None, **more: Any
) -> Any:
    """`receipts` are their addresses; `more` is what `st.dataframe` takes beside."""
    config = st.column_config
    colours = [page.token(f"{colour}BackgroundColor") for colour in STATES.values()]
    return st.dataframe(
        pd.DataFrame([row(one) for one in payments]).assign(receipt=receipts),
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(payments) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        placeholder=formats.MISSING,
        column_order=order,
        column_config={
            "number": config.NumberColumn("No.", width=55, format="localized"),
            "at": config.DatetimeColumn(
                "When", width=145, format=formats.pattern(clock=True), timezone=formats.time_zone()
            ),
            "what": config.TextColumn("For", width=130),
            "who": config.TextColumn("Who", width=170),
            "amount": config.TextColumn("Amount", width=100, alignment="right"),
            "back": config.TextColumn("Given back", width=95, alignment="right"),
            "state": config.MultiselectColumn("State", width=130, options=list(STATES), color=colours),
            "credits": config.NumberColumn("Credits", width=70, format="localized"),
            "method": config.TextColumn("By", width=80),
            "receipt": config.LinkColumn("Receipt", width=75, display_text="Open"),
            "invoice": config.LinkColumn("Invoice", width=70, display_text="Open"),
        },
        **more,
    )
