"""What somebody typed and has not saved: kept for the person and the contact until it is saved or discarded.

It outlives an expired session, a closed tab and a restart of the web.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from models import preferences
from models.filters import visible_fields
from models.permissions import Actor


@dataclass(frozen=True)
class Draft:
    """`texts` are those of the fields that were changed; `version` is that of the contact they were changed in."""

    at: datetime
    version: int
    texts: dict[str, str]


def find(contact_id: int | None, *, by: Actor) -> Draft | None:
    """The draft for the contact (None: for a new one), of what the person may still see."""
    stored = preferences.get(_name(contact_id), by=by)
    if not stored:
        return None
    texts = {name: text for name, text in stored["texts"].items() if name in visible_fields(by)}
    return Draft(datetime.fromisoformat(stored["at"]), stored["version"], texts) if texts else None


def keep(contact_id: int | None, texts: dict[str, str], *, version: int, by: Actor) -> None:
    """In place of an older draft; no texts forget it."""
    if not texts:
        preferences.forget(_name(contact_id), by=by)
        return
    storable = {name: text.replace("\x00", "").encode(errors="replace").decode() for name, text in texts.items()}
    draft = {"at": datetime.now(UTC).isoformat(), "version": version, "texts": storable}
    preferences.put(_name(contact_id), draft, by=by)


def _name(contact_id: int | None) -> str:
    return "draft new contact" if contact_id is None else f"draft contact {contact_id}"
