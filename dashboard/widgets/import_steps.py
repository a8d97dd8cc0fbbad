"""Where in its life an import is: four steps as badges, and the file beside them."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets.page import badge, plain
from models import import_orders, imports
from models.import_phases import Phase
from models.imports import Import, State

STEPS = ("Upload", "Map columns", "Check the plan", "Commit")
UPLOAD, MAP, PLAN, COMMIT, ALL = range(1, 6)
AIMS = {State.OPENED: UPLOAD, State.PLANNED: PLAN, State.COMMITTED: COMMIT, State.UNDONE: ALL}
REACHED = {
    State.NEW: UPLOAD, State.OPENED: PLAN, State.STAGED: PLAN, State.CHECKED: PLAN, State.PLANNED: COMMIT,
    State.COMMITTED: ALL, State.UNDONE: ALL,
}  # fmt: skip


def step_of(found: Import, phase: Phase) -> int:
    """The step it is in; ALL once it is committed."""
    if found.wanted in AIMS and not import_orders.is_redo(found):
        return AIMS[State(found.wanted)]
    at_rest = {Phase.UPLOADING: UPLOAD, Phase.MAPPING: MAP, Phase.PLANNED: PLAN}
    return at_rest.get(phase, REACHED.get(State(found.state), UPLOAD))


def steps(present: int, found: Import | None = None) -> None:
    """The steps with the present one marked; the last one done is ALL."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for number, name in enumerate(STEPS, 1):
            st.markdown(_step(number, name, present), width="content")
            if number < len(STEPS):
                st.markdown(":gray[:material/chevron_right:]", width="content")
        if found is not None:
            st.space("stretch")
            st.markdown(_file(found), width="content")


def hidden_values(found: Import) -> None:
    """Says why the values of its file are hidden, to whom they are."""
    why = imports.why_hidden(found, by=session.actor()) if found.opened else None
    if why:
        st.caption(f":material/visibility_off: {plain(why)}")


def _step(number: int, name: str, present: int) -> str:
    if number < present:
        return badge(name, "green", "check")
    if number == present:
        return f":blue-badge[**{number}**] **{name}**"
    return f":gray-badge[{number}] :gray[{name}]"


def _file(found: Import) -> str:
    facts = [formats.counted(found.rows, "row")] if found.opened else []
    if size := found.bytes or found.upload_bytes:
        facts.append(formats.size(size))
    return f":material/draft: {plain(found.file_name)} :gray[· {' · '.join(facts)}]"
