"""Imports: one file on its way in, its plan, its numbers, its rejected rows."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Float, Identity, Index, Integer, Text, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, users
from models.audit import Event
from models.database import Base, reading, writing
from models.errors import NotFound
from models.permissions import Actor, Permission, require


class State(StrEnum):
    """Where an import stands: the last step that is finished, or how it ended."""

    NEW = "new"
    OPENED = "opened"
    STAGED = "staged"
    CHECKED = "checked"
    PLANNED = "planned"
    COMMITTED = "committed"
    UNDONE = "undone"
    FAILED = "failed"


class MatchRule(StrEnum):
    AUTO = "auto"
    EMAIL = "email"
    EXTERNAL = "external"
    LINKEDIN = "linkedin"
    NONE = "none"


class Keep(StrEnum):
    """Whose value stays where file and contact differ: theirs (the file's), or ours (only blanks are filled)."""

    THEIRS = "theirs"
    OURS = "ours"


class Import(Base):
    __tablename__ = "imports"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    file_name: Mapped[str] = mapped_column(Text)
    file_path: Mapped[str] = mapped_column(Text)  # the stored copy that a resume reads
    sha256: Mapped[str | None] = mapped_column(Text)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    opened: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # format, encoding, headers, notes
    overrides: Mapped[dict[str, str]] = mapped_column(JSONB)  # what a person asked: field -> header, "" for none
    mapping: Mapped[dict[str, str] | None] = mapped_column(JSONB)  # field -> header
    match: Mapped[str] = mapped_column(Text)
    keep: Mapped[str] = mapped_column(Text)
    staged: Mapped[int] = mapped_column(BigInteger, server_default="0")  # rows in the staging table
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unchanged: Mapped[int] = mapped_column(BigInteger, server_default="0")
    duplicates: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rejected: Mapped[int] = mapped_column(BigInteger, server_default="0")
    changed_fields: Mapped[dict[str, int] | None] = mapped_column(JSONB)  # field -> values the plan changes
    planned: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # clock and snapshot of the plan
    undone: Mapped[dict[str, int] | None] = mapped_column(JSONB)  # removed, restored, kept
    error: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seconds: Mapped[float] = mapped_column(Float, server_default="0")

    __table_args__ = (Index("imports_sha256", "sha256"),)


class ImportReject(Base):
    """A row that was refused, or that is a duplicate within its file, with its reason and its cells as they came."""

    __tablename__ = "import_rejects"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    import_id: Mapped[int]
    kind: Mapped[str] = mapped_column(Text)  # rejected | duplicate
    line: Mapped[int] = mapped_column(BigInteger)
    header: Mapped[str | None] = mapped_column(Text)
    value: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    cells: Mapped[list[str | None]] = mapped_column(JSON)  # not JSONB: cells may hold \\u0000

    __table_args__ = (Index("import_rejects_import", "import_id", "line"),)


class ImportNote(Base):
    """How many values of a header came in as something less than they were meant to be, with one example."""

    __tablename__ = "import_notes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    import_id: Mapped[int] = mapped_column(Integer, index=True)
    header: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    count: Mapped[int] = mapped_column(BigInteger)
    first_line: Mapped[int] = mapped_column(BigInteger)
    example: Mapped[str | None] = mapped_column(Text)


def create(*, file_name: str, overrides: dict[str, str], match: MatchRule, keep: Keep, by: Actor) -> int:
    """A new import whose file is about to be stored; returns its id. Raises NotAllowed."""
    require(by, Permission.IMPORTS_RUN)
    with writing(by) as session:
        made = Import(
            state=State.NEW, file_name=file_name, file_path="", overrides=overrides, match=match, keep=keep,
            created_by=by.id,
        )  # fmt: skip
        session.add(made)
        session.flush()
        audit.write(session, Event.IMPORT_CREATED, f"import {made.id}", by=by, file=file_name)
        return made.id


def get(import_id: int, *, by: Actor) -> Import:
    """Raises NotAllowed, NotFound."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        found = session.get(Import, import_id)
        if found is None:
            raise NotFound(f"There is no import {import_id}: `appointment360 imports list` shows them.")
        session.expunge(found)
        return found


def requester(import_: Import) -> Actor:
    """Who asked for it. Raises NotAllowed when the account was closed since."""
    return users.acting(import_.created_by, f"Import {import_.id}")


def latest(*, by: Actor, limit: int = 50) -> list[Import]:
    """Newest first."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        return list(session.scalars(select(Import).order_by(Import.id.desc()).limit(limit)))


def begun_before(days: int, *, among: Sequence[int]) -> list[int]:
    """Those `among` the ids whose import was begun more than so many days ago."""
    wanted = select(Import.id).where(Import.created_at < func.now() - timedelta(days=days), Import.id.in_(among))
    with reading() as session:
        return list(session.scalars(wanted.order_by(Import.id)))


def numbers(import_: Import) -> dict[str, int | float | str]:
    """The import as programs read it; rows = created + updated + unchanged + duplicates + rejected."""
    return {
        "import_id": import_.id,
        "state": import_.state,
        "rows": import_.rows,
        "created": import_.created,
        "updated": import_.updated,
        "unchanged": import_.unchanged,
        "duplicates": import_.duplicates,
        "rejected": import_.rejected,
        "seconds": round(import_.seconds, 2),
    }


def notes(import_id: int, *, by: Actor) -> list[ImportNote]:
    """Values that went to extra, by header; most frequent first."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        wanted = select(ImportNote).where(ImportNote.import_id == import_id).order_by(ImportNote.count.desc())
        return list(session.scalars(wanted))


def rejects(import_id: int, *, by: Actor, kind: str = "rejected") -> Iterator[ImportReject]:
    """The rows of that kind (rejected | duplicate) in file order, streamed."""
    get(import_id, by=by)
    with reading() as session:
        wanted = select(ImportReject).where(ImportReject.import_id == import_id, ImportReject.kind == kind)
        wanted = wanted.order_by(ImportReject.line, ImportReject.id).execution_options(yield_per=1000)
        yield from session.scalars(wanted)


def record(session: Session, import_id: int, **values: Any) -> None:
    """Set columns of the import in the caller's transaction."""
    session.execute(update(Import).where(Import.id == import_id).values(**values))
