"""A page of the audit log, and the selected line whole: what was before and after, and the way to what it is about."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, places
from dashboard.widgets import columns, page
from dashboard.widgets.audit_filters import wanted, write
from dashboard.widgets.page import plain
from models.audit_log import NAMELESS, Line
from models.contacts.table import FIELDS

SIZE = 50  # rows of a page
ROWS_SHOWN, ROW_HEIGHT = 11, 36
LONGEST = 60  # characters of a value in a row
# A word always goes with the colour: what failed and what is gone is to be found at a glance.
RED, YELLOW = ("failed",), ("deleted", "deactivated", "ended", "cancelled", "undone", "expired", "removed")
NAMES = {
    "column_allowed": "Columns", "download_limit": "Limit", "is_active": "Active", "in_name_of": "In the name of",
    "query": "Filter in an address",
    "second_factor": "Second factor", "sha256": "SHA-256", "raw_formulas": "Formulas left as they are",
}  # fmt: skip
# Where a subject is to be seen: its place, and the parameters of the address from the subject's name.
WAYS = {
    "contact": ("contact", "id"),
    "contacts": ("contacts", None),
    "import": ("imports", "id"),
    "export": ("exports", None),
    "industry": ("industries", None),
    "user": ("users", "q"),
}


def audit_table(lines: list[Line], more: bool, last: int | None) -> None:
    """`more`: whether older lines follow; `last` is the line after which this page begins, None on the first one."""
    with page.card("Newest first" if last is None else "Older lines", "Select a line to see all of it"):
        selected = _rows(lines)
        _pager(lines, more, last)
    if selected:
        _details(selected)


def _rows(lines: list[Line]) -> Line | None:
    """Draws the table; returns the selected line."""
    config = st.column_config
    labels = list(dict.fromkeys(line.label for line in lines))
    marked = st.dataframe(
        pd.DataFrame([_row(line) for line in lines]),
        key=f"audit {hash(tuple(line.id for line in lines))}",  # a selection belongs to its lines
        on_select="rerun",
        selection_mode="single-row",
        height="content" if len(lines) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
        row_height=ROW_HEIGHT,
        hide_index=True,
        placeholder=formats.MISSING,
        column_config={
            "at": config.DatetimeColumn(
                "When", width=150, format=formats.pattern(clock=True), timezone=formats.time_zone()
            ),
            "who": config.TextColumn("Who", width=140),
            "event": config.MultiselectColumn(
                "What happened", width=180, options=labels, color=[_colour(label) for label in labels]
            ),
            "on": config.TextColumn("On what", width=200),
            "told": config.TextColumn("Details", width=330),
            "address": config.TextColumn("From", width=120),
        },
        alt="Audit log",
    ).selection.rows
    return lines[marked[0]] if marked and marked[0] < len(lines) else None


def _row(line: Line) -> dict[str, Any]:
    return {
        "at": line.at,
        "who": _who(line),
        "event": [line.label],
        "on": line.subject.capitalize(),
        "told": _in_short(line),
        "address": line.address,
    }


def _who(line: Line) -> str:
    return line.who.capitalize() if line.actor_id is None and line.who in NAMELESS else line.who


def _in_short(line: Line) -> str | None:
    """One line of what the details say."""
    names = list({**line.before, **line.after})
    changes = [f"{_name(name)}: {_change(line, name)}" for name in names]
    facts = [f"{_name(name)}: {_value(value)}" for name, value in line.more.items()]
    return "; ".join(changes + facts) or None


def _change(line: Line, name: str) -> str:
    values = [_value(part[name], LONGEST) for part in (line.before, line.after) if name in part]
    return " → ".join(values)


def _colour(label: str) -> str:
    words = label.lower()
    colour = "red" if any(one in words for one in RED) else "yellow" if any(one in words for one in YELLOW) else "gray"
    return page.token(f"{colour}BackgroundColor")


def _pager(lines: list[Line], more: bool, last: int | None) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"{formats.moment(lines[0].at)} to {formats.moment(lines[-1].at)}", width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            chosen = wanted()
            st.button("Newest", icon=":material/first_page:", type="tertiary", disabled=last is None,
                      on_click=write, args=(chosen, None))  # fmt: skip
            st.button("Older", icon=":material/chevron_right:", icon_position="right", type="tertiary",
                      disabled=not more, on_click=write, args=(chosen, lines[-1].id))  # fmt: skip


def _details(line: Line) -> None:
    with page.card(plain(f"{line.label}: {line.subject}"), f"Line {formats.number(line.id)}"):
        facts = {"When": formats.moment(line.at), "Who": _who(line), "From": line.address or formats.MISSING}
        facts |= {_name(name): _value(value) for name, value in line.more.items()}
        with st.grid(4, min_column_width=200, gap="small"):
            for name, value in facts.items():
                with st.container(gap=None):
                    st.caption(plain(name))
                    st.markdown(plain(value))
        if line.before or line.after:
            _before_and_after(line)
        if line.hidden:
            st.caption(":material/lock: Some of it is hidden from you: it is of fields that you may not see.")
        _way(line)


def _before_and_after(line: Line) -> None:
    """Side by side."""
    names = list({**line.before, **line.after})
    sides = {"Before": line.before, "After": line.after}
    table = {"": [plain(_name(name)) for name in names]}
    table |= {title: [plain(_of(side, name)) for name in names] for title, side in sides.items() if side}
    st.table(pd.DataFrame(table), hide_index=True, border="horizontal")


def _of(side: Mapping[str, Any], name: str) -> str:
    return _value(side[name]) if name in side else formats.MISSING


def _way(line: Line) -> None:
    kind, name = line.on
    if kind not in WAYS:
        return
    place, parameter = WAYS[kind]
    label = f"Show {kind} {name}" if parameter else f"Go to {places.PLACES[place].title.lower()}"
    if st.button(plain(label), icon=f":material/{places.PLACES[place].icon}:"):
        places.go(place, {parameter: name} if parameter else {})


def _name(name: str) -> str:
    if name in FIELDS:
        return columns.label(name)
    return NAMES.get(name, name.replace("_", " ").capitalize())


def _value(value: Any, longest: int | None = None) -> str:
    match value:
        case None | "" | []:
            return formats.MISSING
        case list():
            text = ", ".join(map(str, value))
        case dict():
            text = ", ".join(f"{name}: {one}" for name, one in value.items())
        case bool() | int() | float():
            text = formats.value(value)
        case _:
            text = str(value)
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"
