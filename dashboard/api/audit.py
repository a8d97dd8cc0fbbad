"""The audit log: who did what, on what, from where, when; a page at a time, one line, or all as a file."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, WithJsonSchema
from starlette.responses import StreamingResponse

from dashboard import file_answers
from dashboard.api import conditions
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import BigId
from dashboard.api.moments import Moment
from models import audit_log
from models.audit import Event
from models.audit_log import Wanted
from models.database import LARGEST_BIGINT
from models.errors import NotFound
from models.permissions import Actor, Permission

router = APIRouter(prefix="/audit", tags=["audit"], route_class=Repeatable)
Auditor = Annotated[Actor, Needs(Permission.AUDIT_READ)]
OWN = ("before", "size")  # what is no filter
MOST = 1000  # lines of a page

Words = Annotated[str, Query(max_length=audit_log.LONGEST_WORDS)]
Who = Annotated[Words, Query(description="A user's e-mail, or: operator, nobody.", examples=["ann@example.com"])]
Events = Annotated[list[Event], Query(description="What happened; repeated, any of them.", max_length=len(Event))]
About = Annotated[Words, Query(description="A kind of thing, or one: import, import 17, user ann@example.com.")]
DayOrMoment = Annotated[
    str,
    Field(min_length=1, max_length=60),
    WithJsonSchema({"anyOf": [{"type": "string", "format": one} for one in ("date", "date-time")]}),
]
Since = Annotated[
    DayOrMoment | None, Query(description="From this day or moment on, in UTC.", examples=["2026-11-01T09:30:00Z"])
]
Until = Annotated[DayOrMoment | None, Query(description="Up to this day or moment, included.", examples=["2026-11-30"])]
Searched = Annotated[Words, Query(description="Words that stand in the line.")]


class AuditLine(BaseModel):
    """`before` and `after` hold what differs; `hidden` says that something is left out, since it is of fields of
    contacts that you may not see."""

    id: int = Field(examples=[4711])
    at: Moment
    who: str = Field(examples=["Ann Archer"])
    actor_id: int | None = Field(description="The user, where it was one.", examples=[3])
    address: str | None = Field(examples=["192.0.2.7"])
    event: str = Field(examples=["user changed"])
    subject: str = Field(examples=["user ben@example.com"])
    before: dict[str, Any]
    after: dict[str, Any]
    more: dict[str, Any]
    hidden: bool


class AuditPage(BaseModel):
    """Newest first; `next` goes into `before` for the following page, and is null on the last one."""

    lines: list[AuditLine]
    next: int | None = Field(examples=[4690])


class CsvFile(StreamingResponse):
    media_type = "text/csv; charset=utf-8"


@router.get("", summary="List lines")
def listed(
    request: Request,
    by: Auditor,
    who: Who = "",
    event: Events = [],  # noqa: B006  # FastAPI copies it
    about: About = "",
    since: Since = None,
    until: Until = None,
    q: Searched = "",
    before: Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT, description="`next` of the page before.")] = None,
    size: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> AuditPage:
    lines, more = audit_log.page(_wanted(request), before_id=before, size=size, by=by)
    shown = [AuditLine.model_validate(one, from_attributes=True) for one in lines]
    return AuditPage(lines=shown, next=shown[-1].id if more else None)


@router.get("/people", summary="Who may have done it")
def people(by: Auditor) -> dict[str, str]:
    """What the filter `who` may be, and what people call them."""
    return audit_log.people(by=by)


@router.get("/file.csv", response_class=CsvFile, summary="Lines as a CSV file")
def as_csv(
    request: Request,
    by: Auditor,
    who: Who = "",
    event: Events = [],  # noqa: B006  # FastAPI copies it
    about: About = "",
    since: Since = None,
    until: Until = None,
    q: Searched = "",
) -> Response:
    """All that match; that you took them is a line of the log itself."""
    return file_answers.csv(
        audit_log.as_csv(_wanted(request), noted=not conditions.is_head(request), by=by), "audit log.csv"
    )


@router.get("/{line_id:number}", summary="Read one line")
def read(by: Auditor, line_id: BigId) -> AuditLine:
    found = audit_log.get(line_id, by=by)
    if found is None:
        raise NotFound(f"The audit log has no line {line_id}.")
    return AuditLine.model_validate(found, from_attributes=True)


def _wanted(request: Request) -> Wanted:
    """From the address itself: a filter that there is not is an error, and is not passed over."""
    return audit_log.parse([pair for pair in request.query_params.multi_items() if pair[0] not in OWN])
