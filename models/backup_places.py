"""The places of backups as they were last seen: which archives others removed, and what the bucket's own rules delete.
pipelines/look_at_backups.py looks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, Text, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, database, file_places, recovery
from models.audit import Event
from models.backup_retention import Generations
from models.backups import Backup, State
from models.database import BACKUPS_LOCK, Base, reading, writing
from models.permissions import OPERATOR
from models.recovery import RecoveryBase
from models.recovery_pieces import RecoveryPiece

EVERY = timedelta(hours=1)  # a store is asked; a folder of this machine at each sweep
TOLD = timedelta(days=30)  # so long an archive that is gone is an alert
SHOWN = 3


class BackupPlace(Base):
    __tablename__ = "backup_places"

    place: Mapped[str] = mapped_column(Text, primary_key=True)
    looked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_after: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)


@dataclass(frozen=True)
class Expected:
    """A backup that should lie in its place: the archive has so many bytes."""

    id: int
    name: str
    key: str | None
    size: int | None


def due() -> dict[str, list[Expected]]:
    """The places to look at now, with what should be there."""
    found: dict[str, list[Expected]] = {}
    with reading() as session:
        since = select(BackupPlace.place).where(BackupPlace.looked_at > func.clock_timestamp() - EVERY)
        recent = set(session.scalars(since))
        for one in session.scalars(select(Backup).where(Backup.state == State.DONE).order_by(Backup.id)):
            if one.place not in recent or not file_places.is_s3(one.place):
                found.setdefault(one.place, []).append(Expected(one.id, one.name, one.key, one.bytes))
    return found


def seen(place: str, there: Mapping[int, bool], *, expires_after: int | None) -> None:
    """Note of each backup whether it is in the place, as it was just seen; of those that somebody removed a line in the
    audit log."""
    with writing(OPERATOR) as session:
        now = func.clock_timestamp()
        values = {"looked_at": now, "expires_after": expires_after, "error": None}
        _note(session, place, values)
        # Retention may have removed one since.
        mine = (
            select(Backup)
            .where(Backup.place == place, Backup.state == State.DONE, Backup.id.in_(there))
            .with_for_update()
        )
        held = database.claims(session, BACKUPS_LOCK)  # also by retention, which removes it and then notes that
        for one in session.scalars(mine):
            if one.id in held:
                continue
            if there[one.id]:
                one.gone_since = None
            elif one.gone_since is None:
                one.gone_since = now
                audit.write(session, Event.BACKUP_GONE, f"backup {one.id}", by=OPERATOR, name=one.name, place=place)


def is_due(place: str) -> bool:
    """Whether to look at it now, where it is not one of backups."""
    with reading() as session:
        found = session.get(BackupPlace, place)
        now = session.scalars(select(func.clock_timestamp())).one()
    return not file_places.is_s3(place) or found is None or not found.looked_at or found.looked_at < now - EVERY


def looked_at(place: str) -> None:
    """Note that a place that is not one of backups could be looked at just now."""
    with writing(OPERATOR) as session:
        _note(session, place, {"looked_at": func.clock_timestamp(), "error": None})


def not_seen(place: str, sentence: str) -> None:
    """Note why a place cannot be looked at."""
    with writing(OPERATOR) as session:
        _note(session, place, {"error": sentence})


def wrong(session: Session, now: datetime, generations: Generations) -> dict[str, str]:
    """The kind of each fault -> its sentence, with the way out. For models/backup_alerts.py."""
    found = {}
    if gone := _gone(session, now):
        more = f" and {len(gone) - SHOWN:,} more" if len(gone) > SHOWN else ""
        named = ", ".join(str(one.id) for one in gone[:SHOWN]) + more
        found["gone"] = (
            f"Somebody removed or changed archives in {gone[0].place}: backup {named} cannot be restored. Put "
            "them back, or make another one; this is told for 30 days."
        )
    places = session.scalars(select(BackupPlace).where(BackupPlace.place.in_(_used(session))))
    longest = generations.longest_days
    for one in places:
        if one.error:
            found[f"place {one.place}"] = f"The backups in {one.place} cannot be looked at: {one.error}"
        if one.expires_after is not None and one.expires_after < longest:
            found[f"expiry {one.place}"] = (
                f"The lifecycle of {one.place} deletes what is {one.expires_after:,} days old, and backups are to be "
                f"kept for up to {longest:,}: change that rule, or keep fewer with APPOINTMENT360_BACKUPS_YEARS and "
                "_MONTHS."
            )
    return found


def _gone(session: Session, now: datetime) -> list[Backup]:
    missing = select(Backup).where(Backup.state == State.DONE, Backup.gone_since > now - TOLD)
    return list(session.scalars(missing.order_by(Backup.id.desc())))


def _used(session: Session) -> Iterable[str]:
    found = set(session.scalars(select(Backup.place).where(Backup.state == State.DONE)))
    if recovery.wanted():
        found |= set(session.scalars(select(RecoveryPiece.place)))
        found |= set(session.scalars(select(RecoveryBase.place).where(RecoveryBase.state == State.DONE)))
    return found


def _note(session: Session, place: str, values: Mapping[str, object]) -> None:
    made = insert(BackupPlace).values(place=place, **values)
    session.execute(made.on_conflict_do_update(index_elements=["place"], set_=dict(values)))
