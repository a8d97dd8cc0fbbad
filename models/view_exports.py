"""Exports of a view by schedule: which view, in which format, when, to which place, with whose rights and credits.

They are those of who set it up, as they are when it runs. What becomes of each due moment is in view_runs.py.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from string import Formatter
from typing import Any

from sqlalchemy import (
    Boolean,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Select,
    Text,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, export_places, schedule_times, views
from models.accounts import User
from models.audit import Event
from models.database import Base, by_id, reading, writing
from models.errors import InvalidInput, NotFound
from models.exports import FORMATS
from models.permissions import OPERATOR, Actor, Permission, require
from models.views import SavedView

MAILS = ("always", "failure")
NAME = "{view} {date}"  # of the file
PARTS = ("view", "date", "time")
LONGEST_NAME = 150  # characters
COMPARED = 10  # runs of a schedule, in which no two in a row may have one file name
LONGEST_VIEW, LONGEST_FILE = 160, 250  # bytes of a view's name in that of a file, and of that, which disks hold


class ViewSchedule(Base):
    """`created_by` NULL is the operator."""

    __tablename__ = "view_schedules"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    view_id: Mapped[int] = mapped_column(ForeignKey("views.id", ondelete="CASCADE"))
    created_by: Mapped[int | None]
    format: Mapped[str] = mapped_column(Text)
    cron: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(Text)
    file_name: Mapped[str] = mapped_column(Text)  # with PARTS in braces, without the format's ending
    mails: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    next_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    removed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("view_schedules_view", "view_id"),
        Index("view_schedules_due", "next_at", postgresql_where=text("active AND removed_at IS NULL")),
    )


class ViewRun(Base):
    """One due moment of a schedule; there cannot be two of it."""

    __tablename__ = "view_runs"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("view_schedules.id", ondelete="CASCADE"))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    by_hand: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    state: Mapped[str] = mapped_column(Text)
    file_name: Mapped[str | None] = mapped_column(Text)  # where the file was put, whole
    error: Mapped[str | None] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(Integer, server_default="0")
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        UniqueConstraint("schedule_id", "due_at", name="view_runs_once"),
        Index("view_runs_open", "id", postgresql_where=text("state IN ('waiting', 'running')")),
    )


@dataclass(frozen=True)
class Wanted:
    """What a schedule shall do. `every` is a word of schedule_times.WORDS or a cron; `file_name` may hold PARTS."""

    every: str
    place: str
    format: str = "csv"
    file_name: str = NAME
    time_zone: str = "UTC"
    mails: str = "always"

    def checked(self) -> "Wanted":
        """As it is kept. Raises InvalidInput, NotAllowed."""
        if self.format not in FORMATS:
            raise InvalidInput(
                f"“{self.format}” is no format of exports. Formats are: {', '.join(FORMATS)}.", field="format"
            )
        if self.mails not in MAILS:
            raise InvalidInput(f"“{self.mails}” does not say when to mail: write {' or '.join(MAILS)}.", field="mails")
        cron = schedule_times.parsed(self.every, self.time_zone)
        place = export_places.checked(self.place)
        export_places.require_folder(place)
        return Wanted(cron, place, self.format, _checked_name(self, cron), self.time_zone, self.mails)


@dataclass(frozen=True)
class Schedule:
    """A schedule as it is shown; `last` is its latest run that has ended, `running` whether one is under way."""

    id: int
    view_id: int
    view: str
    owner: str
    mine: bool
    wanted: Wanted
    active: bool
    rests: bool
    """Its view is deleted, and may come back."""
    next_at: datetime
    last: ViewRun | None
    running: bool

    @property
    def sentence(self) -> str:
        return schedule_times.sentence(self.wanted.every, self.wanted.time_zone)


def schedule(view_id: int, wanted: Wanted, *, by: Actor) -> int:
    """Export the view from now on by this schedule; returns its number.

    Raises NotAllowed, NotFound, InvalidInput (also where the view cannot be used by `by`).
    """
    require(by, Permission.CONTACTS_EXPORT)
    view = views.get(view_id, by=by)
    view.usable()
    view.export_columns()
    kept = wanted.checked()
    with writing(by) as session:
        next_at = schedule_times.next_after(kept.every, kept.time_zone, _now(session))
        made = ViewSchedule(view_id=view_id, created_by=by.id, next_at=next_at, **_columns(kept))
        session.add(made)
        session.flush()
        audit.write(session, Event.VIEW_SCHEDULED, subject(made), by=by, view=view.name, after=_columns(kept))
        return made.id


def change(schedule_id: int, wanted: Wanted, *, by: Actor) -> None:
    """Another time, place, format or name. Raises NotAllowed, NotFound, InvalidInput."""
    require(by, Permission.CONTACTS_EXPORT)
    kept = wanted.checked()
    with writing(by) as session:
        found = _locked(session, schedule_id, by)
        was = _columns(_wanted(found))
        for name, value in _columns(kept).items():
            setattr(found, name, value)
        found.next_at = schedule_times.next_after(kept.every, kept.time_zone, _now(session))
        if was != _columns(kept):
            audit.write(session, Event.VIEW_SCHEDULE_CHANGED, subject(found), by=by, before=was, after=_columns(kept))


def pause(schedule_id: int, paused: bool = True, *, by: Actor) -> None:
    """Let it rest, or go on with its next moment: what is missed meanwhile is not made up. Raises NotAllowed,
    NotFound."""
    require(by, Permission.CONTACTS_EXPORT)
    with writing(by) as session:
        found = _locked(session, schedule_id, by)
        if found.active != paused:
            return
        found.active = not paused
        found.next_at = schedule_times.next_after(found.cron, found.time_zone, _now(session))
        before, after = {"active": paused}, {"active": not paused}
        audit.write(session, Event.VIEW_SCHEDULE_CHANGED, subject(found), by=by, before=before, after=after)


def unschedule(schedule_id: int, *, by: Actor) -> None:
    """End it; its files and receipts stay. Raises NotAllowed, NotFound."""
    require(by, Permission.CONTACTS_EXPORT)
    with writing(by) as session:
        found = _locked(session, schedule_id, by)
        found.removed_at = func.now()
        audit.write(session, Event.VIEW_UNSCHEDULED, subject(found), by=by, before=_columns(_wanted(found)))


def listed(*, by: Actor, view_id: int | None = None) -> list[Schedule]:
    """One's own, by view; for who looks after what others did everybody's. Raises NotAllowed."""
    require(by, Permission.CONTACTS_EXPORT)
    wanted = _seen_by(by)
    if view_id is not None:
        wanted = wanted.where(ViewSchedule.view_id == view_id)
    with reading() as session:
        rows = session.execute(wanted.order_by(SavedView.key, ViewSchedule.id)).all()
        latest, running = _latest(session, [row[0].id for row in rows])
        owners = select(User.id, User.name).where(User.id.in_({row[0].created_by for row in rows}))
        names: dict[int | None, str] = {None: OPERATOR.name} | {row.id: row.name for row in session.execute(owners)}
        session.expunge_all()
    return [
        Schedule(
            id=one.id,
            view_id=view.id,
            view=view.name,
            owner=names.get(one.created_by, views.FORMER),
            mine=one.created_by == by.id,
            wanted=_wanted(one),
            active=one.active,
            rests=view.deleted_at is not None,
            next_at=one.next_at,
            last=latest.get(one.id),
            running=one.id in running,
        )
        for one, view in rows
    ]


def get(schedule_id: int, *, by: Actor) -> Schedule:
    """One's own; for who looks after what others did anybody's. Raises NotAllowed, NotFound."""
    found = next((one for one in listed(by=by) if one.id == schedule_id), None)
    if found is None:
        raise NotFound(f"There is no schedule {schedule_id}, or it is not yours.")
    return found


def subject(schedule: ViewSchedule) -> str:
    return f"view schedule {schedule.id}"


def file_name(pattern: str, view: str, due_at: datetime, time_zone: str, file_format: str) -> str:
    """“German leads 2026-11-26.csv”: what a file system could misread becomes a dash, what is too long is cut."""
    local = due_at.astimezone(schedule_times.zone(time_zone))
    safe = "".join(one if one.isalnum() or one in " ._-()" else "-" for one in view).lstrip(". ")
    short = safe.encode()[:LONGEST_VIEW].decode(errors="ignore")
    filled = pattern.format(view=short, date=f"{local:%Y-%m-%d}", time=f"{local:%H%M}")
    return f"{filled}.{file_format}"


def _checked_name(wanted: Wanted, cron: str) -> str:
    """Raises InvalidInput."""
    name = wanted.file_name.strip().removesuffix(f".{wanted.format}") or NAME
    try:
        asked = [part for _, part, spec, conversion in Formatter().parse(name) if part is not None]
        plain = all(not spec and not conversion for _, _, spec, conversion in Formatter().parse(name))
    except ValueError:
        asked, plain = [], False
    if not plain or not set(asked) <= set(PARTS):
        raise InvalidInput(
            f"“{name[:80]}” is no name for a file: it may hold {{view}}, {{date}} and {{time}}.", field="file_name"
        )
    if len(name) > LONGEST_NAME or name.startswith(".") or not name.isprintable() or any(one in name for one in "/\\"):
        raise InvalidInput(
            f"“{name[:80]}” is no name for a file: at most {LONGEST_NAME} characters, no slashes, no dot at its start.",
            field="file_name",
        )
    longest = file_name(name, "x" * LONGEST_VIEW, datetime.now().astimezone(), "UTC", wanted.format)
    if len(longest.encode()) > LONGEST_FILE:
        raise InvalidInput(
            f"“{name[:80]}” makes names that no disk holds where the view's is long: shorten it.", field="file_name"
        )
    moments = schedule_times.following(cron, wanted.time_zone, datetime.now().astimezone(), COMPARED)
    names = [file_name(name, "", moment, wanted.time_zone, wanted.format) for moment in moments]
    if is_dated(name) and any(one == other for one, other in pairwise(names)):
        raise InvalidInput("Two exports in a row would have the same name: add {time} to it.", field="file_name")
    return name


def is_dated(pattern: str) -> bool:
    """A file whose name tells no moment is replaced each time; others never."""
    return "{date}" in pattern or "{time}" in pattern


def _columns(wanted: Wanted) -> dict[str, Any]:
    values = asdict(wanted)
    return {"cron": values.pop("every"), **values}


def _wanted(stored: ViewSchedule) -> Wanted:
    return Wanted(stored.cron, stored.place, stored.format, stored.file_name, stored.time_zone, stored.mails)


def _seen_by(by: Actor) -> Select[ViewSchedule, SavedView]:
    wanted = select(ViewSchedule, SavedView).join(SavedView, SavedView.id == ViewSchedule.view_id)
    wanted = wanted.where(ViewSchedule.removed_at.is_(None))
    if by.may(Permission.OTHERS_OVERSEE):
        return wanted
    return wanted.where(ViewSchedule.created_by.is_not_distinct_from(by.id))


def _latest(session: Session, schedule_ids: list[int]) -> tuple[dict[int, ViewRun], set[int]]:
    """The latest run of each that has ended, and those of which one is under way."""
    of_them = ViewRun.schedule_id.in_(schedule_ids)
    ended = select(ViewRun).where(of_them, ViewRun.finished_at.is_not(None))
    latest = ended.ext(distinct_on(ViewRun.schedule_id)).order_by(ViewRun.schedule_id, ViewRun.due_at.desc())
    running = select(ViewRun.schedule_id).where(of_them, ViewRun.finished_at.is_(None))
    return {one.schedule_id: one for one in session.scalars(latest)}, set(session.scalars(running))


def _locked(session: Session, schedule_id: int, by: Actor) -> ViewSchedule:
    """Raises NotFound."""
    found = by_id(session, ViewSchedule, schedule_id, locked=True)
    own = found is not None and found.created_by == by.id
    if found is None or found.removed_at is not None or not (own or by.may(Permission.OTHERS_OVERSEE)):
        raise NotFound(f"There is no schedule {schedule_id}, or it is not yours.")
    return found


def _now(session: Session) -> datetime:
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now


def run_now(schedule_id: int, *, by: Actor) -> int:
    """Note that it shall be done once at once, beside its moments; returns the run's id, for
    pipelines.export_views.carry_out. Raises NotAllowed, NotFound."""
    require(by, Permission.CONTACTS_EXPORT)
    with writing(by) as session:
        found = _locked(session, schedule_id, by)
        due_at = _now(session).replace(microsecond=0)
        while session.scalar(select(ViewRun.id).where(ViewRun.schedule_id == schedule_id, ViewRun.due_at == due_at)):
            due_at += timedelta(seconds=1)
        run = ViewRun(schedule_id=found.id, due_at=due_at, by_hand=True, state="waiting")
        session.add(run)
        session.flush()
        return run.id
