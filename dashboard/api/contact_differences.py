"""What became of a view between two moments: who came into it, who left it, and who changed within it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from dashboard.api import contact_shapes as shapes
from dashboard.api import filtering
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.contact_shapes import FieldChange, SeenValues
from dashboard.api.contacts import JSON
from dashboard.api.filtering import FILTERED
from dashboard.api.moments import Moment
from models.contacts import difference
from models.contacts.difference import SINCE, UNTIL, Asked, Differing, Way
from models.contacts.moments import NOW
from models.permissions import Actor, Permission

router = APIRouter(prefix="/contacts/difference", tags=["differences"], route_class=Repeatable)

Reader = Annotated[Actor, Needs(Permission.CONTACTS_READ)]
WHEN = "A day (its end), a moment, import:7 (after it), before:7, or now; in UTC."
Since = Annotated[str, Query(alias=SINCE, max_length=100, description=WHEN, examples=["2026-11-01"])]
Until = Annotated[str, Query(alias=UNTIL, max_length=100, description=WHEN, examples=["now"])]
MOST_PAGES = 1_000_000


class DifferenceNumbers(BaseModel):
    """How many contacts; `since` and `until` are what the moments mean, the later one at the latest now."""

    came: int
    left: int
    changed: int
    since: Moment
    until: Moment


class DifferentContact(BaseModel):
    """`values` are those of the later moment, or of the earlier one where it is not there any more; `fields` are those
    that differ, none where it is there at one of the moments only."""

    id: int
    values: SeenValues
    fields: list[FieldChange]
    was_there: bool
    is_there: bool


class DifferencePage(BaseModel):
    contacts: list[DifferentContact] = Field(description="The newest first.")


@router.get("", summary="Count what differs", openapi_extra=FILTERED)
def numbers(request: Request, by: Reader, since: Since, until: Until = NOW) -> DifferenceNumbers:
    """Between two moments. Every other parameter is a filter, but `as_of`."""
    found = difference.numbers(_asked(request, since, until, by), by=by)
    names = ("came", "left", "changed")
    moments = {"since": shapes.plain(found.since), "until": shapes.plain(found.until)}
    return DifferenceNumbers(**{name: getattr(found, name) for name in names}, **moments)


@router.get(
    "/{way}",
    response_model=DifferencePage,
    response_model_exclude_unset=True,
    summary="List what differs",
    openapi_extra=FILTERED,
)
def page(
    request: Request,
    by: Reader,
    way: Way,
    since: Since,
    until: Until = NOW,
    page: Annotated[int, Query(ge=1, le=MOST_PAGES)] = 1,
    size: Annotated[int, Query(ge=1, le=difference.MAX_PAGE_SIZE)] = 50,
) -> Response:
    """Of one way. Every other parameter is a filter, but `as_of`."""
    asked = _asked(request, since, until, by)
    found = difference.page(asked, way, number=page, size=size, by=by)
    return Response(to_json({"contacts": [_told(one) for one in found]}), media_type=JSON)


def _asked(request: Request, since: str, until: str, by: Actor) -> Asked:
    asked = filtering.of(request, SINCE, UNTIL, "page", "size", by=by)
    return Asked(asked, difference.moment(since, SINCE), difference.moment(until, UNTIL))


def _told(one: Differing) -> dict[str, Any]:
    return {
        "id": one.id,
        "values": shapes.row(one.values),
        "fields": [change.model_dump() for change in shapes.changes(one.fields)],
        "was_there": one.was_there,
        "is_there": one.is_there,
    }
