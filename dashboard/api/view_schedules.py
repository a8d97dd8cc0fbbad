"""Exports of views by schedule: set up, changed, paused, run at once, ended; and what became of each run."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard import flow_runs
from dashboard.api import etags
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from dashboard.api.strict import GivenId, Text
from models import view_exports, view_runs
from models.database import LARGEST_ID
from models.permissions import Actor, Permission
from models.view_exports import ViewRun, Wanted

router = APIRouter(prefix="/view-schedules", tags=["views"], route_class=Repeatable)

Exporter = Annotated[Actor, Needs(Permission.CONTACTS_EXPORT)]


class ScheduleWanted(BaseModel):
    """`every` is hour, day, weekday, week, month, or five fields of cron. `place` is a folder or s3:// prefix below
    those that whoever runs the machine allows. `file_name` may hold {view}, {date} and {time}."""

    model_config = ConfigDict(extra="forbid")

    every: Text = Field(max_length=100, examples=["weekday"])
    place: Text = Field(max_length=1000, examples=["s3://reports/leads"])
    format: Literal["csv", "xlsx", "parquet", "jsonl"] = "csv"
    file_name: Text = Field(view_exports.NAME, max_length=view_exports.LONGEST_NAME)
    time_zone: Text = Field("UTC", max_length=60, examples=["Europe/Berlin"])
    mails: Literal["always", "failure"] = "always"

    def wanted(self) -> Wanted:
        return Wanted(**self.model_dump())


class NewSchedule(ScheduleWanted):
    view_id: GivenId


class ScheduleRun(BaseModel):
    """One due moment: `state` is waiting, running, done or failed, which `error` explains."""

    id: int
    due_at: Moment
    by_hand: bool
    state: str
    file_name: str | None = Field(description="Where the file was put, whole.")
    error: str | None
    tries: int
    started_at: Moment | None
    finished_at: Moment | None


class ScheduleRuns(BaseModel):
    """The last due first."""

    runs: list[ScheduleRun]


class Schedule(BaseModel):
    """`last` is the latest run that has ended. `rests`: its view is deleted, and may come back."""

    id: int
    view_id: int
    view: str
    owner: str
    mine: bool
    every: str = Field(description="As cron.", examples=["0 6 * * 1-5"])
    place: str
    format: str
    file_name: str
    time_zone: str
    mails: str
    sentence: str = Field(examples=["At 06:00 on weekdays, Europe/Berlin"])
    active: bool
    rests: bool
    next_at: Moment
    last: ScheduleRun | None
    running: bool


class Schedules(BaseModel):
    schedules: list[Schedule]


class AskedRun(BaseModel):
    run_id: int


@router.get("", summary="List schedules")
def listed_schedules(
    by: Exporter, view_id: Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="Of that view alone.")] = None
) -> Schedules:
    """Your own; for who looks after what others did everybody's."""
    return Schedules(schedules=[_schedule(one) for one in view_exports.listed(view_id=view_id, by=by)])


@router.post("", status_code=HTTPStatus.CREATED, summary="Export a view by schedule", responses={201: etags.PLACED})
def schedule(by: Exporter, wanted: NewSchedule, response: Response) -> Schedule:
    """With your rights and credits, as they are when it runs."""
    asked = Wanted(**wanted.model_dump(exclude={"view_id"}))
    made = view_exports.schedule(wanted.view_id, asked, by=by)
    response.headers["location"] = f"/api/v1/view-schedules/{made}"
    return _schedule(view_exports.get(made, by=by))


@router.get("/{schedule_id:number}", summary="Read a schedule")
def read_schedule(by: Exporter, schedule_id: Id) -> Schedule:
    return _schedule(view_exports.get(schedule_id, by=by))


@router.put("/{schedule_id:number}", summary="Change a schedule")
def change_schedule(by: Exporter, schedule_id: Id, wanted: ScheduleWanted) -> Schedule:
    """Another time, place, format or name."""
    view_exports.change(schedule_id, wanted.wanted(), by=by)
    return _schedule(view_exports.get(schedule_id, by=by))


@router.delete("/{schedule_id:number}", status_code=HTTPStatus.NO_CONTENT, summary="End a schedule")
def unschedule(by: Exporter, schedule_id: Id) -> None:
    """Its files and receipts stay."""
    view_exports.unschedule(schedule_id, by=by)


@router.post("/{schedule_id:number}/pause", summary="Let a schedule rest")
def pause(by: Exporter, schedule_id: Id) -> Schedule:
    """What is missed meanwhile is not made up."""
    view_exports.pause(schedule_id, by=by)
    return _schedule(view_exports.get(schedule_id, by=by))


@router.post("/{schedule_id:number}/resume", summary="Let a schedule go on")
def resume(by: Exporter, schedule_id: Id) -> Schedule:
    view_exports.pause(schedule_id, False, by=by)
    return _schedule(view_exports.get(schedule_id, by=by))


@router.post("/{schedule_id:number}/runs", status_code=HTTPStatus.ACCEPTED, summary="Run a schedule at once")
def run_now(by: Exporter, schedule_id: Id) -> AskedRun:
    """Once, beside its moments; `GET /view-schedules/{schedule_id}/runs` says what becomes of it."""
    run_id = view_exports.run_now(schedule_id, by=by)
    flow_runs.start_view_exports()
    return AskedRun(run_id=run_id)


@router.get("/{schedule_id:number}/runs", summary="List the runs of a schedule")
def runs(by: Exporter, schedule_id: Id, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> ScheduleRuns:
    found = view_runs.of_schedule(schedule_id, limit=limit, by=by)
    return ScheduleRuns(runs=[_run(one) for one in found])


def _schedule(one: view_exports.Schedule) -> Schedule:
    names = ("id", "view_id", "view", "owner", "mine", "sentence", "active", "rests", "next_at", "running")
    wanted = ("every", "place", "format", "file_name", "time_zone", "mails")
    told: dict[str, Any] = {name: getattr(one, name) for name in names}
    told |= {name: getattr(one.wanted, name) for name in wanted}
    return Schedule(**told, last=_run(one.last) if one.last else None)


def _run(one: ViewRun) -> ScheduleRun:
    return ScheduleRun.model_validate(one, from_attributes=True)
