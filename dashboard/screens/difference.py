"""What became of a view between two moments: `/difference?country=Germany&from=2026-11-01&to=import:7&way=left`."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from dashboard import address, failures, formats, places, session
from dashboard.address import View
from dashboard.widgets import columns, page
from dashboard.widgets.as_of_choice import moment_popover
from dashboard.widgets.contact_fields import shown
from dashboard.widgets.difference_file import difference_file
from dashboard.widgets.row_buttons import clicked, row_button
from models.contacts import difference
from models.contacts.difference import SINCE, UNTIL, Asked, Differing, Numbers, Way
from models.contacts.moments import NOW, When
from models.contacts.table import FIELDS
from models.errors import AppError, InvalidInput, TooSlow
from models.permissions import Actor, Permission

TITLE, WAY = "Difference", "way"
OWN = (SINCE, UNTIL, WAY)
SIZE, ROW_HEIGHT = 50, 32
OPENED = "difference opened"
LABELS = {Way.CAME: "Came into it", Way.LEFT: "Left it", Way.CHANGED: "Changed"}
HINTS = {
    Way.CAME: "Added or restored, or changed so that they match by now",
    Way.LEFT: "Deleted, or changed so that they match no longer",
    Way.CHANGED: "They match at both moments, and a value differs",
}


def show() -> None:
    by = session.actor()
    try:
        view = address.read(besides=OWN, by=by)
        asked, way, number = Asked(view.filters, _when(SINCE), _when(UNTIL)), _way(), address.page()
        if asked.since is None:
            raise InvalidInput(
                "The address does not say from when: write from=2026-11-01, from=import:7 or from=before:7."
            )
        with page.skeleton("difference", TITLE, 40, 598) as place:
            numbers = difference.numbers(asked, by=by)
            way = way or next((one for one in Way if numbers.of(one)), Way.CAME)
            number = min(number, max(1, -(-numbers.of(way) // SIZE)))
            found = difference.page(asked, way, number=number, size=SIZE, by=by)
    except TooSlow as error:
        failures.show(error)
        return
    except AppError as error:
        _unreadable(error)
        return
    with place.container():
        _screen(view, asked, numbers, found, way, number, by)


def _when(name: str) -> When | None:
    return difference.moment(st.query_params.get(name, NOW), name)


def _way() -> Way | None:
    written = st.query_params.get(WAY)
    if written is None or written in list(Way):
        return Way(written) if written else None
    raise InvalidInput(f"{WAY}={written[:60]}: write {', '.join(Way)}.")


def _screen(
    view: View, asked: Asked, numbers: Numbers, found: list[Differing], way: Way, number: int, by: Actor
) -> None:
    if st.button("Contacts", icon=":material/arrow_back:", type="tertiary"):
        places.go("contacts", address.query_params(View(view.filters)))
    with page.header(TITLE, f"{page.plain(view.filters.sentence(formats.value))}, between two moments"):
        _moment_choice("From: ", SINCE, asked.since, by)
        _moment_choice("To: ", UNTIL, asked.until, by)
        if by.may(Permission.CONTACTS_EXPORT) and st.button(
            "CSV",
            icon=":material/download:",
            type="primary",
            disabled=not numbers.total,
            help="This difference as a file",
        ):
            difference_file(asked, numbers)
    if not by.may(Permission.CONTACTS_EDIT):
        st.caption("Contacts that were deleted since are left out.")
    _ways(numbers, way)
    if found:
        _table(found, numbers.of(way), number, asked)
        return
    with page.empty("equal", "Nothing differs here", "Choose an earlier moment to begin with, or another way."):
        pass


def _moment_choice(label: str, name: str, when: When | None, by: Actor) -> None:
    def choose(chosen: When | None) -> None:
        _turn({name: chosen.written if chosen else NOW})

    moment_popover(f"difference {name}", when, choose, label=label, hint="A day or an import", by=by)


def _turn(params: Mapping[str, str]) -> None:
    st.query_params.pop("page", None)
    st.query_params.update(params)


def _ways(numbers: Numbers, way: Way) -> None:
    key = "difference way"
    st.session_state[key] = way
    st.segmented_control(
        "What became of them", list(Way), key=key, required=True, label_visibility="collapsed",
        format_func=lambda one: f"{LABELS[one]}: {formats.number(numbers.of(one))}",
        on_change=lambda: _turn({WAY: st.session_state[key]}),
    )  # fmt: skip
    st.caption(HINTS[way])


def _table(found: list[Differing], total: int, number: int, asked: Asked) -> None:
    config = st.column_config
    st.dataframe(
        pd.DataFrame([_row(one) for one in found]),
        hide_index=True, height="content" if len(found) < 16 else 598, row_height=ROW_HEIGHT, placeholder="–",
        column_config={
            "open": row_button("", key=OPENED, meant=[one.id for one in found], width=36, type="tertiary", pinned=True),
            "name": config.TextColumn("Name", width=200),
            "company": config.TextColumn("Company", width=180),
            "what": config.TextColumn("What differs", width=720),
        },
        alt="Contacts that differ",
    )  # fmt: skip
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        first = (number - 1) * SIZE + 1
        span = f"{formats.number(first)}–{formats.number(first + len(found) - 1)} of {formats.number(total)}"
        st.caption(span, width="content")
        if total > SIZE:
            pages, key = -(-total // SIZE), f"difference pager {total} {number}"
            st.pagination(pages, default=number, key=key, width=40 * (min(pages, 7) + 2),
                          on_change=lambda: st.query_params.update({"page": str(st.session_state[key])}))  # fmt: skip
    if opened := clicked(OPENED):
        _open(next(one for one in found if one.id == opened[0]), asked)


def _open(one: Differing, asked: Asked) -> None:
    """As it is at the later moment, or was at the earlier one where it is not there any more."""
    when = asked.until if one.is_there else asked.since
    moment = {"as_of": when.written} if when else {}
    places.go("contact", {**address.query_params(View(asked.filters)), **moment, "id": str(one.id)})


def _row(one: Differing) -> dict[str, str | None]:
    seen = one.values
    name = " ".join(part for part in (seen.get("first_name"), seen.get("last_name")) if part)
    company = {"company": seen["company"]} if "company" in seen else {}
    return {"open": ":material/open_in_full:", "name": name or f"Contact {one.id}", **company, "what": _what(one)}


def _what(one: Differing) -> str:
    if not one.was_there:
        return "Added"
    if not one.is_there:
        return "Deleted"
    return " · ".join(
        f"{columns.label(change.name)}: {_value(change.name, change.old)} → {_value(change.name, change.new)}"
        for change in one.fields
    )


def _value(name: str, value: object) -> str:
    return "nothing" if value is None else shown(FIELDS[name], value)


def _unreadable(error: AppError) -> None:
    with page.header(TITLE):
        pass
    with page.empty("link_off", "This address does not say what to compare", error.sentence, colour="red"):
        if st.button("Show all contacts", icon=":material/contacts:"):
            places.go("contacts")
