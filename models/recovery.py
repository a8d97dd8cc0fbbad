"""Restoring to any moment: the embedded server's write-ahead log is archived, and with it bases, copies of the server
that the log is applied to. pipelines/archive_wal.py and pipelines/base_backups.py carry it out.

A server that is not ours is its owner's to archive: deploy/RECOVERY.md.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import BigInteger, ColumnElement, DateTime, Identity, Index, Integer, Text, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, backups, recovery_pieces
from models.audit import Event
from models.database import Base, by_id, reading, writing
from models.errors import Conflict, NotFound
from models.permissions import OPERATOR
from models.recovery_pieces import Laid, RecoveryPiece
from models.settings import home, settings

SUBPLACE = "wal"
LATE = timedelta(minutes=20)  # a piece of the log is finished after five minutes at the latest
BASE_LATE = timedelta(days=2)
LONGEST_CHAIN = 7  # bases: a full one, and what changed since
_MOMENT = DateTime(timezone=True)


class State(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REMOVED = "removed"


class RecoveryBase(Base):
    """`parent` is the base that this one holds the changes since; None holds everything."""

    __tablename__ = "recovery_bases"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(Text)
    system: Mapped[str] = mapped_column(Text)
    parent: Mapped[int | None]
    state: Mapped[str] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.clock_timestamp())
    finished_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    start_wal: Mapped[str | None] = mapped_column(Text)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    locked_until: Mapped[datetime | None] = mapped_column(_MOMENT)
    removed_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    gone_since: Mapped[datetime | None] = mapped_column(_MOMENT)
    damaged_since: Mapped[datetime | None] = mapped_column(_MOMENT)

    @property
    def is_there(self) -> bool:
        """As far as anybody looked: models/recovery_archive.py."""
        return self.gone_since is None and self.damaged_since is None

    __table_args__ = (Index("recovery_bases_name", "name", unique=True),)


class RecoveryArchive(Base):
    __tablename__ = "recovery_archives"

    system: Mapped[str] = mapped_column(Text, primary_key=True)
    segment: Mapped[str | None] = mapped_column(Text)
    archived_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    error: Mapped[str | None] = mapped_column(Text)
    failing_since: Mapped[datetime | None] = mapped_column(_MOMENT)


@dataclass(frozen=True)
class Archiving:
    """The server's own view: how its archive_command goes on."""

    on: bool
    failed_since: datetime | None


def spool() -> Path:
    """Where the embedded server leaves the finished pieces of its log: its system user has neither the key nor the
    store's keys, so that a process of ours takes them from there."""
    return home() / "postgres" / "wal"


def wanted() -> bool:
    """Whether this process looks after an embedded server whose owner wants the log archived."""
    return settings().point_in_time and spool().is_dir()


def place() -> str:
    """Where bases and the log go: below the place of the backups. Raises InvalidInput."""
    return f"{backups.place()}/{SUBPLACE}"


def log_place(of: str, system: str) -> str:
    """Where the log of the server with that system identifier goes: two servers' pieces have the same names."""
    return f"{of}/{system}"


def system() -> str:
    """The server's identifier, which it keeps for life."""
    with reading() as session:
        return str(session.scalar(text("SELECT system_identifier FROM pg_control_system()")))


def archiving(session: Session) -> Archiving:
    found = session.execute(
        text("""SELECT current_setting('archive_mode') <> 'off',
            CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN last_failed_time END
            FROM pg_stat_archiver""")
    ).one()
    return Archiving(found[0], found[1])


def archived(system: str, segment: str, laid: Laid) -> None:
    """Note that a piece of the log is in its place."""
    now = func.clock_timestamp()
    values = {"segment": segment, "archived_at": now, "error": None, "failing_since": None}
    with writing(OPERATOR) as session:
        recovery_pieces.note(session, system, segment, laid)
        session.execute(
            insert(RecoveryArchive)
            .values(system=system, **values)
            .on_conflict_do_update(index_elements=["system"], set_=values)
        )


def not_archived(system: str, sentence: str) -> None:
    """Note why one is not: the sentence, and since when it is so."""
    since = func.coalesce(RecoveryArchive.failing_since, func.clock_timestamp())
    with writing(OPERATOR) as session:
        session.execute(
            insert(RecoveryArchive)
            .values(system=system, error=sentence, failing_since=func.clock_timestamp())
            .on_conflict_do_update(index_elements=["system"], set_={"error": sentence, "failing_since": since})
        )


def newest() -> RecoveryBase | None:
    """The last base that is whole, as far as anybody looked."""
    with reading() as session:
        return session.scalar(select(RecoveryBase).where(_there()).order_by(RecoveryBase.id.desc()).limit(1))


def chain(base: RecoveryBase) -> list[RecoveryBase]:
    """The base and those that it holds the changes since, the full one last; shorter where one is gone."""
    with reading() as session:
        found = [base]
        while found[-1].parent is not None:
            parent = session.get(RecoveryBase, found[-1].parent)
            if parent is None or parent.state != State.DONE or not parent.is_there:
                break
            found.append(parent)
        return found


def begin(system: str, name: str, parent: int | None) -> RecoveryBase:
    """Take on a base; its place is today's. The caller holds the lock."""
    with writing(OPERATOR) as session:
        made = RecoveryBase(name=name, place=place(), system=system, parent=parent, state=State.RUNNING)
        session.add(made)
        session.flush()
        session.refresh(made)
        session.expunge(made)
        return made


def finish(base_id: int, *, start_wal: str, size: int, locked_until: datetime | None) -> None:
    """It lies whole in its place. Raises NotFound, Conflict (it was taken for dead meanwhile, and cleared away)."""
    with writing(OPERATOR) as session:
        found = _found(session, base_id)
        if found.state != State.RUNNING:
            raise Conflict(f"Base {base_id} is {found.state}: its process was not heard of. Back up again.")
        found.state, found.finished_at = State.DONE, func.clock_timestamp()
        found.start_wal, found.bytes, found.locked_until = start_wal, size, locked_until
        audit.write(
            session, Event.RECOVERY_BASE_MADE, f"base {base_id}", by=OPERATOR, name=found.name, place=found.place,
            bytes=size, parent=found.parent,
        )  # fmt: skip


def fail(base_id: int, sentence: str) -> None:
    """Note why there is none. Raises NotFound."""
    with writing(OPERATOR) as session:
        found = _found(session, base_id)
        found.state, found.error, found.finished_at = State.FAILED, sentence, func.clock_timestamp()
        audit.write(session, Event.RECOVERY_BASE_FAILED, f"base {base_id}", by=OPERATOR, reason=sentence)


def removed(base_id: int) -> None:
    """It is no longer in its place, by retention. Raises NotFound."""
    with writing(OPERATOR) as session:
        found = _found(session, base_id)
        found.state, found.removed_at = State.REMOVED, func.clock_timestamp()
        audit.write(session, Event.RECOVERY_BASE_REMOVED, f"base {base_id}", by=OPERATOR, name=found.name)


def running() -> list[RecoveryBase]:
    """Those under way, or whose process died: who holds the lock knows that it is the latter."""
    with reading() as session:
        return list(session.scalars(select(RecoveryBase).where(RecoveryBase.state == State.RUNNING)))


def to_remove() -> list[RecoveryBase]:
    """Bases in today's place that no moment of the last days needs, those with changes before the full ones they build
    on."""
    here = select(RecoveryBase).where(RecoveryBase.state == State.DONE, RecoveryBase.place == place())
    with reading() as session:
        now = session.scalars(select(func.clock_timestamp())).one()
        done = list(session.scalars(here))
    earliest = now - timedelta(days=settings().point_in_time_days)
    usable = _usable(done)
    # What cannot be used stands for no moment; it may be put back for as long as it would stand for one.
    staying = needed(usable, earliest) | (needed(done, earliest) - {one.id for one in usable})
    locked = {one.id for one in done if one.locked_until is not None and one.locked_until > now}
    staying |= _with_parents(staying | locked, done)
    return sorted([one for one in done if one.id not in staying], key=lambda one: one.id, reverse=True)


def needed(done: list[RecoveryBase], earliest: datetime) -> set[int]:
    """Of bases the ids of those that are needed for every moment since `earliest`: what is newer, the last one before
    it, and whatever these build on."""
    # No moment before it was whole can be restored from it.
    since = {one.id: one.finished_at or one.created_at for one in done}
    listed = sorted(done, key=lambda one: (since[one.id], one.id), reverse=True)
    staying = {one.id for one in listed if since[one.id] > earliest}
    staying |= {one.id for one in [one for one in listed if since[one.id] <= earliest][:1]}
    return _with_parents(staying, done)


def _with_parents(ids: set[int], done: list[RecoveryBase]) -> set[int]:
    """The ids, and those of whatever these bases build on."""
    parents = {one.id: one.parent for one in done}
    found = set(ids)
    for one in ids:
        current = parents[one]
        while current is not None:
            found.add(current)
            current = parents.get(current)
    return found


def _usable(done: list[RecoveryBase]) -> list[RecoveryBase]:
    """Those that are there with whatever they build on."""
    there = {one.id for one in done if one.is_there}
    return [one for one in done if _with_parents({one.id}, done) <= there]


def first_needed(system: str) -> str | None:
    """The first piece of the log that a base needs which is there, or under way; None where there is no base, and
    every piece has to stay."""
    there = RecoveryBase.state.in_((State.DONE, State.RUNNING))
    with reading() as session:
        found = list(session.scalars(select(RecoveryBase).where(there, RecoveryBase.system == system)))
    starts = [one.start_wal for one in found if one.start_wal]
    # The first eight signs are the timeline: what comes after them goes on over all of them.
    return min(starts, key=lambda one: one[8:], default=None)


def moments(session: Session) -> tuple[datetime, datetime] | None:
    """Between the first and the last one any can be restored; None where none can."""
    done = _usable(list(session.scalars(select(RecoveryBase).where(RecoveryBase.state == State.DONE))))
    hole = session.scalar(select(func.max(func.substr(RecoveryPiece.segment, 9))).where(recovery_pieces.missed()))
    after = [one.finished_at for one in done if hole is None or (one.start_wal or "")[8:] > hole]
    first = min((one for one in after if one is not None), default=None)
    last = session.scalar(select(func.max(RecoveryArchive.archived_at)))
    return (first, last) if first and last and first < last else None


def stored_bytes(session: Session) -> int:
    """What the bases and the archived log take, in their places."""
    bases = select(func.sum(RecoveryBase.bytes)).where(_there())
    pieces = select(func.sum(RecoveryPiece.bytes)).where(RecoveryPiece.gone_since.is_(None))
    return int(session.scalar(bases) or 0) + int(session.scalar(pieces) or 0)


def wrong(session: Session, now: datetime, base_due: datetime | None) -> dict[str, str]:
    """The kind of each fault -> its sentence, with the way out; `base_due` is when the last base was due, with its
    grace. For models/backup_alerts.py."""
    if not wanted():
        return {}
    server = archiving(session)
    if not server.on:
        return {"log off": "The write-ahead log is not archived yet: the server does so from its next start on."}
    found = {}
    archive = session.scalars(
        select(RecoveryArchive).order_by(RecoveryArchive.archived_at.desc().nulls_first())
    ).first()
    if server.failed_since is not None:
        found["log refused"] = (
            f"The server cannot put its write-ahead log aside since {server.failed_since:%d %B, %H:%M} UTC: look at "
            f"{home() / 'postgres' / 'server.log'} and at the room on its disk."
        )
    if archive is not None and archive.failing_since is not None:
        found["log late"] = f"The write-ahead log is not archived: {archive.error}"
    elif (waiting := _oldest_waiting()) is not None and waiting < (now - LATE).timestamp():
        found["log late"] = "The write-ahead log waits in the server's folder: let `appointment360 up` run."
    found |= _wrong_bases(session, now, base_due)
    return found


def _wrong_bases(session: Session, now: datetime, due: datetime | None) -> dict[str, str]:
    listed = select(RecoveryBase).order_by(RecoveryBase.id.desc())
    last = session.scalars(listed.where(RecoveryBase.state.in_((State.DONE, State.FAILED)))).first()
    done = session.scalars(listed.where(_there())).first()
    if last is not None and last.state == State.FAILED:
        return {"base": f"The last base for restoring to a moment failed: {last.error}"}
    if done is None:
        since = session.scalar(select(func.min(RecoveryPiece.archived_at)))
        if since is None or due is None or due < since:
            return {}  # the first one was not due since the log is archived
        return {"base": "No moment can be restored yet: the first base is made with the next backup."}
    if done.created_at < now - BASE_LATE:
        return {"base": f"The last base is of {done.created_at:%d %B %Y}, and restoring would take long: back up."}
    return {}


def _there() -> ColumnElement[bool]:
    whole = RecoveryBase.gone_since.is_(None) & RecoveryBase.damaged_since.is_(None)
    return whole & (RecoveryBase.state == State.DONE)


def _oldest_waiting() -> float | None:
    """Its seconds since 1970, by the file system's clock."""
    times = []
    for path in spool().iterdir():
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:
            continue  # it was archived meanwhile
    return min(times, default=None)


def _found(session: Session, base_id: int) -> RecoveryBase:
    found = by_id(session, RecoveryBase, base_id, locked=True)
    if found is None:
        raise NotFound(f"There is no base {base_id}.")
    return found
