"""The parts of an upload that are here: each is noted once it is on the disk, or in the store that all hosts share, and
counts from then on.

Parts are numbered from 1. Those of a program have one size, but the last, which has the rest; a browser's, which are
noted in the shared store alone, have as much as came in one piece. There they stay the import's file once it is whole.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, DateTime, Integer, Text, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base
from models.errors import Conflict, InvalidInput

MOST = 10_000  # parts of a file
USUAL_SIZE = 8_388_608  # bytes of a part, where nobody says another size
USUAL_MOST = 200  # parts of a file then: each is a request, and a person has so many in an hour


class ImportPart(Base):
    __tablename__ = "import_parts"

    import_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(Text)
    stored_as: Mapped[str | None] = mapped_column(Text)  # its object in the shared store; NULL below the home
    stored_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class PartsMissing(Conflict):
    """The upload cannot be completed: `missing` are the numbers of the parts that are not here."""

    def __init__(self, sentence: str, *, missing: list[int]) -> None:
        self.missing = missing
        super().__init__(sentence)


@dataclass(frozen=True)
class Place:
    """Where in its file a part lies, in bytes."""

    offset: int
    length: int


def usual_size(size: int) -> int:
    """Bytes of each part of a file of `size` bytes, where nobody says another size."""
    return max(USUAL_SIZE, -(-size // USUAL_MOST))


def count(size: int, part_size: int) -> int:
    return -(-size // part_size)


def require_few(size: int, part_size: int) -> None:
    """Raises InvalidInput where there would be too many of them."""
    if count(size, part_size) > MOST:
        raise InvalidInput(
            f"A file of {size:,} bytes would have more than {MOST:,} parts of {part_size:,} bytes: let each have at "
            f"least {-(-size // MOST):,}.",
            field="part_size",
        )


def place(size: int, part_size: int, number: int) -> Place:
    """Raises InvalidInput for the number of no part."""
    most = count(size, part_size)
    if not 1 <= number <= most:
        raise InvalidInput(
            f"The parts of this file are numbered from 1 to {most:,}: there is no part {number:,}.", field="number"
        )
    offset = (number - 1) * part_size
    return Place(offset, min(part_size, size - offset))


def listed(session: Session, import_id: int) -> list[ImportPart]:
    return list(
        session.scalars(select(ImportPart).where(ImportPart.import_id == import_id).order_by(ImportPart.number))
    )


def arrived(session: Session, import_id: int) -> int:
    """Bytes of all that are here."""
    return int(session.scalar(select(func.sum(ImportPart.bytes)).where(ImportPart.import_id == import_id)) or 0)


def last_number(session: Session, import_id: int) -> int:
    """0 before the first one."""
    return session.scalar(select(func.max(ImportPart.number)).where(ImportPart.import_id == import_id)) or 0


def came_since(session: Session, import_id: int, days: int) -> bool:
    """Whether one of them came in the last so many days."""
    since = func.now() - timedelta(days=days)
    wanted = select(func.count()).where(ImportPart.import_id == import_id, ImportPart.stored_at > since)
    return bool(session.scalar(wanted))


def missing(session: Session, import_id: int, size: int, part_size: int) -> list[int]:
    """The numbers of those that are not here."""
    here = set(session.scalars(select(ImportPart.number).where(ImportPart.import_id == import_id)))
    return [number for number in range(1, count(size, part_size) + 1) if number not in here]


def forget(session: Session, import_id: int, number: int | None = None) -> None:
    """One of them, or all: they are the import's file by now, or are to come anew."""
    gone = delete(ImportPart).where(ImportPart.import_id == import_id)
    session.execute(gone if number is None else gone.where(ImportPart.number == number))
