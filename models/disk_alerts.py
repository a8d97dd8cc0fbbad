"""Disks that are getting full: told on the screen for as long as they are, and mailed once each time that it begins."""

import socket
from datetime import datetime

from sqlalchemy import DateTime, Text, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, disks, mails
from models.accounts import User
from models.audit import Event
from models.database import DISKS_LOCK, Base, reading, writing
from models.disk_space import shown
from models.disks import Disk
from models.mail_texts import Kind
from models.permissions import OPERATOR, Actor, Permission, Role, require
from models.settings import settings

RECOVERED = 1.1  # times the limit: what goes up and down around it is told once


class DiskAlert(Base):
    """Of the disk of `folder` on the machine `host`, which alone ends it."""

    __tablename__ = "disk_alerts"

    host: Mapped[str] = mapped_column(Text, primary_key=True)
    folder: Mapped[str] = mapped_column(Text, primary_key=True)
    sentence: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())


def listed(*, by: Actor) -> list[str]:
    """What the last look found, of all machines, in sentences. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        return list(session.scalars(select(DiskAlert.sentence).order_by(DiskAlert.since)))


def look() -> list[str]:
    """Note which disks of this machine are getting full, and mail what is new to the administrators, once; the
    sentences. For the sweep."""
    host, found = socket.gethostname(), {one.folder: one for one in disks.all_here()}
    with writing(OPERATOR) as session:
        session.execute(select(func.pg_advisory_xact_lock(DISKS_LOCK)))
        known = {one.folder: one for one in session.scalars(select(DiskAlert).where(DiskAlert.host == host))}
        for folder in known.keys() - found.keys():
            session.delete(known[folder])
        for folder, disk in found.items():
            _note(session, host, disk, known.get(folder))
        session.flush()
        return list(session.scalars(select(DiskAlert.sentence).where(DiskAlert.host == host)))


def _note(session: Session, host: str, disk: Disk, known: DiskAlert | None) -> None:
    if known is not None and disk.free >= settings().disk_warning * RECOVERED:
        session.delete(known)
    elif known is not None:
        known.sentence = _sentence(host, disk)
    elif disk.is_low:
        sentence = _sentence(host, disk)
        session.add(DiskAlert(host=host, folder=disk.folder, sentence=sentence))
        audit.write(session, Event.DISK_ALERT, "disk space", by=OPERATOR, reason=sentence)
        for person in _administrators(session):
            mails.queue(session, Kind.DISK_LOW, person, {"error": sentence}, by=OPERATOR)


def _sentence(host: str, disk: Disk) -> str:
    return (
        f"The disk of {disk.folder} on {host} has {shown(disk.free)} of {shown(disk.total)} left, and {disk.holds} "
        f"lie on it. Below {shown(int(settings().disk_reserve))} imports, exports and backups are refused: make room."
    )


def _administrators(session: Session) -> list[User]:
    admins = select(User).where(User.role == Role.ADMIN, User.is_active, User.password_hash.is_not(None))
    return list(session.scalars(admins.order_by(User.id)))
