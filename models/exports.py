"""Exports: one file on its way out, and its receipt (filter, columns, rows, bytes, SHA-256, credits)."""

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CursorResult,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Select,
    Text,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, defer, mapped_column

from models import audit, credit_ledger, credits, file_places, stored_files
from models import filters as filter_syntax
from models.audit import Event
from models.contacts.search import chosen_columns
from models.contacts.table import DERIVED
from models.credits import Fresh
from models.database import EXPORTS_LOCK, Base, by_id, reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound, Unavailable, about
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Permission, require
from models.settings import home
from models.users import User, acting

log = logging.getLogger(__name__)

FORMATS = ("csv", "xlsx", "parquet", "jsonl")
EXTRA = "extra"  # a column of exports beside the fields: what no field took, as JSON
RESUMED = timedelta(days=1)  # after its beginning; a part that is asked for later is a download of its own
HIDDEN_FILTER = "A filter on a column that you may not see"  # in place of its sentence, which holds values


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNDER_WAY = frozenset({State.WAITING, State.RUNNING})
MAY_FAIL = UNDER_WAY | {State.FAILED}


class Export(Base):
    __tablename__ = "exports"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    file_name: Mapped[str] = mapped_column(Text)
    format: Mapped[str] = mapped_column(Text)
    filter_query: Mapped[str] = mapped_column(Text)
    filter_sentence: Mapped[str] = mapped_column(Text)
    ids: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))  # a selection within the filter; NULL is all of it
    columns: Mapped[list[str]] = mapped_column(ARRAY(Text))
    raw_formulas: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    total: Mapped[int | None] = mapped_column(BigInteger)  # the rows to be written, known once it runs
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    sha256: Mapped[str | None] = mapped_column(Text)
    credits: Mapped[int] = mapped_column(BigInteger, server_default="0")
    notes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # what the format could not hold whole
    error: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seconds: Mapped[float] = mapped_column(Float, server_default="0")
    again_of: Mapped[int | None] = mapped_column(ForeignKey("exports.id"))
    view_name: Mapped[str | None] = mapped_column(Text)  # as it was called then
    view_run_id: Mapped[int | None]  # of a schedule, whose run asked for it

    __table_args__ = (
        Index("exports_created_by", "created_by", "id"),
        Index("exports_view_run", "view_run_id", unique=True),
    )

    @property
    def has_file(self) -> bool:
        return self.state == State.DONE and bool(self.path)


def request(
    *,
    filters: Filters,
    columns: list[str] | None,
    format: str,  # noqa: A002  # the word of the interface
    ids: Sequence[int] | None = None,
    raw_formulas: bool = False,
    again_of: int | None = None,
    file_name: str | None = None,
    view: str | None = None,
    view_run_id: int | None = None,
    by: Actor,
) -> int:
    """Note that `by` wants this file, and reserve what it will cost; returns the export's id, for `run`.

    `ids` narrows the filter to a selection. Without `columns` it is every field that `by` may see, and `extra` for who
    may see all of them: values without a field have no permission of their own. `again_of` is an export that this one
    will be compared with. `view` is the name of the saved view that it is made by, and `view_run_id` the run of a
    schedule, which asks for one export only: a second time it gets the same.

    Raises NotAllowed, InvalidInput, NotEnoughCredits.
    """
    require(by, Permission.CONTACTS_EXPORT)
    if format not in FORMATS:
        raise InvalidInput(f"“{format}” is no format of exports. Formats are: {', '.join(FORMATS)}.", field="format")
    filter_syntax.parse_query(filters.query(), by=by)  # the filter may have been made by somebody who sees more
    with writing(by) as session:
        if view_run_id is not None:
            asked = session.scalar(select(Export.id).where(Export.view_run_id == view_run_id))
            if asked is not None:
                return asked
        export = Export(
            state=State.WAITING,
            path="",
            file_name=file_name or f"contacts.{format}",
            format=format,
            filter_query=filters.query(),
            filter_sentence=_sentence(filters, ids),
            ids=None if ids is None else sorted(set(ids)),
            columns=checked_columns(columns, by=by),
            raw_formulas=raw_formulas,
            created_by=by.id,
            again_of=again_of,
            view_name=view,
            view_run_id=view_run_id,
        )
        session.add(export)
        session.flush()
        export.credits = credits.reserve(session, export.id, filters, export.ids, by=by)
        return export.id


def get(export_id: int, *, by: Actor) -> Export:
    """One's own export; for who looks after what others did anybody's. Raises NotAllowed, NotFound."""
    require(by, Permission.CONTACTS_EXPORT)
    return _as_seen([_found(export_id, by)], by)[0]


def downloaded(export_id: int, *, noted: bool, continued: bool = False, by: Actor) -> Export:
    """The export whose file `by` takes; `noted`, with its audit line. A later part of a file, `continued`, has the line
    of its beginning, where there is one: who asks for all but the first byte has taken the file, too.

    Raises NotAllowed, also where it holds or was chosen by a column that is hidden by now; NotFound, also where there
    is no file; Unavailable where the store that has it is away.
    """
    require(by, Permission.CONTACTS_EXPORT)
    export = _found(export_id, by)
    if export.state != State.DONE or not export.path or not stored_files.is_there(export.path):
        raise NotFound(f"Export {export_id} has no file: it is not finished, failed, or its file's time is over.")
    checked_columns(export.columns, by=by)
    filter_syntax.parse_query(export.filter_query, by=by)
    if noted:
        with writing(by) as session:
            subject = f"export {export_id}"
            if not (continued and audit.is_written(session, Event.EXPORT_DOWNLOADED, subject, within=RESUMED, by=by)):
                audit.write(session, Event.EXPORT_DOWNLOADED, subject, by=by, rows=export.rows)
    return export


def mine(*, by: Actor, limit: int = 50, offset: int = 0) -> list[Export]:
    """The newest first, without the ids of selections; who looks after what others did sees everybody's. Raises
    NotAllowed."""
    require(by, Permission.CONTACTS_EXPORT)
    return _listed(_seen_by(select(Export), by).limit(limit).offset(offset), by)


def count(*, by: Actor) -> int:
    """How many `mine` gives without a limit. Raises NotAllowed."""
    require(by, Permission.CONTACTS_EXPORT)
    with reading() as session:
        return session.scalar(_seen_by(select(func.count()).select_from(Export), by)) or 0


def under_way(*, by: Actor) -> list[Export]:
    """Those of `mine` that wait or run, newest first. Raises NotAllowed."""
    require(by, Permission.CONTACTS_EXPORT)
    return _listed(_seen_by(select(Export), by).where(Export.state.in_(UNDER_WAY)), by)


def people(listed: Sequence[Export], *, by: Actor) -> dict[int | None, str]:
    """The names of those who asked for them, by `created_by`. Raises NotAllowed."""
    require(by, Permission.CONTACTS_EXPORT)
    ids = {export.created_by for export in listed}
    with reading() as session:
        named = session.execute(select(User.id, User.name).where(User.id.in_(ids)))
        return {None: OPERATOR.name} | {row.id: row.name for row in named}


def again(export_id: int, *, by: Actor) -> int:
    """Ask for the same once more: filter, selection, columns and format; returns the new export's id.

    Raises NotFound, NotAllowed, InvalidInput (a field that `by` may no longer see), NotEnoughCredits.
    """
    require(by, Permission.CONTACTS_EXPORT)
    old = _found(export_id, by)
    return request(
        filters=filter_syntax.parse_query(old.filter_query, by=by),
        columns=old.columns,
        format=old.format,
        ids=old.ids,
        raw_formulas=old.raw_formulas,
        again_of=old.id,
        by=by,
    )


@dataclass(frozen=True)
class Comparison:
    """What an export says of one made before, of the same filter, columns and format."""

    same: bool
    """Byte for byte, which means value for value: all formats are written the same way each time."""
    rows_then: int
    rows_now: int


def compared(export: Export, *, by: Actor) -> Comparison | None:
    """With the one that it was made anew of; None where there is none, or one of the two has no receipt.

    Raises NotAllowed, NotFound.
    """
    require(by, Permission.CONTACTS_EXPORT)
    if export.again_of is None or export.sha256 is None:
        return None
    before = get(export.again_of, by=by)
    if before.sha256 is None:
        return None
    return Comparison(before.sha256 == export.sha256, before.rows, export.rows)


def cancel(export_id: int, *, by: Actor) -> None:
    """Stop one that waits or runs: whoever writes it notices at its next step, and no file appears.

    Raises NotAllowed, NotFound, Conflict (it ended already).
    """
    require(by, Permission.CONTACTS_EXPORT)
    get(export_id, by=by)
    with writing(by) as session:
        export = _locked_row(session, export_id)
        if export.state not in UNDER_WAY:
            raise Conflict(f"Export {export_id} has ended already: it is {export.state}.")
        export.state, export.error, export.finished_at = State.CANCELLED, f"{by.name} stopped it.", func.now()
        export.rows, export.path = 0, ""
        _refund(session, export, by)
        audit.write(session, Event.EXPORT_CANCELLED, f"export {export_id}", by=by)


def receipt(export: Export) -> dict[str, Any]:
    """What the command line prints as JSON; `seconds` is the time of writing the file."""
    return {
        "export_id": export.id,
        "path": export.path,
        "rows": export.rows,
        "bytes": export.bytes,
        "sha256": export.sha256,
        "credits": export.credits,
        "seconds": export.seconds,
    } | ({"view": export.view_name} if export.view_name else {})


def checked_columns(columns: list[str] | None, *, by: Actor) -> list[str]:
    """As asked for, in that order, each once; None is all that `by` may see. What a table of contacts puts together of
    several fields, as `full_name`, is these. Raises InvalidInput, NotAllowed."""
    if columns is None:
        return chosen_columns(None, by=by) + ([EXTRA] if by.columns is None else [])
    if not columns:
        raise InvalidInput("Choose at least one column to export.", field="columns")
    if EXTRA in columns and by.columns is not None:
        raise NotAllowed("You may not see the column “extra”: it holds values of every kind.", field="columns")
    parted = [part for name in columns for part in (DERIVED[name].parts if name in DERIVED else (name,))]
    with about("columns"):
        chosen_columns([name for name in parted if name != EXTRA], by=by)
    return list(dict.fromkeys(parted))


def requester(export: Export) -> Actor:
    """Who asked for it, with what the person may do now. Raises NotAllowed when the account was closed since."""
    return acting(export.created_by, f"Export {export.id}")


def payer(export: Export) -> int | None:
    """Whose credits it costs; None for the operator, who has no ledger."""
    return export.created_by


def month(export: Export) -> date:
    """In which its credits count: that in which it was asked for, also when it runs in the next one."""
    return export.created_at.astimezone(UTC).date().replace(day=1)


def fresh(session: Session, export: Export, filters: Filters, *, by: Actor) -> Fresh | None:
    """What of it costs credits, as the session's snapshot has it; None where it costs nobody any."""
    who = payer(export)
    return None if who is None else credits.fresh(session, filters, export.ids, payer=who, month=month(export), by=by)


def begin(export_id: int, *, total: int, path: str, fresh: Fresh | None = None, by: Actor) -> None:
    """Mark it as running, and set aside what it costs beyond what was reserved.

    The caller holds `lock`, so one found running was left by a process that died. Raises Conflict, NotEnoughCredits.
    """
    with writing(by) as session:
        export = _locked_row(session, export_id)
        if export.state == State.DONE:
            raise Conflict(f"Export {export_id} is finished already.")
        _require_wanted(export)
        if export.state == State.FAILED and month(export) < credit_ledger.this_month(session):
            raise Conflict(f"Export {export_id} failed in an earlier month: ask for it again.")  # its credits are gone
        if (who := payer(export)) is not None and fresh is not None:
            export.credits = credits.cover(session, export_id, fresh, payer=who, month=month(export), by=by)
        export.state, export.error, export.finished_at = State.RUNNING, None, None
        export.total, export.rows, export.path = total, 0, path
        export.started_at = func.clock_timestamp()


def progressed(export_id: int, rows: int) -> None:
    """Show how far it is. Raises Conflict where it was cancelled."""
    with writing(OPERATOR) as session:
        running = update(Export).where(Export.id == export_id, Export.state == State.RUNNING)
        done = session.execute(running.values(rows=rows))
        assert isinstance(done, CursorResult)
        if not done.rowcount:
            _require_wanted(_locked_row(session, export_id))


def finish(session: Session, export_id: int, *, written: dict[str, Any], fresh: Fresh | None, by: Actor) -> None:
    """In the caller's transaction: `written` holds path, rows, bytes, sha256, notes and seconds; `fresh` is what
    `begin` got.

    A person's receipt says what it cost; the operator's, for whom nothing is counted, its rows.
    Raises Conflict where it was cancelled.
    """
    export = _locked_row(session, export_id)
    _require_wanted(export)
    for name in ("path", "rows", "bytes", "sha256", "notes", "seconds"):
        setattr(export, name, written[name])
    export.state, export.error, export.finished_at = State.DONE, None, func.clock_timestamp()
    export.credits = export.rows
    if (who := payer(export)) is not None:
        assert fresh is not None
        export.credits = credits.settle(session, export_id, fresh, payer=who, month=month(export), by=by)
    audit.write(
        session,
        Event.EXPORT_MADE,
        f"export {export_id}",
        by=by,
        filter=export.filter_sentence,
        query=export.filter_query,
        view=export.view_name,
        view_run=export.view_run_id,
        selected=None if export.ids is None else len(export.ids),
        columns=export.columns,
        raw_formulas=export.raw_formulas,
        rows=export.rows,
        bytes=export.bytes,
        sha256=export.sha256,
        credits=export.credits,
    )


def fail(export_id: int, sentence: str, *, by: Actor, states: Collection[str] = MAY_FAIL) -> bool:
    """Mark it as failed, and say whether that was done: one that is in none of `states` by now stays as it is."""
    with writing(by) as session:
        export = _locked_row(session, export_id)
        if export.state not in states:
            return False
        export.state, export.error, export.finished_at = State.FAILED, sentence, func.clock_timestamp()
        export.rows, export.bytes, export.path = 0, 0, ""
        _refund(session, export, by)
        audit.write(session, Event.EXPORT_FAILED, f"export {export_id}", by=by, error=sentence)
    return True


def lock(session: Session, export_id: int) -> bool:
    """Take the export for the session's transaction; False while another process writes it."""
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(EXPORTS_LOCK, export_id))))


def fail_interrupted() -> list[int]:
    """Fail the exports whose process died in the middle: none shows "running" for ever. Returns their ids."""
    sentence = "The export was interrupted in the middle and left no file: start it again."
    with reading() as session:
        running = list(session.scalars(select(Export.id).where(Export.state == State.RUNNING)))
        dead = [export_id for export_id in running if lock(session, export_id)]
        # It may have ended between the question and the lock, and then it is none of these.
        return [export_id for export_id in dead if fail(export_id, sentence, by=OPERATOR, states={State.RUNNING})]


def waiting(*, longer_than: timedelta) -> list[int]:
    """The ids of those that nobody has begun, oldest first."""
    since = func.now() - longer_than
    wanted = select(Export.id).where(Export.state == State.WAITING, Export.created_at < since).order_by(Export.id)
    with reading() as session:
        return list(session.scalars(wanted))


def expire(*, older_than_days: int) -> list[int]:
    """Delete the files that are kept below the home, or in the shared store, and were finished before; their receipts
    stay. Returns their ids.

    A file that the command line wrote to a place of its own belongs to whoever named that place, and stays.
    """
    before = func.now() - timedelta(days=older_than_days)
    wanted = select(Export).where(Export.state == State.DONE, Export.path != "", Export.finished_at < before)
    with writing(OPERATOR) as session:
        old = session.scalars(wanted.order_by(Export.id).with_for_update(skip_locked=True))
        kept = [export for export in old if _is_kept_here(export)]
        expired = [export for export in kept if not file_places.is_s3(export.path) and _is_deleted(Path(export.path))]
        expired += _deleted_from_store([export for export in kept if file_places.is_s3(export.path)])
        for export in expired:
            export.path = ""
            audit.write(session, Event.EXPORT_EXPIRED, f"export {export.id}", by=OPERATOR)
        return [export.id for export in expired]


def kept_path(export: Export, folder: Path) -> Path:
    """Where below `folder`, a home, the file of an export is kept that nobody named a place for."""
    return folder / "exports" / str(export.id) / export.file_name


def _is_kept_here(export: Export) -> bool:
    return file_places.is_s3(export.path) or Path(export.path) == kept_path(export, home().resolve())


def new_address(export: Export) -> str | None:
    """Where in the store that all hosts share its file will be, of this try alone; None where there is none."""
    if not stored_files.are_shared():
        return None
    name = stored_files.new_name(f".{export.format}")
    return f"{stored_files.address(stored_files.EXPORTS, export.id)}/{name}"


def clear_left() -> int:
    """Delete what lies in the shared store and is no export's file; how many. Raises Unavailable."""
    before = f"{stored_files.root()}/{stored_files.EXPORTS}/"
    wanted = select(Export.path).where(Export.path.startswith(before, autoescape=True))
    with reading() as session:
        kept = [path.removeprefix(before) for path in session.scalars(wanted)]
    return stored_files.clear_left(stored_files.EXPORTS, kept)


def _deleted_from_store(listed: Sequence[Export]) -> list[Export]:
    """Those that are gone from it by now. While it is away none are, and the next round tries again."""
    gone: list[Export] = []
    for export in listed:
        place, name = stored_files.place_of(export.path)
        try:
            place.remove(name)
        except Unavailable as error:
            log.warning("the file of expired export %s could not be deleted: %s", export.id, error.sentence)
            break
        gone.append(export)
    return gone


def _is_deleted(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        log.exception("the file of an expired export could not be deleted; the next time it is tried again")
        return False
    with suppress(OSError):  # something else lies in its folder, or the folder is gone as well
        path.parent.rmdir()
    return True


def _locked_row(session: Session, export_id: int) -> Export:
    export = by_id(session, Export, export_id, locked=True)
    if export is None:
        raise NotFound(f"There is no export {export_id}.")
    return export


def _refund(session: Session, export: Export, by: Actor) -> None:
    if (who := payer(export)) is not None:
        credits.refund(session, export.id, payer=who, month=month(export), by=by)
    export.credits = 0


def _require_wanted(export: Export) -> None:
    if export.state == State.CANCELLED:
        raise Conflict(f"Export {export.id} was cancelled: ask for it again.")


def _found(export_id: int, by: Actor) -> Export:
    """Raises NotFound."""
    with reading() as session:
        export = by_id(session, Export, export_id)
        own = export is not None and by.id is not None and export.created_by == by.id
        if export is None or not (own or by.may(Permission.OTHERS_OVERSEE)):
            raise NotFound(f"There is no export {export_id}, or it is not yours.")
        session.expunge(export)
        return export


def _as_seen(listed: list[Export], by: Actor) -> list[Export]:
    """Those, detached here, without what tells of columns that `by` may not see: filters hold values, and from a
    file's SHA-256 and size one could find out its values by trying."""
    if by.columns is None:
        return listed
    for export in listed:
        try:
            filter_syntax.parse_query(export.filter_query, by=by)
        except (NotAllowed, InvalidInput):  # the latter of an older version's, whose columns nobody knows
            export.filter_query, export.filter_sentence = "", HIDDEN_FILTER
        try:
            checked_columns(export.columns, by=by)
        except (NotAllowed, InvalidInput):
            export.sha256, export.bytes = None, 0
    return listed


def _listed(wanted: Select[Any], by: Actor) -> list[Export]:
    with reading() as session:
        newest_first = wanted.order_by(Export.id.desc()).options(defer(Export.ids))
        found = list(session.scalars(newest_first))
        session.expunge_all()
    return _as_seen(found, by)


def _seen_by(exports: Select[Any], by: Actor) -> Select[Any]:
    return exports if by.may(Permission.OTHERS_OVERSEE) else exports.where(Export.created_by == by.id)


def _sentence(filters: Filters, ids: Sequence[int] | None) -> str:
    if ids is None:
        return filters.sentence()
    number = len(set(ids))
    return f"{number:,} selected of: {filters.sentence()}"
