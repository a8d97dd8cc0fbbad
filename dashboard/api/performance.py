"""Reports of how the database and what is asked of it perform: as JSON, as a page that opens offline, as text."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from dashboard.api import jobs, problems
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import Id
from dashboard.api.jobs import Job
from dashboard.api.moments import Moment
from models.errors import NotFound
from models.performance import pages, reports, texts
from models.performance.reports import Made
from models.performance.shapes import Report
from models.permissions import Actor, Permission

router = APIRouter(prefix="/performance", tags=["performance"], route_class=Repeatable)
Overseer = Annotated[Actor, Needs(Permission.SERVER_OVERSEE)]
Keeper = Annotated[Actor, Needs(Permission.SERVER_MANAGE)]


class PerformanceReport(BaseModel):
    """Statements have no values; a view that its owner keeps to themselves has no name."""

    id: int = Field(examples=[7])
    made_at: Moment
    report: Report


class ListedReport(BaseModel):
    id: int = Field(examples=[7])
    made_at: Moment
    findings: int = Field(examples=[2])
    database_bytes: int = Field(examples=[1_200_000_000])
    cache_hit: float | None = Field(examples=[0.998])


class ReportMail(BaseModel):
    model_config = ConfigDict(extra="forbid")

    mailed: bool = Field(description="Whether you get each day's report by e-mail.")


@router.get("", summary="Read the latest report", responses=problems.told(404))
def latest(by: Overseer) -> PerformanceReport:
    return _answer(_latest(by))


@router.get(
    "/report.html",
    response_class=HTMLResponse,
    summary="The latest report as a page that opens offline",
    responses=problems.told(404),
)
def as_html(by: Overseer) -> Response:
    return HTMLResponse(pages.page(_latest(by)))


@router.get(
    "/report.txt",
    response_class=PlainTextResponse,
    summary="The latest report as one page of text",
    responses=problems.told(404),
)
def as_text(by: Overseer) -> Response:
    return PlainTextResponse(texts.page(_latest(by).report))


@router.get("/reports", summary="List reports")
def listed(by: Overseer, limit: Annotated[int, Query(ge=1, le=200)] = 60) -> list[ListedReport]:
    """The newest first."""
    return [ListedReport.model_validate(one, from_attributes=True) for one in reports.listed(limit=limit, by=by)]


@router.post(
    "/reports", status_code=HTTPStatus.ACCEPTED, summary="Make a report now", responses=problems.told(404, 409)
)  # fmt: skip
def make(by: Keeper) -> Job:
    """Within seconds it is begun, and takes up to some minutes; asking again before it began changes nothing."""
    return jobs.run(by, reports.FLOW)


@router.get("/mail", summary="Read whether reports are mailed to you")
def is_mailed(by: Overseer) -> ReportMail:
    return ReportMail(mailed=reports.is_mailed(by=by))


@router.put("/mail", summary="Have reports mailed to you, or no longer")
def have_mailed(by: Overseer, wanted: ReportMail) -> ReportMail:
    """The one that is made each day, as a page of text."""
    reports.have_mailed(wanted.mailed, by=by)
    return wanted


@router.get("/reports/{report_id:number}", summary="Read one report")
def read(by: Overseer, report_id: Id) -> PerformanceReport:
    return _answer(reports.get(report_id, by=by))


def _latest(by: Actor) -> Made:
    found = reports.latest(by=by)
    if found is None:
        raise NotFound("No performance report was made yet: the flow makes one a day, “appointment360 report” at once.")
    return found


def _answer(made: Made) -> PerformanceReport:
    return PerformanceReport(id=made.id, made_at=made.made_at, report=made.report)
