"""The top of a contact's page: the way back and to the next one, who it is, and what can be done with it."""

from urllib.parse import quote

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import address, formats, places, session
from dashboard.parts import dialog
from dashboard.widgets import columns, page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.copy_button import copy_button
from dashboard.widgets.page import badge, plain
from dashboard.widgets.press import pressed
from dashboard.widgets.view_controls import style
from models.contacts import records, search
from models.contacts.records import Record
from models.errors import AppError
from models.permissions import Actor, Permission

OURS = ("id", "new")  # of the address; the rest is the filter that the person came from
PAGE = "page"  # of the list, in the address
PHONES = ("mobile_phone", "work_direct_phone", "corporate_phone", "home_phone", "other_phone", "company_phone")
SUBTITLE = ("title", "company")
PLACE = ("city", "country")
ISOLATED = "\u2068{}\u2069"  # text from the right does not turn what stands beside it round
LONGEST = 100  # characters of a value here; the fields below show it whole
LONGEST_BADGE = 40
TOP_LINE = 40  # pixels
BACK = "back to contacts"
STANDS = "place in the list"  # of the contact that was shown last, with the list


def way_back(contact_id: int | None = None) -> DeltaGenerator:
    """The way to the list that the person came from, to the page where the contact stands; returns the place beside
    it, for `arrows`."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", height=TOP_LINE, border=False
    ):
        if pressed("Contacts", key=BACK, icon=":material/arrow_back:", type="tertiary"):
            places.go("contacts", came_from() | _page_of(contact_id, by=session.actor()))
        return st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall")


def arrows(beside: DeltaGenerator, contact_id: int, *, by: Actor) -> None:
    """To the contacts before and after this one in the list that the person came from; last on the page, for counting
    a long list takes longer than all the rest. Nothing where the address holds no list that can be read."""
    try:
        view = address.read(besides=OURS, by=by)
        around = search.neighbours(view.filters, sort=view.sort, contact_id=contact_id, by=by)
    except AppError:
        return
    with beside:
        st.caption(f"{formats.number(around.place)} of {formats.number(around.total)}", width="content")
        st.session_state[STANDS] = (contact_id, view.filters.query(), view.sort, around.place)
        _arrow("Previous contact", "up", "K", around.previous)
        _arrow("Next contact", "down", "J", around.next)


def _page_of(contact_id: int | None, *, by: Actor) -> places.Params:
    """The page of the list where the contact stands, as `arrows` has counted it, for the address; nothing where the
    address names one, holds no list that can be read, or was not counted yet."""
    if contact_id is None or PAGE in st.query_params:
        return {}
    try:
        view = address.read(besides=OURS, by=by)
    except AppError:
        return {}
    *counted, place = st.session_state.get(STANDS, (None, 1))
    if counted != [contact_id, view.filters.query(), view.sort]:
        return {}
    number = (place - 1) // style(by=by).size + 1
    return {PAGE: str(number)} if number > 1 else {}


def _arrow(label: str, way: str, shortcut: str, contact_id: int | None) -> None:
    def turn() -> None:
        st.query_params["id"] = str(contact_id)
        st.query_params.pop(PAGE, None)  # it may stand on another one

    st.button(
        "", key=label, icon=f":material/keyboard_arrow_{way}:", help=label, type="tertiary", shortcut=shortcut,
        disabled=contact_id is None, on_click=turn,
    )  # fmt: skip


def came_from() -> places.Params:
    """The contacts screen's own part of the address."""
    return {name: st.query_params.get_all(name) for name in st.query_params if name not in OURS}


def header(record: Record, *, by: Actor, editing: bool, fixed: bool = False) -> bool:
    """Who it is, and the actions; whether Edit was pressed. A `fixed` one cannot be changed: it is no longer so."""
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content", gap="xsmall"):
            st.title(_line(record.label), anchor=False)
            if subtitle := _subtitle(record):
                st.markdown(subtitle)
            st.markdown(" ".join(_badges(record)))
        with st.container(horizontal=True, width="content", gap="xsmall", vertical_alignment="center"):
            _reach(record)
            return not (record.deleted_at or fixed) and by.may(Permission.CONTACTS_EDIT) and _change(record, editing)


def _subtitle(record: Record) -> str:
    seen = record.values
    place = ", ".join(seen[name] for name in PLACE if seen.get(name))
    parts = [*(seen[name] for name in SUBTITLE if seen.get(name)), *([place] if place else [])]
    return " · ".join(ISOLATED.format(_line(part)) for part in parts)


def _line(text: str, longest: int = LONGEST) -> str:
    """`text` on one line, as Markdown."""
    line = " ".join(text.split())
    return plain(line if len(line) <= longest else line[: longest - 1] + "…")


def _badges(record: Record) -> list[str]:
    seen, drawn = record.values, []
    if seen.get("email_status"):
        status = seen["email_status"]
        drawn.append(
            badge(f"E-mail {_line(status.lower(), LONGEST_BADGE)}", columns.STATUS_COLOURS.get(status, "gray"), "mail")
        )
    if any(name in seen for name in PHONES):
        reachable = any(seen.get(name) for name in PHONES)
        drawn.append(badge("Phone", "green", "call") if reachable else badge("No phone", "gray", "call"))
    if seen.get("seniority"):
        drawn.append(badge(_line(seen["seniority"], LONGEST_BADGE), "violet"))
    if seen.get("employees") is not None:
        drawn.append(badge(formats.counted(seen["employees"], "employee"), "gray"))
    filled = sum(value is not None for value in seen.values())
    drawn.append(badge(f"{filled} of {len(seen)} fields", "gray", "checklist"))
    return drawn


def _reach(record: Record) -> None:
    """Write to the contact, or copy the e-mail and the first phone there is."""
    email = record.values.get("email")
    phone = next((record.values[name] for name in PHONES if record.values.get(name)), None)
    if email:
        st.link_button("Write", f"mailto:{quote(email, safe='@')}", icon=":material/mail:")
        copy_button(email, label="Copy e-mail", words=True, key=f"copy e-mail {record.id}")
    if phone:
        copy_button(phone, label="Copy phone", words=True, key=f"copy phone {record.id}")


def _change(record: Record, editing: bool) -> bool:
    shortcut = None if editing else "E"
    editing_wanted = pressed("Edit", key="edit contact", icon=":material/edit:", disabled=editing, shortcut=shortcut)
    if st.button("Delete", icon=":material/delete:", disabled=editing):
        _delete(record)
    return editing_wanted


@dialog("Delete this contact?", icon=":material/delete:")
def _delete(record: Record) -> None:
    by = session.actor()
    st.markdown(f"**{_line(record.label)}** goes from all lists, counts and exports.")
    st.caption("It can be restored from this page, whole and with its history.")
    if confirmed("Delete contact"):
        with page.refusals():
            records.delete(record.id, version=record.version, by=by)
            st.rerun()
