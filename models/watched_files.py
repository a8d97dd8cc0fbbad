"""What the looks at watched folders saw: each content once, with the import that came of it and how that ended.

That each is imported once is a rule of the database: the row of a content, its import and the order for it are written
in one transaction, so that two looks at once, or one that is killed, cannot make a second one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    and_,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, import_acceptances, import_files, import_orders, imports, watched_folders, watched_looks
from models.accounts import User
from models.audit import Event
from models.database import Base, reading, writing
from models.errors import Conflict, NotFound
from models.import_acceptances import NotAccepted
from models.import_files import Put
from models.imports import Import, Keep, MatchRule, State
from models.mail_texts import Kind
from models.permissions import NOBODY, OPERATOR, Actor, Permission, require
from models.upload_files import clean_name
from models.watched_folders import WatchedFolder

NUMBERS = ("rows", "created", "updated", "unchanged", "duplicates", "rejected")
WAITING = (State.OPENED, State.STAGED, State.CHECKED, State.PLANNED)


class WatchedFile(Base):
    """`content` is "sha256:" and the hash; of a file that could not be read "unread:" with its name and version."""

    __tablename__ = "watched_files"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    folder_id: Mapped[int] = mapped_column(ForeignKey("watched_folders.id"))
    content: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    modified: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    import_id: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)  # why it could not be read
    again: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))  # somebody wants it tried again
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # its outcome was mailed, or needs none

    __table_args__ = (
        UniqueConstraint("folder_id", "content", name="watched_files_once"),
        Index("watched_files_untold", "id", postgresql_where=text("told_at IS NULL")),
        Index("watched_files_import", "import_id"),
    )


class WatchedName(Base):
    """What the last look saw under a name; `content` once it stood still and was read."""

    __tablename__ = "watched_names"

    folder_id: Mapped[int] = mapped_column(Integer, ForeignKey("watched_folders.id"), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[str] = mapped_column(Text)
    content: Mapped[str | None] = mapped_column(Text)


@dataclass(frozen=True)
class Sight:
    """A file as a look sees it; `name` as it can be stored."""

    name: str
    size: int
    modified: datetime
    version: str


@dataclass(frozen=True)
class Seen:
    """A file with what became of it: `outcome` is a word of OUTCOMES, `error` the reason where there is one."""

    id: int
    name: str
    size: int
    seen_at: datetime
    import_id: int | None
    outcome: str
    error: str | None
    created: int
    updated: int
    rejected: int


OUTCOMES = ("imported", "waits for you", "under way", "failed", "cancelled", "undone", "to be tried again")


def of_folder(folder_id: int, *, most: int = 50, by: Actor) -> list[Seen]:
    """The newest first. Raises NotAllowed."""
    require(by, Permission.IMPORTS_RUN)
    wanted = (
        select(WatchedFile, Import)
        .outerjoin(Import, Import.id == WatchedFile.import_id)
        .where(WatchedFile.folder_id == folder_id)
        .order_by(WatchedFile.id.desc())
        .limit(most)
    )
    with reading() as session:
        return [_seen(one, made) for one, made in session.execute(wanted)]


def try_again(file_id: int, *, by: Actor) -> None:
    """Let the next look, which comes soon, import the file once more. Raises NotAllowed, NotFound, Conflict."""
    imports.require_importing(by)
    with writing(by) as session:
        one = session.get(WatchedFile, file_id, with_for_update=True)
        if one is None:
            raise NotFound("That file is not known any more.")
        folder = watched_folders.locked(session, one.folder_id)
        made = session.get(Import, one.import_id) if one.import_id else None
        if _seen(one, made).outcome in ("under way", "waits for you"):
            raise Conflict(f"{one.name} is on its way: look at import {one.import_id}, and cancel it first.")
        one.again = True
        same = WatchedName.folder_id == one.folder_id, WatchedName.content == one.content
        session.execute(update(WatchedName).where(*same).values(content=None))
        folder.next_look = func.now()
        subject = f"watched folder {folder.name}"
        audit.write(session, Event.FILE_AGAIN, subject, by=by, file=one.name, import_id=one.import_id)


def known(folder_id: int, names: Iterable[str]) -> Mapping[str, WatchedName]:
    """Name -> what the last look saw, detached."""
    wanted = select(WatchedName).where(WatchedName.folder_id == folder_id, WatchedName.name.in_(list(names)))
    with reading() as session:
        found = {one.name: one for one in session.scalars(wanted)}
        session.expunge_all()
    return found


def note(folder_id: int, sight: Sight) -> None:
    """It may still grow: the next look compares."""
    with writing(OPERATOR) as session:
        _note(session, folder_id, sight, None)


def refuse(folder_id: int, sight: Sight, error: str) -> None:
    """It cannot be read: that is told once for each version of it."""
    content = f"unread:{sight.name} {sight.version}"
    with writing(OPERATOR) as session:
        _claimed(session, folder_id, sight, content, error)
        _note(session, folder_id, sight, content)


def take(
    folder: WatchedFolder, sight: Sight, sha256: str, store: Callable[[int, str], Path | Put], *, by: Actor
) -> int | None:
    """Make the file an import with the rights of `by`, and order what the folder wants of it; returns its id, or None
    where this content was taken before.

    `store` puts the file in the place of the import of that number and name, and returns where; it is called last, so
    that whatever it leaves without a row is of a process that died in that moment.
    """
    content = f"sha256:{sha256}"
    with writing(by) as session:
        claimed = _claimed(session, folder.id, sight, content, None)
        _note(session, folder.id, sight, content)
        if claimed is None:
            return None
        rules = folder.rules
        made = imports.add(
            session, file_name=clean_name(sight.name), overrides={}, match=MatchRule(rules.get("match", "auto")),
            keep=Keep(rules.get("keep", "theirs")), modified=int(sight.modified.timestamp() * 1000),
            recall=watched_looks.recall(folder), by=by,
        )  # fmt: skip
        made.watched_id = folder.id
        import_orders.give(made, State.OPENED, by)
        session.execute(update(WatchedFile).where(WatchedFile.id == claimed).values(import_id=made.id))
        session.flush()
        # It may take as long as the file takes to be sent.
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        stored = store(made.id, made.file_name)
        made.file_path = import_files.note(session, made.id, stored) if isinstance(stored, Put) else str(stored)
        return made.id


def is_made(import_id: int) -> bool:
    """Whether the transaction that made it came to its end."""
    with reading() as session:
        return session.get(Import, import_id) is not None


def tell_outcomes() -> int:
    """Mail, once for each file, how it ended; returns how many."""
    is_over = and_(Import.wanted.is_(None), or_(Import.state != State.NEW, Import.error.is_not(None)))
    wanted = (
        select(WatchedFile.id)
        .outerjoin(Import, Import.id == WatchedFile.import_id)
        .where(WatchedFile.told_at.is_(None), ~WatchedFile.again, or_(WatchedFile.import_id.is_(None), is_over))
        .order_by(WatchedFile.id)
    )
    with reading() as session:
        found = list(session.scalars(wanted))
        made = select(WatchedFile.import_id).where(WatchedFile.id.in_(found), WatchedFile.import_id.is_not(None))
        busy = imports.being_worked_on(session, list(session.scalars(made)))
    return sum(_tell(one, busy) for one in found)


def _tell(file_id: int, busy: set[int]) -> bool:
    untold = select(WatchedFile).where(WatchedFile.id == file_id, WatchedFile.told_at.is_(None))
    with writing(OPERATOR) as session:
        one = session.scalar(untold.with_for_update(skip_locked=True))
        if one is None or one.import_id in busy:
            return False
        made = session.get(Import, one.import_id) if one.import_id else None
        folder = session.get_one(WatchedFolder, one.folder_id)
        if kind := _kind(one, made):
            reader = session.get(User, folder.mail_to) if folder.mail_to else None
            watched_looks.tell(
                session, kind, folder, _details(session, one, made, reader.actor() if reader else NOBODY)
            )
        one.told_at = func.now()
        return True


def _kind(one: WatchedFile, made: Import | None) -> Kind | None:
    """None where a person ended it, who knows."""
    if made is None:
        return Kind.FILE_FAILED
    kinds = {State.COMMITTED: Kind.FILE_IMPORTED, State.FAILED: Kind.FILE_FAILED, State.NEW: Kind.FILE_FAILED}
    return kinds.get(State(made.state)) or (Kind.FILE_WAITS if made.state in WAITING else None)


def _details(session: Session, one: WatchedFile, made: Import | None, reader: Actor) -> dict[str, Any]:
    details: dict[str, Any] = {"file": clean_name(one.name), "error": one.error or ""}
    if made is None:
        return details
    if made.state in (State.COMMITTED, State.PLANNED):
        numbers = ", ".join(_counted(getattr(made, name), name) for name in NUMBERS) + "."
    else:
        numbers = f"{_counted(made.rows, 'rows')}."
    error = made.error or one.error or ""
    return details | {"import_id": made.id, "numbers": numbers, "why": _why(session, made, reader), "error": error}


def _why(session: Session, made: Import, reader: Actor) -> str:
    """It waits for a person."""
    missing = import_acceptances.missing_from(session, made.id) if made.state == State.PLANNED else []
    if missing:
        return "its plan is made, and " + NotAccepted(made.id, missing).told_to(reader)
    if made.error:
        return made.error
    return "its plan is made." if made.state == State.PLANNED else "its columns are to be looked at."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what.removesuffix('s') if number == 1 else what}"


def _claimed(session: Session, folder_id: int, sight: Sight, content: str, error: str | None) -> int | None:
    """The row of this content, which from now on is this look's; None where it has been somebody's already."""
    row = {"name": sight.name, "size": sight.size, "modified": sight.modified, "error": error}
    made = insert(WatchedFile).values(folder_id=folder_id, content=content, **row)
    fresh = row | {"again": False, "told_at": None, "seen_at": func.now()}
    written = made.on_conflict_do_update(constraint="watched_files_once", set_=fresh, where=WatchedFile.again.is_(True))
    return session.scalar(written.returning(WatchedFile.id))


def _note(session: Session, folder_id: int, sight: Sight, content: str | None) -> None:
    values = {"size": sight.size, "version": sight.version, "content": content}
    made = insert(WatchedName).values(folder_id=folder_id, name=sight.name, **values)
    session.execute(made.on_conflict_do_update(index_elements=["folder_id", "name"], set_=values))


def _seen(one: WatchedFile, made: Import | None) -> Seen:
    numbers = (made.created, made.updated, made.rejected) if made else (0, 0, 0)
    error = (made.error if made else None) or one.error
    return Seen(one.id, one.name, one.size, one.seen_at, one.import_id, _outcome(one, made), error, *numbers)


def _outcome(one: WatchedFile, made: Import | None) -> str:
    if one.again:
        return "to be tried again"
    if made is None:
        return "failed"
    words = {
        State.COMMITTED: "imported", State.FAILED: "failed", State.CANCELLED: "cancelled", State.UNDONE: "undone",
    }  # fmt: skip
    if made.state in words:
        return words[State(made.state)]
    if made.wanted is not None:
        return "under way"
    return "failed" if made.state == State.NEW else "waits for you"
