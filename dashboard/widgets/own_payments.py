"""What a person has paid, with Razorpay's invoices; the number of a payment is that of its line here."""

import streamlit as st

from dashboard import formats
from dashboard.widgets import page
from dashboard.widgets.payment_columns import table
from dashboard.widgets.payment_pages import pager
from models.payments.listing import Keys, Listed

ORDER = ("number", "at", "what", "amount", "back", "state", "credits", "method", "invoice")


def own_payments(payments: list[Listed], more: Keys | None) -> None:
    """`more` are the keys of the page that follows."""
    with page.card("Your payments", "The latest first" if payments else ""):
        if not payments:
            st.caption("You have not paid anything yet.")
        else:
            table(payments, ORDER, alt="Your payments")
            for one in payments[:3]:
                if one.error:
                    said = f"Payment {formats.number(one.id)} failed: {one.error}"
                    st.caption(f":material/error: {page.plain(said)}")
        pager(more)
