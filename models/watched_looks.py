"""Looks at watched folders: which are due, with whose rights, how they ended, and whom that is told.

Whether a process looks is never written down: it holds a lock, which ends with it.
"""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import mails, schedule_times, users, watched_folders
from models.accounts import User
from models.database import WATCHING_LOCK, claims, reading, writing
from models.errors import Conflict
from models.imports import Recall
from models.mail_texts import Kind
from models.permissions import OPERATOR, Actor
from models.watched_folders import WatchedFolder

MOST_TRIES = 3  # looks whose process died


def due(*, due_only: bool = True) -> list[int]:
    """The folders whose time has come, or all that are active, at which no process looks; the longest waiting first."""
    kept = WatchedFolder
    wanted = select(kept.id).where(kept.is_active, kept.removed_at.is_(None))
    if due_only:
        wanted = wanted.where(kept.next_look <= func.now())
    with reading() as session:
        busy = claims(session, WATCHING_LOCK)
        return [one for one in session.scalars(wanted.order_by(kept.next_look)) if one not in busy]


def begin(folder_id: int) -> tuple[WatchedFolder, Actor]:
    """A look begins, whose caller holds the folder: the folder, detached, and with whose rights.

    Raises NotFound, NotAllowed (whose rights it has may do so no longer, or the account is closed), InvalidInput (its
    place is not one of those any more that may be watched), Conflict (its looks have died too often).
    """
    with writing(OPERATOR) as session:
        found = watched_folders.locked(session, folder_id)
        found.tries += 1
        session.flush()
        session.expunge(found)
    if found.tries > MOST_TRIES:
        raise Conflict(f"The last {MOST_TRIES} looks were interrupted, each time their process died.")
    by = users.acting(found.owner_id, f"The watching of “{found.name}”")
    watched_folders.require_setting_up(by)
    watched_folders.require_watchable(found.address, by=by)
    return found, by


def end(folder_id: int, error: str | None) -> None:
    """The look is over, with that error, which is mailed when it is the first one. The next look comes by schedule."""
    with writing(OPERATOR) as session:
        found = watched_folders.locked(session, folder_id)
        if error is not None and found.error is None:
            tell(session, Kind.FOLDER_TROUBLE, found, {"error": error, "place": found.address})
        found.error, found.tries, found.looked_at = error, 0, func.clock_timestamp()
        found.next_look = schedule_times.next_after(found.cron, found.time_zone, watched_folders.moment(session))


def tell(session: Session, kind: Kind, found: WatchedFolder, details: dict[str, Any]) -> None:
    """Mail it, in the caller's transaction, to whoever is to know of the folder's files."""
    person = session.get(User, found.mail_to) if found.mail_to else None
    if person is not None and person.is_active:
        mails.queue(session, kind, person, details | {"folder": found.name}, by=OPERATOR)


def recall(found: WatchedFolder) -> Recall:
    """How its files find their mapping."""
    return Recall(found.mapping_id, tuple(found.rules))
