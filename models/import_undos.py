"""Each time that an import was taken back or brought back, and the contacts that this left as they were.

What is in here is written by `models/contacts/undo.py`; `models/import_kept.py` reads it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Index, Integer, Text, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base


class Kind(StrEnum):
    UNDO = "undo"
    REDO = "redo"  # the undo of an undo


class Why(StrEnum):
    """Why a contact was left as it is, wholly or in some fields."""

    CHANGED = "changed"  # the import had updated it, and fields that it wrote were changed since
    CREATED = "created"  # the import had created it, and somebody changed it since
    DELETED = "deleted"  # somebody deleted it since
    MERGED = "merged"  # somebody made one of it and another, which stayed
    RESTORED = "restored"  # the undo had removed it, and somebody restored and changed it before it was brought back


class ImportUndo(Base):
    """`mark` is the number of the newest version in contact_history before it began; `counts` is what it came to."""

    __tablename__ = "import_undos"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    import_id: Mapped[int]
    kind: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    by_id: Mapped[int | None]
    mark: Mapped[int] = mapped_column(BigInteger)
    counts: Mapped[dict[str, int] | None] = mapped_column(JSONB)

    __table_args__ = (Index("import_undos_import", "import_id", "id"),)


class ImportKept(Base):
    """A contact that was left as it is. `before` is the version that it would have gone back to, `changes` the versions
    that whoever changed the `fields` replaced, one for each; `rest`: whether its other fields did go back."""

    __tablename__ = "import_kept"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    undo_id: Mapped[int]
    contact_id: Mapped[int] = mapped_column(BigInteger)
    why: Mapped[str] = mapped_column(Text)
    fields: Mapped[list[str]] = mapped_column(ARRAY(Text))
    changes: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    before: Mapped[int | None] = mapped_column(BigInteger)
    rest: Mapped[bool]

    __table_args__ = (Index("import_kept_undo", "undo_id", "id"),)


def begin(session: Session, import_id: int, kind: Kind) -> int:
    """Note that it begins, in the caller's transaction, whose versions of contacts carry its number from then on."""
    mark = session.scalar(text("SELECT last_value - 1 + is_called::int FROM contact_history_version_id_seq"))
    by_id = func.nullif(func.current_setting("appointment360.by", True), "").cast(Integer)
    made = ImportUndo(import_id=import_id, kind=kind, by_id=by_id, mark=mark or 0)
    session.add(made)
    session.flush()
    told = {"run": str(made.id), "import": str(import_id if kind is Kind.REDO else "")}
    # What is brought back comes from the import's file again, and is found as its doing.
    setting = (
        """SELECT set_config('appointment360.undo', :run, true), set_config('appointment360.import', :import, true)"""
    )
    session.execute(text(setting), told)
    return made.id


def finish(session: Session, run: int, counts: dict[str, int]) -> None:
    """Note what it came to; what the transaction writes after this is none of its doing."""
    session.execute(update(ImportUndo).where(ImportUndo.id == run).values(counts=counts))
    session.execute(
        text("SELECT set_config('appointment360.undo', '', true), set_config('appointment360.import', '', true)")
    )


def last(session: Session, import_id: int) -> Any:
    """The import's last ImportUndo, or None: nobody took it back, or an older version did."""
    wanted = select(ImportUndo).where(ImportUndo.import_id == import_id).order_by(ImportUndo.id.desc())
    return session.scalar(wanted.limit(1))


def _mark_versions(session: Session, run: str, import_id: str) -> None:
    settings = {"appointment360.undo": run, "appointment360.import": import_id}
    for name, value in settings.items():
        session.execute(select(func.set_config(name, value, True)))
