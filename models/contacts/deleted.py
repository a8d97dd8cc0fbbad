"""Deleted contacts: who deleted which, when; `records.restore` brings one back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, false, func, literal_column, not_, select

from models.contacts.history import ContactVersion, person, readable
from models.contacts.table import FIELDS, Contact
from models.database import reading
from models.errors import InvalidInput
from models.filters import visible_fields
from models.permissions import Actor, Permission, require

SHOWN = ("first_name", "last_name", "title", "company", "email")
SEARCHED = ("first_name", "last_name", "company", "email")
LONGEST_SEARCH = 200  # characters
LARGEST_PAGE = 10**9
_version = ContactVersion.c


@dataclass(frozen=True)
class Deleted:
    """`values` holds those of SHOWN that the reader may see, as they were."""

    id: int
    values: dict[str, Any]
    at: datetime
    by_name: str


def page(words: str = "", *, number: int = 1, size: int = 50, by: Actor) -> tuple[list[Deleted], int]:
    """Those whose name, company or e-mail hold every one of the `words`, newest first, and how many they are; nothing
    of what `by` may not see is searched or told. A number behind the last page is the last.

    Raises NotAllowed (it takes what restoring takes), InvalidInput.
    """
    require(by, Permission.CONTACTS_EDIT)
    if number < 1 or number > LARGEST_PAGE:
        raise InvalidInput(f"page={number}: pages are numbers from 1.", field="page")
    if len(words) > LONGEST_SEARCH:
        raise InvalidInput(f"The search has {len(words):,} characters, more than {LONGEST_SEARCH}.", field="q")
    seen = visible_fields(by)
    shown = [name for name in SHOWN if name in seen]
    where = and_(_is_gone(), *(_holds(word, seen) for word in words.replace("\x00", "").split()))
    with reading() as session:
        total = session.scalar(select(func.count()).select_from(ContactVersion).where(where)) or 0
        first = (min(number, max(1, -(-total // size))) - 1) * size
        told = (_version.replaced_at.label("at"), person(_version.replaced_by).label("by_name"))
        rows = select(_version.id, *readable(ContactVersion, shown), *told).where(where)
        found = session.execute(rows.order_by(_version.version_id.desc()).limit(size).offset(first)).mappings()
        return [
            Deleted(row["id"], {name: row[name] for name in shown}, row["at"], row["by_name"]) for row in found
        ], total


def _is_gone() -> ColumnElement[bool]:
    """The last thing that happened to the contact was its deletion."""
    newer, contact = ContactVersion.alias("newer"), Contact.__table__.alias("contact")
    again = select(newer.c.id).where(newer.c.id == _version.id, newer.c.version_id > _version.version_id)
    there = select(contact.c.id).where(contact.c.id == _version.id)
    deletion = _version.replaced_how == literal_column("'delete'")  # as its index says it, whatever plan is made
    return and_(deletion, not_(there.exists()), not_(again.exists()))


def _holds(word: str, seen: list[str]) -> ColumnElement[bool]:
    texts = [cast(_version[FIELDS[name].column], Text) for name in SEARCHED if name in seen]
    if not texts:
        return false()
    return func.concat_ws(" ", *texts).icontains(word, autoescape=True)
