"""The entry script: runs for every visitor and every rerun, and lets nobody past the sign-in."""

from pathlib import Path

import streamlit as st

from dashboard import account_link, places, session, sign_in
from dashboard.widgets import contact_form, import_choices
from dashboard.widgets.browser_history import join_steps
from dashboard.widgets.page import plain
from dashboard.widgets.said import said
from dashboard.widgets.views_beside import views_beside
from models import timings

STATIC = Path(__file__).parent / "static"
ABOUT = """**Appointment360** keeps business contacts: browse, filter, chart, import and export them.

Nothing is lost and nothing is final: every change has its history, every import its undo."""

# Without an item of its own the menu, and with it the choice of light and dark, need not be there.
menu = {"About": ABOUT}
st.set_page_config(page_title="Appointment360", page_icon=STATIC / "mark.svg", layout="wide", menu_items=menu)
try:
    actor = session.someone()
except Exception:  # raised on, once the navigation knows the addresses
    screens = [places.page(name) for name in places.PLACES]
    st.navigation(screens, position="hidden")  # else the address means the start page once the database is back
    raise
if actor:
    session.belong_to(actor)
link = account_link.opened()
screens = [places.page(name, actor) for name in places.PLACES]
page = st.navigation(screens, position="sidebar" if actor and link is None else "hidden", expanded=True)
said()
if link is not None:
    account_link.show(link)
    st.stop()
if actor is None:
    typed = contact_form.keep_typed()
    import_choices.keep_chosen()
    sign_in.show(kept="what you typed on the contact’s page is kept" if typed else "")
    st.stop()

theme = "dark" if st.context.theme.type == "dark" else "light"
st.logo(STATIC / f"logo-{theme}.svg", icon_image=STATIC / "mark.svg", size="large")
beside = st.sidebar.container(key="views", gap=None)
with st.sidebar, st.container(key="person_menu", gap=None):
    name = plain(actor.name)
    choice = st.menu_button(
        name, ["Profile", "Sign out"], icon=":material/account_circle:", type="tertiary", key="person"
    )
    st.caption(actor.role.label, help=actor.role.description)
    join_steps()
if choice == "Sign out":
    sign_in.sign_out()
if choice == "Profile":
    places.go("profile")
page.run()
with beside, timings.timed("part", "views_beside", user_id=actor.id):
    views_beside(by=actor)  # last: what it counts must not keep the page waiting
