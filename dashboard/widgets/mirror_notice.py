"""How this instance's mirror of contacts stands: a quiet line while it loads, and a card for who runs the server."""

import streamlit as st

from dashboard import formats
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.page import badge, plain
from models.contacts import own_mirror
from models.contacts.own_mirror import Phase, Progress, Standing

EVERY = "5s"
FEW = 100_000  # contacts, which the database counts at once
SHOWN_BEHIND = 5  # seconds
OFF = "APPOINTMENT360_MIRROR is off: the database answers everything."
MEANWHILE = "The database answers meanwhile: every number is right, and counts take longer."


def mirror_notice() -> None:
    """Nothing where counts are as fast as they get."""
    if _is_worth_telling(own_mirror.progress()):
        part(_line, run_every=EVERY)()


def _line() -> None:
    progress = own_mirror.progress()
    if _is_worth_telling(progress):
        st.caption(f":material/speed: Counts get faster in a moment: {_read(progress)} are read")


def _is_worth_telling(progress: Progress) -> bool:
    return progress.phase is Phase.LOADING and max(progress.done, progress.total) >= FEW


def _read(progress: Progress) -> str:
    """The total is an estimate, which a table that was never looked at has not."""
    if not progress.total:
        return formats.counted(progress.done, "contact")
    return f"{formats.number(progress.done)} of {formats.counted(progress.total, 'contact')}"


def mirror_card() -> None:
    with page.card("Mirror of contacts", "Of the instance that shows this page"):
        found = own_mirror.standing()
        if found is None:
            st.markdown(f"{badge('Off', 'gray')} {plain(OFF)}")
            return
        label, colour, told = _told(found)
        st.markdown(f"{badge(label, colour)} {told}")
        follows = found.progress.phase is Phase.FOLLOWING
        st.caption("Counts, facets and charts come from it." if follows else MEANWHILE)


def _told(found: Standing) -> tuple[str, str, str]:
    """The label, its colour, and Markdown of what it holds and what is wrong."""
    progress, file = found.progress, f"{formats.size(found.bytes)} on disk"
    match progress.phase:
        case Phase.FOLLOWING:
            return _following(found, file)
        case Phase.LOADING:
            return "Loads", "blue", f"{_read(progress)} are read · {file}"
        case Phase.WAITING:
            return "Waits", "yellow", plain(progress.fault or "It begins once the database answers.")
        case Phase.OFF:
            return "Given up", "red", plain(progress.fault)


def _following(found: Standing, file: str) -> tuple[str, str, str]:
    told = [file] if found.contacts is None else [f"**{formats.counted(found.contacts, 'contact')}**", file]
    if found.progress.fault:
        told.append(plain(found.progress.fault))
    if found.behind is None or found.behind < SHOWN_BEHIND:
        return "Follows", "green", " · ".join(told)
    return "Behind", "yellow", " · ".join([*told, f"last seen whole {formats.duration(found.behind)} ago"])
