"""What administrators do with accounts: each dialog says what will happen before it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.column_choice import column_choice, hidden_words
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.copy_button import copy_button
from dashboard.widgets.page import plain
from dashboard.widgets.press import pressed
from dashboard.widgets.said import say
from models import credits, second_factors, sign_ins, tokens, users
from models.accounts import MAX_EMAIL, MAX_NAME
from models.link_tokens import Purpose
from models.permissions import Role
from models.users import DEFAULT_DOWNLOAD_LIMIT, Changes, Person, Status

GRANT, TAKE_BACK = "Grant", "Take back"
MADE = "people link"  # the link that is shown in the dialog that made it


@dataclass(frozen=True)
class Made:
    """`link` is None where it was mailed."""

    name: str
    email: str
    purpose: Purpose
    link: str | None


def _forget_link() -> None:
    st.session_state.pop(MADE, None)


def invite() -> None:
    _forget_link()
    _invite()


def new_link(one: Person) -> None:
    _forget_link()
    _new_link(one)


@dialog("Invite a person", icon=":material/person_add:", width="medium", on_dismiss=_forget_link)
def _invite() -> None:
    _then_the_link(_invitation)


def _invitation() -> None:
    left, right = st.columns(2)
    email = left.text_input("Work e-mail", key="invite e-mail", placeholder="ann@example.com", max_chars=MAX_EMAIL)
    name = right.text_input("Name", key="invite name", placeholder="As others are to see it", max_chars=MAX_NAME)
    role = _role(Role.ANALYST, "invite role")
    limit = _limit(DEFAULT_DOWNLOAD_LIMIT, "invite limit")
    allowed = column_choice(None, "invite columns")
    st.caption("They choose their own password by a link, which works once, within 7 days.")
    if _sent("Invite", "invite send"):
        with page.refusals():
            made = users.invite(
                email=email, name=name, role=role, download_limit=limit, column_allowed=allowed, by=session.actor()
            )
            st.session_state[MADE] = Made(made.user.name, made.user.email, Purpose.INVITATION, made.link)


@dialog("New link", icon=":material/link:", on_dismiss=_forget_link)
def _new_link(one: Person) -> None:
    _then_the_link(lambda: _ask_for_link(one))


def _ask_for_link(one: Person) -> None:
    invited = one.status is Status.INVITED
    if invited:
        st.markdown(f"**{plain(one.name)}** gets a new invitation, to {plain(one.email)}.")
    else:
        st.markdown(f"**{plain(one.name)}** gets a link to choose a new password, to {plain(one.email)}.")
    st.caption(f"It works once, within {'7 days' if invited else '1 hour'}. Links of before no longer work.")
    if confirmed("Make the link"):
        with page.refusals():
            link = users.new_link(one.email, by=session.actor())
            purpose = Purpose.INVITATION if invited else Purpose.RESET
            st.session_state[MADE] = Made(one.name, one.email, purpose, link)


def _then_the_link(ask: Callable[[], None]) -> None:
    """What the dialog asks; once that made a link the whole page runs again, and `hand_over` shows it: what stood in a
    dialog would stay below what takes its place."""
    if MADE not in st.session_state:
        ask()
        if MADE in st.session_state:
            st.rerun()
    else:
        _handed_over(st.session_state[MADE])


def hand_over() -> None:
    """The link that was made last, until it is done with."""
    if MADE in st.session_state:
        _link()


@dialog("The link", icon=":material/link:", width="medium", on_dismiss=_forget_link)
def _link() -> None:
    _handed_over(st.session_state[MADE])


def _handed_over(made: Made) -> None:
    """The link to copy, where it was not mailed."""
    what = "invitation" if made.purpose is Purpose.INVITATION else "link for a new password"
    if made.link is None:
        st.success(f"The {what} was mailed to {plain(made.email)}.", icon=":material/mark_email_read:")
    else:
        st.markdown(f"No mail server is set: hand this {what} over to **{plain(made.name)}**.")
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.code(made.link, language=None, wrap_lines=True, width="stretch")
            copy_button(made.link, label="Copy the link", words=True, key="copy the link")
        st.caption("It is shown only this once. The message with it lies in the outbox folder, too.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Done", type="primary"):
            _forget_link()
            st.rerun()


@dialog("Edit", icon=":material/edit:")
def edit(one: Person) -> None:
    st.text(one.email)
    name = st.text_input("Name", value=one.name, key=f"edit name {one.id}", max_chars=MAX_NAME)
    role = _role(one.role, f"edit role {one.id}")
    limit = _limit(one.download_limit, f"edit limit {one.id}")
    changes = Changes(name=name, role=role, download_limit=limit, unlimited=limit is None)
    if _sent("Save", f"edit save {one.id}"):
        _carry_out(lambda: users.change(one.email, changes, by=session.actor()), f"{name.strip()} was saved.")


@dialog("Columns", icon=":material/view_column:", width="large")
def columns(one: Person) -> None:
    st.markdown(f"Which fields of contacts **{plain(one.name)}** sees: on screens, in exports, everywhere.")
    allowed = column_choice(one.column_allowed, f"columns {one.id}")
    changes = Changes(column_allowed=allowed, every_column=allowed is None)
    if _sent("Save", f"columns save {one.id}"):
        words = hidden_words(allowed)
        _carry_out(lambda: users.change(one.email, changes, by=session.actor()), f"{one.name}: {words}")


@dialog("Grant credits", icon=":material/add_card:")
def grant(one: Person) -> None:
    left = credits.balance(of=one.id, by=session.actor())
    st.markdown(f"**{plain(one.name)}** has {plain(left.words)}.")
    way = st.segmented_control("Way", [GRANT, TAKE_BACK], default=GRANT, required=True, label_visibility="collapsed")
    # Without bounds: out of them the browser keeps the number of before, and sends that.
    amount = st.number_input("Credits", value=None, step=100, key="grant amount", placeholder="How many")
    note = st.text_input("What for", key="grant note", max_chars=200, placeholder="It stands in the ledger")
    st.caption("One credit takes one contact out. Granted credits last, and are used when the month's are gone.")
    if _sent(way, "grant send"):
        number = int(amount or 0)
        counted = formats.counted(number, "credit")
        if way == GRANT:
            _carry_out(
                lambda: credits.grant(one.email, number, note, by=session.actor()), f"{one.name} was granted {counted}."
            )
        else:
            _carry_out(
                lambda: credits.take_back(one.email, number, note, by=session.actor()),
                f"{counted} were taken back from {one.name}.",
            )


@dialog("Reset the second factor?", icon=":material/phonelink_erase:")
def reset_factor(one: Person) -> None:
    st.markdown(f"For when the device of **{plain(one.name)}** is lost: its codes no longer count.")
    st.caption(f"{_signed_out(one)} Where the role asks for a second factor, a new one is set up at the next sign-in.")
    if confirmed("Reset"):
        _carry_out(
            lambda: second_factors.reset(one.email, by=session.actor()), f"{one.name} has no second factor any more."
        )


@dialog("End all sessions?", icon=":material/logout:")
def end_sessions(one: Person) -> None:
    working = sum(token.works for token in tokens.listed_of(one.email, by=session.actor()))
    st.markdown(f"**{plain(one.name)}** is signed out at once, on every device.")
    too = bool(working) and st.checkbox(
        f"Revoke {formats.counted(working, 'token')} of programs, too", key="end tokens"
    )
    st.caption("The account stays as it is, and can be signed in to again." + _oneself(one))
    if confirmed("End sessions"):
        _carry_out(lambda: _ended(one, too), lambda done: done)


def _ended(one: Person, tokens_too: bool) -> str:
    """Ends them; what was done, in a sentence."""
    by = session.actor()
    places = formats.counted(sign_ins.end_all(one.email, by=by), "place")
    if not tokens_too:
        return f"{one.name} was signed out in {places}."
    revoked = formats.counted(tokens.revoke_all_of(one.email, by=by), "token")
    return f"{one.name} was signed out in {places}; {revoked} revoked."


@dialog("Deactivate?", icon=":material/toggle_off:")
def deactivate(one: Person) -> None:
    st.markdown(f"**{plain(one.name)}** can no longer sign in, and is signed out at once.")
    st.caption("Contacts, imports and exports stay. The account can be reactivated at any time." + _oneself(one))
    if confirmed("Deactivate"):
        _carry_out(lambda: users.deactivate(one.email, by=session.actor()), f"{one.name} is deactivated.")


def reactivate(one: Person) -> None:
    with page.refusals(passing=True):
        users.reactivate(one.email, by=session.actor())
        say(f"{one.name} may sign in again.")


def _signed_out(one: Person) -> str:
    return "You are signed out at once." if one.id == session.actor().id else f"{plain(one.name)} is signed out."


def _oneself(one: Person) -> str:
    return " This is your own account: you are signed out, too." if one.id == session.actor().id else ""


def _role(chosen: Role, key: str) -> Role:
    roles = list(Role)
    return st.radio(
        "Role", roles, index=roles.index(chosen), key=key, format_func=lambda role: role.label,
        captions=[role.description for role in roles],
    )  # fmt: skip


def _limit(stored: int | None, key: str) -> int | None:
    """Contacts a month; None is no limit."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        unlimited = st.session_state.get(f"{key} none", stored is None)
        number = st.number_input(
            "Contacts a month", step=100, width=200, disabled=unlimited,
            value=DEFAULT_DOWNLOAD_LIMIT if stored is None else stored, key=key,
        )  # fmt: skip
        unlimited = st.checkbox("No limit", value=stored is None, key=f"{key} none")
    return None if unlimited else int(number)


def _sent(yes: str, key: str) -> bool:
    """The dialog's last row; a click straight from a field is not lost."""
    with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall"):
        if st.button("Cancel", key=f"{key} cancel"):
            st.rerun()
        return pressed(yes, key=key, type="primary")


def _carry_out(operation: Callable[[], Any], sentence: str | Callable[[Any], str]) -> None:
    with page.refusals():
        done = operation()
        say(sentence if isinstance(sentence, str) else sentence(done))
