"""How an import ended, and what can be done with it then."""

import streamlit as st

from dashboard import formats, places, session
from dashboard.widgets import import_changes, import_drift, import_rejects, page
from dashboard.widgets.import_kept import kept
from dashboard.widgets.import_mapping import KEEP_WORDS
from dashboard.widgets.import_numbers import numbers
from dashboard.widgets.import_orders import cancel_dialog, redo_dialog, undo_dialog
from dashboard.widgets.import_plan import account, but
from dashboard.widgets.import_progress import resume_button
from dashboard.widgets.page import plain
from models import import_kept, imports
from models.import_kept import Run
from models.import_phases import Phase
from models.import_undos import Kind
from models.imports import Changed, Import, Keep, Listed
from models.permissions import Permission

UNDONE = {"removed": "Removed", "restored": "Put back", "kept": "Kept as they are"}
REDONE = {"returned": "Here again", "restored": "Changed again", "kept": "Kept as they are"}
WORTH_A_SPEED = 1000  # rows: with fewer it is the start that takes the time


def outcome(listed: Listed, phase: Phase) -> None:
    found = listed.import_
    if phase is Phase.DONE:
        _done(listed)
    elif phase is Phase.UNDONE:
        _undone(listed)
    elif phase is Phase.STOPPED:
        _stopped(found)
    elif phase is Phase.FAILED:
        _failed(found)
    else:
        _cancelled(found)


def error_of(found: Import) -> None:
    """Why the last thing that was asked of it did not happen."""
    if found.error:
        page.refusal(found.error)


def _done(listed: Listed) -> None:
    found = listed.import_
    error_of(found)
    numbers(found)
    with st.container(horizontal=True, gap="xsmall"):
        changed = found.created + found.updated
        if changed and st.button("See the imported contacts", icon=":material/contacts:"):
            places.go("contacts", {"import": str(found.id)})
        if _may_undo() and st.button("Undo the import", icon=":material/undo:"):
            undo_dialog(found)
    import_drift.what_stands_out(found)
    wall = st.grid(3, min_column_width=300, gap="small", border=True)
    changed_fields = imports.changed_values(found.id, by=session.actor())
    values = formats.counted(sum(one.contacts for one in changed_fields), "value")
    with wall.cell(), page.card("The import", border=False):
        _facts(listed)
    with wall.cell(), page.card("Changed values", values, border=False):
        _changed(changed_fields)
    with wall.cell(), page.card("Rejected", formats.counted(found.rejected, "row"), border=False):
        import_rejects.reasons(found)
    _brought_back(found)
    import_changes.rows(found)
    account(found)


def _may_undo() -> bool:
    return session.actor().may(Permission.IMPORTS_UNDO) and imports.sees_all(session.actor())


def _undone(listed: Listed) -> None:
    found = listed.import_
    error_of(found)
    run = import_kept.last(found.id, by=session.actor())
    note = _when(run) if run else f"Import {found.id}"
    _counts("Taken back", note, found.undone or {}, UNDONE)
    if run and _may_undo() and st.button("Bring it back", icon=":material/redo:"):
        redo_dialog(found)
    kept(found)
    numbers(found)
    import_drift.what_stands_out(found)
    with page.card("The import"):
        _facts(listed)
    import_changes.rows(found)
    account(found)


def _brought_back(found: Import) -> None:
    """What became of the contacts where the import was undone, and that was undone."""
    run = import_kept.last(found.id, by=session.actor())
    if run is not None and run.kind is Kind.REDO:
        _counts("Brought back", _when(run), run.counts, REDONE)
        kept(found)


def _counts(title: str, note: str, counts: dict[str, int], labels: dict[str, str]) -> None:
    with page.card(title, note), st.grid(3, min_column_width=140, gap="small"):
        for name, label in labels.items():
            st.metric(label, formats.counted(counts.get(name, 0), "contact"), border=True)


def _when(run: Run) -> str:
    return f"{formats.moment(run.at)} · {plain(run.by_name)}"


def _stopped(found: Import) -> None:
    title = "Contacts changed since the plan was made" if found.moved else "It stopped in the middle"
    body = found.error or f"The last thing that was done: the file is {found.state}. Nothing was lost."
    with page.empty("pause_circle", title, body, colour="orange"):
        resume_button(found)
        if st.button("Cancel import", icon=":material/cancel:"):
            cancel_dialog(found, running=False)
    import_changes.moved(found)


def _failed(found: Import) -> None:
    body = f"{found.error or 'No reason was recorded.'} Nothing was written."
    with page.empty("error", f"{found.file_name} could not be imported", body, colour="red"):
        if st.button("Upload another file", icon=":material/upload_file:"):
            places.go("imports", {"new": "1"})


def _cancelled(found: Import) -> None:
    body = "Nothing of it was written, and its file was removed."
    with page.empty("cancel", f"{found.file_name} was cancelled", body):
        if st.button("Upload a file", icon=":material/upload_file:"):
            places.go("imports", {"new": "1"})


def _facts(listed: Listed) -> None:
    found = listed.import_
    speed = found.rows / found.seconds if found.seconds else 0
    facts = {
        "By": listed.by_name or "The command line",
        "Started": formats.moment(found.created_at),
        "Committed": formats.moment(found.finished_at),
        "Took": formats.duration(found.seconds)
        + (f", {formats.number(speed)} rows/s" if found.rows >= WORTH_A_SPEED else ""),
        "Size": formats.size(found.bytes or 0),
        "When both differ": KEEP_WORDS[Keep(found.keep)] + but(found),
    }
    for name, value in facts.items():
        with st.container(horizontal=True, horizontal_alignment="distribute", gap="small"):
            st.caption(name, width="content")
            st.markdown(plain(value), width="content")


def _changed(changed: list[Changed]) -> None:
    if not changed:
        st.caption("No contact that was here already changed.")
        return
    rows = [(import_changes.label(one.field), formats.number(one.contacts)) for one in changed]
    st.table(
        {"Field": [name for name, _ in rows], "Contacts": [count for _, count in rows]},
        border="horizontal", hide_index=True, height=260 if len(rows) > 6 else "content", alt="Fields that changed",
    )  # fmt: skip
