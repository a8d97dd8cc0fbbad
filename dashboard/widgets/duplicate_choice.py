"""Whose value a merge takes: a line for each field on which the contacts differ, a value of each to click on."""

from html import escape
from typing import Any

import streamlit as st

from dashboard import formats, places
from dashboard.widgets import columns
from dashboard.widgets.contact_fields import shown
from dashboard.widgets.page import badge, card, plain
from models.contacts.merge_choice import ALL, FOLLOWS, UNITABLE, Proposal
from models.contacts.records import Record
from models.contacts.table import FIELDS

SIDE_BY_SIDE = 4  # contacts in columns; more are chosen from lists
LONGEST = 90  # characters of a value


def choices(made: Proposal) -> dict[str, int]:
    """Draws them; returns field -> contact whose value is taken, or ALL."""
    chosen = made.choices | _overridden(made)
    names = [
        name for name in made.choices if name not in FOLLOWS and any(v is not None for v in made.values(name).values())
    ]
    if len(made.records) > SIDE_BY_SIDE:
        _lists(made, names, chosen)
    else:
        _columns(made, names, chosen)
    return {name: source for name, source in chosen.items() if name not in FOLLOWS}


def same_fields(made: Proposal) -> None:
    """What all of them hold alike."""
    first = made.records[0].values
    same = [name for name in FIELDS if name not in made.choices and first[name] is not None]
    if not same:
        return
    with card("The same in all", formats.counted(len(same), "field")):
        rows = "".join(
            f'<div><dt>{escape(columns.label(name))}</dt><dd dir="auto">{escape(_text(name, first[name]))}</dd></div>'
            for name in same
        )
        st.html(f'<dl class="fields">{rows}</dl>')


def _columns(made: Proposal, names: list[str], chosen: dict[str, int]) -> None:
    widths = [1.1, *([2] * len(made.records))]
    heads = st.columns(widths, gap="small")
    for record, head in zip(made.records, heads[1:], strict=True):
        with head:
            _head(record, made)
    for name in names:
        label, *cells = st.columns(widths, gap="small", vertical_alignment="center")
        with label:
            st.markdown(f":gray[{plain(columns.label(name))}]")
            if name in UNITABLE:
                _value(made, name, ALL, "All together", chosen)
        for record, cell in zip(made.records, cells, strict=True):
            with cell:
                value = record.values[name]
                if value is None:
                    st.markdown(f":gray[{formats.MISSING}]")
                else:
                    _value(made, name, record.id, _text(name, value), chosen)


def _value(made: Proposal, name: str, source: int, words: str, chosen: dict[str, int]) -> None:
    taken = chosen[name] == source or (chosen[name] == ALL and source != ALL)
    st.button(
        plain(words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"),
        key=f"take {name} {source}",
        icon=":material/check_circle:" if taken else ":material/radio_button_unchecked:",
        type="secondary" if taken else "tertiary",
        on_click=_take,
        args=(made, name, source),
    )


def _head(record: Record, made: Proposal) -> None:
    stays = record.id == made.survivor_id
    filled = sum(value is not None for value in record.values.values())
    st.markdown(f"**{plain(record.label)}**" + (f" {badge('stays', 'green')}" if stays else ""))
    st.caption(f"Contact {record.id}, {filled} fields, changed {formats.day(record.updated_at)}")
    with st.container(horizontal=True, gap="xsmall"):
        if not stays:
            st.button("Keep this one", key=f"keep {record.id}", type="tertiary", on_click=_keep, args=(record.id,))
        if st.button("Open", key=f"open {record.id}", type="tertiary", icon=":material/open_in_full:"):
            places.go("contact", {"id": str(record.id)})


def _lists(made: Proposal, names: list[str], chosen: dict[str, int]) -> None:
    ids = {record.id: record for record in made.records}
    st.selectbox(
        "Stays", list(ids), index=list(ids).index(made.survivor_id), key=f"stays of {sorted(ids)}",
        format_func=lambda one: f"{ids[one].label}, contact {one}",
        on_change=lambda: _keep(st.session_state[f"stays of {sorted(ids)}"]),
    )  # fmt: skip
    for name in names:
        values = {one: value for one, value in made.values(name).items() if value is not None}
        options = [*([ALL] if name in UNITABLE else []), *values]
        key = f"choice {name} {sorted(ids)}"
        place = options.index(chosen[name]) if chosen[name] in options else 0
        st.selectbox(
            columns.label(name), options, index=place, key=key, on_change=_taken, args=(made, name, key),
            format_func=lambda one, values=values, name=name: (
                "All together" if one == ALL else f"{_text(name, values[one])} (contact {one})"
            ),
        )  # fmt: skip


def _taken(made: Proposal, name: str, key: str) -> None:
    _take(made, name, st.session_state[key])


def _take(made: Proposal, name: str, source: int) -> None:
    st.session_state[_key(made)] = _overridden(made) | {name: source}


def _keep(contact_id: int) -> None:
    st.session_state["survivor chosen"] = contact_id


def _overridden(made: Proposal) -> dict[str, int]:
    found: dict[str, int] = st.session_state.get(_key(made), {})
    return {name: source for name, source in found.items() if name in made.choices}


def _key(made: Proposal) -> str:
    return f"taken of {sorted(record.id for record in made.records)}"


def _text(name: str, value: Any) -> str:
    return shown(FIELDS[name], value)
