"""A contact's page: `/contact?id=17`, with the filter it was opened from; `/contact?new=1` makes one."""

from datetime import datetime

import streamlit as st

from dashboard import formats, places, session
from dashboard.widgets import contact_draft, page
from dashboard.widgets.as_of_choice import contact_banner, contact_choice
from dashboard.widgets.contact_controls import draft_offer, edit
from dashboard.widgets.contact_duplicates import contact_duplicates
from dashboard.widgets.contact_fields import read_fields, style
from dashboard.widgets.contact_form import Form, open_form, opened
from dashboard.widgets.contact_header import arrows, came_from, header, way_back
from dashboard.widgets.contact_history import history
from dashboard.widgets.contact_origin import origins
from dashboard.widgets.press import pressed
from models.contacts import history as versions
from models.contacts import moments, provenance, records, search
from models.contacts.moments import When
from models.contacts.records import Record
from models.errors import Gone, InvalidInput, NotFound
from models.filters import AS_OF, Filters
from models.permissions import Actor, Permission


def show() -> None:
    by = session.actor()
    style()
    if "new" in st.query_params:
        _new(by)
        return
    try:
        _one(_asked_for(), by)
    except Gone as gone:
        _nobody("person_off", gone.sentence, f"That was on {formats.moment(gone.at)}. A manager can restore it.")
    except InvalidInput as error:
        _nobody("link_off", "This address names no moment", error.sentence)
    except NotFound as error:
        _nobody("person_search", error.sentence, "The address may be mistyped, or from another database.")


def _asked_for() -> int:
    """Raises NotFound for what is no number."""
    asked = st.query_params.get("id", "")
    if not asked:
        raise NotFound("The address does not say which contact to show")
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= 19):
        raise NotFound(f"There is no contact “{asked[:60]}”")
    return int(asked)


def _one(contact_id: int, by: Actor) -> None:
    if when := _when():
        _as_it_was(contact_id, when, by)
        return
    if form := opened(contact_id):
        _edited(form, by)
        return
    try:
        record = records.get(contact_id, by=by)
    except Gone as gone:
        if not by.may(Permission.CONTACTS_EDIT):
            raise
        _deleted(records.deleted(contact_id, by=by), gone.into, by)
        return
    beside = way_back(contact_id)
    with beside:
        contact_choice(None, by=by)
    if header(record, by=by, editing=False):
        open_form(record, by=by, draft=contact_draft.find(record.id, by=by))
        st.rerun()
    draft_offer(record, by=by)
    _read(record, by)
    arrows(beside, contact_id, by=by)


def _when() -> When | None:
    """Raises InvalidInput."""
    written = st.query_params.get(AS_OF)
    return moments.parse(written) if written else None


def _as_it_was(contact_id: int, when: When, by: Actor) -> None:
    record = records.as_it_was(contact_id, when, by=by)
    beside = way_back(contact_id)
    with beside:
        contact_choice(when, by=by)
    contact_banner(when)
    header(record, by=by, editing=False, fixed=True)
    _read(record, by, search.moment(Filters(as_of=when), by=by))
    arrows(beside, contact_id, by=by)


def _read(record: Record, by: Actor, moment: datetime | None = None) -> None:
    """As it is, or was at that moment."""
    changes = versions.of_contact(record.id, until=moment, by=by)
    wall = st.grid(3, min_column_width=260, gap="small")
    with wall.cell(column_span=2):
        read_fields(record, origins(provenance.of_changes(changes), by=by))
    with wall.cell():
        if moment is None:
            contact_duplicates(record, by=by)
        undoing = by.may(Permission.CONTACTS_EDIT) and not record.deleted_at and moment is None
        history(changes, record, undoing=undoing)


def _edited(form: Form, by: Actor) -> None:
    way_back(form.contact_id)
    form.show_to(by)
    if form.record:
        header(form.record, by=by, editing=True)
    else:
        with page.header("New contact", "A name, an e-mail or a company is enough to begin with."):
            pass
    changes = versions.of_contact(form.record.id, by=by) if form.record else []
    if saved := edit(form, changes, by=by):
        st.toast("Saved", icon=":material/check:")
        if not form.record:
            places.go("contact", {"id": str(saved)})
        st.rerun()


def _new(by: Actor) -> None:
    if not by.may(Permission.CONTACTS_EDIT):
        _nobody("lock", "You may not create contacts", "That needs the role manager or admin.")
        return
    _edited(opened(None) or open_form(None, by=by, draft=contact_draft.find(None, by=by)), by)


def _deleted(record: Record, into: int | None, by: Actor) -> None:
    """`into` is the contact that it was merged into, if it was."""
    way_back()
    with st.container(
        border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
    ):
        who = page.plain(record.deleted_by or "")
        st.markdown(f":material/delete: **Deleted** by {who}, {formats.moment(record.deleted_at)}", width="content")
        if into is not None and pressed(f"Merged into contact {into}", key="to survivor", icon=":material/merge:"):
            places.go("contact", {"id": str(into)})
        if pressed("Restore", key="restore contact", icon=":material/restore_from_trash:", type="primary"):
            records.restore(record.id, by=by)
            st.toast("Restored", icon=":material/check:")
            st.rerun()
    header(record, by=by, editing=False)
    _read(record, by)


def _nobody(icon: str, title: str, body: str) -> None:
    with page.empty(icon, title, body):
        if pressed("Show all contacts", key="all contacts", icon=":material/contacts:"):
            places.go("contacts", came_from())
