"""One browser's session: its cookie, where it comes from, who it is, and what its screens remember between reruns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from models import logs, sign_ins
from models.permissions import Actor

if TYPE_CHECKING:
    from models.contacts.bulk import Batch

T = TypeVar("T")
SCHEME_HEADER = "x-edge-scheme"  # these are set by edge.py on the websocket, whatever the browser sent
ADDRESS_HEADER = "x-edge-address"
REQUEST_HEADER = "x-edge-request"


Ticked = tuple[str, frozenset[int]]  # the filter, and the ids of the ticked rows


@dataclass
class Remembered:
    """What outlives a rerun and does not belong in the address."""

    facets_open: bool = True
    pagers: int = 0
    export_id: int | None = None  # the export whose progress the contacts screen shows
    comparing: int | None = None  # the export that was made anew last, whose receipt the exports screen shows
    started: set[int] = field(default_factory=set)  # exports whose flow this browser has started
    asked: dict[tuple[int, int], float] = field(default_factory=dict)  # import and order -> when its flow was asked for
    basket: Ticked = ("", frozenset())  # what is ticked, on this and on other pages of the same filter
    table: tuple[str, list[int]] = ("", [])  # the table of contacts, and which of its rows were ticked at first
    whole: Ticked | None = None  # while just these rows are ticked, all that match are selected
    batch: "Batch | None" = None  # what was last done to many contacts, for its undo
    done: str = ""  # the same in words
    selections: int = 0  # a new number unticks every row
    painted: set[str] = field(default_factory=set)  # screens that were shown once: the next time nothing is blank
    clicks: int = 0  # on charts; a new number makes them new, with nothing clicked
    run: object = None  # see `once`, with what was read in it
    read: dict[str, Any] = field(default_factory=dict)


def cookie_name(*, secure: bool) -> str:
    """Under https a name that browsers take only with Secure, from this very host and for every path."""
    return "__Host-session" if secure else "session"


def cookie_token() -> str | None:
    """The token as it was when the websocket opened; a new cookie counts from the next page load."""
    value = st.context.cookies.get(cookie_name(secure=_header(SCHEME_HEADER) == "https"))
    return value if isinstance(value, str) else None


def address() -> str | None:
    return _header(ADDRESS_HEADER)


def someone() -> Actor | None:
    """Who is signed in, asked of the database in every run: a session that was ended stops at once."""
    found = once("someone", lambda: sign_ins.actor_of(cookie_token()))
    logs.bind(request_id=_header(REQUEST_HEADER), person_id=found.id if found is not None else None)
    return found


def actor() -> Actor:
    """Who is signed in; without one the whole page reruns and shows the sign-in form.

    Fragments call this too: they rerun without the entry script.
    """
    found = someone()
    if found is None:
        st.rerun()
    return found


def belong_to(by: Actor) -> None:
    """What was remembered for somebody else is forgotten.

    A tab that lost its connection comes back to the same session, with the cookie that the browser has by then.
    """
    if st.session_state.setdefault("whose", by.id) != by.id:
        st.session_state.clear()
        st.session_state["whose"] = by.id


def untick() -> None:
    """No contact is ticked any more, on no page."""
    known = remembered()
    known.basket, known.whole = ("", frozenset()), None
    known.selections += 1


def remembered() -> Remembered:
    return st.session_state.setdefault("remembered", Remembered())


def once(name: str, read: Callable[[], T]) -> T:
    """What `read` gives, which parts of a screen ask for again and again: read once in a run, callbacks included."""
    context, known = get_script_run_ctx(), remembered()
    run = context and context.cursors  # a new one in every run, of the script or of a fragment
    if run is None:
        return read()
    if known.run is not run:
        known.run, known.read = run, {}
    if name not in known.read:
        known.read[name] = read()
    found: T = known.read[name]
    return found


def _header(name: str) -> str | None:
    value = st.context.headers.get(name)
    return value if isinstance(value, str) else None
