"""When flows run by themselves, as the runner offers them: pipelines/schedule.py is written here when one starts, so
that screens, API and command line can tell it. Whether a schedule rests is decided here, and outlives the runner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, Text, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from models import audit, schedule_times
from models.accounts import User
from models.audit import Event
from models.database import Base, reading, writing
from models.errors import Conflict, NotFound
from models.flow_runs import FlowRun
from models.permissions import OPERATOR, Actor, Permission, require

SKEW = timedelta(minutes=1)  # the clock that starts a run may be before the database's


class FlowSchedule(Base):
    """`cron` is None where a setting turns it off; `again` is what a second run does, in words; the moments of the
    schedule count from `since`."""

    __tablename__ = "flow_schedules"

    flow: Mapped[str] = mapped_column(Text, primary_key=True)
    cron: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    again: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    paused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paused_by: Mapped[int | None]


@dataclass(frozen=True)
class Entry:
    """A schedule as the code and the settings say it."""

    flow: str
    cron: str | None
    time_zone: str
    again: str


@dataclass(frozen=True)
class Schedule:
    """`next_at` is the next moment, None while it rests or is off; `setting` is the variable that changes it."""

    flow: str
    cron: str | None
    time_zone: str
    sentence: str
    again: str
    since: datetime
    next_at: datetime | None
    paused_at: datetime | None
    paused_by: str | None
    setting: str

    @property
    def paused(self) -> bool:
        return self.paused_at is not None


def setting(flow: str) -> str:
    """The variable that says when the flow runs."""
    return f"APPOINTMENT360_SCHEDULE_{flow.upper().replace('-', '_')}"


def write(entries: Sequence[Entry]) -> None:
    """Write down what is offered from now on. What rests goes on resting; moments of another cron than before count
    from now."""
    offered = delete(FlowSchedule).where(FlowSchedule.flow.not_in([one.flow for one in entries]))
    with writing(OPERATOR) as session:
        session.execute(offered)
        for one in sorted(entries, key=lambda entry: entry.flow):
            values = {"cron": one.cron, "time_zone": one.time_zone, "again": one.again}
            made = insert(FlowSchedule).values(flow=one.flow, **values)
            is_other = FlowSchedule.cron.is_distinct_from(one.cron) | (FlowSchedule.time_zone != one.time_zone)
            since = case((is_other, func.clock_timestamp()), else_=FlowSchedule.since)
            session.execute(made.on_conflict_do_update(index_elements=["flow"], set_={**values, "since": since}))


def listed(*, by: Actor) -> list[Schedule]:
    """By name. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    wanted = select(FlowSchedule, User.name, func.clock_timestamp()).outerjoin(User, User.id == FlowSchedule.paused_by)
    with reading() as session:
        return [_seen(*row) for row in session.execute(wanted.order_by(FlowSchedule.flow))]


def resting() -> set[str]:
    """The flows whose schedule somebody paused."""
    with reading() as session:
        return set(session.scalars(select(FlowSchedule.flow).where(FlowSchedule.paused_at.is_not(None))))


def why_not(flow: str) -> str | None:
    """Why a run that comes by schedule does nothing, else None.

    Of the moments that were missed while the machine was off several runs come at once: the first one makes them up.
    """
    started = select(func.max(FlowRun.started_at)).where(FlowRun.flow == flow, FlowRun.scheduled)
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
            raise _unknown(flow)
        if found.cron is None:
            raise Conflict(f"{flow} does not run by schedule: {setting(flow)} is “off”.")
        if found.paused_at is not None:
            return
        found.paused_at, found.paused_by = func.clock_timestamp(), by.doer_id
        audit.write(session, Event.SCHEDULE_PAUSED, f"schedule {flow}", by=by)


def resume(flow: str, *, by: Actor) -> None:
    """It runs by its schedule again; what was due meanwhile is not made up. Raises NotAllowed, NotFound."""
    require(by, Permission.SERVER_MANAGE)
    with writing(by) as session:
        found = session.get(FlowSchedule, flow, with_for_update=True)
        if found is None:
            raise _unknown(flow)
        if found.paused_at is None:
            return
        resumed = update(FlowSchedule).where(FlowSchedule.flow == flow)
        session.execute(resumed.values(paused_at=None, paused_by=None, since=func.clock_timestamp()))
        audit.write(session, Event.SCHEDULE_RESUMED, f"schedule {flow}", by=by)


def _unknown(flow: str) -> NotFound:
    return NotFound(f"There is no schedule of “{flow}”: the runner, which `appointment360 up` starts, writes them.")


def _seen(stored: FlowSchedule, paused_by: str | None, now: datetime) -> Schedule:
    cron, zone = stored.cron, stored.time_zone
    runs = cron is not None and stored.paused_at is None
    return Schedule(
        stored.flow,
        cron,
        zone,
        schedule_times.sentence(cron, zone) if cron else "Off",
        stored.again,
        stored.since,
        schedule_times.next_after(cron, zone, now) if cron and runs else None,
        stored.paused_at,
        paused_by,
        setting(stored.flow),
    )
