"""Plans: what is sold, one's own subscription and payments: `/plans?older=...`."""

import streamlit as st

from dashboard import places, session
from dashboard.widgets import page
from dashboard.widgets.credits import words
from dashboard.widgets.offer_cards import offer_cards
from dashboard.widgets.own_payments import own_payments
from dashboard.widgets.payment_pages import older
from dashboard.widgets.payments_ready import not_ready
from dashboard.widgets.subscription_card import subscription_card
from models import credits
from models.errors import InvalidInput
from models.payments import listing, offers, subscriptions

TITLE = "Plans"


def show() -> None:
    by = session.actor()
    try:
        with page.skeleton("plans", TITLE, 220, 220, 320) as place:
            balance, sold = credits.balance(by=by), offers.listed(by=by)
            mine = subscriptions.current(by=by)
            payments, more = listing.mine(after=older(), by=by)
    except InvalidInput as error:
        with page.empty("search_off", "This address cannot be read", error.sentence, colour="red"):
            st.button("Show the latest", on_click=st.query_params.clear)
        return
    with place.container():
        with page.header(TITLE, f"You have {words(balance)}."):
            if st.button("Your credits", icon=":material/toll:", type="tertiary"):
                places.go("profile")
        not_ready()
        subscription_card(mine, sold)
        offer_cards(sold, mine)
        own_payments(payments, more)
