"""The quality of the data: its rules as they stand, the runs that checked them, and the report as a file."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse

from dashboard import file_answers, flow_runs
from dashboard.api import etags
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.csv_routes import CSV
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from models import check_board, check_report, check_runs, check_switches
from models.check_board import Board, Completeness, Run, Standing
from models.check_rules import About
from models.check_runs import CheckState
from models.database import LARGEST_ID
from models.permissions import Actor, Permission

router = APIRouter(prefix="/checks", tags=["checks"], route_class=Repeatable)

Reader = Annotated[Actor, Needs(Permission.CONTACTS_READ)]
Checker = Annotated[Actor, Needs(Permission.CHECKS_RUN)]
Decider = Annotated[Actor, Needs(Permission.SETTINGS_CHANGE)]
MOST = 100  # runs of a page
RuleName = Annotated[str, Field(pattern="^[a-z0-9_]{1,100}$", examples=["email_is_an_address"])]


class CheckRun(BaseModel):
    """`rules` are those that you see, `broken` of them did not hold; `tolerated` held, though rows break them, as these
    are no more than may. `asked_by` is null for one that was due."""

    id: int = Field(examples=[17])
    state: CheckState
    step: str | None = Field(description="What is being done, of a run under way.", examples=["check"])
    error: str | None
    asked_by: str | None = Field(examples=["Ann Archer"])
    asked_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    contacts: int | None = Field(examples=[930_000])
    industries: int | None = Field(description="Null where you do not see them.", examples=[148])
    payments: int | None = Field(description="Null where you do not see them.", examples=[12])
    rules: int = Field(examples=[28])
    broken: int = Field(examples=[2])
    tolerated: int = Field(examples=[5])


class CheckPoint(BaseModel):
    """What a run found: `failing` of `checked` rows."""

    run_id: int = Field(examples=[17])
    at: Moment
    success: bool
    checked: int = Field(examples=[812_004])
    failing: int = Field(examples=[37])


class CheckRule(BaseModel):
    """A rule in words, those that most rows break first. At least the share `tolerance` of the rows must keep to it.
    `filter` gives its failing contacts, everywhere that takes filters; of other rows `examples` names some. `points`
    are the last runs, the oldest first."""

    name: str = Field(examples=["email_is_an_address"])
    about: About
    field: str | None = Field(examples=["email"])
    sentence: str = Field(examples=["E-mail is an e-mail address."])
    tolerance: float = Field(examples=[1.0])
    blocks: bool = Field(description="Whether an import that breaks it waits until somebody accepts that.")
    success: bool
    checked: int = Field(examples=[812_004])
    failing: int = Field(examples=[37])
    broken_since: Moment | None
    filter: str | None = Field(examples=["check=email_is_an_address"])
    examples: list[str]
    points: list[CheckPoint]


class FieldCompleteness(BaseModel):
    field: str = Field(examples=["email"])
    title: str = Field(examples=["E-mail"])
    filled: int = Field(description="Contacts with a value, exactly.", examples=[812_004])
    contacts: int = Field(examples=[930_000])


class Quality(BaseModel):
    """`run` is the last one that was done, null before there was one; `newest` the one that was asked for last."""

    run: CheckRun | None
    newest: CheckRun | None
    rules: list[CheckRule]
    completeness: list[FieldCompleteness] = Field(description="The emptiest field first.")


class CheckResults(BaseModel):
    run: CheckRun
    rules: list[CheckRule]
    completeness: list[FieldCompleteness]


class CheckRuns(BaseModel):
    """Newest first; `next` goes into `before` for the following page, and is null on the last one."""

    runs: list[CheckRun]
    next: int | None = Field(examples=[12])


class RuleSwitch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    blocks: bool = Field(description="Whether an import that breaks it waits until somebody accepts that.")


class HtmlReport(HTMLResponse):
    media_type = "text/html; charset=utf-8"


@router.get("", summary="Read the quality of the data")
def quality(
    by: Reader,
    runs: Annotated[int, Query(ge=1, le=check_board.RUNS, description="Whose results are given.")] = 1,
) -> Quality:
    """Of the columns that you see: each rule with its failing rows, and how full each field is."""
    board, newest = check_board.board(by=by, runs=runs), check_board.newest(by=by)
    return Quality(
        run=_run(board.run) if board.run else None, newest=_run(newest) if newest else None, **_found(board)
    )  # fmt: skip


@router.post(
    "/runs", status_code=HTTPStatus.ACCEPTED, summary="Check the data", responses={202: etags.PLACED}
)  # fmt: skip
def ask(by: Checker, response: Response) -> CheckRun:
    """Contacts, industries and payments; of a check that is under way its number."""
    run_id = check_runs.ask(by=by)
    flow_runs.start_checking(run_id)
    response.headers["location"] = f"/api/v1/checks/runs/{run_id}"
    return _run(check_board.get(run_id, by=by))


@router.get("/runs", summary="List checks")
def listed(
    by: Reader,
    before: Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="`next` of the page before.")] = None,
    size: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> CheckRuns:
    found = check_board.page(before_id=before, size=size + 1, by=by)
    shown = found[:size]
    return CheckRuns(runs=list(map(_run, shown)), next=shown[-1].id if len(found) > size else None)


@router.get("/runs/{run_id:number}", summary="Read a check")
def read(by: Reader, run_id: Id) -> CheckRun:
    """How far it is."""
    return _run(check_board.get(run_id, by=by))


@router.get("/runs/{run_id:number}/results", summary="Read what a check found")
def results(by: Reader, run_id: Id) -> CheckResults:
    """Nothing before it is done."""
    run = check_board.get(run_id, by=by)
    return CheckResults(run=_run(run), **_found(check_board.of_run(run_id, by=by)))


@router.put("/rules/{name}", status_code=HTTPStatus.NO_CONTENT, summary="Decide whether a rule stops imports")
def switch(by: Decider, name: RuleName, wanted: RuleSwitch) -> None:
    """A rule for contacts; counts for every plan that is made from now on."""
    check_switches.switch(name, wanted.blocks, by=by)


@router.get("/report.html", summary="Download the report", response_class=HtmlReport)
def report_html(by: Reader) -> Response:
    """A page that opens without a network."""
    named = {"content-disposition": f'attachment; filename="{check_report.name("html", by=by)}"'}
    return HtmlReport(check_report.html(by=by), headers=named)


@router.get("/report.csv", summary="Download the report as CSV", response_class=CSV)
def report_csv(by: Reader) -> Response:
    """A line for each rule, then one for each field."""
    return file_answers.csv(check_report.csv(by=by), check_report.name("csv", by=by))


def _run(one: Run) -> CheckRun:
    return CheckRun.model_validate(one, from_attributes=True)


def _found(board: Board) -> dict[str, Any]:
    return {"rules": list(map(_rule, board.rules)), "completeness": list(map(_field, board.completeness))}


def _rule(one: Standing) -> CheckRule:
    last = one.last
    return CheckRule(
        name=one.name, about=one.about, field=one.field, sentence=one.sentence, tolerance=one.tolerance,
        blocks=one.blocks, success=last.success, checked=last.checked, failing=last.failing,
        broken_since=one.broken_since, filter=one.filter, examples=one.examples,
        points=[CheckPoint.model_validate(point, from_attributes=True) for point in one.points],
    )  # fmt: skip


def _field(one: Completeness) -> FieldCompleteness:
    return FieldCompleteness.model_validate(one, from_attributes=True)
