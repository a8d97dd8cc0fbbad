"""The moment of which contacts are shown: how it is chosen, and the banner that nobody overlooks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import address, formats, places, session
from dashboard.address import View
from models import imports
from models.contacts import as_of
from models.contacts.moments import When
from models.filters import AS_OF
from models.imports import Import, State
from models.permissions import Actor, Permission

NOW = "Now"
LISTED = 30  # imports
Choose = Callable[[When | None], None]


def shown(when: When | None) -> str:
    """“1 Nov 2026”, “After import 7”, in a few words."""
    if when is None:
        return NOW
    match when.named:
        case datetime():
            return formats.moment(when.named)
        case date():
            return formats.day(when.named)
    return f"{'Before' if when.before else 'After'} import {when.named}"


def banner(view: View, moment: datetime, *, by: Actor) -> None:
    """Above contacts as they were at that moment."""
    assert view.filters.as_of is not None
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.warning(f"**{_at(view.filters.as_of, moment)}**, not as they are now. {_left_out(by)}",
                   icon=":material/history:", width="stretch")  # fmt: skip
        st.button("Back to now", key="back to now", icon=":material/update:", on_click=_back, args=(view,))
        if st.button("What changed since", key="changed since", icon=":material/difference:"):
            to_difference(view)


def contact_banner(when: When) -> None:
    """Above one contact as it was."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.warning(f"**{_at(when, None)}**, not as it is now. It can be read here, not changed.",
                   icon=":material/history:", width="stretch")  # fmt: skip
        st.button("Back to now", key="back to now", icon=":material/update:", on_click=_drop)


def contact_choice(when: When | None, *, by: Actor) -> None:
    """For a contact's page: as of when it is shown."""

    def choose(chosen: When | None) -> None:
        st.query_params.from_dict(
            {name: st.query_params.get_all(name) for name in st.query_params if name != AS_OF}
            | ({AS_OF: [chosen.written]} if chosen else {})
        )

    moment_popover("contact as of", when, choose, hint="The contact as it was on a day, or at an import", by=by)


def _back(view: View) -> None:
    address.write(replace(view, filters=view.filters.of_now, page=1))


def _drop() -> None:
    st.query_params.pop(AS_OF, None)


def to_difference(view: View) -> None:
    """Leave for what changed since the view's moment, or since the beginning of this day."""
    since = view.filters.as_of.written if view.filters.as_of else _yesterday().isoformat()
    places.go("difference", {**address.query_params(View(view.filters.of_now)), "from": since})


def _yesterday() -> date:
    return date.fromordinal(datetime.now(UTC).date().toordinal() - 1)


def _at(when: When, moment: datetime | None) -> str:
    """“As of the end of 1 Nov 2026 (UTC)”, “Before import 7, 3 Nov 2026, 16:40”; `moment` is when that was."""
    if isinstance(when.named, datetime):
        return f"As of {formats.moment(when.named)}"
    if isinstance(when.named, date):
        return f"As of the end of {formats.day(when.named)} (UTC)"
    written = moment and moment + as_of.MOMENT * when.before  # before it is a microsecond before it wrote
    return f"{shown(when)}{f', {formats.moment(written)}' if written else ''}"


def _left_out(by: Actor) -> str:
    names = "Industries and owners have their present names."
    return names if by.may(Permission.CONTACTS_EDIT) else f"{names} Contacts that were deleted since are left out."


def as_of_choice(view: View, *, by: Actor) -> None:
    """For the contacts screen: as of when they are shown."""

    def choose(when: When | None) -> None:
        address.write(replace(view, filters=replace(view.filters, as_of=when), page=1))

    with moment_popover(
        "as of", view.filters.as_of, choose, hint="Contacts as they were on a day, or at an import", by=by
    ):
        if st.button("What changed between two days", type="tertiary", icon=":material/difference:"):
            to_difference(view)


def moment_popover(
    key: str, when: When | None, choose: Choose, *, hint: str, label: str = "", by: Actor
) -> DeltaGenerator:
    """A popover in which a day or an import can be chosen; the block adds to it."""
    popover = st.popover(f"{label}{shown(when)}", icon=":material/history:", help=hint)
    day = when.named if when and isinstance(when.named, date) else None
    st.session_state[f"{key} day"] = day.date() if isinstance(day, datetime) else day

    def choose_day() -> None:
        picked = st.session_state[f"{key} day"]
        choose(When(picked) if picked else None)

    with popover:
        st.date_input("As of the end of this day (UTC)", key=f"{key} day", value=None,
                      max_value=datetime.now(UTC).date(), format="YYYY-MM-DD", on_change=choose_day)  # fmt: skip
        if by.may(Permission.IMPORTS_RUN) and (listed := _imports(by)):
            _import_choice(key, when, choose, listed)
        if when is not None:
            st.button(NOW, key=f"{key} now", icon=":material/update:", on_click=choose, args=(None,))
    return popover


def _import_choice(key: str, when: When | None, choose: Choose, listed: list[Import]) -> None:
    sides = {"After it": False, "Before it": True}
    numbers = {one.id: one for one in listed}
    chosen = when.named if when and isinstance(when.named, int) and when.named in numbers else None
    st.session_state[f"{key} import"] = chosen
    st.session_state[f"{key} side"] = "Before it" if when and when.before else "After it"

    def choose_import() -> None:
        number = st.session_state[f"{key} import"]
        choose(None if number is None else When(number, before=sides[st.session_state[f"{key} side"]]))

    st.selectbox(
        "Or as of an import", list(numbers), key=f"{key} import", index=None, placeholder="Choose an import",
        format_func=lambda number: f"{number}: {numbers[number].file_name}", on_change=choose_import,
    )  # fmt: skip
    if chosen is not None:
        st.segmented_control("Side", list(sides), key=f"{key} side", required=True, label_visibility="collapsed",
                             on_change=choose_import)  # fmt: skip


def _imports(by: Actor) -> list[Import]:
    """The latest that wrote something."""
    found = session.once("imports", lambda: imports.latest(by=by, limit=LISTED))
    return [one for one in found if one.state in (State.COMMITTED, State.UNDONE)]
