"""Housekeeping: disks, what is kept for how long, and the rounds that removed, took stock and looked after tables."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dashboard.api import jobs, problems
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import Id
from dashboard.api.jobs import Job
from dashboard.api.moments import Moment
from models.house import reports, standing
from models.house.reports import Made
from models.house.shapes import DiskSpace, FolderSize, HouseReport, Kept
from models.permissions import Actor, Permission

router = APIRouter(prefix="/housekeeping", tags=["housekeeping"], route_class=Repeatable)
Overseer = Annotated[Actor, Needs(Permission.SERVER_OVERSEE)]
Keeper = Annotated[Actor, Needs(Permission.SERVER_MANAGE)]


class HouseRound(BaseModel):
    """`host` is the machine whose disks and folders were measured."""

    id: int = Field(examples=[7])
    made_at: Moment
    host: str = Field(examples=["app1"])
    report: HouseReport


class Housekeeping(BaseModel):
    """As it stands now: the disks of the machine that answers, what is wrong with any machine's, what is kept for how
    long, and the last round, null where there was none yet."""

    disks: list[DiskSpace]
    alerts: list[str]
    kept: list[Kept]
    latest: HouseRound | None


class ListedHouseRound(BaseModel):
    id: int = Field(examples=[7])
    made_at: Moment
    host: str = Field(examples=["app1"])
    database_bytes: int = Field(examples=[1_200_000_000])
    disks: list[DiskSpace]
    folders: list[FolderSize]


@router.get("", summary="Read how the house stands")
def current(by: Overseer) -> Housekeeping:
    found = standing.now(by=by)
    latest = None if found.latest is None else _answer(found.latest)
    return Housekeeping(disks=found.disks, alerts=found.alerts, kept=found.kept, latest=latest)


@router.post("", status_code=HTTPStatus.ACCEPTED, summary="Keep house now", responses=problems.told(404, 409))
def start(by: Keeper) -> Job:
    """Within seconds it is begun, and takes up to some minutes; asking again before it began changes nothing."""
    return jobs.run(by, reports.FLOW)


@router.get("/reports", summary="List rounds of housekeeping")
def listed(by: Overseer, limit: Annotated[int, Query(ge=1, le=200)] = 60) -> list[ListedHouseRound]:
    """The newest first."""
    return [ListedHouseRound.model_validate(one, from_attributes=True) for one in reports.listed(limit=limit, by=by)]


@router.get("/reports/{report_id:number}", summary="Read one round of housekeeping")
def read(by: Overseer, report_id: Id) -> HouseRound:
    return _answer(reports.get(report_id, by=by))


def _answer(made: Made) -> HouseRound:
    return HouseRound(id=made.id, made_at=made.made_at, host=made.host, report=made.report)
