"""One page of deleted contacts; a sign opens one, those that are ticked can be restored."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, places, session
from dashboard.widgets import page
from dashboard.widgets.row_buttons import clicked, row_button
from models.contacts import bulk
from models.contacts.deleted import Deleted

SIZE = 50  # rows of a page
HEIGHT, ROWS_SHOWN, ROW_HEIGHT = 598, 15, 36  # pixels, rows, pixels
OPENED = "deleted opened"  # the key of clicks on a row's sign


def deleted_table(found: list[Deleted], total: int, number: int) -> None:
    """`found` are those of the page `number`, of `total` in all."""
    with page.card("Newest first", formats.counted(total, "contact")):
        ticked = _rows(found)
        _below(found, ticked, total, number)
    if opened := clicked(OPENED):
        places.go("contact", {"id": str(opened[0])})


def _rows(found: list[Deleted]) -> list[Deleted]:
    """Draws the table; returns those that are ticked."""
    config = st.column_config
    moment = {"format": formats.pattern(clock=True), "timezone": formats.time_zone()}
    selections = session.remembered().selections
    marked = st.dataframe(
        pd.DataFrame([_row(one) for one in found]),
        key=f"deleted {hash((tuple(one.id for one in found), selections))}",  # ticks belong to rows
        on_select="rerun",
        selection_mode="multi-row",
        height="content" if len(found) <= ROWS_SHOWN else HEIGHT,
        row_height=ROW_HEIGHT,
        hide_index=True,
        placeholder="–",
        column_config={
            "open": row_button("", key=OPENED, meant=[one.id for one in found], width=36, type="tertiary", pinned=True),
            "name": config.TextColumn("Name", width=200),
            "title": config.TextColumn("Title", width=180),
            "company": config.TextColumn("Company", width=180),
            "email": config.TextColumn("E-mail", width=240),
            "at": config.DatetimeColumn("Deleted", width=160, **moment),
            "by": config.TextColumn("By", width=140),
        },
        alt="Deleted contacts",
    ).selection
    return [found[place] for place in marked.rows if place < len(found)]


def _row(one: Deleted) -> dict[str, Any]:
    seen = one.values
    name = " ".join(part for part in (seen.get("first_name"), seen.get("last_name")) if part)
    rest = {part: seen[part] for part in ("title", "company", "email") if part in seen}
    known = name or f"Contact {one.id}"
    return {"open": ":material/open_in_full:", "name": known, **rest, "at": one.at, "by": one.by_name}


def _below(found: list[Deleted], ticked: list[Deleted], total: int, number: int) -> None:
    """Always there, so that nothing jumps when a row is ticked."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        first = (number - 1) * SIZE + 1
        span = f"{formats.number(first)}–{formats.number(first + len(found) - 1)} of {formats.number(total)}"
        st.caption(f"{formats.number(len(ticked))} ticked" if ticked else span, width="content")
        # What it restores is bound to the ticks that the person saw: the list may have moved when the click arrives.
        st.button(
            "Restore", icon=":material/restore_from_trash:", disabled=not ticked,
            on_click=_restore, args=([one.id for one in ticked],),
        )  # fmt: skip
        if total > SIZE:
            pages, key = -(-total // SIZE), f"deleted pager {total} {number}"
            st.pagination(pages, default=number, key=key, width=40 * (min(pages, 7) + 2), on_change=_turn, args=(key,))


def _turn(key: str) -> None:
    st.query_params["page"] = str(st.session_state[key])


def _restore(ids: list[int]) -> None:
    with page.refusals(passing=True):
        done = bulk.restore(ids, by=session.actor())
        before = len(ids) - done  # by somebody else, just now
        beside = f"; {formats.number(before)} had been restored already" if before else ""
        st.toast(f"{formats.counted(done, 'contact')} restored{beside}", icon=":material/check:")
        session.remembered().selections += 1
