"""Each due moment of a schedule becomes one run, however many notice it, and is carried out once.

Moments that were missed while nothing ran are made up by one run. Whether a process works on a run is never written
down: it holds a lock, which ends with it.
"""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import audit, database, export_places, mails, schedule_times, users, view_exports, views
from models.accounts import User
from models.audit import Event
from models.database import VIEW_RUNS_LOCK, by_id, reading, writing
from models.errors import InvalidInput, NotAllowed, NotFound
from models.exports import Export
from models.mails import Kind
from models.permissions import OPERATOR, Actor, Permission, Role, require
from models.view_exports import ViewRun, ViewSchedule
from models.views import SavedView, View

MOST_TRIES = 3  # at a place or database that does not answer
MOST_DEATHS = 5  # of processes in the middle: a run that ends each of them is given up
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
OPEN = (WAITING, RUNNING)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A run that a process has taken on; `file_name` is what its file will be called, whenever it is made."""

    run_id: int
    schedule_id: int
    view_id: int
    format: str
    place: str
    file_name: str
    replaces: bool
    """A file of that name that is there already."""
    tries: int
    """This one included."""
    ended: bool
    """Its schedule was ended meanwhile."""
    created_by: int | None


def note_due() -> int:
    """A run for every schedule whose moment has come; returns how many are new. Two at once make no more.

    A schedule that cannot be read any more, such as of a time zone that the system forgot, is logged, and keeps no
    other from its moment.
    """
    now = select(func.clock_timestamp())
    due = (
        select(ViewSchedule)
        .join(SavedView, SavedView.id == ViewSchedule.view_id)
        .where(ViewSchedule.active, ViewSchedule.removed_at.is_(None), SavedView.deleted_at.is_(None))
        .where(ViewSchedule.next_at <= func.clock_timestamp())
        .order_by(ViewSchedule.next_at)
        .with_for_update(of=ViewSchedule, skip_locked=True)
    )
    with writing(OPERATOR) as session:
        noted = 0
        for one in list(session.scalars(due)):
            moment = session.scalars(now).one()
            try:
                last = schedule_times.last_until(one.cron, one.time_zone, one.next_at, moment)
                one.next_at = schedule_times.next_after(one.cron, one.time_zone, moment)
            except InvalidInput as error:
                log.error("view schedule %s is not carried out: %s", one.id, error.sentence)
                continue
            new = insert(ViewRun).values(schedule_id=one.id, due_at=last, state=WAITING)
            session.execute(new.on_conflict_do_nothing(constraint="view_runs_once"))
            noted += 1
        return noted


def waiting() -> list[int]:
    """Those that no process works on, the first due first: also one whose process died in the middle."""
    wanted = select(ViewRun.id).where(ViewRun.state.in_(OPEN)).order_by(ViewRun.due_at, ViewRun.id)
    with reading() as session:
        found = list(session.scalars(wanted))
        held = database.claims(session, VIEW_RUNS_LOCK)
    return [run_id for run_id in found if run_id not in held]


def claimed(run_id: int) -> AbstractContextManager[bool]:
    """For as long as the block runs this process alone works on the run; False where another one does."""
    return database.claimed(VIEW_RUNS_LOCK, run_id)


def begin(run_id: int) -> Task | None:
    """Take it on; None where it is over. The caller holds it. Raises NotFound."""
    with writing(OPERATOR) as session:
        run = by_id(session, ViewRun, run_id, locked=True)
        if run is None:
            raise NotFound(f"There is no run {run_id}.")
        if run.state not in OPEN:
            return None
        stored = session.get_one(ViewSchedule, run.schedule_id)
        view = session.get_one(SavedView, stored.view_id)
        run.tries, run.state, run.started_at = run.tries + 1, RUNNING, func.clock_timestamp()
        return Task(
            run_id=run_id,
            schedule_id=stored.id,
            view_id=view.id,
            format=stored.format,
            place=stored.place,
            file_name=_file_name(stored, view.name, run),
            replaces=not view_exports.is_dated(stored.file_name),
            tries=run.tries,
            ended=stored.removed_at is not None,
            created_by=stored.created_by,
        )


def actor(task: Task) -> Actor:
    """Who set it up, with what the person may do now. Raises NotAllowed (the account is closed)."""
    return users.acting(task.created_by, f"The scheduled export {task.schedule_id}")


def view_of(task: Task, *, by: Actor) -> View:
    """The view as that person may use it now. Raises NotAllowed, NotFound, InvalidInput."""
    export_places.checked(task.place)  # the setting may have changed
    try:
        return views.get(task.view_id, by=by)
    except NotFound as error:
        raise NotAllowed("Its view is deleted, or no longer shared with you: ask its owner, or end this.") from error


def finish(task: Task, export: Export, put_to: str) -> None:
    """The file is in its place: noted and mailed, in one transaction, once."""
    with writing(OPERATOR) as session:
        run = session.get_one(ViewRun, task.run_id, with_for_update=True)
        if run.state not in OPEN:
            return
        run.state, run.error, run.file_name, run.finished_at = DONE, None, put_to, func.clock_timestamp()
        schedule, name = _of(session, run)
        audit.write(
            session,
            Event.VIEW_EXPORTED,
            view_exports.subject(schedule),
            by=_whose(session, schedule),
            view=name,
            file=put_to,
            export=export.id,
            rows=export.rows,
            credits=export.credits,
        )
        if schedule.mails == "always":
            told = {"view": name, "file": put_to, "rows": f"{export.rows:,}", "credits": f"{export.credits:,}"}
            _mail(session, schedule, Kind.VIEW_EXPORTED, told, failed=False)


def fail(task: Task, sentence: str, *, told: bool = True) -> None:
    """It cannot be done: noted, and mailed with the reason where it shall be `told`. The schedule stays, and has its
    next moment; it rests where it is of an account that was closed, since it would fail each time."""
    with writing(OPERATOR) as session:
        run = session.get_one(ViewRun, task.run_id, with_for_update=True)
        if run.state not in OPEN:
            return
        run.state, run.error, run.finished_at = FAILED, sentence, func.clock_timestamp()
        schedule, name = _of(session, run)
        rests = _rest_of_closed(session, schedule)
        audit.write(
            session, Event.VIEW_EXPORT_FAILED, view_exports.subject(schedule), by=_whose(session, schedule),
            view=name, error=sentence,
        )  # fmt: skip
        if told:
            details = {"view": name, "error": sentence, "place": schedule.place, "further": _further(schedule, rests)}
            _mail(session, schedule, Kind.VIEW_EXPORT_FAILED, details, failed=True)


def put_off(task: Task, sentence: str | None = None) -> None:
    """The next sweep takes it up again; without a reason, for a process that was stopped from outside, the try does not
    count."""
    tries = ViewRun.tries if sentence else func.greatest(ViewRun.tries - 1, 0)
    open_still = update(ViewRun).where(ViewRun.id == task.run_id, ViewRun.state.in_(OPEN))
    with writing(OPERATOR) as session:
        session.execute(open_still.values(state=WAITING, error=sentence, tries=tries))


def recent(schedule_id: int, limit: int = 10) -> list[ViewRun]:
    """The latest of a schedule that the caller was shown, the last due first."""
    wanted = select(ViewRun).where(ViewRun.schedule_id == schedule_id).order_by(ViewRun.due_at.desc()).limit(limit)
    with reading() as session:
        found = list(session.scalars(wanted))
        session.expunge_all()
        return found


def of_schedule(schedule_id: int, *, limit: int = 10, by: Actor) -> list[ViewRun]:
    """`recent` of a schedule that `by` may see. Raises NotAllowed, NotFound."""
    require(by, Permission.CONTACTS_EXPORT)
    view_exports.get(schedule_id, by=by)
    return recent(schedule_id, limit)


def _rest_of_closed(session: Session, schedule: ViewSchedule) -> bool:
    """Let it rest where whoever set it up has left; whether that is so."""
    user = None if schedule.created_by is None else session.get(User, schedule.created_by)
    if schedule.created_by is None or (user is not None and user.is_active):
        return False
    if schedule.active:
        schedule.active = False
        audit.write(
            session, Event.VIEW_SCHEDULE_CHANGED, view_exports.subject(schedule), by=OPERATOR,
            before={"active": True}, after={"active": False},
        )  # fmt: skip
    return True


def _further(schedule: ViewSchedule, rests: bool) -> str:
    if rests:
        return (
            "The schedule rests from now on, since the account that set it up is closed. End it under Views, and set "
            "up your own where the files are still wanted."
        )
    return (
        f"The schedule stays, and tries again at its next moment: {schedule.next_at:%d %B %Y, %H:%M} UTC. Views shows "
        "it, where you can run it at once, change, pause or end it."
    )


def _whose(session: Session, schedule: ViewSchedule) -> Actor:
    """Whom the line in the log names: who set it up, also where the account is closed by now."""
    user = None if schedule.created_by is None else session.get(User, schedule.created_by)
    return OPERATOR if user is None else user.actor()


def _file_name(stored: ViewSchedule, view: str, run: ViewRun) -> str:
    pattern = stored.file_name
    if run.by_hand and "{date}" in pattern and "{time}" not in pattern:
        pattern += " {time}"  # beside that of the day
    return view_exports.file_name(pattern, view, run.due_at, stored.time_zone, stored.format)


def _of(session: Session, run: ViewRun) -> tuple[ViewSchedule, str]:
    schedule = session.get_one(ViewSchedule, run.schedule_id)
    return schedule, session.get_one(SavedView, schedule.view_id).name


def _mail(session: Session, schedule: ViewSchedule, kind: Kind, told: dict[str, str], *, failed: bool) -> None:
    """To who set it up; what fails of somebody who left, or of the operator, to the administrators."""
    user = None if schedule.created_by is None else session.get(User, schedule.created_by)
    to = [user] if user is not None and user.is_active else []
    if not to and failed:
        admins = select(User).where(User.role == Role.ADMIN, User.is_active, User.password_hash.is_not(None))
        to = list(session.scalars(admins))
    for person in to:
        mails.queue(session, kind, person, told, by=OPERATOR)
