"""Jobs: what runs by itself on the server, what ran and how it ended, and what is next."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from dashboard import flow_logs
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from models import flow_runs, flow_schedules, jobs
from models.database import LARGEST_ID
from models.errors import NotFound
from models.flow_runs import Run, RunState
from models.flow_schedules import Schedule
from models.permissions import Actor, Permission

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=Repeatable)

Overseer = Annotated[Actor, Needs(Permission.SERVER_OVERSEE)]
Keeper = Annotated[Actor, Needs(Permission.SERVER_MANAGE)]
Name = Annotated[str, Path(max_length=60, pattern="^[a-z][a-z-]*$", examples=["reconcile-payments"])]


class Job(BaseModel):
    """`schedule` is null where a setting turns it off; `next_at` also while it is paused. `asked_at` is when somebody
    asked for a run that has not begun yet, `asked_run` its number, `waits_since` the moment whose run waits for
    others."""

    name: str = Field(examples=["reconcile-payments"])
    schedule: str | None = Field(description="As cron.", examples=["20 */6 * * *"])
    time_zone: str
    sentence: str = Field(examples=["At 20 minutes past the hour, every 6 hours, UTC"])
    setting: str = Field(
        description="The variable that changes it.", examples=["APPOINTMENT360_SCHEDULE_RECONCILE_PAYMENTS"]
    )
    again: str = Field(description="What a second run does.")
    next_at: Moment | None
    paused_at: Moment | None
    paused_by: str | None
    asked_at: Moment | None
    waits_since: Moment | None
    asked_run: int | None


class Jobs(BaseModel):
    """By name."""

    jobs: list[Job]


class JobRun(BaseModel):
    """`asked_by` is null where it was the schedule or the server itself. `counts` is what it told of its work; `done`
    of `total` is how far a running one is."""

    id: int
    job: str
    about: str | None = Field(examples=["import 17"])
    state: RunState
    scheduled: bool
    asked_by: str | None
    started_at: Moment
    ended_at: Moment | None
    seconds: float
    counts: dict[str, Any]
    step: str | None
    done: int | None
    total: int | None
    error: str | None
    cancelled_at: Moment | None = Field(description="When somebody asked to have it stopped.")
    cancelled_by: str | None = Field(description="Who asked; null where it was the server itself.")


class JobRuns(BaseModel):
    """The newest first; `next` is the `before` of the next page."""

    runs: list[JobRun]
    next: int | None


class LogLine(BaseModel):
    at: Moment
    level: str
    message: str


class JobLog(BaseModel):
    """The last lines that Prefect has of it, the oldest first; null where it does not tell, or had no part in it."""

    lines: list[LogLine] | None


@router.get("", summary="List jobs")
def listed(by: Overseer) -> Jobs:
    """What runs by schedule, with its next moment."""
    return Jobs(jobs=[_job(one) for one in flow_schedules.listed(by=by)])


@router.get("/runs", summary="List runs of jobs")
def runs(
    by: Overseer,
    job: Annotated[str | None, Query(max_length=60)] = None,
    state: RunState | None = None,
    before: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobRuns:
    found = flow_runs.page(flow=job, state=state, before=before, limit=size + 1, by=by)
    return JobRuns(runs=[_run(one) for one in found[:size]], next=found[size - 1].id if len(found) > size else None)


@router.get("/runs/{run_id:number}", summary="Read a run")
def read(by: Overseer, run_id: Id) -> JobRun:
    return _run(flow_runs.get(run_id, by=by))


@router.get("/runs/{run_id:number}/log", summary="Read the log of a run")
def log(by: Overseer, run_id: Id) -> JobLog:
    lines = flow_logs.lines(flow_runs.get(run_id, by=by).prefect_id)
    if lines is None:
        return JobLog(lines=None)
    return JobLog(lines=[LogLine(at=one.at, level=one.level, message=one.message) for one in lines])


@router.post("/runs/{run_id:number}/cancel", status_code=HTTPStatus.ACCEPTED, summary="Stop a run")
def cancel(by: Keeper, run_id: Id) -> JobRun:
    """Within seconds. What works for somebody, such as an export, is stopped as they would stop it."""
    jobs.cancel(run_id, by=by)
    return _run(flow_runs.get(run_id, by=by))


@router.post("/runs/{run_id:number}/retry", status_code=HTTPStatus.ACCEPTED, summary="Do a run again")
def retry(by: Keeper, run_id: Id) -> JobRun:
    """For what failed, crashed or was cancelled: a new run begins within a minute. Answers with that where it stands
    already, waiting; else, such as for an export, with the old one."""
    again = jobs.retry(run_id, by=by)
    return _run(flow_runs.get(again or run_id, by=by))


@router.post("/{name}/run", status_code=HTTPStatus.ACCEPTED, summary="Run a job now")
def run(by: Keeper, name: Name) -> Job:
    """Within seconds, once; its schedule stays as it is. Answers 409 while it runs."""
    jobs.run(name, by=by)
    return _named(name, by)


@router.post("/{name}/pause", summary="Pause the schedule of a job")
def pause(by: Keeper, name: Name) -> Job:
    flow_schedules.pause(name, by=by)
    return _named(name, by)


@router.post("/{name}/resume", summary="Resume the schedule of a job")
def resume(by: Keeper, name: Name) -> Job:
    """What was due meanwhile is not made up."""
    flow_schedules.resume(name, by=by)
    return _named(name, by)


def _named(name: str, by: Actor) -> Job:
    found = [one for one in flow_schedules.listed(by=by) if one.flow == name]
    if not found:
        raise NotFound(f"There is no job “{name}”.")
    return _job(found[0])


def _job(one: Schedule) -> Job:
    return Job(
        name=one.flow, schedule=one.cron, time_zone=one.time_zone, sentence=one.sentence, setting=one.setting,
        again=one.again, next_at=one.next_at, paused_at=one.paused_at, paused_by=one.paused_by, asked_at=one.asked_at,
        waits_since=one.waits_since,
        asked_run=one.asked_run,
    )  # fmt: skip


def _run(one: Run) -> JobRun:
    return JobRun(
        id=one.id, job=one.flow, about=one.about, state=one.state, scheduled=one.scheduled, asked_by=one.asker,
        started_at=one.started_at, ended_at=one.ended_at, seconds=one.seconds, counts=one.counts, step=one.step,
        done=one.done, total=one.total, error=one.error, cancelled_at=one.cancelled_at,
        cancelled_by=one.canceller,
    )  # fmt: skip
