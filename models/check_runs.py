"""Runs of the data checks over what is stored: asked for by somebody, or due; one at a time.

The checking itself is pipelines/validate_contacts.py. Whether a process is at it says its lock.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import audit, check_alarms, check_results, database
from models.accounts import User
from models.audit import Event
from models.batches import delete_in_batches
from models.check_results import CheckRun, Verdict
from models.contacts.table import FIELDS, Contact
from models.database import CHECKS_LOCK, reading, writing
from models.errors import Conflict, NotFound
from models.industries import Industry
from models.payments.tables import Payment
from models.permissions import OPERATOR, Actor, Permission, require

ONE = 1  # the number under CHECKS_LOCK
RUNS_AT_ONCE = 100  # that are deleted in one transaction, each with its results


class CheckState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


UNDER_WAY = (CheckState.WAITING, CheckState.RUNNING)
STEPS = {  # in their order, in words
    "count": "Counting what is filled",
    "check": "Checking contacts, industries and payments",
    "write": "Writing the results",
}


def ask(*, by: Actor) -> int:
    """Have everything checked; returns the number of the run, that of one under way where there is one.

    Raises NotAllowed.
    """
    require(by, Permission.CHECKS_RUN)
    with writing(by) as session:
        return _add(session, by.doer_id)


def waiting(*, longer_than: timedelta) -> list[int]:
    """Those that no process is at, also one whose process died; what was just asked for has its flow."""
    asked = CheckRun.state.in_(UNDER_WAY), CheckRun.asked_at < func.clock_timestamp() - longer_than
    with reading() as session:
        found = list(session.scalars(select(CheckRun.id).where(*asked)))
        return [] if ONE in database.claims(session, CHECKS_LOCK) else found


def claimed() -> AbstractContextManager[bool]:
    """For as long as the block runs this process alone checks; False where another one does."""
    return database.claimed(CHECKS_LOCK, ONE)


def note_due(asked_by: int | None) -> int:
    """A run by schedule, or by the person with that id who had the schedule carried out at once; returns its number,
    that of one under way where there is one."""
    with writing(OPERATOR) as session:
        return _add(session, asked_by)


def begin(run_id: int) -> Actor | None:
    """Who asked for it; None where it ended already. The caller holds the claim: one that runs was left by a process
    that died. Raises NotFound."""
    with writing(OPERATOR) as session:
        run = _locked(session, run_id)
        if run.state not in UNDER_WAY:
            return None
        run.state, run.step, run.started_at = CheckState.RUNNING, next(iter(STEPS)), func.clock_timestamp()
        return _asker(session, run)


def progressed(run_id: int, step: str) -> None:
    """`step` is one of STEPS."""
    with writing(OPERATOR) as session:
        _locked(session, run_id).step = step


def count_filled(run_id: int) -> dict[str, int]:
    """Note how many contacts have a value in each field, exactly, in one look, and how many rows there are; these."""
    numbers = [func.count(Contact.__table__.c[one.column]).label(name) for name, one in FIELDS.items()]
    with writing(OPERATOR) as session:
        row: Any = session.execute(select(func.count().label("contacts"), *numbers).select_from(Contact)).one()
        run = _locked(session, run_id)
        run.contacts, run.filled = row.contacts, {name: getattr(row, name) for name in FIELDS}
        run.industries = session.scalar(select(func.count()).select_from(Industry))
        run.payments = session.scalar(select(func.count()).select_from(Payment))
        return {"contacts": run.contacts, "industries": run.industries or 0, "payments": run.payments or 0}


def finish(run_id: int, verdicts: Sequence[Verdict]) -> None:
    """Store what was found, and tell the people concerned of rules that hold no longer. A second time does nothing."""
    with writing(OPERATOR) as session:
        run = _locked(session, run_id)
        if run.state not in UNDER_WAY:
            return
        check_results.store(session, list(verdicts), run_id=run_id)
        run.state, run.step, run.finished_at = CheckState.DONE, None, func.clock_timestamp()
        by = _asker(session, run)
        check_alarms.tell(session, verdicts, before=_last_verdicts(session, run_id), by=by)
        broken = sum(not one.success for one in verdicts)
        # Not which: they are about columns that who reads the log may not see.
        audit.write(session, Event.CHECKS_RAN, f"check {run_id}", by=by, rules=len(verdicts), broken=broken)


def fail(run_id: int, sentence: str) -> None:
    """It could not be done; what was found before stays. Nothing where it ended already."""
    with writing(OPERATOR) as session:
        run = _locked(session, run_id)
        if run.state not in UNDER_WAY:
            return
        run.state, run.step, run.error, run.finished_at = (
            CheckState.FAILED,
            None,
            sentence[:500],
            func.clock_timestamp(),
        )
        audit.write(session, Event.CHECKS_FAILED, f"check {run_id}", by=_asker(session, run), error=run.error)


def clear_past(*, older_than_days: int) -> int:
    """Remove runs that are older, with their results; how many. The last one that was done stays."""
    last = select(func.max(CheckRun.id)).where(CheckRun.state == CheckState.DONE).scalar_subquery()
    old = CheckRun.finished_at < func.clock_timestamp() - timedelta(days=older_than_days)
    return delete_in_batches(CheckRun, old & (CheckRun.id != func.coalesce(last, 0)), most=RUNS_AT_ONCE)


def _add(session: Session, asked_by: int | None) -> int:
    made = insert(CheckRun).values(state=CheckState.WAITING, asked_by=asked_by)
    number = session.scalar(made.on_conflict_do_nothing().returning(CheckRun.id))
    if number is None:
        number = session.scalar(select(CheckRun.id).where(CheckRun.state.in_(UNDER_WAY)))
    if number is None:
        raise Conflict("A check has just ended: ask again.")
    return number


def _locked(session: Session, run_id: int) -> CheckRun:
    run = database.by_id(session, CheckRun, run_id, locked=True)
    if run is None:
        raise NotFound(f"There is no check {run_id}.")
    return run


def _asker(session: Session, run: CheckRun) -> Actor:
    user = None if run.asked_by is None else session.get(User, run.asked_by)
    return OPERATOR if user is None else user.actor()


def _last_verdicts(session: Session, run_id: int) -> list[Verdict] | None:
    """Of the run before that was done; None where there is none."""
    last = select(CheckRun.id).where(CheckRun.state == CheckState.DONE, CheckRun.id < run_id)
    before = session.scalar(last.order_by(CheckRun.id.desc()).limit(1))
    return None if before is None else check_results.of_run(session, before)
