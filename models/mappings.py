"""Mappings that are remembered: which header of a file fills which field, with the rules of the import, under a name.

A person's last import of each kind of file is remembered without one; see mapping_memory.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    DateTime,
    Identity,
    Index,
    Integer,
    Text,
    delete,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, imports
from models.accounts import User
from models.audit import Event
from models.contacts import mapping as field_mapping
from models.database import Base, by_id, reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.import_drafts import Chosen
from models.imports import Import
from models.permissions import OPERATOR, Actor, Permission, require

LONGEST_NAME = 80
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


@dataclass(frozen=True)
class Listed:
    """A mapping with what stands elsewhere. `is_own` of who asked; `owner` is a name, None for the command line."""

    id: int
    name: str | None
    is_own: bool
    is_shared: bool
    owner: str | None
    headers: list[str]
    chosen: Chosen
    file_name: str
    changed_at: datetime
    used_at: datetime | None
    imports: int

    @property
    def title(self) -> str:
        """What it is called; one without a name by its last file."""
        return self.name or f"last of {self.file_name}"


@dataclass(frozen=True)
class Use:
    """An import that was mapped by it."""

    import_id: int
    file_name: str
    state: str
    at: datetime


def listed(*, by: Actor) -> list[Listed]:
    """One's own, those that are shared, and what was remembered of others' imports without a name; the last used
    first. Raises NotAllowed."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        return _read(session, seen_by(by), by)


def get(mapping_id: int, *, by: Actor) -> Listed:
    """Raises NotAllowed, NotFound (also where somebody else keeps it for themselves)."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        found = _read(session, seen_by(by) & (RememberedMapping.id == mapping_id), by) if mapping_id < 2**31 else []
    if not found:
        raise NotFound(f"There is no mapping {mapping_id}, or its owner does not share it.")
    return found[0]


def named(name: str, *, by: Actor) -> Listed:
    """The one of that name or number; among equal names one's own. Raises NotAllowed, NotFound with those there are."""
    require(by, Permission.IMPORTS_RUN)
    wanted = name.strip()
    with reading() as session:
        found = _read(session, seen_by(by), by)
    if wanted.isascii() and wanted.isdecimal():
        same = [one for one in found if one.id == int(wanted)]
    else:
        same = [one for one in found if one.name and one.name.lower() == wanted.lower()]
    if same:
        return min(same, key=lambda one: not one.is_own)
    there = ", ".join(sorted(f"“{one.name}”" for one in found if one.name)) or "none"
    raise NotFound(f"There is no mapping “{wanted}”. Mappings with a name: {there}.")


def uses(mapping_id: int, *, most: int = 20, by: Actor) -> list[Use]:
    """The newest imports that have it. Raises NotAllowed, NotFound."""
    get(mapping_id, by=by)
    wanted = select(Import.id, Import.file_name, Import.state, Import.created_at).where(Import.mapping_id == mapping_id)
    with reading() as session:
        return [Use(*row) for row in session.execute(wanted.order_by(Import.id.desc()).limit(most))]


def save(import_id: int, chosen: Chosen, name: str, *, shared: bool = False, replacing: bool = False, by: Actor) -> int:
    """Keep what is chosen for the import's columns under a name; returns its id.

    `replacing` puts it in the place of one's own mapping of that name. What is remembered without a name, and says the
    same, gets the name. Raises NotAllowed, NotFound, InvalidInput,
    Conflict where the name is taken.
    """
    imports.require_importing(by)
    wanted = _clean(name)
    found = imports.get(import_id, by=by)
    headers = (found.opened or {}).get("headers")
    if not headers:
        raise Conflict(f"The file of import {import_id} is not read yet: there is no mapping to save.")
    field_mapping.chosen(chosen.columns, headers, chosen.left_out)
    own = _called(wanted, RememberedMapping.owner_id.is_not_distinct_from(by.id))
    with _one_name(wanted), writing(by) as session:
        before = session.scalar(select(RememberedMapping).where(own).with_for_update())
        if before and not replacing:
            raise Conflict(f"You have a mapping “{before.name}” already: choose another name, or replace it.")
        kept = before or _nameless(session, headers, chosen, by) or RememberedMapping(owner_id=by.id)
        kept.name = before.name if before else wanted
        kept.is_shared = shared
        was = _told(before) if before else None
        fill(kept, headers, chosen, found.file_name)
        session.add(kept)
        session.flush()
        imports.record(session, import_id, mapping_id=kept.id)
        audit.write(session, Event.MAPPING_SAVED, _subject(kept), by=by, before=was, after=_told(kept))
        return kept.id


def rename(mapping_id: int, name: str, *, by: Actor) -> None:
    """Give it another name, or a first one. Raises NotAllowed, NotFound, InvalidInput, Conflict."""
    imports.require_importing(by)
    wanted = _clean(name)
    with _one_name(wanted), writing(by) as session:
        kept = _own(session, mapping_id, by)
        was, subject = kept.name, _subject(kept)
        kept.name = wanted
        session.flush()
        audit.write(
            session, Event.MAPPING_CHANGED, subject, by=by, before={"name": was}, after={"name": wanted},
        )  # fmt: skip


def share(mapping_id: int, shared: bool, *, by: Actor) -> None:
    """Let everybody who imports use it, or keep it for its owner. Raises NotAllowed, NotFound, Conflict."""
    imports.require_importing(by)
    name = get(mapping_id, by=by).title
    with _one_name(name), writing(by) as session:
        kept = _own(session, mapping_id, by)
        if kept.name is None:
            raise Conflict("Give it a name first: what others are to find has one.")
        before, kept.is_shared = kept.is_shared, shared
        session.flush()
        audit.write(
            session, Event.MAPPING_CHANGED, _subject(kept), by=by, before={"shared": before}, after={"shared": shared},
        )  # fmt: skip


def change(mapping_id: int, chosen: Chosen, *, by: Actor) -> None:
    """Set what is read from where for the files to come; imports that have it stay as they are. Raises NotAllowed,
    NotFound, InvalidInput."""
    imports.require_importing(by)
    with writing(by) as session:
        kept = _own(session, mapping_id, by)
        field_mapping.chosen(chosen.columns, kept.headers, chosen.left_out)
        before = _told(kept)
        fill(kept, kept.headers, chosen, kept.file_name)
        audit.write(session, Event.MAPPING_CHANGED, _subject(kept), by=by, before=before, after=_told(kept))


def remove(mapping_id: int, *, by: Actor) -> None:
    """Forget it; imports that have it stay as they are. Raises NotAllowed, NotFound."""
    imports.require_importing(by)
    with writing(by) as session:
        kept = _own(session, mapping_id, by)
        audit.write(session, Event.MAPPING_DELETED, _subject(kept), by=by, before=_told(kept))
        session.delete(kept)


def clear_unused() -> None:
    """Forget those that nobody named, and nobody used for two years."""
    old = func.coalesce(RememberedMapping.used_at, RememberedMapping.changed_at) < func.now() - KEPT
    with writing(OPERATOR) as session:
        session.execute(delete(RememberedMapping).where(RememberedMapping.name.is_(None), old))


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


def _read(session: Session, which: ColumnElement[bool], by: Actor) -> list[Listed]:
    kept = RememberedMapping
    number = select(func.count()).where(Import.mapping_id == kept.id).correlate(kept).scalar_subquery()
    wanted = select(kept, User.name, number).outerjoin(User, User.id == kept.owner_id).where(which)
    order = func.coalesce(kept.used_at, kept.changed_at).desc(), kept.id.desc()
    return [
        Listed(
            one.id, one.name, one.owner_id == by.id, one.is_shared, owner, one.headers, restored(one.chosen),
            one.file_name, one.changed_at, one.used_at, used,
        )
        for one, owner, used in session.execute(wanted.order_by(*order))
    ]  # fmt: skip


def _nameless(session: Session, headers: Sequence[str], chosen: Chosen, by: Actor) -> RememberedMapping | None:
    """The person's last one for these headers, where it says just this."""
    kept = RememberedMapping
    own = kept.owner_id.is_not_distinct_from(by.id), kept.name.is_(None), kept.signature == signature(headers)
    found = session.scalar(select(kept).where(*own).with_for_update())
    return found if found and (found.headers, found.chosen) == (list(headers), stored(chosen)) else None


def _own(session: Session, mapping_id: int, by: Actor) -> RememberedMapping:
    """To be changed: one's own, or anybody's by who looks after others. Raises NotFound, NotAllowed."""
    found = by_id(session, RememberedMapping, mapping_id, locked=True)
    if found is None or not (found.owner_id == by.id or found.is_shared or found.name is None):
        raise NotFound(f"There is no mapping {mapping_id}, or its owner does not share it.")
    if found.owner_id != by.id and not by.may(Permission.OTHERS_OVERSEE):
        raise NotAllowed("It is somebody else's: save it under a name of your own, and change that.")
    return found


def _clean(name: str) -> str:
    wanted = " ".join(name.split())
    if not wanted or len(wanted) > LONGEST_NAME or not wanted.isprintable():
        raise InvalidInput(f"Give it a name of at most {LONGEST_NAME} letters.")
    if wanted.isascii() and wanted.isdecimal():
        raise InvalidInput(f"“{wanted}” would be taken for a number: put a letter into the name.")
    return wanted


def _called(name: str, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = func.lower(RememberedMapping.name) == func.lower(name)
    for one in more:
        condition &= one
    return condition


class _one_name:  # noqa: N801  # it reads as a statement
    """The database's own rule that a name is given once, as a sentence."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IntegrityError) and "mappings_" in str(error.orig):
            who = "Somebody shares" if "shared" in str(error.orig) else "You have"
            raise Conflict(f"{who} a mapping “{self._name}” already: choose another name.") from error


def _subject(kept: RememberedMapping) -> str:
    return f"mapping {kept.name or kept.id}"


def _told(kept: RememberedMapping) -> dict[str, Any]:
    return {"name": kept.name, "shared": kept.is_shared, **kept.chosen}
