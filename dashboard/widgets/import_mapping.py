"""Which column of the file fills which field: proposed, shown with examples, and changed by the person."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.widgets import columns, import_choices, import_memory, page
from dashboard.widgets.import_choices import AS_FILE, EXTRA, LEFT_OUT, Choices
from dashboard.widgets.import_orders import carry_out
from dashboard.widgets.page import plain
from models import import_orders, imports
from models.contacts import mapping
from models.contacts.table import FULL_NAME
from models.imports import Import, Keep, MatchRule, Preview, State

MATCHES = {"Sure": "green", "Chosen": "blue", "No match": "gray"}
MOST_ROWS, ROW_HEIGHT = 16, 33
MATCH_WORDS = {
    MatchRule.AUTO: "External id, e-mail and name, or LinkedIn",
    MatchRule.EMAIL: "The same e-mail",
    MatchRule.EXTERNAL: "The same external id",
    MatchRule.LINKEDIN: "The same LinkedIn address",
    MatchRule.NONE: "Never: every row is a new contact",
}
KEEP_WORDS = {
    Keep.THEIRS: "Take the file's value",
    Keep.OURS: "Fill empty values only",
    Keep.NEWER: "Take the newer value",
    Keep.NEVER: "Keep ours, fill nothing",
}
FIELD_KEEP_WORDS = {
    AS_FILE: "As below",
    Keep.THEIRS: "File's value",
    Keep.OURS: "Fill empty",
    Keep.NEWER: "Newer value",
    Keep.NEVER: "Keep ours",
}
DELIMITERS = {",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Bar", ":": "Colon", " ": "Space"}
ENCODINGS = {"cp1252": "Windows-1252", "cp1254": "Windows-1254", "latin_1": "Latin-1"}


def mapping_step(found: Import) -> None:
    """Everything of the step, with the button that leaves it for the plan."""
    opened = found.opened or {}
    preview = imports.preview(found.id, by=session.actor()) or Preview([], {}, {})
    choices = import_choices.opened(found, by=session.actor())
    choices.collect()
    choices.keep()
    cards = st.container()
    import_memory.recalled(found, changing=True)
    _notes(opened)
    _goes_on(choices)
    with page.card(
        "Match columns to fields",
        "Change any cell in the Field column · what fills no field is kept in extra, or left out",
    ):
        import_memory.mapping_actions(found, choices)
        proposed = {header: name for name, header in (opened.get("proposed") or {}).items()}
        _editor(choices, proposed | dict.fromkeys(opened.get("proposed_left_out", ()), LEFT_OUT), preview)
    with cards:
        _cards(found, opened, matched=len(choices.now.columns))
    _rules(found, choices)
    _first_rows(opened["headers"], preview)
    _leave(found, choices)


def _cards(found: Import, opened: dict[str, Any], *, matched: int) -> None:
    encoding, delimiter = opened.get("encoding"), opened.get("delimiter")
    facts = {
        "Format": str(opened.get("format", "")).upper(),
        "Encoding": ENCODINGS.get(encoding, encoding.upper()) if encoding else None,
        "Separator": DELIMITERS.get(delimiter, f"“{delimiter}”") if delimiter else None,
        "Header": f"Row {formats.number(opened['header_line'])}" if opened.get("header_line") else None,
        "Rows": formats.number(found.rows),
        "Matched": f"{formats.number(matched)} of {formats.number(len(opened['headers']))}",
    }
    shown = {name: value for name, value in facts.items() if value}
    if len(shown) > 5:
        del shown["Format"]
    with st.grid(len(shown), min_column_width=130, gap="small"):
        for name, value in shown.items():
            with st.container(border=True, gap=None):
                st.caption(name)
                st.markdown(f"**{plain(value)}**")


def _notes(opened: dict[str, Any]) -> None:
    for note in opened.get("notes", ())[:20]:
        st.caption(f":material/info: {plain(note)}")


def _goes_on(choices: Choices) -> None:
    """Says that the controls go on from what was chosen earlier, and offers to drop that."""
    if choices.kept_at is None or choices.kept is None:
        return
    with st.container(
        border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
    ):
        when = formats.moment(choices.kept_at)
        st.markdown(f":material/edit_note: **Your choices** of {when}, of which no plan was made yet", width="content")
        if st.button("Discard them", type="tertiary"):
            choices.discard()
            st.rerun()


def _editor(choices: Choices, proposed: dict[str, str], preview: Preview) -> None:
    """The table of columns; `proposed` is header -> choice, where it is not EXTRA."""
    config, headers = st.column_config, choices.headers
    table = pd.DataFrame(
        [
            {
                "header": header,
                "field": import_choices.of(choices.start, header),
                "keep": import_choices.policy(choices.start, header),
                "match": [_match(import_choices.of(choices.now, header), proposed.get(header, EXTRA))],
                "filled": 100 * preview.filled.get(header, 0.0),
                "examples": preview.examples.get(header, []),  # last: of all this a narrow window can do without it
            }
            for header in headers
        ]
    )
    colours = [page.token(f"{colour}BackgroundColor") for colour in MATCHES.values()]
    st.data_editor(
        table,
        key=choices.key("columns"),
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(headers) <= MOST_ROWS else (MOST_ROWS + 1) * ROW_HEIGHT,
        disabled=["header", "examples", "filled", "match"],
        alt="The file's columns and the fields that they fill",
        column_config={
            "header": config.TextColumn("Column in the file", width=190),
            "examples": config.ListColumn("Examples", width=330),
            "filled": config.ProgressColumn(
                "Filled", format="%d%%", min_value=0, max_value=100, width=110, help="In the first rows of the file"
            ),
            "field": config.SelectboxColumn(
                "Field",
                options=[EXTRA, LEFT_OUT, *mapping.TARGETS],
                format_func=field_label,
                required=True,
                width=190,
                help="A column that is left out stays in the stored file, and in the file of rejected rows",
            ),
            "keep": config.SelectboxColumn(
                "If both differ",
                options=list(FIELD_KEEP_WORDS),
                format_func=FIELD_KEEP_WORDS.get,
                required=True,
                width=115,
                help="Whose value stays in a contact that is here, where this field is to go its own way",
            ),
            "match": config.MultiselectColumn("Match", options=list(MATCHES), color=colours, width=90),
        },
    )


def field_label(name: str) -> str:
    """What the field is called here, or the choice of none."""
    return {EXTRA: "Keep in extra", LEFT_OUT: "Leave out", FULL_NAME: "Full name"}.get(name) or columns.label(name)


def _match(chosen: str, proposed: str) -> str:
    if chosen != proposed:
        return "Chosen"
    return "No match" if chosen == EXTRA else "Sure"


def _rules(found: Import, choices: Choices) -> None:
    wall = st.grid(2, min_column_width=300, gap="small", border=True)
    with wall.cell(), page.card("A row is an existing contact with", border=False):
        st.selectbox(
            "Match rule", list(MATCH_WORDS), index=list(MATCH_WORDS).index(choices.start.match),
            format_func=MATCH_WORDS.get, label_visibility="collapsed", key=choices.key("match"),
        )  # fmt: skip
    with wall.cell(), page.card("When both have a value", border=False):
        st.radio(
            "Whose value stays", list(KEEP_WORDS), index=list(KEEP_WORDS).index(choices.start.keep),
            format_func=KEEP_WORDS.get, label_visibility="collapsed", horizontal=True, key=choices.key("keep"),
        )  # fmt: skip
        if Keep.NEWER in (choices.now.keep, *choices.now.keep_fields.values()):
            _dating(found, choices)


def _dating(found: Import, choices: Choices) -> None:
    """What a row's moment is, and what that means."""
    options = ["", *choices.headers]
    start = choices.now.dated_by if choices.now.dated_by in options else ""
    st.selectbox(
        "A row is as new as", options, index=options.index(start), key=choices.key("dated_by"),
        format_func=lambda header: f"Its “{header}”" if header else f"The file: {formats.moment(file_moment(found))}",
    )  # fmt: skip
    st.caption(newer_words(found, choices.now.dated_by))


def file_moment(found: Import) -> datetime:
    """When the file was changed last, as far as that is known; else when it came."""
    modified = found.upload_modified
    return found.created_at if modified is None else datetime.fromtimestamp(modified / 1000, UTC)


def newer_words(found: Import, dated_by: str | None) -> str:
    """What the newer value is, in words."""
    by = (
        f"“{plain(dated_by)}” of its row" if dated_by else f"the file, changed on {formats.moment(file_moment(found))},"
    )
    fallback = " A row without a clear date is as new as the file." if dated_by else ""
    return f"Where {by} is newer than the contact's last change the row wins; else it only fills blanks.{fallback}"


def _first_rows(headers: list[str], preview: Preview) -> None:
    if not preview.rows:
        return
    width = len(preview.rows[0][1])
    more = f"the first {width} of {formats.counted(len(headers), 'column')}" if width < len(headers) else "as they are"
    with page.card("First rows", f"{more}, with their line in the file"):
        table = pd.DataFrame(
            [cells for _, cells in preview.rows],
            columns=headers[:width],
            index=pd.Index([line for line, _ in preview.rows], name="Line"),
        )
        st.dataframe(table, height="content", row_height=ROW_HEIGHT, placeholder="–", alt="The first rows of the file")


def _leave(found: Import, choices: Choices) -> None:
    chosen = choices.now
    planned = found.state == State.PLANNED and chosen == choices.stored
    with st.bottom, st.container(horizontal=True, horizontal_alignment="right", gap="xsmall"):
        if found.state == State.PLANNED and st.button("Back to the plan"):
            _show_plan()
        made = st.button("Make the plan", type="primary", disabled=not chosen.columns)
    if not made:
        return
    if planned:
        _show_plan()

    def remap() -> None:
        import_orders.remap(
            found.id, chosen.columns, left_out=chosen.left_out, match=chosen.match, keep=chosen.keep,
            keep_fields=chosen.keep_fields, dated_by=chosen.dated_by, by=session.actor(),
        )  # fmt: skip
        import_choices.close()
        st.query_params.pop("step", None)

    with st.bottom:
        carry_out(remap)


def _show_plan() -> None:
    st.query_params.pop("step", None)
    st.rerun()
