"""What is remembered of a file's columns: which mapping it got, another one in its place, and keeping it by name."""

import streamlit as st

from dashboard import session
from dashboard.parts import dialog
from dashboard.widgets import import_choices, page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.import_choices import Choices
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models import imports, mapping_memory, mappings
from models.imports import Import
from models.mappings import Listed


def recalled(found: Import, *, changing: bool) -> None:
    """Says by what the file was mapped, where it was; with the way to change it, unless that is where one is."""
    if not found.recalled:
        return
    sign = ":material/history:" if mapping_memory.is_sure(found.recalled) else ":orange[:material/rule:]"
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"{sign} {plain(mapping_memory.sentence(found.recalled))}", width="content")
        if not changing and st.button("Change the mapping", type="tertiary"):
            st.query_params["step"] = "map"
            st.rerun()


def mapping_actions(found: Import, choices: Choices) -> None:
    """Another mapping for these columns, and a name for what is chosen now."""
    there = mappings.listed(by=session.actor())
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        if there:
            picked = st.selectbox(
                "Map as", there, index=None, format_func=_called, placeholder="Choose a mapping", width=320,
                key=choices.key("mapping"), label_visibility="collapsed",
            )  # fmt: skip
            if picked:
                _take(choices, picked)
        may = imports.sees_all(session.actor()) and bool(choices.now.columns)
        if st.button("Save as a mapping", icon=":material/bookmark_add:", type="tertiary", disabled=not may):
            save_dialog(found, choices)


@dialog("Save as a mapping", icon=":material/bookmark_add:")
def save_dialog(found: Import, choices: Choices) -> None:
    st.caption(
        "Files with these columns are mapped by what was last used, with or without a name. A name is for others."
    )
    name = st.text_input("Name", max_chars=mappings.LONGEST_NAME)
    shared = st.checkbox("Share it with everybody who imports")
    taken = _is_own(name)
    if taken:
        st.caption(f":material/warning: You have a mapping “{plain(name.strip())}” already.")
    if not confirmed("Replace it" if taken else "Save", disabled=not name.strip()):
        return
    with page.refusals():
        mappings.save(found.id, choices.now, name, shared=shared, replacing=taken, by=session.actor())
        say(f"Saved as “{name.strip()}”.")


def _take(choices: Choices, picked: Listed) -> None:
    bound = mapping_memory.bind(picked.chosen, picked.headers, choices.headers)
    if not bound.chosen.columns:
        page.refusal(f"This file has none of the columns of “{picked.title}”.")
        return
    import_choices.take(choices, bound.chosen)
    st.rerun()


def _called(one: Listed) -> str:
    whose = f" · {one.owner}" if one.owner and not one.is_own else ""
    return f"{one.title}{whose}"


def _is_own(name: str) -> bool:
    known = (one.name or "" for one in mappings.listed(by=session.actor()) if one.is_own)
    return " ".join(name.split()).lower() in {one.lower() for one in known}
