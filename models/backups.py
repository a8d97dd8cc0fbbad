"""Backups: what was made, where it lies, and whether a drill proved it. pipelines/back_up.py carries them out.

Only a restore that was compared proves a backup. What a process that died left unfinished is told by its lock, which
ended with it.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, DateTime, Float, Identity, Index, Integer, Text, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models import audit, database, file_places, stored_files
from models.audit import Event
from models.backup_retention import Generations, Kept, superfluous
from models.database import BACKUPS_LOCK, Base, by_id, reading, writing
from models.errors import Conflict, NotFound
from models.flow_runs import FlowRun, RunState
from models.permissions import OPERATOR, Actor, Permission, require
from models.settings import home, settings

FLOW = "back-up"
FOLDER = "backups"  # of the home
MOST = 500  # that are listed
STEPS = {  # in their order, in words
    "dump": "Reading the database out",
    "pack": "Packing and encrypting",
    "store": "Putting it into its place",
    "read": "Reading it back",
    "restore": "Restoring it for the drill",
    "compare": "Comparing",
    "log": "Reading through what moments are restored from",
    "base": "Looking after the moments that can be restored",
}
AFTER_DRILL = (STEPS["log"], STEPS["base"])
DRILLING = "being drilled"
_MOMENT = DateTime(timezone=True)


class Held(Conflict):
    """Another process makes, drills, restores or removes the backup."""


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REMOVED = "removed"


class Drill(StrEnum):
    """How the last one ended."""

    MATCHES = "matches"
    DIFFERS = "differs"
    FAILED = "failed"


class Backup(Base):
    """`key` names the key that opens it (age's public part); None is not encrypted. `drill_seconds` is what the
    restore took, without reading the archive and comparing. `gone_since` is when its archive was first missed."""

    __tablename__ = "backups"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    asked_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.clock_timestamp())
    finished_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    seconds: Mapped[float | None] = mapped_column(Float)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    tables: Mapped[int | None]
    rows: Mapped[int | None] = mapped_column(BigInteger)
    files: Mapped[int | None]
    key: Mapped[str | None] = mapped_column(Text)
    locked_until: Mapped[datetime | None] = mapped_column(_MOMENT)
    removed_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    drill: Mapped[str | None] = mapped_column(Text)
    drilled_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    drill_seconds: Mapped[float | None] = mapped_column(Float)
    differences: Mapped[list[str] | None] = mapped_column(JSONB)
    drill_asked_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    drill_asked_by: Mapped[int | None]
    gone_since: Mapped[datetime | None] = mapped_column(_MOMENT)

    __table_args__ = (
        Index("backups_name", "name", unique=True),
        Index("backups_state", "state", "created_at"),
    )

    @property
    def proven(self) -> bool:
        return self.state == State.DONE and self.drill == Drill.MATCHES and self.gone_since is None

    @property
    def standing(self) -> str:
        """In a word: proven, unproven, failed, running, waiting, removed; gone is what others removed."""
        if self.state != State.DONE:
            return self.state
        if self.gone_since is not None:
            return "gone"
        if self.drill is None:
            return "unproven"
        return "proven" if self.drill == Drill.MATCHES else "failed"

    @property
    def fault(self) -> str | None:
        """Why it is of no use, or may be of none."""
        return self.error or (self.differences[0] if self.standing == "failed" and self.differences else None)

    def shown(self, steps: Mapping[int, str]) -> str:
        """Its standing as people read it, while it is `at_work`, too."""
        drills = self.state == State.DONE and self.id in steps and steps[self.id] not in AFTER_DRILL
        return DRILLING if drills else self.standing


@dataclass(frozen=True)
class Made:
    """What came of a backup."""

    bytes: int
    tables: int
    rows: int
    files: int
    key: str | None
    locked_until: datetime | None = None


def place() -> str:
    """Where backups go: the setting, else beside the stored files, which is a folder of the home or of the store that
    all hosts share. Raises InvalidInput."""
    shared = stored_files.root()
    return file_places.checked(settings().backup_to or (f"{shared}/{FOLDER}" if shared else str(home() / FOLDER)))


def key_file() -> Path:
    """The file of the key that opens them; it may not be there yet."""
    return (settings().backup_key or home() / "backup.key").expanduser()


def generations() -> Generations:
    chosen = settings()
    return Generations(
        chosen.backups_newest, chosen.backups_days, chosen.backups_weeks, chosen.backups_months, chosen.backups_years
    )


def ask(*, by: Actor) -> int:
    """Have one made; its id, or that of the one that waits already. Raises NotAllowed, InvalidInput."""
    require(by, Permission.SERVER_MANAGE)
    with writing(by) as session:
        session.execute(select(func.pg_advisory_xact_lock(BACKUPS_LOCK, 0)))
        waiting_one = select(Backup.id).where(Backup.state == State.WAITING).order_by(Backup.id).limit(1)
        if (there := session.scalar(waiting_one)) is not None:
            return there
        moment = session.scalars(select(func.clock_timestamp())).one()
        # Two installations may share a place: what one sweeps there must not be the other's.
        name = f"appointment360-{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        made = Backup(name=name, place=place(), state=State.WAITING, asked_by=by.id)
        session.add(made)
        session.flush()
        audit.write(session, Event.BACKUP_ASKED, f"backup {made.id}", by=by, place=made.place)
        return made.id


def listed(*, by: Actor, removed: bool = False) -> list[Backup]:
    """The newest first. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    wanted = select(Backup).order_by(Backup.id.desc()).limit(MOST)
    with reading() as session:
        return list(session.scalars(wanted if removed else wanted.where(Backup.state != State.REMOVED)))


def get(backup_id: int, *, by: Actor) -> Backup:
    """Raises NotAllowed, NotFound."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        return _found(by_id(session, Backup, backup_id), backup_id)


def at_work(*, by: Actor) -> dict[int, str]:
    """The backups that a run makes or drills now, with its step in words. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    running = select(FlowRun).where(FlowRun.flow == FLOW, FlowRun.state == RunState.RUNNING).order_by(FlowRun.id)
    with reading() as session:
        held = sorted(database.claims(session, BACKUPS_LOCK))
        there = list(session.scalars(select(Backup.id).where(Backup.id.in_(held)).order_by(Backup.id)))
        runs = list(session.scalars(running)) if there else []
    found: dict[int, str] = {}
    for run in runs:
        # What runs by schedule makes the newest one.
        of_run = there[-1:] if run.subject is None else [one for one in there if run.subject.endswith(f"backup {one}")]
        found |= dict.fromkeys(of_run, run.step or "")
    return found


def newest_done(*, by: Actor) -> Backup:
    """The last that is whole. Raises NotAllowed, NotFound."""
    require(by, Permission.SERVER_OVERSEE)
    whole = (Backup.state == State.DONE) & Backup.gone_since.is_(None)
    wanted = select(Backup).where(whole).order_by(Backup.id.desc()).limit(1)
    with reading() as session:
        found = session.scalar(wanted)
    if found is None:
        raise NotFound("There is no backup yet: make one with `appointment360 backup`.")
    return found


def ask_drill(backup_id: int, *, by: Actor) -> None:
    """Have it proven soon. Raises NotAllowed, NotFound, Conflict (there is nothing to restore)."""
    require(by, Permission.SERVER_MANAGE)
    with writing(by) as session:
        found = _found(by_id(session, Backup, backup_id, locked=True), backup_id)
        if found.state != State.DONE:
            raise Conflict(f"Backup {backup_id} is {found.state}: there is nothing to restore.")
        found.drill_asked_at, found.drill_asked_by = func.clock_timestamp(), by.id
        audit.write(session, Event.BACKUP_DRILL_ASKED, f"backup {backup_id}", by=by)


def waiting(*, longer_than: timedelta) -> list[int]:
    """Backups that are asked for and no flow came for, and those whose drill is. For the sweep."""
    since = func.clock_timestamp() - longer_than
    asked = (Backup.state == State.WAITING) & (Backup.created_at < since)
    drill_asked = (Backup.state == State.DONE) & (Backup.drill_asked_at < since)
    wanted = select(Backup.id).where(asked | drill_asked).order_by(Backup.id)
    with reading() as session:
        found = list(session.scalars(wanted))
        held = database.claims(session, BACKUPS_LOCK)
    return [one for one in found if one not in held]


@contextmanager
def claimed(backup_id: int) -> Iterator[None]:
    """While the block runs no other process makes, drills, restores or removes it. Raises Held where one does."""
    with database.claimed(BACKUPS_LOCK, backup_id) as is_ours:
        if not is_ours:
            raise Held(f"Backup {backup_id} is in the hands of another process: wait for it.")
        yield


def begin(backup_id: int) -> Backup | None:
    """Take it on, also where a process died with it; None where it is over. The caller holds it. Raises NotFound."""
    with writing(OPERATOR) as session:
        found = _found(by_id(session, Backup, backup_id, locked=True), backup_id)
        if found.state not in (State.WAITING, State.RUNNING):
            return None
        found.state, found.error = State.RUNNING, None
        session.flush()
        session.expunge(found)
        return found


def finish(backup_id: int, made: Made, *, by: Actor) -> None:
    """It lies whole in its place. Raises NotFound, Conflict (it was taken for dead meanwhile, and cleared away)."""
    with writing(by) as session:
        found = _found(by_id(session, Backup, backup_id, locked=True), backup_id)
        if found.state not in (State.WAITING, State.RUNNING):
            raise Conflict(f"Backup {backup_id} is {found.state}: its process was not heard of. Make another one.")
        found.state, found.finished_at = State.DONE, func.clock_timestamp()
        found.seconds = func.extract("epoch", func.clock_timestamp() - Backup.created_at)
        found.bytes, found.tables, found.rows, found.files = made.bytes, made.tables, made.rows, made.files
        found.key, found.locked_until = made.key, made.locked_until
        audit.write(
            session, Event.BACKUP_MADE, f"backup {backup_id}", by=by, place=found.place, name=found.name,
            bytes=made.bytes, rows=made.rows, files=made.files, encrypted=made.key is not None,
        )  # fmt: skip


def fail(backup_id: int, sentence: str) -> None:
    """Note why there is none; nothing where it is over."""
    with writing(OPERATOR) as session:
        found = _found(by_id(session, Backup, backup_id, locked=True), backup_id)
        if found.state not in (State.WAITING, State.RUNNING):
            return
        found.state, found.error, found.finished_at = State.FAILED, sentence, func.clock_timestamp()
        audit.write(session, Event.BACKUP_FAILED, f"backup {backup_id}", by=OPERATOR, reason=sentence)


def drilled(backup_id: int, outcome: Drill, *, seconds: float | None, differences: list[str], by: Actor) -> None:
    """Note what a drill found: `differences` are sentences, of what differs or went wrong."""
    with writing(by) as session:
        found = _found(by_id(session, Backup, backup_id, locked=True), backup_id)
        found.drill, found.drill_seconds = outcome, seconds
        found.drilled_at, found.differences = func.clock_timestamp(), differences or None
        found.drill_asked_at = None
        audit.write(
            session, Event.BACKUP_DRILLED, f"backup {backup_id}", by=by, outcome=str(outcome), differences=differences
        )  # fmt: skip


def not_drilled(backup_id: int, sentence: str | None, *, by: Actor) -> None:
    """Note why a drill could not be done, None where somebody stopped it: that says nothing of the backup. Nobody waits
    for it any more."""
    with writing(by) as session:
        found = _found(by_id(session, Backup, backup_id, locked=True), backup_id)
        found.drill_asked_at = None
        if sentence and found.drill in (None, Drill.MATCHES):  # or what refuted it would be forgotten
            found.differences = [sentence]
        audit.write(
            session, Event.BACKUP_DRILLED, f"backup {backup_id}", by=by, outcome="not done",
            differences=[sentence] if sentence else [],
        )  # fmt: skip


def interrupted() -> list[Backup]:
    """Those that a process died with: they run, and nobody holds them. Until one is claimed that may be over."""
    with reading() as session:
        running = list(session.scalars(select(Backup).where(Backup.state == State.RUNNING)))
        held = database.claims(session, BACKUPS_LOCK)
    return [one for one in running if one.id not in held]


def anybody_at_work() -> bool:
    """Whether a process holds a backup: it makes, drills or removes it."""
    with reading() as session:
        return bool(database.claims(session, BACKUPS_LOCK))


def to_remove() -> list[Backup]:
    """Those in today's place that no generation needs, the oldest first, by the settings; none whose lock in the store
    lasts. What opens with another key, or without one, is no replacement: each has generations of its own."""
    with reading() as session:
        now = session.scalars(select(func.clock_timestamp())).one()
        here = select(Backup).where(Backup.state == State.DONE, Backup.place == place()).order_by(Backup.id)
        done = list(session.scalars(here))
    over = {number for key in {one.key for one in done} for number in _over([one for one in done if one.key == key])}
    return [one for one in done if one.id in over and (one.locked_until is None or one.locked_until <= now)]


def _over(done: list[Backup]) -> set[int]:
    kept = [Kept(one.id, one.created_at, one.proven) for one in done if one.gone_since is None]
    gone = [Kept(one.id, one.created_at, False) for one in done if one.gone_since is not None]
    chosen = generations()
    # What others removed stands for no generation; its own is over when it would be.
    return set(superfluous(kept, chosen)) | (set(superfluous(kept + gone, chosen)) & {one.id for one in gone})


def removed(backup_id: int) -> None:
    """It is no longer in its place, by retention."""
    with writing(OPERATOR) as session:
        found = _found(by_id(session, Backup, backup_id, locked=True), backup_id)
        found.state, found.removed_at, found.drill_asked_at = State.REMOVED, func.clock_timestamp(), None
        audit.write(session, Event.BACKUP_REMOVED, f"backup {backup_id}", by=OPERATOR, name=found.name)


def restored(backup_id: int, into: str, matches: bool, *, by: Actor) -> None:
    """Note that it was restored into the database at `into`, which holds no password. Raises NotAllowed."""
    require(by, Permission.SERVER_MANAGE)
    with writing(by) as session:
        audit.write(session, Event.BACKUP_RESTORED, f"backup {backup_id}", by=by, into=into, matches=matches)


def numbers(backup: Backup) -> dict[str, Any]:
    """What the command line prints as JSON."""
    return {
        "backup_id": backup.id, "name": backup.name, "place": backup.place, "state": backup.standing,
        "created_at": backup.created_at.isoformat(), "bytes": backup.bytes, "rows": backup.rows,
        "tables": backup.tables, "files": backup.files, "seconds": backup.seconds, "proven": backup.proven,
        "drill_seconds": backup.drill_seconds, "differences": backup.differences or [], "error": backup.error,
    }  # fmt: skip


def _found(backup: Backup | None, backup_id: int) -> Backup:
    if backup is None:
        raise NotFound(f"There is no backup {backup_id}: `appointment360 backups` lists them.")
    return backup
