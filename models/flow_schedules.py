"""When flows run by themselves: pipelines/schedule.py is written here when a runner starts, and whoever sweeps starts
what is due, each moment once. What rests here goes on resting when the runner starts again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, Text, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from models import audit, flow_runs, schedule_times
from models.accounts import User
from models.audit import Event
from models.database import Base, reading, writing
from models.errors import Conflict, NotFound
from models.flow_runs import FlowRun, RunState
from models.permissions import OPERATOR, Actor, Permission, require

SKEW = timedelta(minutes=1)  # the clock that starts a run may be before the database's


class FlowSchedule(Base):
    """`cron` is None where a setting turns it off; `again` is what a second run does, in words; `next_at` is None while
    it rests or is off, `asked_at` is when somebody wanted one run more that Prefect has not been asked for yet,
    `waits_since` the moment whose run was started, and that no process has come to, and `since` when it got these
    moments: none before can have been missed."""

    __tablename__ = "flow_schedules"

    flow: Mapped[str] = mapped_column(Text, primary_key=True)
    cron: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    again: Mapped[str] = mapped_column(Text)
    next_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paused_by: Mapped[int | None]
    asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    asked_by: Mapped[int | None]
    waits_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())


WAITS = (FlowRun.flow == FlowSchedule.flow) & (FlowRun.state == RunState.WAITING) & FlowRun.ended_at.is_(None)


@dataclass(frozen=True)
class Entry:
    """A schedule as the code and the settings say it."""

    flow: str
    cron: str | None
    time_zone: str
    again: str


@dataclass(frozen=True)
class Schedule:
    """`next_at` is the next moment; `waits_since` is the last one where its run waits behind others; `setting` is the
    variable that changes them; `asked_run` is what somebody asked for, since `asked_at`, and has not begun."""

    flow: str
    cron: str | None
    time_zone: str
    sentence: str
    again: str
    next_at: datetime | None
    paused_at: datetime | None
    paused_by: str | None
    asked_at: datetime | None
    waits_since: datetime | None
    asked_run: int | None
    setting: str

    @property
    def paused(self) -> bool:
        return self.paused_at is not None


@dataclass(frozen=True)
class Due:
    """The moment `at`; `since` is the first one that nobody started."""

    flow: str
    at: datetime
    since: datetime


@dataclass(frozen=True)
class Asked:
    """`run` is the one that waits to be begun."""

    flow: str
    at: datetime
    by: int | None
    run: int | None


def setting(flow: str) -> str:
    """The variable that says when the flow runs."""
    return f"APPOINTMENT360_SCHEDULE_{flow.upper().replace('-', '_')}"


def write(entries: Sequence[Entry]) -> None:
    """Write down what is offered from now on. What rests goes on resting, and a moment that was missed meanwhile is
    made up; those of another cron than before count from now."""
    with writing(OPERATOR) as session:
        session.execute(delete(FlowSchedule).where(FlowSchedule.flow.not_in([one.flow for one in entries])))
        now = session.scalars(select(func.clock_timestamp())).one()
        for one in sorted(entries, key=lambda entry: entry.flow):
            values = {"cron": one.cron, "time_zone": one.time_zone, "again": one.again}
            next_at = None if one.cron is None else schedule_times.next_after(one.cron, one.time_zone, now)
            made = insert(FlowSchedule).values(flow=one.flow, **values, next_at=next_at)
            is_same = FlowSchedule.cron.is_not_distinct_from(one.cron) & (FlowSchedule.time_zone == one.time_zone)
            moment = case((is_same | FlowSchedule.paused_at.is_not(None), FlowSchedule.next_at), else_=next_at)
            since = case((is_same, FlowSchedule.since), else_=now)
            changed = {**values, "next_at": moment, "since": since}
            session.execute(made.on_conflict_do_update(index_elements=["flow"], set_=changed))


def due() -> list[Due]:
    """Those whose moment has come; of moments that were missed while nothing ran the last one."""
    come = select(FlowSchedule, func.clock_timestamp()).where(FlowSchedule.next_at <= func.clock_timestamp())
    with reading() as session:
        return [
            Due(one.flow, schedule_times.last_until(one.cron, one.time_zone, one.next_at, now), one.next_at)
            for one, now in session.execute(come.order_by(FlowSchedule.next_at))
        ]


def asked() -> list[Asked]:
    """Those that somebody wants to run now."""
    wanted = select(FlowSchedule, FlowRun.id).outerjoin(FlowRun, WAITS).where(FlowSchedule.asked_at.is_not(None))
    with reading() as session:
        return [
            Asked(one.flow, one.asked_at, one.asked_by, run) for one, run in session.execute(wanted) if one.asked_at
        ]


def take_asked(wish: Asked) -> None:
    """It was started."""
    with writing(OPERATOR) as session:
        found = session.get(FlowSchedule, wish.flow, with_for_update=True)
        if found is not None and found.asked_at == wish.at:
            found.asked_at = found.asked_by = None
            flow_runs.taken(session, wish.flow)


def move_on(moment: Due) -> None:
    """It was started, and has its turn when others are done: the schedule waits for its next moment. Nothing where
    another process has done so."""
    with writing(OPERATOR) as session:
        found = session.get(FlowSchedule, moment.flow, with_for_update=True)
        if found is None or found.cron is None or found.next_at != moment.since:
            return
        now = session.scalars(select(func.clock_timestamp())).one()
        found.next_at = schedule_times.next_after(found.cron, found.time_zone, max(now, moment.at))
        found.waits_since = moment.at


def came(flow: str) -> None:
    """What was due has its turn, whatever it makes of it."""
    with writing(OPERATOR) as session:
        session.execute(update(FlowSchedule).where(FlowSchedule.flow == flow).values(waits_since=None))


def listed(*, by: Actor) -> list[Schedule]:
    """By name. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    # One that ended before it came is noted as a run.
    earlier = aliased(FlowRun)
    began = select(earlier.id).where(
        earlier.flow == FlowSchedule.flow, earlier.scheduled, earlier.started_at >= FlowSchedule.waits_since
    )
    waits = case((FlowSchedule.paused_at.is_(None) & ~began.exists(), FlowSchedule.waits_since))
    wanted = select(FlowSchedule, User.name, waits, FlowRun.id, FlowRun.started_at).outerjoin(FlowRun, WAITS)
    wanted = wanted.outerjoin(User, User.id == FlowSchedule.paused_by)
    with reading() as session:
        return [_seen(*row) for row in session.execute(wanted.order_by(FlowSchedule.flow))]


def why_not(flow: str) -> str | None:
    """Why a run that comes by schedule does nothing, else None.

    Of the moments that were missed while the machine was off several runs come at once: the first one makes them up.
    """
    came = FlowRun.flow == flow, FlowRun.scheduled, FlowRun.state != RunState.CRASHED
    started = select(func.max(FlowRun.started_at)).where(*came)
    with reading() as session:
        stored = session.get(FlowSchedule, flow)
        if stored is None or stored.cron is None:
            return f"{flow} does not run by schedule."
        if stored.paused_at is not None:
            return f"The schedule of {flow} rests."
        now = session.scalars(select(func.clock_timestamp())).one()
        last = session.scalar(started)
    if last is None:
        return None
    due = schedule_times.last_until(stored.cron, stored.time_zone, last, now + SKEW)
    return f"{flow} ran since its last moment." if last >= due else None


def pause(flow: str, *, by: Actor) -> None:
    """From now on the flow runs only when somebody asks for it. Raises NotAllowed, NotFound, Conflict."""
    require(by, Permission.SERVER_MANAGE)
    with writing(by) as session:
        found = session.get(FlowSchedule, flow, with_for_update=True)
        if found is None:
            raise unknown(session, flow)
        if found.cron is None:
            raise Conflict(f"{flow} does not run by schedule: {setting(flow)} is “off”.")
        if found.paused_at is not None:
            return
        found.paused_at, found.paused_by, found.next_at = func.clock_timestamp(), by.doer_id, None
        audit.write(session, Event.SCHEDULE_PAUSED, f"schedule {flow}", by=by)


def resume(flow: str, *, by: Actor) -> None:
    """It runs by its schedule again; what was due meanwhile is not made up. Raises NotAllowed, NotFound."""
    require(by, Permission.SERVER_MANAGE)
    with writing(by) as session:
        found = session.get(FlowSchedule, flow, with_for_update=True)
        if found is None:
            raise unknown(session, flow)
        if found.paused_at is None:
            return
        now = session.scalars(select(func.clock_timestamp())).one()
        found.paused_at = found.paused_by = None
        found.next_at = schedule_times.next_after(found.cron, found.time_zone, now) if found.cron else None
        audit.write(session, Event.SCHEDULE_RESUMED, f"schedule {flow}", by=by)


def unknown(session: Session, flow: str) -> NotFound:
    there = ", ".join(session.scalars(select(FlowSchedule.flow).order_by(FlowSchedule.flow)))
    if not there:
        return NotFound("Nothing is scheduled yet: the runner, which `appointment360 up` starts, writes it down.")
    return NotFound(f"There is no job “{flow[:60]}” that runs by itself. Those that do are: {there}.")


def _seen(
    stored: FlowSchedule,
    paused_by: str | None,
    waits_since: datetime | None,
    asked_run: int | None,
    asked_at: datetime | None,
) -> Schedule:
    cron, zone = stored.cron, stored.time_zone
    return Schedule(
        stored.flow,
        cron,
        zone,
        schedule_times.sentence(cron, zone) if cron else "Off",
        stored.again,
        stored.next_at,
        stored.paused_at,
        paused_by,
        asked_at or stored.asked_at,
        waits_since,
        asked_run,
        setting(stored.flow),
    )
