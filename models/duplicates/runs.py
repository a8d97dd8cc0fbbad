"""Looking for duplicates: asked for, carried out by pipelines.find_duplicates, and its numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from models import audit, database
from models.audit import Event
from models.database import DUPLICATES_LOCK, reading, writing
from models.duplicates.tables import UNDER_WAY, DuplicatePair, DuplicateRun, State
from models.errors import Conflict, NotAllowed, NotFound
from models.permissions import OPERATOR, Actor, Permission, require
from models.users import acting

TABLE = "duplicates_found"  # in the schema staging: the pairs of the run that is being carried out
STEPS = {  # in their order, in words
    "read": "Reading the contacts",
    "learn": "Learning what duplicates look like here",
    "compare": "Comparing",
    "cluster": "Putting together what belongs together",
    "write": "Writing the pairs",
}
MOST = 500_000  # pairs that are kept: nobody looks at more


def sees_all(by: Actor) -> bool:
    """Whether no column is hidden from the person, which duplicates take beside the permission."""
    return by.columns is None


def require_reviewing(by: Actor) -> None:
    """Raises NotAllowed; also for who does not see every column: a pair's weight tells what the hidden ones hold, and
    a merge chooses among all values."""
    require(by, Permission.CONTACTS_EDIT)
    if not sees_all(by):
        raise NotAllowed(
            "You may not look for duplicates: that compares every column, and you do not see all of them. "
            "Let somebody do it who does."
        )


def ask(*, by: Actor) -> int:
    """Have all contacts looked through; returns the run's id, that of the one under way where there is one.

    Raises NotAllowed.
    """
    require_reviewing(by)
    with writing(by) as session:
        session.execute(select(func.pg_advisory_xact_lock(DUPLICATES_LOCK, 0)))
        if (there := session.scalar(select(DuplicateRun.id).where(DuplicateRun.state.in_(UNDER_WAY)))) is not None:
            return there
        run = DuplicateRun(state=State.WAITING, created_by=by.id)
        session.add(run)
        session.flush()
        return run.id


def cancel(run_id: int, *, by: Actor) -> None:
    """Whoever carries it out notices at its next step; the pairs of before stay. Raises NotAllowed, NotFound, Conflict
    (it ended already)."""
    require_reviewing(by)
    with writing(by) as session:
        run = _locked(session, run_id)
        if run.state not in UNDER_WAY:
            raise Conflict(f"That search has ended already: it is {run.state}.")
        run.state, run.error, run.finished_at = State.CANCELLED, f"{by.name} stopped it.", func.now()
        audit.write(session, Event.DUPLICATES_FAILED, "duplicates", by=by, reason="It was stopped.")


def get(run_id: int, *, by: Actor) -> DuplicateRun:
    """Raises NotAllowed, NotFound."""
    require_reviewing(by)
    with reading() as session:
        return _found(session.get(DuplicateRun, run_id), run_id)


def newest(*, by: Actor) -> DuplicateRun | None:
    """The one asked for last. Raises NotAllowed."""
    require_reviewing(by)
    with reading() as session:
        return session.scalar(select(DuplicateRun).order_by(DuplicateRun.id.desc()).limit(1))


def last_done(*, by: Actor) -> DuplicateRun | None:
    """The one whose pairs are there. Raises NotAllowed."""
    require_reviewing(by)
    with reading() as session:
        done = select(DuplicateRun).where(DuplicateRun.state == State.DONE)
        return session.scalar(done.order_by(DuplicateRun.id.desc()).limit(1))


def numbers(run: DuplicateRun) -> dict[str, Any]:
    """What the command line prints as JSON."""
    return {
        "run_id": run.id,
        "state": run.state,
        "contacts": run.contacts,
        "compared": run.compared,
        "pairs": run.pairs,
        "clusters": run.clusters,
        "left_out": run.left_out,
        "seconds": round(run.seconds, 1),
        "digest": run.digest,
    }


def waiting(*, longer_than: timedelta) -> list[int]:
    """Runs that no flow came for, or whose process died. For the sweep."""
    with reading() as session:
        under_way = select(DuplicateRun).where(DuplicateRun.state.in_(UNDER_WAY))
        since = func.coalesce(DuplicateRun.started_at, DuplicateRun.created_at)
        old = under_way.where(since < func.now() - longer_than)
        busy = database.claims(session, DUPLICATES_LOCK)
        return [run.id for run in session.scalars(old) if run.id not in busy]


@contextmanager
def claimed(run_id: int) -> Iterator[None]:
    """While the block runs no other process carries it out. Raises Conflict where one does."""
    with database.claimed(DUPLICATES_LOCK, run_id) as is_ours:
        if not is_ours:
            raise Conflict("That search for duplicates is being carried out by another process: wait for it.")
        yield


def begin(run_id: int) -> Actor | None:
    """Mark it as running; who asked for it, or None where it ended already. The caller holds the claim, so one that
    runs was left by a process that died. Raises NotFound, NotAllowed (that person may no longer)."""
    with writing(OPERATOR) as session:
        run = _locked(session, run_id)
        if run.state not in UNDER_WAY:
            return None
        run.state, run.step, run.error, run.started_at = State.RUNNING, "read", None, func.clock_timestamp()
        created_by = run.created_by
    by = acting(created_by, "That search for duplicates")
    require_reviewing(by)
    return by


def progressed(run_id: int, step: str) -> None:
    """Show what is being done. Raises Conflict where it was cancelled."""
    with writing(OPERATOR) as session:
        run = _locked(session, run_id)
        _require_running(run)
        run.step = step


def finish(run_id: int, found: dict[str, Any], *, by: Actor) -> None:
    """Put what the finder left in staging in the place of all pairs of before, with its numbers: `found` holds records,
    compared, clusters, seconds and digest. Decisions stay, and pairs that are not the same stay out.

    Raises Conflict where it was cancelled.
    """
    with writing(by) as session:
        run = _locked(session, run_id)
        _require_running(run)
        session.execute(text("LOCK TABLE duplicate_pairs IN SHARE ROW EXCLUSIVE MODE"))
        session.execute(text("DELETE FROM duplicate_pairs"))
        session.execute(text(_TAKEN_OVER), {"run": run_id, "most": MOST})
        run.pairs = session.scalar(select(func.count()).select_from(DuplicatePair)) or 0
        run.left_out = max(0, found["pairs"] - MOST)
        run.contacts, run.compared, run.clusters = found["records"], found["compared"], found["clusters"]
        run.seconds, run.digest = found["seconds"], found["digest"]
        run.state, run.step, run.finished_at = State.DONE, None, func.clock_timestamp()
        session.execute(text(f"DROP TABLE IF EXISTS staging.{TABLE}"))
        audit.write(
            session, Event.DUPLICATES_FOUND, "duplicates", by=by,
            contacts=run.contacts, compared=run.compared, pairs=run.pairs, clusters=run.clusters,
        )  # fmt: skip


def fail(run_id: int, sentence: str, *, by: Actor = OPERATOR) -> None:
    """Note why it ended; nothing where somebody cancelled it."""
    with writing(by) as session:
        run = _locked(session, run_id)
        if run.state not in UNDER_WAY:
            return
        run.state, run.step, run.error, run.finished_at = State.FAILED, None, sentence, func.clock_timestamp()
        session.execute(text(f"DROP TABLE IF EXISTS staging.{TABLE}"))
        audit.write(session, Event.DUPLICATES_FAILED, "duplicates", by=by, reason=sentence)


# Decided meanwhile is decided; and a contact that is gone by now has no pairs.
_TAKEN_OVER = f"""INSERT INTO duplicate_pairs
    (left_id, right_id, run_id, cluster_id, weight, probability, reasons, left_seen, right_seen)
    SELECT f.left_id, f.right_id, :run, f.cluster_id, f.weight, f.probability, f.reasons::jsonb,
        f.left_seen, f.right_seen
    FROM staging.{TABLE} f
    WHERE NOT EXISTS (SELECT FROM duplicate_decisions d
        WHERE d.left_id = f.left_id AND d.right_id = f.right_id AND d.decision = 'not the same')
    ORDER BY f.weight DESC LIMIT :most"""


def staged_table(session: Session) -> None:
    """Make the table in which the finder leaves its pairs, empty."""
    session.execute(text(f"DROP TABLE IF EXISTS staging.{TABLE}"))
    session.execute(
        text(
            f"""CREATE UNLOGGED TABLE staging.{TABLE} (left_id BIGINT, right_id BIGINT, cluster_id BIGINT,
            weight FLOAT, probability FLOAT, reasons TEXT, left_seen TIMESTAMPTZ, right_seen TIMESTAMPTZ)
            WITH (autovacuum_enabled = false)"""
        )
    )


def _locked(session: Session, run_id: int) -> DuplicateRun:
    return _found(session.get(DuplicateRun, run_id, with_for_update=True), run_id)


def _found(run: DuplicateRun | None, run_id: int) -> DuplicateRun:
    if run is None:
        raise NotFound(f"There is no search for duplicates {run_id}.")
    return run


def _require_running(run: DuplicateRun) -> None:
    if run.state != State.RUNNING:
        raise Conflict(f"The search for duplicates is {run.state}: nothing was written.")
