"""A person's own account: name, e-mail, password, second factor, where they are signed in, tokens of programs."""

import streamlit as st

from dashboard import places, session
from dashboard.widgets import credits, page
from dashboard.widgets.profile_about import about, password
from dashboard.widgets.profile_factor import put_codes_away, second_factor
from dashboard.widgets.profile_sessions import sessions
from dashboard.widgets.profile_tokens import hand_over_token, tokens_card
from models import profile, second_factors, sign_ins, tokens


def show() -> None:
    by = session.actor()
    with page.skeleton("profile", "Profile", 200, 200, 200, 200) as place:
        me = profile.get(by=by)
        left = second_factors.left(by=by) if me.second_factor else 0
        open_sessions, own_tokens = sign_ins.sessions_of(by=by), tokens.listed(by=by)
    with place.container():
        with page.header("Profile", me.role.label):
            pass
        cards = st.grid(2, min_column_width=320, border=True)
        with cards.cell():
            about(me)
        with cards.cell():
            password()
            st.divider()
            second_factor(me, left)
        sessions(open_sessions)
        tokens_card(own_tokens)
        with page.card("Download credits"):
            credits.balance(by)
            if st.button("Your exports", icon=":material/download:"):
                places.go("exports")
    put_codes_away()
    hand_over_token()
