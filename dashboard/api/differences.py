"""What became of a view between two moments, as a file."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from dashboard import file_answers
from dashboard.api import conditions, problems
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.csv_routes import CSV
from models.contacts import difference_file
from models.contacts.difference import SINCE, UNTIL
from models.contacts.moments import NOW
from models.permissions import Actor, Permission

router = APIRouter(prefix="/contacts", tags=["differences"], route_class=Repeatable)

Exporter = Annotated[Actor, Needs(Permission.CONTACTS_EXPORT)]
Since = Annotated[
    str, Query(alias=SINCE, description="A day, or a moment, in ISO 8601.", max_length=60, examples=["2026-11-01"])
]
Until = Annotated[str, Query(alias=UNTIL, description="The same, or `now`.", max_length=60)]


class DifferenceCost(BaseModel):
    credits: int = Field(description="One for each contact that you did not take out in this month yet.")


@router.get("/difference.csv", response_class=CSV, summary="A difference as a file", responses=problems.told(402))
def as_csv(request: Request, by: Exporter, since: Since, until: Until = NOW) -> Response:
    """A line for each value that differs between the moments. Every other parameter is a filter. It takes contacts out,
    and costs what an export of them would."""
    asked = difference_file.parse(request.query_params.multi_items(), by=by)
    return file_answers.csv(
        difference_file.as_csv(asked, noted=not conditions.is_head(request), by=by), "difference.csv"
    )


@router.get("/difference.csv/cost", summary="What that would cost")
def cost(request: Request, by: Exporter, since: Since, until: Until = NOW) -> DifferenceCost:
    asked = difference_file.parse(request.query_params.multi_items(), by=by)
    return DifferenceCost(credits=difference_file.cost(asked, by=by))
