"""Which fields a person sees: all of them, or a tree of groups with their fields."""

from collections.abc import Iterable, Sequence

import streamlit as st

from dashboard import formats
from dashboard.widgets.contact_fields import named, of_group
from models.contacts.table import FIELDS
from models.fields import Group
from models.filters import fields_of

EVERY, SOME = "Every column", "Only some"
MOST_NAMED = 12  # fields in the sentence of what is hidden


def column_choice(stored: Sequence[str] | None, key: str) -> tuple[str, ...] | None:
    """The names of groups and fields that were chosen; None is every column. `stored` is what it begins with."""
    which = st.segmented_control(
        "Columns", [EVERY, SOME], default=EVERY if stored is None else SOME, required=True, key=f"{key} which"
    )
    if which == EVERY:
        st.caption(hidden_words(None))
        return None
    chosen: list[str] = []
    with st.grid(2, min_column_width=260, gap="small", border=True):
        for group in Group:
            with st.container(gap="xsmall"):
                chosen += _of_group(group, stored, key)
    st.caption(hidden_words(chosen))
    return tuple(chosen)


def hidden_words(allowed: Iterable[str] | None) -> str:
    """What is hidden then, as a sentence: whole groups by their names."""
    if allowed is None:
        return "Every column is seen, new ones included."
    seen = set(fields_of(allowed))
    groups = [group for group in Group if not seen & set(of_group(group, FIELDS))]
    single = [name for name in FIELDS if name not in seen and FIELDS[name].group not in groups]
    hidden = len(FIELDS) - len(seen)
    if not hidden:
        return "No column is hidden; fields that come later to a group are seen with it."
    names = [f"all of {named(group)}" for group in groups] + [FIELDS[name].title for name in single]
    more = len(names) - MOST_NAMED
    listed = ", ".join(names[:MOST_NAMED]) + (f" and {formats.number(more)} more" if more > 0 else "")
    return f"Hidden are {formats.counted(hidden, 'field')}: {listed}."


def _of_group(group: Group, stored: Sequence[str] | None, key: str) -> list[str]:
    """The group's name, where all of it is chosen, or the single fields."""
    names = of_group(group, FIELDS)
    whole = stored is None or group.value in stored or set(names) <= set(stored)
    if st.checkbox(f"**{named(group)}** :gray[{formats.number(len(names))}]", value=whole, key=f"{key} {group.name}"):
        return [group.value]
    return st.pills(
        f"Fields of {named(group)}", names, selection_mode="multi", key=f"{key} {group.name} fields",
        default=[name for name in names if stored is not None and name in stored],
        format_func=lambda name: FIELDS[name].title, label_visibility="collapsed",
    )  # fmt: skip
