"""Tokens, with which programs act in one's name: made, shown once, listed, revoked."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.copy_button import copy_button
from dashboard.widgets.press import pressed
from dashboard.widgets.row_buttons import clicked, row_button
from dashboard.widgets.said import say
from models import tokens
from models.accounts import MAX_NAME
from models.permissions import ACCOUNT, SCOPES, Actor, Permission
from models.settings import settings
from models.tokens import Listed

MADE = "token made"  # the name of the token that is shown, and itself
REVOKE = "token to revoke"  # the key of clicks on a row's button
EVERYTHING, SOME = "All that you may", "Only some"
LASTS: dict[str, int | None] = {"30 days": 30, "90 days": 90, "1 year": 365, "Until revoked": None}
STANDARD = "90 days"
WORKS, OVER = "Works", "Over"
ROWS_SHOWN, ROW_HEIGHT = 8, 36


def tokens_card(found: list[Listed]) -> None:
    """Those that work, and for a while also those that work no more."""
    if wanted := clicked(REVOKE):
        revoke_dialog(*wanted[0])
    with page.card("Tokens", "Programs show one in place of your sign-in"):
        if found:
            _table(found)
        else:
            st.caption("You have none. A token lets a program use the API in your name, with as much as you allow.")
        if st.button("New token", icon=":material/add:"):
            new_dialog()


def hand_over_token() -> None:
    """The token that was just made, until it is put away."""
    if MADE in st.session_state:
        shown_once_dialog()


@dialog("New token", icon=":material/vpn_key:")
def new_dialog() -> None:
    by = session.actor()
    name = st.text_input("Name", key="token name", placeholder="What it is for", max_chars=MAX_NAME)
    scopes = _scopes(by)
    lasts = st.segmented_control("Works for", list(LASTS), default=STANDARD, required=True, key="token lasts")
    if _sent("Make it"):
        with page.refusals():
            _, token = tokens.create(name, scopes=scopes, days=LASTS[lasts], by=by)
            st.session_state[MADE] = (name.strip(), token)
            st.rerun()  # to `hand_over_token`: what stood in this dialog would stay below it


@dialog("Your token", icon=":material/vpn_key:", width="medium", dismissible=False)
def shown_once_dialog() -> None:
    name, token = st.session_state[MADE]
    st.markdown(f"**{page.plain(name)}**: copy it to where the program finds it. It is shown only now.")
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.code(token, language=None, wrap_lines=True, width="stretch")
        copy_button(token, label="Copy the token", words=True, key="copy the token")
    st.caption(page.plain(f"With each request to {settings().address}/api/v1 it sends:"))
    st.code("Authorization: Bearer a360_…", language=None)
    if st.button("I have put it away", type="primary", width="stretch"):
        del st.session_state[MADE]
        say("Your token works.")


@dialog("Revoke the token?", icon=":material/key_off:")
def revoke_dialog(token_id: int, name: str) -> None:
    st.markdown(f"Programs that show **{page.plain(name)}** are refused from now on.")
    st.caption("This cannot be taken back; a new token can be made.")
    if confirmed("Revoke"):
        with page.refusals():
            tokens.revoke(token_id, by=session.actor())
            say(f"{name} was revoked.")


def _scopes(by: Actor) -> list[str] | None:
    """None is all that the person may."""
    which = st.segmented_control(
        "What it may do", [EVERYTHING, SOME], default=EVERYTHING, required=True, key="token may"
    )
    if which == EVERYTHING:
        st.caption("Also what you may do later, should your role change.")
        return None
    offered = [*(one.scope for one in Permission if by.may(one)), ACCOUNT]
    return st.pills(
        "Scopes", offered, selection_mode="multi", key="token scopes", label_visibility="collapsed",
        format_func=lambda scope: SCOPES[scope].capitalize(),
    )  # fmt: skip


def _sent(yes: str) -> bool:
    with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall"):
        if st.button("Cancel", key="token cancel"):
            st.rerun()
        return pressed(yes, key="token send", type="primary")


def _table(found: list[Listed]) -> None:
    config = st.column_config
    moment = {"format": formats.pattern(clock=True), "timezone": formats.time_zone()}
    colours = [page.token(f"{colour}BackgroundColor") for colour in ("green", "gray")]
    st.dataframe(
        pd.DataFrame([_row(one) for one in found]),
        key=f"tokens {hash(tuple((one.id, one.works) for one in found))}",
        hide_index=True,
        height="content" if len(found) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        row_height=ROW_HEIGHT,
        placeholder=formats.MISSING,
        column_config={
            "name": config.TextColumn("Name", width=112),
            "may": config.TextColumn("May", width=118),
            "ending": config.TextColumn("Ends in", width=66),
            "used": config.DatetimeColumn("Last used", width=136, **moment),
            "until": config.DatetimeColumn("Until", width=92, format=formats.pattern(), timezone=formats.time_zone()),
            "state": config.MultiselectColumn("State", width=72, options=[WORKS, OVER], color=colours),
            "revoke": row_button(
                "", key=REVOKE, meant=[(one.id, one.name) for one in found], width=72, type="tertiary"
            ),
        },
        alt="Your tokens",
    )


def _row(one: Listed) -> dict[str, Any]:
    may = EVERYTHING if one.scopes is None else ", ".join(SCOPES.get(scope, scope) for scope in one.scopes)
    return {
        "name": one.name,
        "may": may[:1].upper() + may[1:],
        "ending": f"…{one.ending}",
        "used": one.last_used_at,
        "until": one.expires_at,
        "state": [WORKS if one.works else OVER],
        "revoke": "Revoke" if one.works else None,
    }
