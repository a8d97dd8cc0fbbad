"""What is stored of duplicates and merges. The ids are no foreign keys: contacts come and go, decisions stay."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Float, ForeignKey, Identity, Index, Integer, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base

_MOMENT = DateTime(timezone=True)


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNDER_WAY = (State.WAITING, State.RUNNING)


class Decision(StrEnum):
    NOT_SAME = "not the same"
    LATER = "later"


class DuplicateRun(Base):
    """`compared` pairs were weighed, `pairs` of them are possible duplicates, in `clusters` of contacts; `left_out`
    are the weakest, of which there were too many. `digest` is of the model: the same one gives the same weights."""

    __tablename__ = "duplicate_runs"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    step: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    finished_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    contacts: Mapped[int] = mapped_column(BigInteger, server_default="0")
    compared: Mapped[int] = mapped_column(BigInteger, server_default="0")
    pairs: Mapped[int] = mapped_column(BigInteger, server_default="0")
    clusters: Mapped[int] = mapped_column(BigInteger, server_default="0")
    left_out: Mapped[int] = mapped_column(BigInteger, server_default="0")
    seconds: Mapped[float] = mapped_column(Float, server_default="0")
    digest: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index(
            "duplicate_runs_one",
            text("(true)"),
            unique=True,
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
    )


class DuplicatePair(Base):
    """Found by the newest run; `left_id` is the smaller. `left_seen` is the contact's `updated_at` when it was
    compared. `reasons` is [{"of", "title", "found", "bits"}]: no value of a contact."""

    __tablename__ = "duplicate_pairs"

    left_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    right_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    run_id: Mapped[int]
    cluster_id: Mapped[int] = mapped_column(BigInteger)
    weight: Mapped[float] = mapped_column(Float)
    probability: Mapped[float] = mapped_column(Float)
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    left_seen: Mapped[datetime] = mapped_column(_MOMENT)
    right_seen: Mapped[datetime] = mapped_column(_MOMENT)

    __table_args__ = (
        Index("duplicate_pairs_surest", "weight", "left_id", "right_id"),
        Index("duplicate_pairs_right", "right_id"),
    )


class DuplicateDecision(Base):
    __tablename__ = "duplicate_decisions"

    left_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    right_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    decision: Mapped[str] = mapped_column(Text)
    decided_by: Mapped[int | None]
    decided_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class ContactMerge(Base):
    """`version_id` is the survivor's state before, in contact_history; NULL where nothing of it was changed."""

    __tablename__ = "contact_merges"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    survivor_id: Mapped[int] = mapped_column(BigInteger)
    version_id: Mapped[int | None] = mapped_column(BigInteger)
    merged_by: Mapped[int | None]
    merged_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    undone_by: Mapped[int | None]
    undone_at: Mapped[datetime | None] = mapped_column(_MOMENT)

    __table_args__ = (Index("contact_merges_survivor", "survivor_id"),)


class ContactMergePart(Base):
    """A contact that went into the survivor, and its last state in contact_history."""

    __tablename__ = "contact_merge_parts"

    merge_id: Mapped[int] = mapped_column(ForeignKey("contact_merges.id"), primary_key=True, autoincrement=False)
    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    version_id: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (Index("contact_merge_parts_contact", "contact_id"),)


class ContactAlias(Base):
    """What a merged contact was known by: an import's row that brings it belongs to the survivor."""

    __tablename__ = "contact_aliases"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    merge_id: Mapped[int] = mapped_column(ForeignKey("contact_merges.id"))
    survivor_id: Mapped[int] = mapped_column(BigInteger)
    external_id: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    linkedin: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("contact_aliases_merge", "merge_id"),
        Index("contact_aliases_survivor", "survivor_id"),
        Index("contact_aliases_external", "external_id", postgresql_where=text("external_id IS NOT NULL")),
        Index("contact_aliases_email", "email", postgresql_where=text("email IS NOT NULL")),
        Index("contact_aliases_linkedin", "linkedin", postgresql_where=text("linkedin IS NOT NULL")),
    )
