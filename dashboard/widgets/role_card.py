"""What each role may do, and whether it asks for a second factor."""

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.said import say
from models import role_rules
from models.permissions import DEEDS, Permission, Role
from models.users import Person, Status

ASKED = "role rule asked"


def role_card(everyone: list[Person]) -> None:
    """`everyone` tells how many people a rule concerns."""
    with page.card("What a role may do"):
        with st.grid(3, min_column_width=200, gap="small"):
            for role in Role:
                with st.container(gap="xsmall"):
                    number = sum(one.role is role and one.status is not Status.DEACTIVATED for one in everyone)
                    st.markdown(f"**{role.label}** :gray[{formats.number(number)}]")
                    st.caption(role.description)
                    _rule(role)
        st.table(_deeds(), hide_index=True, border="horizontal", alt="What a role may do")
    if asked := st.session_state.pop(ASKED, None):
        _ask(*asked, everyone)


def _deeds() -> pd.DataFrame:
    able = {
        role.label: ["✓ Yes" if needed is None or needed in role.permissions else "–" for needed in DEEDS.values()]
        for role in Role
    }
    return pd.DataFrame({"": list(DEEDS)} | able)


def _rule(role: Role) -> None:
    by = session.actor()
    required = role_rules.second_factor_required(role, by=by)
    key = f"second factor of {role.value}"
    st.session_state[key] = required  # until it is confirmed it stays as it was
    st.toggle(
        f"{role.label}s need a second factor", key=key, on_change=_note, args=(role, not required),
        disabled=not by.may(Permission.SETTINGS_CHANGE),
    )  # fmt: skip


def _note(role: Role, wanted: bool) -> None:
    st.session_state[ASKED] = (role, wanted)


@dialog("Second factor", icon=":material/phonelink_lock:")
def _ask(role: Role, wanted: bool, everyone: list[Person]) -> None:
    if wanted:
        by = session.actor()
        without = [
            one for one in everyone if one.role is role and one.status is Status.ACTIVE and not one.second_factor
        ]
        number = formats.counted(len(without), "person", "people")
        verb = "has" if len(without) == 1 else "have"
        st.markdown(f"Every {role.label.lower()} has to sign in with a code of an authenticator app.")
        own = " You are one of them." if by.id in {one.id for one in without} else ""
        st.caption(f"{number} {verb} none yet: signed out at once, to set one up at the next sign-in.{own}")
    else:
        st.markdown(f"{role.label}s no longer have to have a second factor. Whoever has one still signs in with it.")
    if confirmed("Require it" if wanted else "Ask no longer"):
        with page.refusals():
            ended = role_rules.require_second_factor(role, wanted, by=session.actor())
            out = f"; {formats.counted(ended, 'person', 'people')} signed out" if ended else ""
            need = "need a second factor now" if wanted else "need no second factor any more"
            say(f"{role.label}s {need}{out}.")
