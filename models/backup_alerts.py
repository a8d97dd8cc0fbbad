"""What is wrong with the backups: told on the screen for as long as it is, and mailed once each time that it begins."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import DateTime, Text, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, backup_places, backups, file_places, mails, recovery, recovery_archive, schedule_times
from models.accounts import User
from models.audit import Event
from models.backups import FLOW, Backup, Drill, State
from models.database import BACKUPS_LOCK, Base, reading, writing
from models.flow_schedules import FlowSchedule
from models.mail_texts import Kind
from models.permissions import OPERATOR, Actor, Permission, Role, require
from models.settings import settings

GRACE = timedelta(hours=2)  # after its moment, for the backup itself and its drill
FALLBACK = timedelta(days=2)  # where no schedule says how often


class BackupAlert(Base):
    __tablename__ = "backup_alerts"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    sentence: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())


@dataclass(frozen=True)
class Health:
    """For the screen, and whoever measures: ages in seconds, None where there is none; `bytes` of backups, bases and
    the archived log; `faults` is kind -> sentence. `moments` are the first and the last that the server can be restored
    to, where its log is archived."""

    newest_age: float | None
    proven_age: float | None
    bytes: int
    restore_seconds: float | None
    faults: dict[str, str]
    moments: tuple[datetime, datetime] | None = None

    @property
    def alerts(self) -> list[str]:
        return list(self.faults.values())


def health(*, by: Actor) -> Health:
    """As it is now. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        now, done = _now(session), _done(session)
        faults = _wrong(session, now, done)
        moments = recovery.moments(session)
        of_moments = recovery.stored_bytes(session)
    proven = [one for one in done if one.proven]
    return Health(
        _age(now, done),
        _age(now, proven),
        sum(one.bytes or 0 for one in done) + of_moments,
        next((one.drill_seconds for one in proven), None),
        faults,
        moments,
    )


def look() -> list[str]:
    """Note what is wrong now, and mail what is new to the administrators, once; the sentences. For the sweep
    alone: a command may have other settings than the server, and would end what only the server can judge."""
    with writing(OPERATOR) as session:
        session.execute(select(func.pg_advisory_xact_lock(BACKUPS_LOCK, 1 << 30)))
        found = _wrong(session, _now(session), _done(session))
        known = {one.kind: one for one in session.scalars(select(BackupAlert))}
        for kind in known.keys() - found.keys():
            session.delete(known[kind])
        for kind, sentence in found.items():
            if kind in known:
                known[kind].sentence = sentence
                continue
            session.add(BackupAlert(kind=kind, sentence=sentence))
            audit.write(session, Event.BACKUP_ALERT, "backups", by=OPERATOR, reason=sentence)
            _mail(session, sentence)
    return list(found.values())


def _wrong(session: Session, now: datetime, done: list[Backup]) -> dict[str, str]:
    """The kind of each fault -> its sentence, with the way out."""
    entry = session.get(FlowSchedule, FLOW)
    found = {}
    due = _due(entry, now)
    newest = done[0] if done else None
    if due is not None and (newest is None or newest.created_at < due):
        last = "there is none" if newest is None else f"the last one is of {newest.created_at:%d %B %Y, %H:%M} UTC"
        found["missing"] = f"A backup is missing: {last}, and one was due. Make one with “Back up now”."
    newest_any = select(Backup).where(Backup.state.in_((State.DONE, State.FAILED))).order_by(Backup.id.desc()).limit(1)
    last_try = session.scalar(newest_any)
    if last_try is not None and last_try.state == State.FAILED:
        found["failed"] = f"The last backup failed: {last_try.error}"
    drilled = max((one for one in done if one.drilled_at), key=lambda one: one.drilled_at or now, default=None)
    if drilled is not None and drilled.drill in (Drill.DIFFERS, Drill.FAILED):
        why = (drilled.differences or ["nobody noted why"])[0]
        found["refuted"] = f"The drill of backup {drilled.id} failed, and it may be of no use: {why}"
    if newest is not None and newest.drill is None and newest.created_at < now - GRACE:
        found["unproven"] = f"Backup {newest.id} is not proven: no drill restored it. Start one with “Drill”."
    if newest is not None and (days := settings().backup_lock_days) and newest.locked_until is None:
        why = "its bucket has no Object Lock" if file_places.is_s3(newest.place) else "a folder cannot do so"
        found["unlocked"] = (
            f"Backup {newest.id} is to be locked for {days:,} days, and {why}: give the bucket Object Lock, or set "
            "APPOINTMENT360_BACKUP_LOCK_DAYS to 0."
        )
    found |= backup_places.wrong(session, now, backups.generations())
    base_due = now - GRACE if entry is None or entry.cron is None else due
    return found | recovery.wrong(session, now, base_due) | recovery_archive.wrong(session)


def _due(entry: FlowSchedule | None, now: datetime) -> datetime | None:
    """Not older may the newest backup be; None where nobody wants any by schedule, or none can be due yet."""
    if entry is None or entry.cron is None:
        return None
    late = (now - GRACE).astimezone(UTC)
    last = schedule_times.last_until(entry.cron, entry.time_zone, datetime.min.replace(tzinfo=UTC), late)
    return last if last > entry.since else None


def _done(session: Session) -> list[Backup]:
    """Those that are in their places, the newest first."""
    whole = (Backup.state == State.DONE) & Backup.gone_since.is_(None)
    return list(session.scalars(select(Backup).where(whole).order_by(Backup.id.desc())))


def _age(now: datetime, listed: list[Backup]) -> float | None:
    return (now - listed[0].created_at).total_seconds() if listed else None


def _now(session: Session) -> datetime:
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now


def _mail(session: Session, sentence: str) -> None:
    admins = select(User).where(User.role == Role.ADMIN, User.is_active, User.password_hash.is_not(None))
    for person in session.scalars(admins):
        mails.queue(session, Kind.BACKUP_TROUBLE, person, {"error": sentence}, by=OPERATOR)
