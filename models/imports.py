"""Imports: one file on its way in, its plan, its numbers, its rejected rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    cast,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, Session, defer, mapped_column

from models import audit, check_results, users
from models.audit import Event
from models.check_results import Verdict
from models.database import IMPORTS_LOCK, Base, by_id, reading, writing
from models.errors import NotAllowed, NotFound
from models.filters import visible_fields
from models.permissions import Actor, Permission, require
from models.settings import home


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
    CANCELLED = "cancelled"


class MatchRule(StrEnum):
    AUTO = "auto"
    EMAIL = "email"
    EXTERNAL = "external"
    LINKEDIN = "linkedin"
    NONE = "none"


class Keep(StrEnum):
    """Whose value stays where file and contact differ: theirs (the file's), ours (only blanks are filled), that of the
    newer one (a row that is not newer only fills blanks), or never another (no blank is filled either)."""

    THEIRS = "theirs"
    OURS = "ours"
    NEWER = "newer"
    NEVER = "never"


# What tells a plan from another: {"at": when it was made, "digest": the same for plans that say the same of every row},
# and where the contacts stood: {"clock", "busy"}. Plans of older versions have no digest.
Plan = dict[str, Any]


class Import(Base):
    __tablename__ = "imports"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    file_name: Mapped[str] = mapped_column(Text)
    # The stored copy that a resume reads: a file below the home, or the address of the import's objects in a store that
    # all hosts share.
    file_path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(Text)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    upload_bytes: Mapped[int | None] = mapped_column(BigInteger)  # a sent file, as its sender described it
    upload_modified: Mapped[int | None] = mapped_column(BigInteger)  # the file's, in milliseconds since 1970
    upload_part_bytes: Mapped[int | None] = mapped_column(BigInteger)  # of each part but the last, where it has parts
    opened: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # format, encoding, headers, notes, proposed mapping
    preview: Mapped[dict[str, Any] | None] = mapped_column(JSONB, deferred=True)  # see Preview
    overrides: Mapped[dict[str, str]] = mapped_column(JSONB)  # what a person asked: field -> header, "" for none
    mapping: Mapped[dict[str, str] | None] = mapped_column(JSONB)  # field -> header
    # Headers that go nowhere: all of them once the file was opened; before, those that a person asked for.
    left_out: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    match: Mapped[str] = mapped_column(Text)
    keep: Mapped[str] = mapped_column(Text)
    keep_fields: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}")  # field -> Keep, where it differs
    # The header that says when a row was changed; "" for the moment of the file, None before somebody has said so.
    dated_by: Mapped[str | None] = mapped_column(Text)
    # Of the mappings that are remembered: see mapping_memory.
    recall: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # a Recall; None asks for none
    recalled: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # see mapping_memory.Recalled
    mapping_id: Mapped[int | None]  # the one that says what this has, if any does
    watched_id: Mapped[int | None]  # the watched folder that its file came from
    staged: Mapped[int] = mapped_column(BigInteger, server_default="0")  # rows in the staging table
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unchanged: Mapped[int] = mapped_column(BigInteger, server_default="0")
    duplicates: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rejected: Mapped[int] = mapped_column(BigInteger, server_default="0")
    changed_fields: Mapped[dict[str, int] | None] = mapped_column(JSONB)  # field -> values the plan changes
    reasons: Mapped[dict[str, list[tuple[str, int]]] | None] = mapped_column(JSONB)  # see import_rejects.reasons
    planned: Mapped[Plan | None] = mapped_column(JSONB)
    # What the commit wrote, as the numbers that it was given: {"contacts": [first, last], "versions": [first, last]}.
    written: Mapped[dict[str, list[int]] | None] = mapped_column(JSONB)
    moved: Mapped[int] = mapped_column(BigInteger, server_default="0")  # rows of a plan that held no longer
    undone: Mapped[dict[str, int] | None] = mapped_column(JSONB)  # removed, restored, kept
    error: Mapped[str | None] = mapped_column(Text)
    # When retention removed the rows that did not come in, and the file.
    rejects_expired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    file_expired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seconds: Mapped[float] = mapped_column(Float, server_default="0")
    # What somebody wants of it, until that is done: see import_orders.
    orders: Mapped[int] = mapped_column(Integer, server_default="0")  # the number of the last order
    wanted: Mapped[str | None] = mapped_column(Text)  # the state that it shall come to
    wanted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    wanted_by: Mapped[int | None]
    wanted_plan: Mapped[Plan | None] = mapped_column(JSONB)  # the one that whoever wants it committed has seen
    tries: Mapped[int] = mapped_column(Integer, server_default="0")  # processes that began with the order
    # Which opening or staging it goes on from, where hosts share no folder: see import_steps.
    working_copy: Mapped[str | None] = mapped_column(Text)
    # How far a process is that works on it: see import_progress.Progress.
    step: Mapped[str | None] = mapped_column(Text)
    step_done: Mapped[int | None] = mapped_column(BigInteger)
    step_total: Mapped[int | None] = mapped_column(BigInteger)
    step_started: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    step_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("imports_sha256", "sha256"),
        Index("imports_mapping", "mapping_id", postgresql_where=text("mapping_id IS NOT NULL")),
        # One person's file is uploaded once at a time, also from two windows.
        Index(
            "imports_uploading", "created_by", "file_name", "upload_bytes", "upload_modified", unique=True,
            postgresql_where=text("state = 'new' AND file_path = '' AND wanted IS NULL AND upload_bytes IS NOT NULL"),
        ),
    )  # fmt: skip


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
    # The contacts that an ambiguous row could mean, the first ones; the one that a duplicate means, where it was here.
    contacts: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    other_line: Mapped[int | None] = mapped_column(BigInteger)  # of the row that came in instead
    reason_number: Mapped[int | None] = mapped_column(SmallInteger)  # the place in Import.reasons of its kind

    __table_args__ = (Index("import_rejects_import", "import_id", "kind", "line", "id"),)


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


@dataclass(frozen=True)
class Recall:
    """That the import shall be mapped by what is remembered, once its headers are known: by the mapping of that id, or
    else by what files with these headers had before. Rules that are `fixed`, such as "match", stay as they are."""

    mapping_id: int | None = None
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preview:
    """The beginning of an opened file. `rows` are its first rows as (line, cells); `examples` and `filled`, by header,
    are some different values of the first rows and the share of those rows that has any. Texts are cut, and of a very
    wide file only the first columns are there. Neither rows nor examples for whom its values are hidden from."""

    rows: list[tuple[int, list[str | None]]]
    examples: dict[str, list[str]]
    filled: dict[str, float]


@dataclass(frozen=True)
class Changed:
    """What a plan changes in one field ("extra" included): in how many contacts, and examples as (now, after)."""

    field: str
    contacts: int
    examples: list[tuple[Any, Any]]


@dataclass(frozen=True)
class Listed:
    """An import in the list of them, with what stands elsewhere."""

    import_: Import
    by_name: str | None  # None for the command line
    is_running: bool


def sees_all(by: Actor) -> bool:
    """Whether no column is hidden from the person, which importing takes beside the permission."""
    return by.columns is None


def require_importing(by: Actor, permission: Permission = Permission.IMPORTS_RUN) -> None:
    """Raises NotAllowed; also for who does not see every column. A plan says in how many contacts, and where, a file
    differs from what is stored: with a file made for that, one could ask for any hidden value."""
    require(by, permission)
    if not sees_all(by):
        raise NotAllowed(
            f"You may not {permission.value}: that compares every column, and you do not see all of them. "
            "Let somebody do it who does."
        )


def create(
    *,
    file_name: str,
    overrides: dict[str, str],
    left_out: Sequence[str] = (),
    match: MatchRule,
    keep: Keep,
    keep_fields: Mapping[str, Keep] | None = None,
    dated_by: str | None = None,
    upload: tuple[int, int | None] | None = None,
    part_bytes: int | None = None,
    modified: int | None = None,
    recall: Recall | None = None,
    by: Actor,
) -> int:
    """A new import whose file is about to be stored; returns its id.

    `upload` is (bytes, last modified in milliseconds) of a file that is about to be sent, in parts of `part_bytes` each
    where it has any; `modified` is that moment of one that is here. With `recall` it is mapped by what is remembered.
    Raises NotAllowed.
    """
    require_importing(by)
    with writing(by) as session:
        made = add(
            session, file_name=file_name, overrides=overrides, left_out=left_out, match=match, keep=keep,
            keep_fields=keep_fields, dated_by=dated_by, upload=upload, part_bytes=part_bytes, modified=modified,
            recall=recall, by=by,
        )  # fmt: skip
        return made.id


def add(
    session: Session,
    *,
    file_name: str,
    overrides: dict[str, str],
    left_out: Sequence[str] = (),
    match: MatchRule,
    keep: Keep,
    keep_fields: Mapping[str, Keep] | None = None,
    dated_by: str | None = None,
    upload: tuple[int, int | None] | None = None,
    part_bytes: int | None = None,
    modified: int | None = None,
    recall: Recall | None = None,
    by: Actor,
) -> Import:
    """`create` in the caller's transaction."""
    size, modified = upload or (None, modified)
    made = Import(
        state=State.NEW, file_name=file_name, file_path="", overrides=overrides, left_out=list(left_out),
        match=match, keep=keep, keep_fields=dict(keep_fields or {}), dated_by=dated_by,
        upload_bytes=size, upload_modified=modified, upload_part_bytes=part_bytes, created_by=by.id,
        recall=recall and asdict(recall),
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.write(session, Event.IMPORT_CREATED, f"import {made.id}", by=by, file=file_name)
    return made


def get(import_id: int, *, by: Actor) -> Import:
    """Detached, and without what it changed in fields that `by` may not see. Raises NotAllowed, NotFound."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        found = by_id(session, Import, import_id)
        if found is None:
            raise NotFound(f"There is no import {import_id}.")
        session.expunge(found)
    if by.columns is not None and found.changed_fields:
        seen = visible_fields(by)
        found.changed_fields = {name: number for name, number in found.changed_fields.items() if name in seen}
    return found


def requester(import_: Import) -> Actor:
    """Who asked for it. Raises NotAllowed when the account was closed since."""
    return users.acting(import_.created_by, f"Import {import_.id}")


def latest(*, by: Actor, limit: int = 50) -> list[Import]:
    """Newest first, without what only the screens of a single one show."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        return list(session.scalars(_newest_first().limit(limit)))


def page(*, number: int, size: int, by: Actor) -> tuple[list[Listed], int]:
    """The imports of page `number` (from 1), newest first, and how many there are in all."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        found = list(session.scalars(_newest_first().limit(size).offset((number - 1) * size)))
        makers = {one.created_by for one in found}
        names = dict(session.execute(select(users.User.id, users.User.name).where(users.User.id.in_(makers))).all())
        running = being_worked_on(session, [one.id for one in found])
        listed = [Listed(one, names.get(one.created_by), one.id in running) for one in found]
        return listed, session.scalar(select(func.count()).select_from(Import)) or 0


def listed(import_id: int, *, by: Actor) -> Listed:
    """One import as `page` gives it, with everything. Raises NotAllowed, NotFound."""
    found = get(import_id, by=by)
    with reading() as session:
        name = session.scalar(select(users.User.name).where(users.User.id == found.created_by))
        return Listed(found, name, import_id in being_worked_on(session, [import_id]))


def why_hidden(found: Import, *, by: Actor) -> str | None:
    """Why the values of its file are hidden from `by`, as a sentence; None where they are not.

    A cell has no column of contacts before it is mapped, and none after it was refused: so cells are for whoever
    brought the file, and for those who see every column. Numbers and the names of its columns are for all.
    """
    if by.columns is None or (by.id is not None and by.id == found.created_by):
        return None
    return "The values of this file are hidden from you: somebody else brought it, and you do not see every column."


def preview(import_id: int, *, by: Actor) -> Preview | None:
    """The beginning of its file; None before the file is opened, and for those opened by an older version. Raises
    NotAllowed, NotFound."""
    found = get(import_id, by=by)
    with reading() as session:
        stored = session.scalar(select(Import.preview).where(Import.id == import_id))
    if not stored:
        return None
    if why_hidden(found, by=by):
        return Preview([], {}, stored["filled"])
    return Preview([(line, cells) for line, cells in stored["rows"]], stored["examples"], stored["filled"])


def changed_values(import_id: int, *, examples: int = 3, by: Actor) -> list[Changed]:
    """What the plan changes of the fields that `by` may see, the most changed first; without examples where the import
    is committed. Raises NotAllowed, NotFound."""
    from models.contacts import plan_rows, policies  # they read imports themselves

    found = get(import_id, by=by)
    seen = {*visible_fields(by), *(["extra"] if by.columns is None else [])}
    counted = [(name, number) for name, number in (found.changed_fields or {}).items() if name in seen]
    counts = sorted(counted, key=lambda item: -item[1])
    names = [name for name, _ in counts] if found.state == State.PLANNED else []
    with reading() as session:
        pairs = plan_rows.changed_values(session, import_id, policies.of(found), names, most=examples)
    return [Changed(name, number, pairs.get(name, [])) for name, number in counts]


def checks(import_id: int, *, by: Actor) -> list[Verdict]:
    """What the quality rules say of the rows, those about fields that `by` may see; their sentences are in the details,
    and examples, where its values are not hidden. Empty before they were run. Raises NotAllowed, NotFound."""
    found = get(import_id, by=by)
    with reading() as session:
        verdicts = check_results.seen_by(by, check_results.of_import(session, import_id))
    if not why_hidden(found, by=by):
        return verdicts
    return [replace(one, details={**(one.details or {}), "examples": []}) for one in verdicts]


def being_worked_on(session: Session, ids: Iterable[int]) -> set[int]:
    """Those of `ids` that a process holds. A killed one lets go at once, since the lock lives in its connection."""
    held = session.scalars(
        text(
            """SELECT objid::bigint FROM pg_locks
               WHERE locktype = 'advisory' AND classid = :lock AND objsubid = 2 AND granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND objid::bigint = ANY(:ids)"""
        ),
        {"lock": IMPORTS_LOCK, "ids": list(ids)},
    )
    return set(held)


def idle_for(days: int, *, among: Sequence[int]) -> list[int]:
    """Those `among` the ids for whose import nobody has done anything for more than so many days: it was not created
    since, nothing was asked of it on a screen, and no plan was made by the command line either."""
    planned = cast(Import.planned["at"].astext, DateTime(timezone=True))
    last = func.greatest(Import.created_at, Import.wanted_at, planned)
    wanted = select(Import.id).where(last < func.now() - timedelta(days=days), Import.id.in_(among))
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
    """Values that went to extra, by header; most frequent first, without examples where they are hidden. Raises
    NotAllowed, NotFound."""
    found = get(import_id, by=by)
    with reading() as session:
        wanted = select(ImportNote).where(ImportNote.import_id == import_id).order_by(ImportNote.count.desc())
        noted = list(session.scalars(wanted))
    if why_hidden(found, by=by):
        for note in noted:
            note.example = None
    return noted


def folder(import_id: int) -> Path:
    """Where the files of an import are: its upload, and its working copy until it is committed."""
    return home() / "imports" / str(import_id)


def record(session: Session, import_id: int, **values: Any) -> None:
    """Set columns of the import in the caller's transaction."""
    session.execute(update(Import).where(Import.id == import_id).values(**values))


def _newest_first() -> Any:
    wide = (
        Import.opened, Import.overrides, Import.mapping, Import.left_out, Import.keep_fields, Import.changed_fields,
        Import.reasons,
    )  # fmt: skip
    return select(Import).options(*(defer(column) for column in wide)).order_by(Import.id.desc())
