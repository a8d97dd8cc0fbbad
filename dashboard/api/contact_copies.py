"""E-mail addresses or phone numbers of many contacts, taken out by copying them: it costs what an export would."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dashboard.api import problems
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.filtering import Chosen
from models.contacts import copies
from models.permissions import Actor, Permission

router = APIRouter(prefix="/contacts/copies", tags=["many contacts"], route_class=Repeatable)

Exporter = Annotated[Actor, Needs(Permission.CONTACTS_EXPORT)]


class CopyOrder(Chosen):
    field: str = Field(max_length=60, description="Of the e-mail address or a phone number.", examples=["email"])


class CopyCost(BaseModel):
    values: int = Field(description="Contacts that have a value.", examples=[40])
    credits: int = Field(description="What copying them takes now.", examples=[12])


class CopiedValues(BaseModel):
    """Of the newest contact first, without the empty ones, which cost nothing."""

    values: list[str] = Field(examples=[["ann.archer@example.com"]])
    credits: int


@router.post("/cost", summary="Ask what copying costs")
def cost(by: Exporter, wanted: CopyOrder) -> CopyCost:
    number, taken = copies.cost(wanted.selection(by), wanted.field, by=by)
    return CopyCost(values=number, credits=taken)


@router.post("", summary="Copy one field of many", responses=problems.told(402))
def copy(by: Exporter, wanted: CopyOrder) -> CopiedValues:
    """Up to 1,000 contacts. It is paid for in credits, one for each contact and month, and noted in the audit log."""
    found = copies.copy(wanted.selection(by), wanted.field, by=by)
    return CopiedValues(values=found.values, credits=found.credits)
