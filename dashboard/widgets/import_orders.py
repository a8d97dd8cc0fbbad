"""What a person asks of an import: written down, its flow started, again and again while Prefect is not there."""

import time
from collections.abc import Callable

import streamlit as st

from dashboard import flow_runs, formats, places, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.page import plain
from models import import_orders
from models.imports import Import, State

AGAIN = 20  # seconds after which a flow that did not begin is asked for once more


def ask(found: Import, wanted: State, *, plan: str | None = None) -> None:
    """Have the import brought to that state, and show how it gets there; a refusal is shown as it is."""
    carry_out(lambda: import_orders.ask(found.id, wanted, plan=plan, by=session.actor()))


def carry_out(operation: Callable[[], object]) -> None:
    """Do it and show the import as it stands then, or why it was refused."""
    with page.refusals():
        operation()
        st.rerun()


def start(found: Import) -> bool:
    """Start the flow of what is wanted, now and then until it begins; whether Prefect took it."""
    asked = session.remembered().asked
    last = asked.get((found.id, found.orders))
    if last is not None and time.monotonic() - last < AGAIN:
        return True
    again = import_orders.is_redo(found)
    if not flow_runs.start_import(found.id, until=found.wanted or "", order=found.orders, again=again):
        return False
    asked[found.id, found.orders] = time.monotonic()
    return True


def go(import_id: int, **params: str) -> None:
    """Show that import."""
    places.go("imports", {"id": str(import_id), **params})


def cancel_dialog(found: Import, *, running: bool) -> None:
    """Asks first. What runs is stopped, anything else is cancelled: either way the import is a cancelled one then."""
    title = "Stop this import?" if running else "Cancel this import?"
    dialog(title, icon=":material/cancel:")(_cancel)(found, running=running)


def _cancel(found: Import, *, running: bool) -> None:
    name = f"**{plain(found.file_name)}**"
    st.markdown(
        f"{name} stops within seconds. Nothing of it is written." if running else f"Nothing of {name} was written yet."
    )
    st.caption("Its file is removed from here; its line in the list stays. To import it after all, upload it again.")
    if confirmed("Stop" if running else "Cancel import", no="Keep it"):
        carry_out(lambda: import_orders.cancel(found.id, by=session.actor()))


@dialog("Stop it?", icon=":material/cancel:")
def keep_dialog(found: Import) -> None:
    """Asks before an undo, or the undo of one, is withdrawn."""
    left = "its undo" if import_orders.is_redo(found) else "the import"
    st.markdown(f"The contacts of **{plain(found.file_name)}** stay as {left} left them.")
    if confirmed("Stop", no="Go on"):
        carry_out(lambda: import_orders.cancel(found.id, by=session.actor()))


@dialog("Undo this import?", icon=":material/undo:")
def undo_dialog(found: Import) -> None:
    created, updated = (formats.counted(number, "contact") for number in (found.created, found.updated))
    st.markdown(f"**{plain(found.file_name)}** created {created} and changed {updated}.")
    st.markdown(
        "- Created contacts are removed; their history is kept\n"
        "- Changed contacts get their old values back\n"
        "- What a person or a later import changed since **stays as it is**, value by value, and is listed"
    )
    st.caption("The undo can be undone.")
    if confirmed("Undo the import", no="Keep the import"):
        ask(found, State.UNDONE)


@dialog("Bring this import back?", icon=":material/redo:")
def redo_dialog(found: Import) -> None:
    counts = found.undone or {}
    removed, restored = (formats.counted(counts.get(name, 0), "contact") for name in ("removed", "restored"))
    st.markdown(f"The undo of **{plain(found.file_name)}** removed {removed} and put {restored} back.")
    st.markdown(
        "- Removed contacts come back, with their numbers and their history\n"
        "- What was put back is changed again\n"
        "- What was changed since the undo **stays as it is**, and is listed"
    )
    st.caption("If the file was imported once more since, its contacts will be there twice.")
    if confirmed("Bring it back", no="Leave it undone"):
        carry_out(lambda: import_orders.ask_redo(found.id, by=session.actor()))
