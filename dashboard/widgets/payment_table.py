"""Everybody's payments below the revenue; the selected one whole, with its refunds and the way to give it back."""

import streamlit as st

from dashboard import formats, places, session
from dashboard.widgets import page
from dashboard.widgets.page import plain
from dashboard.widgets.payment_columns import bought, method, table
from dashboard.widgets.payment_filters import payment_filters, wanted
from dashboard.widgets.payment_pages import older, pager
from dashboard.widgets.refund_dialog import refund_dialog
from dashboard.widgets.revenue_chart import revenue_chart
from models.payments import gateway, listing
from models.payments.listing import Listed, RefundLine
from models.payments.states import RefundState
from models.permissions import Permission

ORDER = ("number", "at", "who", "what", "amount", "back", "state", "credits", "method", "invoice")
REFUNDS = {
    RefundState.ASKED: "is being asked for at Razorpay", RefundState.PENDING: "is on its way",
    RefundState.PROCESSED: "was given back", RefundState.FAILED: "was refused",
}  # fmt: skip


def payment_table() -> None:
    """Raises InvalidInput (the address)."""
    by, chosen = session.actor(), wanted()
    found, more = listing.page(chosen, after=older(), by=by)
    revenue_chart(listing.revenue(by=by), may_export=by.may(Permission.CONTACTS_EXPORT))
    payment_filters(chosen)
    if not found:
        filtered = chosen != listing.Wanted() or older() is not None
        title = "No payment matches this" if filtered else "Nobody has paid anything yet"
        hint = (
            "Choose a longer period, or leave out a condition." if filtered else "Payments appear here by themselves."
        )
        with page.empty("payments", title, hint):
            if filtered:
                st.button("Show all", on_click=st.query_params.clear)
        return
    with page.card("Payments", "The latest first; select one to see all of it"):
        key = f"payments {hash(tuple(one.id for one in found))}"
        looks = {"on_select": "rerun", "selection_mode": "single-row", "alt": "Payments", "key": key}
        picked = table(found, ORDER, **looks).selection.rows
        pager(more)
    if picked and picked[0] < len(found):
        _details(found[picked[0]].id)


def _details(number: int) -> None:
    one, refunds = listing.get(number, by=session.actor())
    with page.card(f"Payment {formats.number(one.id)}", plain(one.razorpay_id)):
        with st.grid(4, min_column_width=170, gap="small"):
            for name, value in _facts(one).items():
                with st.container(gap=None):
                    st.caption(name)
                    st.markdown(plain(value))
        if one.error:
            st.caption(f":material/error: {plain(one.error)}")
        for refund in refunds:
            st.markdown(f"- {_said(refund, one.currency)}")
        _actions(one)


def _facts(one: Listed) -> dict[str, str]:
    of = f"order {one.order_id}" if one.order_id else f"subscription {one.subscription_id}"
    left = one.credits - one.credits_back if one.credits is not None else None
    spent = f", {formats.number(one.credits_spent)} spent before a refund" if one.credits_spent else ""
    return {
        "Who": f"{one.name}, {one.email}" if one.name else "Nobody that is known here",
        "For": bought(one) or "Nothing that is known here",
        "Of": of if one.order_id or one.subscription_id else formats.MISSING,
        "When": formats.moment(one.paid_at),
        "Amount": formats.money(one.amount, one.currency),
        "Given back": formats.money(one.refunded, one.currency),
        "Credits": f"{formats.number(left)} of {formats.number(one.credits)}{spent}" if one.credits else "None",
        "By": method(one) or formats.MISSING,
    }


def _said(one: RefundLine, currency: str) -> str:
    """A refund in a sentence, as Markdown."""
    amount, when = formats.money(one.amount, currency), formats.moment(one.refunded_at)
    told = [f"**{amount}** {REFUNDS[one.state]}, {when}, {f'by {plain(one.by)}' if one.by else 'at Razorpay'}"]
    told += [f"took back {formats.counted(one.credits, 'credit')}"] if one.credits else []
    told += [plain(said) for said in (one.reason, one.error) if said]
    return "; ".join(told)


def _actions(one: Listed) -> None:
    by = session.actor()
    with st.container(horizontal=True, gap="xsmall"):
        if by.may(Permission.PAYMENTS_MANAGE) and st.button(
            "Give back", icon=":material/undo:", disabled=not (one.is_refundable and gateway.ready()),
        ):  # fmt: skip
            refund_dialog(one)
        if st.button("What Razorpay told of it", icon=":material/webhook:", type="tertiary"):
            places.go("payments", {"part": "events", "about": one.razorpay_id})
        if one.email and by.may(Permission.USERS_MANAGE) and st.button("Show the person", icon=":material/person:",
                                                                       type="tertiary"):  # fmt: skip
            places.go("users", {"q": one.email})
