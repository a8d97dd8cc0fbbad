"""The conditions of a filter in sentences, each with a way to remove it."""

from collections.abc import Callable

import streamlit as st

from dashboard import formats
from dashboard.widgets.page import plain
from models.filters import Filter, Filters

LONGEST = 60  # characters of a chip


def chips(chosen: Filters, *, remove: Callable[[str], None], clear: Callable[[], None], searched: bool = False) -> None:
    """For a horizontal container. `remove` gets the key of a condition; with `searched` the free text is one of them,
    where no search box shows it."""
    for one in chosen.required:
        _chip(_shortened(one), one.key, remove)
    for place, group in enumerate(chosen.alternatives.values()):
        st.caption("or" if place else "either", width="content")
        for one in group:
            _chip(_shortened(one), one.key, remove)
    if chosen.q and searched:
        _chip(f"Search **{plain(chosen.q)}**", "q", remove)
    if chosen:
        st.button("Clear all", type="tertiary", on_click=clear)


def _chip(label: str, key: str, remove: Callable[[str], None]) -> None:
    st.button(
        label, key=f"chip {key}", icon=":material/close:", icon_position="right", help="Remove this filter",
        on_click=remove, args=(key,),
    )  # fmt: skip


def _shortened(one: Filter) -> str:
    """“Country is **Germany or France**”; a long list of values is only counted."""
    sentence, label = one.sentence(formats.value), one.field.title
    if len(sentence) > LONGEST and len(one.values) > 1:
        several = f"any of {formats.number(len(one.values))}"
        sentence = one.form.format(label=label, value=several)
    elif len(sentence) > LONGEST:
        sentence = sentence[: LONGEST - 1] + "…"
    before = one.form.format(label=label, value="")
    return f"{plain(before)}**{plain(sentence.removeprefix(before))}**"
