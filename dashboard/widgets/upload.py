"""The box that takes a file and sends it in pieces, past Streamlit, which would hold it in memory."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

PIECE = 8_000_000  # bytes
HERE = Path(__file__).parent
HTML, STYLE, SCRIPT = ((HERE / f"upload.{kind}").read_text() for kind in ("html", "css", "js"))


@dataclass(frozen=True)
class Sent:
    """What the browser has to tell: the import whose upload it has `begun`, or `done`."""

    begun: int | None = None
    done: int | None = None


def upload_box(*, hint: str, unfinished: str | None = None, open_id: int | None = None) -> Sent:
    """`unfinished` says which file to choose to go on with the import `open_id`, in place of the `hint`."""
    box = st.components.v2.component("upload_box", html=HTML, css=STYLE, js=SCRIPT)
    locale = st.context.locale if isinstance(st.context.locale, str) else None
    data = {"piece": PIECE, "hint": hint, "unfinished": unfinished, "open": open_id, "locale": locale}
    told = box(data=data, key="upload box", on_begun_change=_nothing, on_done_change=_nothing)
    return Sent(told.get("begun"), told.get("done"))


def _nothing() -> None:
    """A trigger reruns the script only where it has a callback."""
