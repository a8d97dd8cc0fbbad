"""The entry script: runs for every visitor and every rerun, and lets nobody past the sign-in."""

from pathlib import Path

import streamlit as st

from dashboard import places, session, sign_in

STATIC = Path(__file__).parent / "static"

st.set_page_config(page_title="Appointment360", page_icon=STATIC / "mark.svg", layout="wide")
st.html(STATIC / "touches.css")
actor = session.someone()
page = st.navigation([places.page(name) for name in places.PLACES], position="sidebar" if actor else "hidden")
if actor is None:
    sign_in.show()
    st.stop()

theme = "dark" if st.context.theme.type == "dark" else "light"
st.logo(STATIC / f"logo-{theme}.svg", icon_image=STATIC / "mark.svg", size="large")
with st.sidebar:
    choice = st.menu_button(actor.name, ["Sign out"], icon=":material/account_circle:", type="tertiary", key="person")
    st.caption(actor.role.label, help=actor.role.description)
if choice == "Sign out":
    sign_in.sign_out()
page.run()
