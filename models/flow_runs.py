"""Runs of flows: what ran or runs, since when, how it ended, and what it counted.

Whoever runs a flow notes it here by pipelines/recorded.py: `begin`, `beat` every BEAT while its process lives, `end`.
A run whose process is gone is ended by `end_gone`. One that somebody asks for waits here from that moment on (`ask`).
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Float,
    Index,
    Integer,
    Text,
    Uuid,
    case,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from models import database, mails
from models.accounts import User
from models.batches import delete_in_batches
from models.database import FLOW_MAILS_LOCK, FLOW_RUNS_LOCK, Base, by_id, reading, writing
from models.errors import InvalidInput, NotFound
from models.mails import Kind
from models.permissions import OPERATOR, Actor, Permission, Role, require

BEAT = timedelta(seconds=30)
GONE = timedelta(seconds=45)  # without a beat, where no process holds the run either
SILENT = timedelta(minutes=3)  # without a beat: the machine that holds the run does not answer any more
NEVER = timedelta(hours=1)  # after Prefect was asked for it: whoever was to carry it out is not coming any more
SAME = timedelta(hours=1)  # between two failures of a part of the sweep
SWEEP = "sweep"  # no flow, but what it fails at stands among them
FLOWS = frozenset({
    "back-up", "export-contacts", "export-views", "find-duplicates", "import-contacts", "keep-house",
    "reconcile-payments", "redo-import", "report-performance", "undo-import", "validate-contacts", "watch-folders",
    SWEEP,
})  # fmt: skip
MADE = ("backup", "check", "comparison", "report")  # counts that are a number of one
MOST_CRASHES = 3  # of the same work, one after the other: then it is the work that ends its process
MAX_ERROR = 1000  # characters
ENDED_SO = "Its process was ended in the middle: by a signal, with its machine, or for want of memory."
NEVER_BEGAN = "Its process ended, or never came, before the work began."


log = logging.getLogger(__name__)


class RunState(StrEnum):
    WAITING = "waiting"  # somebody asked for it, and no process has begun it
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CRASHED = "crashed"  # its process is gone


class FlowRun(Base):
    """`subject` is what it is about, such as “import 17”; `step`, `done` and `total` how far it is."""

    __tablename__ = "flow_runs"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    flow: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    prefect_id: Mapped[UUID | None] = mapped_column(Uuid)
    state: Mapped[str] = mapped_column(Text)
    scheduled: Mapped[bool]
    asked_by: Mapped[int | None]
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    heartbeat_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seconds: Mapped[float | None] = mapped_column(Float(53))
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    step: Mapped[str | None] = mapped_column(Text)
    done: Mapped[int | None] = mapped_column(BigInteger)
    total: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    cancelled_by: Mapped[int | None]
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("flow_runs_flow", "flow", "id"),
        Index("flow_runs_ended", "ended_at"),
        Index("flow_runs_running", "id", postgresql_where=text("state = 'running'")),
    )


# That it has not ended says the state; the moment is what an index has.
UNDER_WAY = FlowRun.ended_at.is_(None), FlowRun.state.in_((RunState.RUNNING, RunState.WAITING))


@dataclass(frozen=True)
class Run:
    """`seconds` is how long it took, or takes so far; `counts` is what it said of its work, such as rows and bytes."""

    id: int
    flow: str
    subject: str | None
    prefect_id: UUID | None
    state: RunState
    scheduled: bool
    asked_by: int | None
    asker: str | None
    """The person's name; None where it was the schedule or the operator."""
    started_at: datetime
    ended_at: datetime | None
    seconds: float
    counts: dict[str, Any]
    step: str | None
    done: int | None
    total: int | None
    error: str | None
    cancelled_at: datetime | None
    """When somebody asked to have it stopped."""
    canceller: str | None
    """Who asked for that, as `asker`."""

    @property
    def about(self) -> str | None:
        """What it was asked for, such as “import 17”; of what runs by schedule what it made, once that has a number."""
        made = next((f"{name} {self.counts[name]}" for name in MADE if name in self.counts), None)
        return self.subject or made


@dataclass(frozen=True)
class Gone:
    """A run whose process is gone; `crashes` is how many of the same crashed one after the other, this one included."""

    run_id: int
    flow: str
    prefect_id: UUID | None
    state: RunState
    crashes: int


@dataclass(frozen=True)
class Unheard:
    """A run that Prefect knows and that never said anything here; `state` is failed or crashed. `noted` is the run here
    that it was to carry out; None where nobody asked for it."""

    flow: str
    prefect_id: UUID
    state: RunState
    noted: int | None
    began: datetime
    ended: datetime
    scheduled: bool
    error: str


def ask(session: Session, flow: str, *, asked_by: int | None) -> int:
    """Note that somebody wants the flow to run; the number of the run, which `begin_asked` takes on."""
    wanted = FlowRun(flow=flow, scheduled=False, asked_by=asked_by, state=RunState.WAITING)
    session.add(wanted)
    session.flush()
    return wanted.id


def begin_asked(run_id: int, *, prefect_id: UUID | None) -> RunState | None:
    """Note that a process carries out from now on what was asked for; what it was before, None where there is no such
    run. Only one that was waiting has begun."""
    with writing(OPERATOR) as session:
        run = by_id(session, FlowRun, run_id, locked=True)
        if run is None:
            return None
        was = RunState(run.state)
        if was is RunState.WAITING:
            run.state = RunState.RUNNING
            run.started_at = run.heartbeat_at = func.clock_timestamp()
        if run.prefect_id is None:
            run.prefect_id = prefect_id
        return was


def taken(session: Session, flow: str) -> None:
    """Prefect was asked for what waits: from now on somebody has to come for it."""
    waits = FlowRun.flow == flow, FlowRun.state == RunState.WAITING, FlowRun.ended_at.is_(None)
    session.execute(update(FlowRun).where(*waits).values(heartbeat_at=func.clock_timestamp()))


def take_back(session: Session, run: FlowRun) -> None:
    """What waits is cancelled: whoever comes for it does nothing."""
    run.state = RunState.CANCELLED
    _stop(session, run)


def refuse(
    flow: str, why: str, *, run_id: int | None = None, asked_by: int | None = None, prefect_id: UUID | None = None
) -> None:
    """Note that what was asked for did not begin, and why; whoever asked sees that, and nobody is mailed. `run_id` is
    the run that waits, if there is one."""
    with writing(OPERATOR) as session:
        run = by_id(session, FlowRun, run_id, locked=True) if run_id is not None else None
        if run is None or run.state != RunState.WAITING:
            run = FlowRun(flow=flow, scheduled=False, asked_by=asked_by, state=RunState.WAITING)
            session.add(run)
            session.flush()
        run.state, run.error, run.prefect_id = RunState.FAILED, why[:MAX_ERROR], prefect_id
        run.started_at = func.clock_timestamp()
        session.flush()
        _stop(session, run)


def begin(
    flow: str,
    *,
    subject: str | None = None,
    prefect_id: UUID | None = None,
    scheduled: bool = False,
    asked_by: int | None = None,
) -> int:
    """Note that a process runs the flow from now on; the number of the run."""
    with writing(OPERATOR) as session:
        made = FlowRun(
            flow=flow, subject=subject, prefect_id=prefect_id, scheduled=scheduled, asked_by=asked_by,
            state=RunState.RUNNING,
        )  # fmt: skip
        session.add(made)
        session.flush()
        return made.id


def end(
    run_id: int,
    state: RunState,
    *,
    counts: Mapping[str, Any] | None = None,
    error: str | None = None,
    mailed: bool = False,
) -> None:
    """Note how it ended. Where it shall be `mailed`, those who oversee the server are told, unless they were told of
    this flow since it went well. What has ended stays so; one that was taken for crashed, and lives, ends by this."""
    with writing(OPERATOR) as session:
        run = by_id(session, FlowRun, run_id, locked=True)
        if run is None or run.state not in (RunState.RUNNING, RunState.CRASHED):
            return
        run.state, run.error = state, error[:MAX_ERROR] if error else None
        run.counts = dict(counts) if counts is not None else run.counts
        _stop(session, run)
        if mailed:
            _tell(session, run)


def end_gone(settle: Callable[[Gone], RunState] = lambda gone: gone.state) -> list[Gone]:
    """Note the runs whose process is gone as crashed, or as what `settle` says, which is called before anything of the
    run is written: what it raises is logged, and leaves the run for the next time.

    They are done again; what crashed MOST_CRASHES times is not, and mailed as `end` does.
    """
    ended = []
    for run_id in _gone():
        try:
            with writing(OPERATOR) as session:
                if (one := _end_gone(session, run_id, settle)) is not None:
                    ended.append(one)
        except Exception:
            log.exception("run %s is gone, and its end could not be settled", run_id)
    return ended


def end_never_begun(waiting_still: Collection[str]) -> None:
    """End what Prefect was asked for long ago, and nobody has come for, such as where Prefect was set up anew; but for
    the flows that Prefect has yet to be asked for."""
    long_ago = FlowRun.heartbeat_at < func.clock_timestamp() - NEVER
    waits = FlowRun.state == RunState.WAITING, FlowRun.ended_at.is_(None), FlowRun.flow.not_in(waiting_still), long_ago
    with writing(OPERATOR) as session:
        for run in session.scalars(select(FlowRun).where(*waits).with_for_update(skip_locked=True)).all():
            run.state, run.error = RunState.CRASHED, NEVER_BEGAN
            _stop(session, run)
            _tell(session, run)


def _gone() -> list[int]:
    with reading() as session:
        return list(session.scalars(select(FlowRun.id).where(*_is_gone(session)).order_by(FlowRun.id)))


def _is_gone(session: Session) -> tuple[ColumnElement[bool], ...]:
    held = database.claims(session, FLOW_RUNS_LOCK)
    is_gone = FlowRun.heartbeat_at < func.clock_timestamp() - GONE
    is_silent = FlowRun.heartbeat_at < func.clock_timestamp() - SILENT
    return FlowRun.state == RunState.RUNNING, is_silent | (is_gone & FlowRun.id.not_in(held))


def _end_gone(session: Session, run_id: int, settle: Callable[[Gone], RunState]) -> Gone | None:
    """None where another process ends it, or it lives after all."""
    wanted = select(FlowRun).where(FlowRun.id == run_id, *_is_gone(session)).with_for_update(skip_locked=True)
    run = session.scalar(wanted)
    if run is None:
        return None
    state = RunState.CANCELLED if run.cancelled_at else RunState.CRASHED
    gone = Gone(run.id, run.flow, run.prefect_id, state, 1 + _crashes(session, run))
    gone = replace(gone, state=settle(gone))
    run.state, run.error = gone.state, ENDED_SO if gone.state is RunState.CRASHED else None
    _stop(session, run)
    if gone.state is RunState.CRASHED and gone.crashes >= MOST_CRASHES:
        _tell(session, run)
    return gone


def note_unheard(unheard: Unheard, settle: Callable[[Gone], object] = lambda gone: None) -> Gone | None:
    """Note a run that ended before it could say that it began, such as one whose machine died just then, and mail it
    as `end` does; `settle` is as that of `end_gone`. None where it said something, or is noted already."""
    with writing(OPERATOR) as session:
        session.execute(select(func.pg_advisory_xact_lock(FLOW_MAILS_LOCK, func.hashtext(str(unheard.prefect_id)))))
        if session.scalar(select(FlowRun.id).where(FlowRun.prefect_id == unheard.prefect_id).limit(1)) is not None:
            return None
        run = by_id(session, FlowRun, unheard.noted, locked=True) if unheard.noted is not None else None
        if run is None or run.state != RunState.WAITING:
            run = FlowRun(flow=unheard.flow, scheduled=unheard.scheduled)
            session.add(run)
        run.prefect_id, run.state, run.error = unheard.prefect_id, unheard.state, unheard.error[:MAX_ERROR]
        run.started_at, run.ended_at = unheard.began, max(unheard.began, unheard.ended)
        run.seconds = (run.ended_at - run.started_at).total_seconds()
        session.flush()
        _tell(session, run)
        gone = Gone(run.id, run.flow, run.prefect_id, unheard.state, _crashes(session, run))
        settle(gone)
        return gone


def now() -> datetime:
    """The database's time."""
    with reading() as session:
        told: datetime = session.scalars(select(func.clock_timestamp())).one()
        return told


def was_stopped(prefect_id: UUID) -> bool:
    """Whether the last that ran in this run of Prefect's was stopped by somebody."""
    wanted = select(FlowRun.state).where(FlowRun.prefect_id == prefect_id).order_by(FlowRun.id.desc()).limit(1)
    with reading() as session:
        return session.scalar(wanted) == RunState.CANCELLED


def note_round(part: str, *, seconds: float, error: str) -> None:
    """Note that a part of the sweep fails, since so many seconds, and mail it once a day. Rounds that follow within
    SAME are the same run: they count in it."""
    with writing(OPERATOR) as session:
        session.execute(select(func.pg_advisory_xact_lock(FLOW_MAILS_LOCK, func.hashtext(part))))
        clock, same = func.clock_timestamp(), (FlowRun.flow == SWEEP, FlowRun.subject == part)
        latest = select(FlowRun).where(*same, FlowRun.ended_at > clock - SAME).order_by(FlowRun.id.desc()).limit(1)
        run = session.scalar(latest)
        if run is None:
            began = clock - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
            run = FlowRun(flow=SWEEP, subject=part, state=RunState.FAILED, started_at=began, scheduled=True, counts={})
            session.add(run)
            session.flush()
        run.error, run.counts = error[:MAX_ERROR], {"rounds": run.counts.get("rounds", 0) + 1}
        _stop(session, run)
        if session.scalar(select(FlowRun.id).where(*same, FlowRun.told_at > clock - timedelta(days=1))) is None:
            _mail(session, run)


def quiet_for(prefect_ids: Collection[UUID]) -> dict[UUID, timedelta]:
    """How long ago those ended that ever said that they began; zero for what runs."""
    running = func.bool_or(FlowRun.state == RunState.RUNNING)
    quiet = case((running, timedelta()), else_=func.clock_timestamp() - func.max(FlowRun.ended_at))
    wanted = select(FlowRun.prefect_id, quiet).where(FlowRun.prefect_id.in_(prefect_ids)).group_by(FlowRun.prefect_id)
    with reading() as session:
        return {prefect_id: since for prefect_id, since in session.execute(wanted) if prefect_id is not None}


def page(
    *,
    flow: str | None = None,
    state: RunState | None = None,
    before: int | None = None,
    limit: int = 50,
    by: Actor,
) -> list[Run]:
    """The newest first; `before` is the last one's number of the page before. Raises NotAllowed, InvalidInput (there
    is no such flow)."""
    require(by, Permission.SERVER_OVERSEE)
    wanted = _select()
    if flow is not None:
        wanted = wanted.where(FlowRun.flow == flow)
    if state is not None:
        wanted = wanted.where(FlowRun.state == state)
    if before is not None:
        wanted = wanted.where(FlowRun.id < before)
    with reading() as session:
        found = [_seen(row) for row in session.execute(wanted.order_by(FlowRun.id.desc()).limit(limit))]
        if flow is not None and not found:
            _require_known(session, flow)
        return found


def _require_known(session: Session, flow: str) -> None:
    """Raises InvalidInput."""
    if flow in FLOWS or session.scalar(select(FlowRun.id).where(FlowRun.flow == flow).limit(1)) is not None:
        return
    raise InvalidInput(f"There is no job “{flow[:60]}”. Jobs are: {', '.join(sorted(FLOWS))}.", field="job")


def get(run_id: int, *, by: Actor) -> Run:
    """Raises NotAllowed, NotFound."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        if by_id(session, FlowRun, run_id) is None:
            raise NotFound(f"There is no run {run_id}.")
        return _seen(session.execute(_select().where(FlowRun.id == run_id)).one())


def last(flow: str, *, state: RunState | None = None, by: Actor) -> Run | None:
    """The newest of that flow, if it ever ran, or ended so. Raises NotAllowed."""
    found = page(flow=flow, state=state, limit=1, by=by)
    return found[0] if found else None


def newest_of(flows: Collection[str], *, by: Actor) -> dict[str, Run]:
    """The last run of each that ever ran; what still waits did not. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    began = FlowRun.flow.in_(flows), FlowRun.state != RunState.WAITING
    newest = select(func.max(FlowRun.id)).where(*began).group_by(FlowRun.flow)
    with reading() as session:
        return {row[0].flow: _seen(row) for row in session.execute(_select().where(FlowRun.id.in_(newest)))}


def known_flows(*, by: Actor) -> list[str]:
    """Those that ran, by name. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        return list(session.scalars(select(FlowRun.flow).distinct().order_by(FlowRun.flow)))


def under_way(*, limit: int = 50, by: Actor) -> list[Run]:
    """What runs, and what waits to begin, the newest first. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        wanted = _select().where(*UNDER_WAY).order_by(FlowRun.id.desc()).limit(limit)
        return [_seen(row) for row in session.execute(wanted)]


def of_flow_under_way(session: Session, flow: str) -> FlowRun | None:
    """A run of it that is not over; one that runs before one that waits."""
    wanted = select(FlowRun).where(FlowRun.flow == flow, *UNDER_WAY)
    return session.scalar(wanted.order_by(FlowRun.state, FlowRun.id.desc()).limit(1))


def clear_past(older_than_days: int) -> int:
    """Forget those that ended longer ago; how many. The last of each flow stays, which says how it went."""
    newest = select(func.max(FlowRun.id)).group_by(FlowRun.flow)
    before = func.clock_timestamp() - timedelta(days=older_than_days)
    return delete_in_batches(FlowRun, (FlowRun.ended_at < before) & FlowRun.id.not_in(newest))


# Spoken by the heart of a run over its own connection, which also holds the run: a process that waits for a lock, or
# works in one long transaction, still says that it lives.
BEATS = """
    UPDATE flow_runs SET heartbeat_at = clock_timestamp(), counts = %(counts)s::jsonb, step = %(step)s,
        done = %(done)s, total = %(total)s,
        state = CASE WHEN state = 'crashed' THEN 'running' ELSE state END,
        ended_at = CASE WHEN state = 'crashed' THEN NULL ELSE ended_at END,
        error = CASE WHEN state = 'crashed' THEN NULL ELSE error END
    WHERE id = %(id)s AND state IN ('running', 'crashed')
    RETURNING cancelled_at IS NOT NULL
"""


def _stop(session: Session, run: FlowRun) -> None:
    run.ended_at = func.clock_timestamp()
    run.seconds = func.extract("epoch", func.clock_timestamp() - FlowRun.started_at)
    run.step = run.done = run.total = None
    session.flush()


def _crashes(session: Session, run: FlowRun) -> int:
    same = FlowRun.flow == run.flow, FlowRun.subject.is_not_distinct_from(run.subject), FlowRun.id <= run.id
    other = select(func.max(FlowRun.id)).where(
        *same, FlowRun.state.not_in((RunState.CRASHED, RunState.RUNNING, RunState.WAITING))
    )
    since = FlowRun.id > func.coalesce(other.scalar_subquery(), 0)
    counted = select(func.count()).where(*same, FlowRun.state == RunState.CRASHED, since)
    return session.scalars(counted).one()


def _tell(session: Session, run: FlowRun) -> None:
    """At most one message of a flow until it goes well: its runs are counted one after the other for that."""
    session.execute(select(func.pg_advisory_xact_lock(FLOW_MAILS_LOCK, func.hashtext(run.flow))))
    went_well = select(func.max(FlowRun.id)).where(FlowRun.flow == run.flow, FlowRun.state == RunState.DONE)
    since = FlowRun.id > func.coalesce(went_well.scalar_subquery(), 0)
    told = select(FlowRun.id).where(FlowRun.flow == run.flow, FlowRun.told_at.is_not(None), since).limit(1)
    if session.scalar(told) is None:
        _mail(session, run)


def _mail(session: Session, run: FlowRun) -> None:
    run.told_at = func.clock_timestamp()
    what = f"{run.flow} ({run.subject})" if run.subject else run.flow
    for person in _overseers(session):
        mails.queue(session, Kind.FLOW_FAILED, person, {"flow": what, "error": run.error or ""}, by=OPERATOR)


def _overseers(session: Session) -> list[User]:
    roles = [role for role in Role if Permission.SERVER_OVERSEE in role.permissions]
    active = User.role.in_(roles), User.is_active, User.password_hash.is_not(None)
    return list(session.scalars(select(User).where(*active).order_by(User.id)))


def _select() -> Any:
    lasting = func.extract("epoch", func.clock_timestamp() - FlowRun.started_at)
    seconds = func.coalesce(FlowRun.seconds, lasting).label("lasting")
    canceller = aliased(User)
    wanted = select(FlowRun, User.name, seconds, canceller.name).outerjoin(User, User.id == FlowRun.asked_by)
    return wanted.outerjoin(canceller, canceller.id == FlowRun.cancelled_by)


def _seen(row: Any) -> Run:
    run, asker, seconds, canceller = row
    return Run(
        run.id, run.flow, run.subject, run.prefect_id, RunState(run.state), run.scheduled, run.asked_by, asker,
        run.started_at, run.ended_at, float(seconds), run.counts, run.step, run.done, run.total, run.error,
        run.cancelled_at, canceller,
    )  # fmt: skip
