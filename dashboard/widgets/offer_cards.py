"""What is sold, each with the button that leads to its payment."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.page import plain
from dashboard.widgets.pay_now import pay_now
from dashboard.widgets.press import pressed
from dashboard.widgets.subscription_dialogs import change_dialog, differing
from models.payments import gateway, orders, subscriptions
from models.payments.offers import Sold
from models.payments.states import RUNNING, OfferKind
from models.payments.subscriptions import CHANGEABLE, Own

PER = 100  # a price is said of so many credits


def offer_cards(sold: list[Sold], mine: Own | None) -> None:
    """`mine` is the person's subscription."""
    for kind, title, note in (
        (OfferKind.PLAN, "Plans", "Charged each month; its credits last until they are spent"),
        (OfferKind.PACK, "Credits at once", "Paid once; they last until they are spent"),
    ):
        with st.container(gap="xxsmall"):
            st.subheader(title, anchor=False)
            st.caption(note)
        wall = st.grid(3, min_column_width=200, border=True)
        for one in (one for one in sold if one.kind == kind):
            with wall.cell():
                _card(one, mine)


def _card(one: Sold, mine: Own | None) -> None:
    monthly = one.kind == OfferKind.PLAN
    with st.container(gap="xsmall"):
        st.markdown(f"**{plain(one.title)}**")
        st.metric("Price", formats.money(one.price, one.currency), label_visibility="collapsed")
        each = formats.money(one.price * PER // one.credits, one.currency)
        with st.container(gap=None):
            st.caption(f"{formats.counted(one.credits, 'credit')}{' a month' if monthly else ''}")
            st.caption(f"{each} for {PER}")
        if monthly:
            _choose_plan(one, mine)
        elif pressed("Buy", key=f"buy {one.code}", icon=":material/shopping_cart:", disabled=not gateway.ready()):
            with page.refusals():
                pay_now(f"/pay/order/{orders.create(one.code, by=session.actor()).order_id}")


def _terms(plan: Sold) -> str:
    return f"{formats.money(plan.price, plan.currency)} for {formats.counted(plan.credits, 'credit')} a month"


def _choose_plan(one: Sold, mine: Own | None) -> None:
    if mine is None or mine.state not in RUNNING:
        if pressed("Subscribe", key=f"subscribe {one.code}", icon=":material/autorenew:", disabled=not gateway.ready()):
            with page.refusals():
                subscriptions.start(one.code, by=session.actor())
                pay_now("/pay/subscription")
        return
    if mine.plan.code == one.code and mine.plan.id != one.id:
        st.caption(f"Your plan, at its old {differing(mine.plan, one)}: {_terms(mine.plan)}.")
    if mine.plan.id == one.id and mine.next_plan is None:
        st.button("Your plan", key=f"plan {one.code}", icon=":material/check:", disabled=True)
        return
    if mine.next_plan is not None and mine.next_plan.id == one.id:
        st.button("From the next charge on", key=f"plan {one.code}", icon=":material/schedule:", disabled=True)
        return
    may = gateway.ready() and mine.state in CHANGEABLE and not mine.cancels_at_end
    label = "Change to it"
    if mine.plan.code == one.code:
        label = "Stay with it" if mine.plan.id == one.id else f"Take the new {differing(mine.plan, one)}"
    if pressed(label, key=f"change {one.code}", icon=":material/swap_horiz:", disabled=not may):
        change_dialog(mine, one)
