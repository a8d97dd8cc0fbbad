"""What is sold and for how much; changing that for whoever buys from now on."""

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.row_buttons import clicked, row_button
from dashboard.widgets.said import say
from models.payments import offers
from models.payments.offers import HIGHEST_PRICE, LEAST_PRICE, LONGEST_TITLE, MOST_CREDITS, Sold
from models.payments.states import OfferKind
from models.permissions import Permission

ROW_HEIGHT = 36
CHANGE = "offer to change"
KEPT = "Whoever has subscribed keeps the old terms until they change their plan; what was bought stays what it was."


def offer_table() -> None:
    by = session.actor()
    sold, may = offers.listed(by=by), by.may(Permission.PAYMENTS_MANAGE)
    config = st.column_config
    with page.card("Prices", "For whoever buys from now on"):
        st.dataframe(
            pd.DataFrame([_row(one, may) for one in sold]),
            hide_index=True,
            row_height=ROW_HEIGHT,
            height="content",
            placeholder=formats.MISSING,
            alt="Prices",
            column_config={
                "change": row_button("", key=CHANGE, meant=[one.code for one in sold], width=90),
                "title": config.TextColumn("Name", width=160),
                "kind": config.TextColumn("Kind", width=150),
                "price": config.TextColumn("Price", width=120, alignment="right"),
                "credits": config.NumberColumn("Credits", width=90, format="localized"),
                "code": config.TextColumn("Code", width=120),
                "razorpay": config.TextColumn("Plan at Razorpay", width=220),
            },
        )
        st.caption(KEPT)
    if picked := clicked(CHANGE):
        change_price_dialog(next(one for one in sold if one.code == picked[0]))


@dialog("Change what is sold", icon=":material/sell:")
def change_price_dialog(one: Sold) -> None:
    monthly = one.kind == OfferKind.PLAN
    title = st.text_input("Name", value=one.title, max_chars=LONGEST_TITLE)
    credits = st.number_input(
        f"Credits{' a month' if monthly else ''}", min_value=1, max_value=MOST_CREDITS, value=one.credits
    )
    price = st.number_input(
        f"Price{' a month' if monthly else ''}, {one.currency}", min_value=LEAST_PRICE / 100,
        max_value=HIGHEST_PRICE / 100, value=one.price / 100, step=100.0, format="%.2f",
    )  # fmt: skip
    st.caption(KEPT)
    if confirmed("Save"):
        with page.refusals():
            done = offers.change(one.code, title=title, credits=credits, price=round(price * 100), by=session.actor())
            say(f"{done.title}: {formats.money(done.price, done.currency)} from now on.")


def _row(one: Sold, may: bool) -> dict[str, object]:
    return {
        "change": "Change" if may else "",
        "title": one.title,
        "kind": "Plan, a month" if one.kind == OfferKind.PLAN else "Credits at once",
        "price": formats.money(one.price, one.currency),
        "credits": one.credits,
        "code": one.code,
        "razorpay": one.razorpay_id,
    }
