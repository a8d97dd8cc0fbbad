"""Streamlit's fragments and dialogs, which run again by themselves, timed like the screens around them."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import streamlit as st

from models import timings
from models.tallies import TALLY

P = ParamSpec("P")
R = TypeVar("R")


def part(draw: Callable[P, R], *, run_every: str | None = None) -> Callable[P, R]:
    """Streamlit's `fragment`. When the whole screen runs, it is timed with that."""
    return cast(Callable[P, R], st.fragment(_timed(draw), run_every=run_every))


def dialog(title: str, **options: Any) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Streamlit's `dialog`: it opens with the screen, is timed with that, and runs by itself while it is open."""
    return lambda draw: cast(Callable[P, None], st.dialog(title, **options)(_timed(draw)))


def _timed(draw: Callable[P, R]) -> Callable[P, R]:
    @wraps(draw)  # Streamlit finds a part again by the module and name of its function
    def timed(*given: P.args, **named: P.kwargs) -> R:
        if TALLY.get() is not None:
            return draw(*given, **named)
        with timings.timed("part", name, user_id=_whose()):
            return draw(*given, **named)

    name = f"{draw.__module__.rpartition('.')[2]}.{draw.__name__.removeprefix('_')}"
    return timed


def _whose() -> int | None:
    """As the whole screen saw it: a part that reads nothing is not to ask who is signed in."""
    known: Any = st.session_state.get("whose")
    return known if isinstance(known, int) else None
