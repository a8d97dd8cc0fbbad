"""What a person has paid, with receipts and Razorpay's invoices; the number of a payment is that of its line here."""

from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from dashboard import formats
from dashboard.widgets import page
from dashboard.widgets.payment_columns import table
from dashboard.widgets.payment_pages import pager
from models.payments.listing import UNKNOWN, Keys, Listed
from models.payments.states import CAPTURED

ORDER = ("number", "at", "what", "amount", "back", "state", "credits", "method", "receipt", "invoice")


def own_payments(payments: list[Listed], more: Keys | None) -> None:
    """`more` are the keys of the page that follows."""
    with page.card("Your payments", "The latest first" if payments else ""):
        if not payments:
            st.caption("You have not paid anything yet.")
        else:
            table(payments, ORDER, [_receipt(one) for one in payments], alt="Your payments")
            for one in payments[:3]:
                if one.error:
                    said = f"Payment {formats.number(one.id)} failed: {one.error}"
                    st.caption(f":material/error: {page.plain(said)}")
        pager(more)


def _receipt(one: Listed) -> str | None:
    """Its whole address: a link in a table is that of a page anywhere."""
    if one.state not in CAPTURED or one.kind == UNKNOWN:
        return None
    here = urlsplit(st.context.url or "")
    return urlunsplit((here.scheme, here.netloc, f"/pay/receipt/{one.id}", "", ""))
