"""The exports so far, and the receipt of the selected one: a fragment, which reruns alone."""

from typing import Any
from urllib.parse import parse_qs

import pandas as pd
import streamlit as st

from dashboard import formats, places, session
from dashboard.parts import part
from dashboard.widgets import columns, page
from dashboard.widgets.copy_button import copy_button
from dashboard.widgets.export_dialog import FORMATS
from dashboard.widgets.export_progress import cancel, download_link, file_path, start
from dashboard.widgets.file_download import download_now
from dashboard.widgets.page import plain
from dashboard.widgets.row_buttons import clicked, row_button
from models import exports
from models.errors import NotFound
from models.exports import UNDER_WAY, Export, State
from models.permissions import Actor, Permission

SIZE = 50  # rows of a page
ROWS_SHOWN, ROW_HEIGHT = 10, 36
COMPARING = (
    "Makes the file anew and says whether the data changed. What you took out in this month costs nothing again."
)
MOST_NAMED = 200  # contacts in an address: as many as one page can have ticked
STATES = {
    "Waiting": "gray",
    "Running": "blue",
    "Ready": "green",
    "No longer kept": "gray",
    "Failed": "red",
    "Cancelled": "gray",
}
DOWNLOAD, AGAIN, CANCEL = (
    ":material/download: Download",
    ":material/refresh: Ask again",
    ":material/stop_circle: Cancel",
)
CLICKED = "export clicked"  # the key of clicks on a row's action


@part
def export_table(total: int) -> None:
    """`total` is how many there are."""
    by = session.actor()
    with page.card(
        "Everybody's exports" if by.may(Permission.OTHERS_OVERSEE) else "Your exports", formats.counted(total, "export")
    ):
        listed = exports.mine(by=by, limit=SIZE, offset=(st.session_state.get("exports page", 1) - 1) * SIZE)
        selected = _table(listed, by)
        if total > SIZE:
            st.pagination(-(-total // SIZE), key="exports page")
    if click := clicked(CLICKED):
        _act(*click)
    _receipt(selected or _comparing(by), by)


def state(export: Export) -> str:
    if export.state == State.DONE:
        return "Ready" if export.path else "No longer kept"
    return export.state.capitalize()


def _table(listed: list[Export], by: Actor) -> Export | None:
    """Draws the rows; returns the selected one."""
    people = exports.people(listed, by=by)
    table = pd.DataFrame([_row(export, people) for export in listed])
    everybodys = ["by"] if by.may(Permission.OTHERS_OVERSEE) else []
    picked = st.dataframe(
        table,
        key=f"exports {hash(tuple(export.id for export in listed))}",
        on_select="rerun",
        selection_mode="single-row",
        height="content" if len(listed) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        row_height=ROW_HEIGHT,
        hide_index=True,
        placeholder="–",
        column_order=["action", "file", "state", "asked", *everybodys, "what", "rows", "size", "took"],
        column_config=_drawings([export.id for export in listed]),
        alt="Exports",
    ).selection.rows
    return listed[picked[0]] if picked and picked[0] < len(listed) else None


def _row(export: Export, people: dict[int | None, str]) -> dict[str, Any]:
    ended = export.state == State.DONE
    return {
        "file": export.file_name,
        "state": [state(export)],
        "asked": export.created_at,
        "by": people.get(export.created_by),
        "what": export.filter_sentence,
        "rows": export.rows if ended else export.total if export.state in UNDER_WAY else None,
        "size": formats.size(export.bytes) if ended else None,
        "took": formats.duration(export.seconds) if ended else None,
        "action": _action(export),
    }


def _action(export: Export) -> str:
    if export.state in UNDER_WAY:
        return CANCEL
    return DOWNLOAD if export.has_file else AGAIN


def _drawings(ids: list[int]) -> dict[str, Any]:
    config = st.column_config
    colours = [page.token(f"{colour}BackgroundColor") for colour in STATES.values()]
    return {
        "file": config.TextColumn("File", width=120),
        "state": config.MultiselectColumn("State", width=115, options=list(STATES), color=colours),
        "asked": config.DatetimeColumn(
            "Asked for", width=140, format=formats.pattern(clock=True), timezone=formats.time_zone()
        ),
        "by": config.TextColumn("By", width=110),
        "what": config.TextColumn("Contacts", width=195),
        "rows": config.NumberColumn("Rows", width=75, format="localized"),
        "size": config.TextColumn("Size", width=75, alignment="right"),
        "took": config.TextColumn("Took", width=75),
        "action": row_button("", key=CLICKED, meant=ids, width=125, pinned=True),  # in sight however narrow the page
    }


def _act(export_id: int, label: str) -> None:
    if label == DOWNLOAD:
        download_now(file_path(export_id))
    elif label == CANCEL:
        cancel(export_id)
    else:
        _ask_again(export_id)


def _ask_again(export_id: int) -> None:
    with page.refusals(passing=True):
        start(exports.again(export_id, by=session.actor()))
        st.rerun()


def _run_again(export_id: int) -> None:
    """Its receipt is shown in place of one that is selected, and says what changed as soon as it is there."""
    with page.refusals(passing=True):
        new = exports.again(export_id, by=session.actor())
        session.remembered().comparing = new
        start(new)
        st.rerun()


def _comparing(by: Actor) -> Export | None:
    wanted = session.remembered().comparing
    return None if wanted is None else exports.get(wanted, by=by)


def _receipt(export: Export | None, by: Actor) -> None:
    if export is None:
        st.caption("Select an export to see its receipt")
        return
    with page.card(f"Receipt of export {export.id}", f"{state(export)} · {FORMATS.get(export.format, export.format)}"):
        if export.error:
            show = st.info if export.state == State.CANCELLED else st.error
            show(plain(export.error), icon=":material/info:")
        _comparison(export, by)
        _facts(export, by)
        _fingerprint(export)
        with st.container(horizontal=True, gap="xsmall"):
            download_link(export)
            _way_to_contacts(exports.get(export.id, by=by))
            if export.state == State.DONE:
                if st.button("Run again and compare", icon=":material/difference:", help=COMPARING):
                    _run_again(export.id)
            elif export.state not in UNDER_WAY and st.button("Ask for it again", icon=":material/refresh:"):
                _ask_again(export.id)


def _comparison(export: Export, by: Actor) -> None:
    if export.again_of is None:
        return
    if export.state in UNDER_WAY:
        st.info(f"It will be compared with export {export.again_of}.", icon=":material/difference:")
        return
    try:
        found = exports.compared(export, by=by)
    except NotFound:  # an administrator's, who is none any more
        return
    if found is None:
        return
    if found.same:
        st.success(f"Nothing changed since export {export.again_of}: the SHA-256 is the same.", icon=":material/check:")
        return
    then, now = formats.counted(found.rows_then, "contact"), formats.number(found.rows_now)
    counted = f"{then} then, {now} now" if found.rows_then != found.rows_now else f"{then} as then, with other values"
    st.warning(f"The data changed since export {export.again_of}: {counted}.", icon=":material/difference:")


def _way_to_contacts(export: Export) -> None:
    """To what was exported: all that match, or those that were selected, whether they still match or not."""
    selected = export.ids or []
    hidden = export.filter_sentence == exports.HIDDEN_FILTER and not selected
    too_many = f"It holds {formats.number(len(selected))} selected contacts: too many to be named in an address"
    if st.button(
        "Show these contacts",
        icon=":material/contacts:",
        disabled=hidden or len(selected) > MOST_NAMED,
        help=too_many if len(selected) > MOST_NAMED else None,
    ):
        named = {"contact": [str(contact_id) for contact_id in selected]}
        places.go("contacts", named if selected else parse_qs(export.filter_query))


def _facts(export: Export, by: Actor) -> None:
    facts = {
        "Contacts": export.filter_sentence,
        "Asked for": formats.moment(export.created_at),
        "By": exports.people([export], by=by).get(export.created_by, formats.MISSING),
        "Finished": formats.moment(export.finished_at),
        "Took": formats.duration(export.seconds),
        "Rows": formats.number(export.rows),
        "Credits": formats.number(export.credits),
        "Size": formats.size(export.bytes),
        "Formulas": "Left as they are" if export.raw_formulas else "Written as plain text",
        "Columns": formats.number(len(export.columns)),
    } | _of_a_view(export)
    with st.grid(4, min_column_width=200, gap="small"):
        for name, value in facts.items():
            with st.container(gap=None):
                st.caption(name)
                st.markdown(plain(value))
    names = [columns.label(name) if name != exports.EXTRA else name.capitalize() for name in export.columns]
    st.caption(plain(", ".join(names)))
    for note in export.notes or []:
        st.caption(f":material/info: {plain(note)}")


def _of_a_view(export: Export) -> dict[str, str]:
    if export.view_name is None:
        return {}
    return {"View": export.view_name, "Made": "By its schedule" if export.view_run_id else "By hand"}


def _fingerprint(export: Export) -> None:
    """What a program, or somebody else, can check: the filter as it is typed, and the file's hash."""
    _copyable("Filter", export.filter_query, export.id)
    _copyable("SHA-256", export.sha256, export.id)


def _copyable(name: str, value: str | None, export_id: int) -> None:
    if not value:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.caption(name, width="content")
        st.code(value, language=None, wrap_lines=True, width="content") if "`" in value else st.markdown(
            f"`{value}`", width="content"
        )
        copy_button(value, label=f"Copy the {name}", key=f"{name} {export_id}")
