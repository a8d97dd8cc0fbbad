"""Pages of payments by the address: `older` is the moment and the number of the last payment of the page before."""

from datetime import UTC, datetime

import streamlit as st

from models.database import LARGEST_ID
from models.errors import InvalidInput
from models.payments.listing import Keys

OLDER = "older"
LONGEST = 60  # characters


def older() -> Keys | None:
    """Raises InvalidInput."""
    text = st.query_params.get(OLDER)
    if not text:
        return None
    moment, _, number = text[:LONGEST].partition("_")
    try:
        at, payment = datetime.fromisoformat(moment), int(number)
    except ValueError as error:
        raise InvalidInput(f"{OLDER}={text[:LONGEST]}: it is no page of payments.") from error
    if not 0 < payment <= LARGEST_ID:
        raise InvalidInput(f"{OLDER}={text[:LONGEST]}: there is no payment of that number.")
    return at if at.tzinfo else at.replace(tzinfo=UTC), payment


def pager(more: Keys | None) -> None:
    """The way to the newest and to older ones; `more` are the keys of the page that follows."""
    first = OLDER not in st.query_params
    if first and more is None:
        return
    with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall"):
        st.button("Newest", icon=":material/first_page:", type="tertiary", disabled=first, on_click=_go, args=(None,))
        st.button("Older", icon=":material/chevron_right:", icon_position="right", type="tertiary",
                  disabled=more is None, on_click=_go, args=(more,))  # fmt: skip


def _go(keys: Keys | None) -> None:
    if keys is None:
        st.query_params.pop(OLDER, None)
    else:
        st.query_params[OLDER] = f"{keys[0].astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}_{keys[1]}"
