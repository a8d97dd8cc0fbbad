"""The pieces of the write-ahead log that were archived, as they should lie in their place."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, DateTime, Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base, reading, writing
from models.permissions import OPERATOR

NAME = 24  # signs of a piece's name: its timeline in eight, and its number, which goes on over all timelines
_MOMENT = DateTime(timezone=True)


class RecoveryPiece(Base):
    """`file` is its name in the place, `bytes` its size there. `gone_since` is since when a listing has it no more, or
    of another size; `damaged_since` since when its content was found to be another."""

    __tablename__ = "recovery_pieces"

    system: Mapped[str] = mapped_column(Text, primary_key=True)
    segment: Mapped[str] = mapped_column(Text, primary_key=True)
    place: Mapped[str] = mapped_column(Text)
    file: Mapped[str] = mapped_column(Text)
    bytes: Mapped[int] = mapped_column(BigInteger)
    archived_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.clock_timestamp())
    locked_until: Mapped[datetime | None] = mapped_column(_MOMENT)
    gone_since: Mapped[datetime | None] = mapped_column(_MOMENT)
    damaged_since: Mapped[datetime | None] = mapped_column(_MOMENT)


@dataclass(frozen=True)
class Laid:
    """Where a piece lies now, and until when the store refuses to delete it."""

    place: str
    file: str
    bytes: int
    locked_until: datetime | None


def note(session: Session, system: str, segment: str, laid: Laid) -> None:
    """That a piece is in its place. The server archives small notes of its bases as well, which no restore needs."""
    if len(segment) != NAME:
        return
    values = {
        "place": laid.place, "file": laid.file, "bytes": laid.bytes, "locked_until": laid.locked_until,
        "gone_since": None, "damaged_since": None,
    }  # fmt: skip
    made = insert(RecoveryPiece).values(system=system, segment=segment, **values)
    session.execute(made.on_conflict_do_update(index_elements=["system", "segment"], set_=values))


def locked(system: str) -> set[str]:
    """The files that the store refuses to delete by now: without their version they would only be hidden."""
    wanted = select(RecoveryPiece.file).where(
        RecoveryPiece.system == system, RecoveryPiece.locked_until > func.clock_timestamp()
    )
    with reading() as session:
        return set(session.scalars(wanted))


def forget(system: str, segment: str) -> None:
    """Nothing needs it any more, and it is about to be removed from its place."""
    with writing(OPERATOR) as session:
        session.execute(delete(RecoveryPiece).where(RecoveryPiece.system == system, RecoveryPiece.segment == segment))


def from_on(start: str) -> ColumnElement[bool]:
    """Those that a base needs whose first one is `start`, of whatever timeline."""
    return func.substr(RecoveryPiece.segment, 9) >= start[8:]


def missed() -> ColumnElement[bool]:
    return RecoveryPiece.gone_since.is_not(None) | RecoveryPiece.damaged_since.is_not(None)
