"""Creating, renaming, merging and deactivating an industry: each says what will happen, in numbers, before it does."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models import industries
from models.industries import Industry

Listing = list[tuple[Industry, int]]
FROM_RIGHT = "<style>.st-key-industry_name_buttons { flex-direction: row-reverse; }</style>"


@dialog("New industry", icon=":material/add:")
def create_dialog(listing: Listing) -> None:
    name, wanted = _name_form("", "Create")
    if taken := _called(listing, name):
        page.refusal(f"There is an industry “{taken.name}” already. {_how_to_use(taken)}")
    elif wanted:
        _carry_out(lambda: industries.create(name, by=session.actor()), f"“{name.strip()}” was created.")


@dialog("Rename an industry", icon=":material/edit:")
def rename_dialog(industry: Industry, number: int, listing: Listing) -> None:
    st.markdown(f"**{plain(industry.name)}** gets another name, on **{formats.counted(number, 'contact')}** at once.")
    note = (
        "Files that give the old name still mean this industry. Stored links that filter by it will find nothing: "
        "filter by the new name, and store them again."
    )
    name, wanted = _name_form(industry.name, "Rename", note)
    taken = _called(listing, name)
    if taken and taken.id != industry.id:
        page.refusal(f"There is an industry “{taken.name}” already.")
        _offer_merge(industry, number, taken)
    elif wanted:
        _carry_out(
            lambda: industries.rename(industry.id, name, by=session.actor()),
            f"“{industry.name}” is “{name.strip()}” now.",
        )


@dialog("Merge into another industry", icon=":material/merge:")
def merge_dialog(industry: Industry, listing: Listing) -> None:
    numbers = {one.id: number or 0 for one, number in listing}
    others = [one for one, _ in listing if one.is_active and one.id != industry.id]
    into = st.selectbox(
        f"Merge “{plain(industry.name)}” into", others, index=None, placeholder="Choose an industry",
        format_func=lambda one: f"{one.name} · {formats.number(numbers[one.id])}",
    )  # fmt: skip
    moving = numbers[industry.id]
    if into:
        st.markdown(_moves(moving, industry, into))
        after = formats.counted(numbers[into.id] + moving, "contact")
        st.caption(f"“{plain(into.name)}” will have {after}.")
    st.caption(
        f"“{plain(industry.name)}” is then out of use, and in files and forms its name means the other industry. Every "
        "contact's history keeps the old value, and the merge can be taken back."
    )
    if confirmed(f"Move {formats.counted(moving, 'contact')}", disabled=into is None):
        _merge(industry, into)


@dialog("Take the merge back?", icon=":material/undo:")
def unmerge_dialog(industry: Industry, listing: Listing) -> None:
    into = next(one for one, _ in listing if one.id == industry.merged_into)
    moved = formats.counted(industry.merged_contacts or 0, "contact")
    st.markdown(
        f"The **{moved}** that went from “{plain(industry.name)}” to “{plain(into.name)}” "
        f"on {formats.day(industry.merged_at[-1] if industry.merged_at else None)} come back."
    )
    st.caption("Those that were given another industry since, or were deleted, stay as they are.")
    if confirmed("Take it back"):
        _carry_out(
            lambda: industries.unmerge(industry.id, by=session.actor()),
            lambda done: (
                f"{formats.counted(done.restored, 'contact')} came back to “{industry.name}”."
                + (f" {formats.counted(done.kept, 'contact')} changed since and stayed." if done.kept else "")
            ),
        )


@dialog("Deactivate an industry?", icon=":material/toggle_off:")
def deactivate_dialog(industry: Industry, number: int) -> None:
    shown = f"its {formats.counted(number, 'contact')}"
    st.markdown(f"**{plain(industry.name)}** stays on {shown}, but forms no longer offer it.")
    st.caption("It can be activated again at any time. An import that names it will still put contacts there.")
    if confirmed("Deactivate"):
        _carry_out(
            lambda: industries.deactivate(industry.id, by=session.actor()), f"“{industry.name}” is out of use now."
        )


def activate_now(industry: Industry) -> None:
    _carry_out(lambda: industries.activate(industry.id, by=session.actor()), f"“{industry.name}” is in use again.")


def _name_form(name: str, label: str, note: str = "") -> tuple[str, bool]:
    """A field that Enter sends: what stands in it, and whether it was sent just now."""
    with st.form(f"industry name {label}", border=False):
        entered = st.text_input("Name", value=name)
        if note:
            st.caption(note)
        # Enter presses the first button of a form, so that the way back, which stands before it, comes after it here.
        st.html(FROM_RIGHT)
        with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall", key="industry_name_buttons"):
            sent = st.form_submit_button(label, type="primary")
            if st.form_submit_button("Cancel"):
                st.rerun()
    return entered, sent


def _called(listing: Listing, name: str) -> Industry | None:
    return next((one for one, _ in listing if one.name.lower() == name.strip().lower()), None)


def _how_to_use(taken: Industry) -> str:
    return "Choose another name." if taken.is_active else "It is not in use: activate it instead."


def _offer_merge(industry: Industry, number: int, taken: Industry) -> None:
    if not taken.is_active:
        st.caption(_how_to_use(taken))
        return
    st.markdown(f"Merge the two instead? {_moves(number, industry, taken)}")
    if st.button(f"Merge, move {formats.counted(number, 'contact')}", icon=":material/merge:"):
        _merge(industry, taken)


def _moves(number: int, industry: Industry, into: Industry) -> str:
    verb = "moves" if number == 1 else "move"
    who = f"**{formats.counted(number, 'contact')}**"
    return f"{who} {verb} from “{plain(industry.name)}” to “{plain(into.name)}”."


def _merge(industry: Industry, into: Industry) -> None:
    _carry_out(
        lambda: industries.merge(industry.id, into.id, by=session.actor()),
        lambda moved: f"{formats.counted(moved, 'contact')} moved from “{industry.name}” to “{into.name}”.",
    )


def _carry_out(operation: Callable[[], Any], sentence: str | Callable[[Any], str]) -> None:
    with page.refusals():
        done = operation()
        say(sentence if isinstance(sentence, str) else sentence(done))
