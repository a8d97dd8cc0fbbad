"""Copying one field of many contacts to the clipboard: taking them out by hand, so it costs what an export would."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from models import audit, credits
from models.audit import Event
from models.contacts import search
from models.contacts.bulk import Selection
from models.contacts.table import FIELDS, Contact
from models.database import reading, writing
from models.errors import InvalidInput, about
from models.fields import Kind
from models.filters import visible_fields
from models.permissions import Actor, Permission, require

MOST = search.MAX_PAGE_SIZE  # contacts at a time


@dataclass(frozen=True)
class Copied:
    """`values` are of the newest contact first, without the empty ones, which cost nothing."""

    values: list[str]
    credits: int


def fields(*, by: Actor) -> list[str]:
    """What can be copied: the e-mail address and the phone numbers that `by` may see."""
    return [name for name in visible_fields(by) if FIELDS[name].kind in (Kind.EMAIL, Kind.PHONE)]


def cost(selection: Selection, name: str, *, by: Actor) -> tuple[int, int]:
    """How many of them have a value, and the credits that it takes to copy those now.

    Raises NotAllowed, InvalidInput (no such field, more than MOST contacts).
    """
    filled = _filled(selection, name, by)
    with reading() as session:
        number = session.scalar(select(func.count()).select_from(filled.subquery())) or 0
        _require_few(number)
        return number, credits.cost_of(session, filled, by=by)


def copy(selection: Selection, name: str, *, by: Actor) -> Copied:
    """The values, paid for and noted in the audit log.

    Raises NotAllowed, InvalidInput (no such field, more than MOST contacts), NotEnoughCredits.
    """
    filled = _filled(selection, name, by)
    with writing(by) as session:
        column = Contact.__table__.c[FIELDS[name].column]
        newest_first = filled.add_columns(column).order_by(None).order_by(Contact.id.desc()).limit(MOST + 1)
        found = {row[0]: row[1] for row in session.execute(newest_first)}
        _require_few(len(found))
        cost = credits.pay(session, select(Contact.id).where(Contact.id.in_(found)), by=by)
        audit.write(
            session, Event.CONTACTS_COPIED, "contacts", by=by,
            field=name, contacts=len(found), credits=cost,
            filter=selection.filters.sentence(), query=selection.filters.query(),
            selected=None if selection.ids is None else len(set(selection.ids)),
        )  # fmt: skip
    return Copied(list(found.values()), cost)


def _filled(selection: Selection, name: str, by: Actor) -> Select[Any]:
    require(by, Permission.CONTACTS_EXPORT)
    if name not in fields(by=by):
        with about("field"):
            search.chosen_columns([name], by=by)
        raise InvalidInput(
            f"“{name}” cannot be copied. Fields for that are: {', '.join(fields(by=by))}.", field="field"
        )
    if selection.filters.as_of:
        raise InvalidInput("Contacts as they were can be exported, not copied: go back to now first.", field="filter")
    return search.matching(selection.filtered(), [], by=by).where(Contact.__table__.c[FIELDS[name].column].is_not(None))


def _require_few(number: int) -> None:
    if number > MOST:
        raise InvalidInput(f"Up to {MOST:,} contacts can be copied at a time: export them instead.")
