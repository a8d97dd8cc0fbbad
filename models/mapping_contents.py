"""What a remembered mapping holds: which header of a file fills which field, with the rules of the import; and what is
compared of headers to find it again."""

import hashlib
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ARRAY, Boolean, ColumnElement, DateTime, Identity, Index, Integer, Text, delete, func, or_, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.contacts import mapping as field_mapping
from models.database import Base, writing
from models.import_drafts import Chosen
from models.permissions import OPERATOR, Actor

KEPT = timedelta(days=730)  # one that nobody named and nobody used
_CHOSEN = TypeAdapter(Chosen)


class RememberedMapping(Base):
    """`headers` are those of the file that it was made with, in that file's order; `labels` what is compared of them,
    sorted, and `signature` a hash of it; `chosen` is a Chosen for those headers."""

    __tablename__ = "mappings"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str | None] = mapped_column(Text)
    owner_id: Mapped[int | None]  # None is the operator
    is_shared: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    signature: Mapped[str] = mapped_column(Text)
    headers: Mapped[list[str]] = mapped_column(JSONB)
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    chosen: Mapped[dict[str, Any]] = mapped_column(JSONB)
    file_name: Mapped[str] = mapped_column(Text)  # the last one that had it
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # planned or committed with it
    committed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("mappings_signature", "signature"),
        Index(
            "mappings_remembered", func.coalesce(text("owner_id"), 0), "signature", unique=True,
            postgresql_where=text("name IS NULL"),
        ),
        Index(
            "mappings_name", func.coalesce(text("owner_id"), 0), func.lower(text("name")), unique=True,
            postgresql_where=text("name IS NOT NULL"),
        ),
        Index("mappings_shared_name", func.lower(text("name")), unique=True, postgresql_where=text("is_shared")),
    )  # fmt: skip


def seen_by(by: Actor) -> ColumnElement[bool]:
    """Which of them a person finds: one with a name is its owner's alone until it is shared."""
    kept = RememberedMapping
    return or_(kept.owner_id.is_not_distinct_from(by.id), kept.is_shared, kept.name.is_(None))


def fill(kept: RememberedMapping, headers: Sequence[str], chosen: Chosen, file_name: str) -> None:
    """Set what it says, and for which headers."""
    kept.headers, kept.labels = list(headers), labels(headers)
    kept.signature = signature(headers)
    kept.chosen, kept.file_name, kept.changed_at = stored(chosen), file_name, func.now()


def stored(chosen: Chosen) -> dict[str, Any]:
    """As JSON. What Chosen gains later is in it by itself, and has its default in what was stored before."""
    kept: dict[str, Any] = _CHOSEN.dump_python(chosen, mode="json")
    return kept


def restored(kept: dict[str, Any]) -> Chosen:
    """Of fields that there still are."""
    chosen = _CHOSEN.validate_python(kept)
    columns = {header: name for header, name in chosen.columns.items() if name in field_mapping.TARGETS}
    return replace(chosen, columns=columns)


def rules(chosen: Chosen) -> dict[str, Any]:
    """All but the columns, by the names that they have in an import, too."""
    kept = stored(chosen)
    return {one.name: kept[one.name] for one in fields(Chosen) if one.name not in ("columns", "left_out")}


def label(header: str) -> str:
    """What is compared of a header: its letters and digits, or its signs where it has none."""
    return field_mapping.plain(header) or header.casefold().strip()


def labels(headers: Sequence[str]) -> list[str]:
    return sorted(label(header) for header in headers)


def signature(headers: Sequence[str]) -> str:
    """The same for files with the same columns, in whatever order, and however their headers are spelled."""
    return hashlib.sha256("\0".join(labels(headers)).encode()).hexdigest()


def clear_unused() -> None:
    """Forget those that nobody named, and nobody used for two years."""
    old = func.coalesce(RememberedMapping.used_at, RememberedMapping.changed_at) < func.now() - KEPT
    with writing(OPERATOR) as session:
        session.execute(delete(RememberedMapping).where(RememberedMapping.name.is_(None), old))
