"""Imports: a file on its way in, step by step, and those that came before it."""

import streamlit as st

from dashboard import places, session
from dashboard.widgets import page
from dashboard.widgets.import_mapping import mapping_step
from dashboard.widgets.import_orders import cancel_dialog
from dashboard.widgets.import_outcome import error_of, outcome
from dashboard.widgets.import_plan import plan_step
from dashboard.widgets.import_progress import UNDER_WAY, follow
from dashboard.widgets.import_steps import UPLOAD, hidden_values, step_of, steps
from dashboard.widgets.import_table import SIZE, import_table, page_number
from dashboard.widgets.import_upload import upload_step
from models import import_phases, imports
from models.errors import AppError, NotAllowed, NotFound
from models.import_phases import Phase
from models.imports import Listed

NOTE = "Bring in a file of contacts. Nothing changes before you have seen the plan."


def show() -> None:
    named = st.query_params.get("id")
    if named is not None:
        _one(named)
    elif "new" in st.query_params:
        _new()
    else:
        _all()


def _all() -> None:
    with page.skeleton("imports", "Imports", 640) as place:
        listed, total = imports.page(number=page_number(), size=SIZE, by=session.actor())
    with place.container():
        _list(listed, total)


def _list(listed: list[Listed], total: int) -> None:
    with page.header("Imports", NOTE):
        if st.button("Mappings", icon=":material/rule:", type="tertiary"):
            places.go("mappings")
        if st.button("Watched folders", icon=":material/folder_eye:", type="tertiary"):
            places.go("watched")
        if imports.sees_all(session.actor()) and st.button("New import", icon=":material/upload_file:", type="primary"):
            places.go("imports", {"new": "1"})
    if total:
        import_table(listed, total)
        return
    with page.empty("upload_file", "Nothing has been imported yet", "Choose a file: CSV, Excel, Parquet, JSON lines."):
        if imports.sees_all(session.actor()) and st.button("Import a file", icon=":material/upload_file:"):
            places.go("imports", {"new": "1"})


def _new() -> None:
    try:
        imports.require_importing(session.actor())
    except NotAllowed as error:
        _header()
        with page.empty("visibility_off", "You do not see every column", error.sentence):
            pass
        return
    _header()
    steps(UPLOAD)
    upload_step(None)


def _one(named: str) -> None:
    try:
        listed = imports.listed(_number(named), by=session.actor())
    except AppError as error:
        _header()
        with page.empty("search_off", "There is no such import", error.sentence, colour="red"):
            if st.button("All imports"):
                places.go("imports")
        return
    phase, found = import_phases.phase(listed), listed.import_
    mapping_again = phase is Phase.PLANNED and st.query_params.get("step") == "map"
    _header(listed, phase)
    steps(2 if mapping_again else step_of(found, phase), found)
    hidden_values(found)
    follow(listed)
    if phase is Phase.UPLOADING:
        upload_step(found)
    elif phase is Phase.MAPPING or mapping_again:
        error_of(found)
        mapping_step(found)
    elif phase is Phase.PLANNED:
        error_of(found)
        plan_step(found)
    elif phase not in UNDER_WAY:
        outcome(listed, phase)


def _header(listed: Listed | None = None, phase: Phase | None = None) -> None:
    with page.header("Imports", NOTE):
        may_end = listed is not None and phase in (Phase.MAPPING, Phase.PLANNED, Phase.UPLOADING)
        if may_end and st.button("Cancel import", icon=":material/cancel:", type="tertiary"):
            cancel_dialog(listed.import_, running=False)
        if st.button("All imports", icon=":material/list:", type="tertiary"):
            places.go("imports")


def _number(named: str) -> int:
    """Raises NotFound for what is no number of an import."""
    if not (named.isascii() and named.isdecimal() and len(named) <= 9):
        raise NotFound(f"id={named[:50]}: imports are numbered from 1.")
    return int(named)
