"""Exports: asked for, followed, fetched in one piece or in several, made again and compared."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from dashboard import file_answers, flow_runs
from dashboard.api import digests, filtering, problems, ranges, strict
from dashboard.api import import_shapes as shapes
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.paging import Id, PageNumber, PageSize
from dashboard.api.strict import Text
from models import credits, exports, views
from models.database import LARGEST_BIGINT
from models.errors import InvalidInput, NotFound
from models.exports import Export, State
from models.filters import Filters
from models.permissions import Actor, Permission

router = APIRouter(prefix="/exports", tags=["exports"], route_class=Repeatable)

Exporter = Annotated[Actor, Needs(Permission.CONTACTS_EXPORT)]
ContactId = Annotated[int, Field(ge=1, le=LARGEST_BIGINT), strict.NUMBER]
Format = Literal["csv", "xlsx", "parquet", "jsonl"]
ExportState = Annotated[str, WithJsonSchema({"type": "string", "enum": [one.value for one in State]})]
LONGEST_FILTER, MOST_SELECTED = 100_000, 100_000
FILE: dict[int | str, dict[str, Any]] = problems.told(400, 416) | {
    status: {
        "description": description,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in file_answers.MEDIA_TYPES.values()
        },
        "headers": {
            "ETag": {"description": "For If-Range.", "schema": {"type": "string"}},
            "Repr-Digest": {"description": "The SHA-256 of the whole file.", "schema": {"type": "string"}},
        },
    }
    for status, description in ((200, "The file"), (206, "A part of it"))
}


class Which(BaseModel):
    """Which contacts: by a filter, or a view, or those of either that are selected."""

    model_config = ConfigDict(extra="forbid")

    filter: Text = Field(
        "", description="As in the address of the contacts' screen; empty is all.", max_length=LONGEST_FILTER,
        examples=["country=Germany&employees.gte=50"],
    )  # fmt: skip
    view_id: strict.GivenId | None = Field(None, description="In place of a filter: that of a saved view.")
    ids: list[ContactId] | None = Field(None, min_length=1, max_length=MOST_SELECTED, description="Only these.")


class NewExport(Which):
    columns: list[Text] | None = Field(
        None, description="In this order; null: the view's, or all that you see.", max_length=500,
        examples=[["first_name", "last_name", "email"]],
    )  # fmt: skip
    format: Format = "csv"
    raw_formulas: strict.Yes = Field(False, description="Leave cells as they are that a spreadsheet would run.")


class Cost(BaseModel):
    """`left` of this month's credits, null without a limit, and `lasting` ones."""

    credits: int = Field(description="One for each contact that you did not take out in this month yet.")
    enough: bool
    left: int | None
    lasting: int
    renews: date = Field(description="The day on which the month's credits are new.", examples=["2026-12-01"])


class Comparison(BaseModel):
    """With the export that this one was made anew of. `same`: byte for byte."""

    same: bool
    rows_then: int
    rows_now: int


class ExportShort(BaseModel):
    """The receipt, as soon as it is `done`."""

    id: int = Field(examples=[7])
    state: ExportState
    has_file: bool = Field(description="Whether it can be fetched: files are kept for some days, receipts for good.")
    file_name: str
    format: str
    filter: str
    sentence: str
    columns: list[str]
    raw_formulas: bool
    total: int | None = Field(description="Rows to be written, once that is known.")
    rows: int
    percent: float | None = Field(ge=0, le=100)
    bytes: int
    sha256: str | None
    credits: int
    notes: list[str] = Field(description="What the format could not hold whole.")
    error: str | None
    by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float
    again_of: int | None
    view: str | None
    scheduled: bool


class ExportWhole(ExportShort):
    selected: list[int] | None = Field(description="The contacts that were selected; null: all that match.")
    compared: Comparison | None


class ExportPage(BaseModel):
    """Newest first: your own, and everybody's for who looks after others."""

    exports: list[ExportShort]
    total: int


@router.post("", status_code=HTTPStatus.ACCEPTED, summary="Ask for an export", responses=problems.told(402, 404))
def create(by: Exporter, wanted: NewExport, response: Response) -> ExportWhole:
    """It is made in the background. What it costs is set aside at once: 402 where you have too few credits."""
    chosen, view = _which(wanted, by)
    columns = wanted.columns if wanted.columns is not None or view is None else _columns(view)
    export_id = exports.request(
        filters=chosen, columns=columns, format=wanted.format, ids=wanted.ids, raw_formulas=wanted.raw_formulas,
        view=view.name if view else None, by=by,
    )  # fmt: skip
    return _started(export_id, response, by)


@router.post("/cost", summary="What an export would cost", responses=problems.told(404))
def cost(by: Exporter, which: Which) -> Cost:
    chosen, _ = _which(which, by)
    number = credits.cost(chosen, which.ids, by=by)
    balance = credits.balance(by=by)
    return Cost(
        credits=number, enough=balance.available is None or number <= balance.available, left=balance.left,
        lasting=balance.lasting, renews=balance.renews,
    )  # fmt: skip


@router.get("", summary="List exports")
def listed(
    by: Exporter,
    page: PageNumber = 1,
    size: PageSize = 50,
    under_way: Annotated[bool, Query(description="Only those that wait or run, all of them.")] = False,
) -> ExportPage:
    if under_way:
        found = exports.under_way(by=by)
        total = len(found)
    else:
        found, total = exports.mine(by=by, limit=size, offset=(page - 1) * size), exports.count(by=by)
    people = exports.people(found, by=by)
    return ExportPage(exports=[ExportShort(**_shown(one, people)) for one in found], total=total)


@router.get("/{export_id:int}", summary="Read one")  # so that other words there are no wrong numbers
def read(by: Exporter, export_id: Id) -> ExportWhole:
    """How far it is, and its receipt."""
    return _whole(export_id, by)


@router.post("/{export_id}/cancel", summary="Stop one")
def cancel(by: Exporter, export_id: Id) -> ExportWhole:
    """Its credits are given back, and no file appears. Answers 409 where it has ended."""
    exports.cancel(export_id, by=by)
    return _whole(export_id, by)


@router.post(
    "/{export_id}/again",
    status_code=HTTPStatus.ACCEPTED,
    summary="Make one again and compare",
    responses=problems.told(402),
)
def again(by: Exporter, export_id: Id, response: Response) -> ExportWhole:
    """The same filter, columns and format; `compared` says then whether the data changed."""
    return _started(exports.again(export_id, by=by), response, by)


@router.get("/{export_id}/file", response_class=Response, responses=FILE, summary="Fetch the file")
def file(request: Request, by: Exporter, export_id: Id) -> Response:
    """Also in parts, by `Range`; with `If-Range` and the ETag all of it, where it is another file by now."""
    return _file(request, export_id, by)


@router.head("/{export_id}/file", response_class=Response, responses=FILE, summary="How large the file is")
def file_head(request: Request, by: Exporter, export_id: Id) -> Response:
    return _file(request, export_id, by)


def _file(request: Request, export_id: int, by: Actor) -> Response:
    continued = not request.headers.get("range", "bytes=0-").startswith("bytes=0-")
    found = exports.downloaded(export_id, noted=request.method == "GET", continued=continued, by=by)
    ranges.require_within(request, size=file_answers.size_of(found), etag=f'"{found.sha256}"')
    answer = file_answers.of_export(found, request)
    if found.sha256:
        answer.headers["repr-digest"] = digests.header(found.sha256)
    return answer


def _which(which: Which, by: Actor) -> tuple[Filters, views.View | None]:
    if which.view_id is None:
        return filtering.read(which.filter, by=by), None
    if which.filter:
        raise InvalidInput("Give a filter or a view_id, not both.", field="view_id")
    view = views.get(which.view_id, by=by)
    if view.filters is None:
        raise InvalidInput(f"The view “{view.name}” cannot be used: {view.problem}", field="view_id")
    return view.filters, view


def _columns(view: views.View) -> list[str] | None:
    return None if view.columns is None else list(view.columns)


def _started(export_id: int, response: Response, by: Actor) -> ExportWhole:
    """Where no flow comes the sweep begins with it."""
    flow_runs.start_export(export_id)
    response.headers.update({"location": f"/api/v1/exports/{export_id}", "retry-after": "1"})
    return _whole(export_id, by)


def _whole(export_id: int, by: Actor) -> ExportWhole:
    found = exports.get(export_id, by=by)
    shown = _shown(found, exports.people([found], by=by))
    return ExportWhole(**shown, selected=found.ids, compared=_compared(found, by))


def _compared(found: Export, by: Actor) -> Comparison | None:
    try:
        compared = exports.compared(found, by=by)
    except NotFound:  # an administrator's, who is none any more
        return None
    if compared is None:
        return None
    return Comparison(same=compared.same, rows_then=compared.rows_then, rows_now=compared.rows_now)


def _shown(one: Export, people: dict[int | None, str]) -> dict[str, Any]:
    names = (
        "id", "state", "has_file", "file_name", "format", "columns", "raw_formulas", "total", "rows", "bytes", "sha256",
        "credits", "error", "seconds", "again_of",
    )  # fmt: skip
    moments = {
        name: getattr(one, name) and shapes.utc(getattr(one, name))
        for name in ("created_at", "started_at", "finished_at")
    }
    return {name: getattr(one, name) for name in names} | moments | {
        "filter": one.filter_query,
        "sentence": one.filter_sentence,
        "percent": _percent(one),
        "notes": one.notes or [],
        "by": people.get(one.created_by),
        "view": one.view_name,
        "scheduled": one.view_run_id is not None,
    }  # fmt: skip


def _percent(one: Export) -> float | None:
    if one.state == State.DONE:
        return 100.0
    return round(min(100.0, 100 * one.rows / one.total), 1) if one.total else None
