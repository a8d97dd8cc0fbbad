"""What somebody typed and has not saved: kept for the person and the contact until it is saved or discarded.

It outlives an expired session, a closed tab and a restart of the web. Each form has a draft of its own: what is typed
in one tab is not lost by what is done in another.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from models import preferences
from models.filters import visible_fields
from models.permissions import Actor


@dataclass(frozen=True)
class Draft:
    """`texts` are those of the fields that were changed; `version` is that of the contact they were changed in.

    `name` is the draft's own among those of its contact.
    """

    name: str
    at: datetime
    version: int
    texts: dict[str, str]


def find(contact_id: int | None, *, by: Actor) -> Draft | None:
    """The newest draft for the contact (None: for a new one), of what the person may still see."""
    seen, found = set(visible_fields(by)), []
    prefix = _stored(contact_id, "")
    for name, kept in preferences.under(prefix, by=by).items():
        texts = {field: text for field, text in kept["texts"].items() if field in seen}
        if texts:
            moment = datetime.fromisoformat(kept["at"])
            found.append(Draft(name.removeprefix(prefix), moment, kept["version"], texts))
    return max(found, key=lambda draft: draft.at, default=None)


def keep(contact_id: int | None, name: str, texts: dict[str, str], *, version: int, by: Actor) -> None:
    """In place of what the draft held before; without texts it is forgotten."""
    if not texts:
        forget(contact_id, name, by=by)
        return
    storable = {field: text.replace("\x00", "").encode(errors="replace").decode() for field, text in texts.items()}
    draft = {"at": datetime.now(UTC).isoformat(), "version": version, "texts": storable}
    preferences.put(_stored(contact_id, name), draft, by=by)


def forget(contact_id: int | None, name: str, *, by: Actor) -> None:
    preferences.forget(_stored(contact_id, name), by=by)


def _stored(contact_id: int | None, name: str) -> str:
    return f"draft new contact {name}" if contact_id is None else f"draft contact {contact_id} {name}"
