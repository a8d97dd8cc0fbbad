"""What somebody wants of an import, until a process has done it, or until it is taken back.

A screen writes an order down and asks Prefect for a flow, which carries it out with the rights of whoever gave it. The
order outlives both: while Prefect is not there, or after a crash, it stands and is begun again. Whether a process works
on an import is never written down: it holds a lock, which ends with it.
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from models import (
    audit,
    file_places,
    import_acceptances,
    import_drafts,
    import_servers,
    imports,
    mapping_memory,
    stored_files,
    users,
)
from models.audit import Event
from models.check_results import CheckResult
from models.contacts import mapping as field_mapping
from models.contacts import policies, staging
from models.database import IMPORTS_LOCK, by_id, reading, writing
from models.errors import AppError, Conflict, NotFound
from models.import_changes import ImportMove
from models.import_findings import ImportFinding
from models.import_parts import ImportPart
from models.import_places import ImportPlace
from models.import_profiles import ImportProfile
from models.imports import Import, ImportNote, ImportReject, Keep, MatchRule, Plan, State
from models.permissions import OPERATOR, Actor, Permission, require
from models.watched_folders import WatchedFolder

MOST_TRIES = 3
# From where an order can lead to the state.
BEFORE = {
    State.OPENED: (State.NEW,),
    State.PLANNED: (State.OPENED, State.STAGED, State.CHECKED),
    State.COMMITTED: (State.PLANNED,),
    State.UNDONE: (State.COMMITTED,),
}
OVER = (State.COMMITTED, State.UNDONE, State.FAILED, State.CANCELLED)
MAPPED = (State.OPENED, State.STAGED, State.CHECKED, State.PLANNED)


@dataclass(frozen=True)
class Begun:
    """An order that a process has taken on: what is wanted, from where the import stands, of which plan, and with whose
    rights."""

    wanted: State
    stands: State
    by: Actor
    plan: Plan | None = None


def ask(import_id: int, wanted: State, *, plan: str | None = None, by: Actor) -> int:
    """Note that the import shall come to the state `wanted`; returns the number of the order, for its flow.

    To ask again for what is wanted already changes nothing. For a commit `plan` is when the plan was made that the
    person has seen: another one is not committed. Raises NotAllowed, NotFound, Conflict (NotAccepted: something about
    it stands out).
    """
    imports.require_importing(by, Permission.IMPORTS_UNDO if wanted is State.UNDONE else Permission.IMPORTS_RUN)
    with writing(by) as session:
        found = locked_row(session, import_id)
        if found.wanted == wanted:
            return found.orders
        _require_rest(session, found)
        if found.state not in BEFORE[wanted]:
            raise Conflict(f"Import {import_id} is {found.state} by now: it cannot become {wanted} from there.")
        if wanted is State.COMMITTED and plan != (found.planned or {}).get("at"):
            raise Conflict(f"The plan of import {import_id} was made anew since you looked at it: look again.")
        if wanted is State.COMMITTED:
            import_acceptances.require_accepted(session, import_id)
        return give(found, wanted, by, plan=found.planned if wanted is State.COMMITTED else None)


def ask_redo(import_id: int, *, by: Actor) -> int:
    """Note that an import that was undone shall be brought back; returns the number of the order, for its flow.

    To ask again changes nothing. Raises NotAllowed, NotFound, Conflict.
    """
    imports.require_importing(by, Permission.IMPORTS_UNDO)
    with writing(by) as session:
        found = locked_row(session, import_id)
        if is_redo(found):
            return found.orders
        _require_rest(session, found)
        if found.state != State.UNDONE:
            raise Conflict(f"Import {import_id} is {found.state} by now: only one that was undone can be brought back.")
        return give(found, State.COMMITTED, by)


def is_redo(found: Import) -> bool:
    """Whether it was undone and is wanted back."""
    return found.state == State.UNDONE and found.wanted == State.COMMITTED


def remap(
    import_id: int,
    columns: Mapping[str, str],
    *,
    left_out: Sequence[str] = (),
    match: MatchRule,
    keep: Keep,
    keep_fields: Mapping[str, Keep] | None = None,
    dated_by: str = "",
    by: Actor,
) -> int:
    """Set what is read from where, and ask for a plan made with it; returns the number of the order.

    `columns` is header -> field for the headers that fill one; those `left_out` go nowhere, and the others to extra.
    `keep_fields` are the fields of another policy than `keep`, and `dated_by` is the header that says when a row was
    changed, "" for the moment of the file. A plan there was is given up. Raises NotAllowed, NotFound, InvalidInput
    (unknown names, two columns for one field), Conflict.
    """
    imports.require_importing(by)
    with writing(by) as session:
        found = locked_row(session, import_id)
        _require_rest(session, found)
        if found.state not in MAPPED:
            raise Conflict(f"Import {import_id} is {found.state}: its columns can be mapped no more.")
        chosen = field_mapping.chosen(columns, (found.opened or {}).get("headers", []), left_out)
        found.mapping, found.left_out = chosen.fields, list(chosen.left_out)
        # Complete, so that a file that has to be opened once more is mapped the same way.
        found.overrides = {name: chosen.fields.get(name, "") for name in field_mapping.TARGETS}
        if dated_by:
            field_mapping.check_header(dated_by, (found.opened or {}).get("headers", []))
        found.match, found.keep, found.dated_by = match, keep, dated_by
        found.keep_fields = dict(policies.fields_named((keep_fields or {}).items()))
        import_drafts.remove(session, import_id, of=by)
        if not mapping_memory.remember(session, found, by, committed=False):
            found.recalled = None  # it is mapped by the person now
        found.state, found.planned, found.changed_fields, found.moved = State.OPENED, None, None, 0
        found.staged = found.created = found.updated = found.unchanged = found.duplicates = found.rejected = 0
        return give(found, State.PLANNED, by)


def cancel(import_id: int, *, by: Actor) -> None:
    """Cancel the import: nothing of it is written, its file is removed, its line in the list stays.

    A process that works on it stops within seconds and clears it away; else that is done here. An undo that was asked
    for is only withdrawn: the import stands; and so is the undo of one. Raises NotAllowed, NotFound, Conflict (it is
    over).
    """
    require(by, Permission.IMPORTS_RUN)
    with writing(by) as session:
        found = locked_row(session, import_id)
        if found.wanted == State.UNDONE or is_redo(found):
            found.wanted, found.orders = None, found.orders + 1
            return
        if found.state in OVER:
            hint = " It can be undone." if found.state == State.COMMITTED else ""
            raise Conflict(f"Import {import_id} is {found.state} already: there is nothing to cancel.{hint}")
        if found.wanted != State.CANCELLED:
            was = str(found.state)
            give(found, State.CANCELLED, by)
            audit.write(session, Event.IMPORT_CANCELLED, f"import {import_id}", by=by, file=found.file_name, was=was)
    clear_cancelled(import_id)


def clear_cancelled(import_id: int) -> bool:
    """Remove what a cancelled import left, unless a process still works on it; whether that was done."""
    with writing(OPERATOR) as session:
        found = locked_row(session, import_id)
        if found.wanted != State.CANCELLED or not _lock(session, import_id):
            return False
        address = found.file_path
        clear(session, found)
    shutil.rmtree(imports.folder(import_id), ignore_errors=True)
    if stored_files.are_shared() or file_places.is_s3(address):
        with suppress(AppError):  # the store is away: the round that looks for what nobody names finds it
            stored_files.clear(stored_files.IMPORTS, import_id, address)
    return True


def clear(session: Session, found: Import) -> None:
    """Make it a cancelled one, with all that the database holds of its rows removed. The caller holds its lock."""
    # A killed process may have left its server at work, which would hold the tables for as long as that takes.
    import_servers.end(session, found.id)
    staging.drop(session, found.id)
    import_drafts.remove(session, found.id)
    for table in (
        ImportReject, ImportNote, ImportPart, ImportPlace, ImportMove, CheckResult, ImportProfile, ImportFinding,
    ):  # fmt: skip
        session.execute(delete(table).where(table.import_id == found.id))
    found.state, found.file_path, found.finished_at = State.CANCELLED, "", func.now()
    found.preview = found.reasons = None
    _settle(found)


def begin(import_id: int, order: int) -> Begun | None:
    """Take an order on; None where it is done, was taken back, or has failed its processes too often.

    The caller holds the import: else processes that only come beside the one at work would count as its failures.
    Raises NotFound, NotAllowed (the account of whoever gave it was closed).
    """
    with writing(OPERATOR) as session:
        found = locked_row(session, import_id)
        if found.orders != order or found.wanted is None or found.wanted == State.CANCELLED:
            return None
        if found.tries >= MOST_TRIES:
            _settle(found, f"It was interrupted {MOST_TRIES} times in the middle, each time its process died.")
            return None
        if waits_for_room(found):
            audit.write(session, Event.IMPORT_RESUMED, f"import {import_id}", by=OPERATOR, reason=found.error)
            found.error = None
        found.tries += 1
        wanted, stands, plan, by_id = State(found.wanted), State(found.state), found.wanted_plan, found.wanted_by
    return Begun(wanted, stands, users.acting(by_id, f"Import {import_id}"), plan)


def lead_on(import_id: int, order: int) -> State | None:
    """To where a file that was to be opened goes on at once; None where somebody has to look at its columns first.

    Mapped as files of its kind were, it goes on to its plan. One of a watched folder that commits by itself is
    committed then; of another folder it has its plan made in any case, since a person looks at that.
    """
    with writing(OPERATOR) as session:
        found = locked_row(session, import_id)
        if found.orders != order or (found.wanted, found.state) != (State.OPENED, State.OPENED):
            return None
        aim = _aim(session, found)
        if aim:
            found.wanted = aim
        return aim


def _aim(session: Session, found: Import) -> State | None:
    is_sure = mapping_memory.is_sure(found.recalled)
    folder = session.get(WatchedFolder, found.watched_id) if found.watched_id else None
    if folder is None:
        return State.PLANNED if is_sure else None
    if folder.commits:
        return State.COMMITTED if is_sure else None
    return State.PLANNED


def settle(import_id: int, order: int, error: str | None = None) -> None:
    """The order is carried out, or cannot be: `error` says why. One that was given since stands.

    Where the import stands as it is wanted nothing went wrong: the server of a process that was killed had finished
    while the next one waited for it.
    """
    with writing(OPERATOR) as session:
        found = locked_row(session, import_id)
        if found.orders == order and found.wanted != State.CANCELLED:
            _settle(found, None if found.state == found.wanted else error)


def wait_for_room(import_id: int, order: int, sentence: str) -> None:
    """The order stands, and is carried out once the disk has room, or the store its file; `sentence` says what is
    wanted. That was no failure."""
    told = {"error": sentence, "tries": 0, "step": None}
    with writing(OPERATOR) as session:
        session.execute(update(Import).where(Import.id == import_id, Import.orders == order).values(told))


def waits_for_room(found: Import) -> bool:
    """Whether its order was refused for want of room on the disk or of the store of its file, and stands until they are
    there."""
    is_wanted = found.wanted is not None and found.wanted != State.CANCELLED and found.state != State.FAILED
    return is_wanted and found.error is not None


def put_back(import_id: int, order: int) -> None:
    """The process was stopped from outside: that is not counted as a try."""
    fewer = func.greatest(Import.tries - 1, 0)
    with writing(OPERATOR) as session:
        session.execute(update(Import).where(Import.id == import_id, Import.orders == order).values(tries=fewer))


def waiting(*, longer_than: timedelta) -> list[tuple[int, int]]:
    """(import, order) for each order that was given so long ago and that no process works on, oldest first."""
    wanted = select(Import.id, Import.orders).where(
        Import.wanted.is_not(None), Import.wanted != State.CANCELLED, Import.wanted_at < func.now() - longer_than
    )
    with reading() as session:
        found = [(row.id, row.orders) for row in session.execute(wanted.order_by(Import.wanted_at))]
        held = imports.being_worked_on(session, [import_id for import_id, _ in found])
    return [(import_id, order) for import_id, order in found if import_id not in held]


def cancelled() -> list[int]:
    """Those that were cancelled and are not cleared away yet."""
    with reading() as session:
        return list(session.scalars(select(Import.id).where(Import.wanted == State.CANCELLED).order_by(Import.id)))


def over(*, among: Sequence[int]) -> list[int]:
    """Those `among` the ids whose import has come to its end, or that there is none of."""
    wanted = select(Import.id).where(Import.id.in_(among), Import.state.not_in(OVER))
    with reading() as session:
        going_on = set(session.scalars(wanted))
    return [one for one in among if one not in going_on]


def give(found: Import, wanted: State, by: Actor, *, plan: Plan | None = None) -> int:
    """Write the order down, in the caller's transaction, which has checked that it makes sense; returns its number.

    `plan` is the one to commit: the order keeps it, since the import's own may be lost and made again before that.
    """
    found.orders += 1
    found.wanted_plan = plan
    found.wanted, found.wanted_at, found.wanted_by = wanted, func.now(), by.id
    found.tries, found.error = 0, None
    found.step = found.step_done = found.step_total = found.step_started = found.step_at = None
    return found.orders


def locked_row(session: Session, import_id: int) -> Import:
    found = by_id(session, Import, import_id, locked=True)
    if found is None:
        raise NotFound(f"There is no import {import_id}.")
    return found


def _settle(found: Import, error: str | None = None) -> None:
    found.wanted, found.wanted_plan, found.tries, found.error = None, None, 0, error
    found.step = None


def _require_rest(session: Session, found: Import) -> None:
    if found.wanted is not None or imports.being_worked_on(session, [found.id]):
        raise Conflict(f"Import {found.id} is being worked on: wait until that is done, or cancel it.")


def _lock(session: Session, import_id: int) -> bool:
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(IMPORTS_LOCK, import_id))))
