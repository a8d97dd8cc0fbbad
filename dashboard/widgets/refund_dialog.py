"""Asks how much of a payment is given back, and says before what that takes back of its credits."""

import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models.payments import refunds
from models.payments.listing import Listed
from models.payments.refunds import LONGEST_REASON, Proposal
from models.payments.states import RefundState


@dialog("Give a payment back", icon=":material/undo:")
def refund_dialog(one: Listed) -> None:
    by = session.actor()
    with page.refusals():  # it was given back meanwhile
        whole = refunds.proposal(one.id, by=by)
        st.markdown(f"Payment **{formats.number(one.id)}** of {plain(one.name or 'somebody unknown')}")
        most = whole.refundable / 100
        amount = st.number_input(
            f"Amount, {one.currency}", min_value=min(1.0, most), max_value=most, value=most, step=100.0, format="%.2f",
            help=f"At most {formats.money(whole.refundable, one.currency)}",
        )  # fmt: skip
        paise = round(amount * 100)
        reason = st.text_input("Reason", max_chars=LONGEST_REASON, placeholder="Kept here and at Razorpay")
        proposed = refunds.proposal(one.id, paise, by=by)
        _taken(proposed)
        if confirmed(f"Give back {formats.money(paise, one.currency)}"):
            made = refunds.refund(one.id, paise, reason, by=by)
            back = formats.money(made.amount, one.currency)
            later = made.state == RefundState.ASKED
            say(f"{back} is asked for; Razorpay does not answer yet." if later else f"{back} is given back.")


def _taken(proposed: Proposal) -> None:
    with st.grid(2, min_column_width=130, border=True, gap="xsmall"):
        st.metric("Takes back credits", formats.number(proposed.credits))
        st.metric("Spent already", formats.number(proposed.spent), help="They are not left, and stay with the person")
    if proposed.spent:
        told = formats.counted(proposed.spent, "credit is", "credits are")
        st.caption(f"{told} spent and stay spent: the money is given back all the same.")
