"""Industries: listed with their contacts, created, renamed, merged, taken out of use."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from dashboard.api.strict import GivenId, Text
from models import industries
from models.permissions import Actor, Permission

router = APIRouter(prefix="/industries", tags=["industries"], route_class=Repeatable)

Reader = Annotated[Actor, Needs(Permission.CONTACTS_READ)]
Keeper = Annotated[Actor, Needs(Permission.INDUSTRIES_MANAGE)]
LONGEST = industries.FIELD.longest


class Industry(BaseModel):
    """`merged_into` is the industry that its contacts went to, null where it stands by itself."""

    id: int
    name: str = Field(examples=["Software"])
    is_active: bool = Field(description="Forms offer it.")
    merged_into: int | None
    merged_contacts: int | None = Field(description="How many went there.")
    created_at: Moment


class CountedIndustry(Industry):
    contacts: int = Field(examples=[1250])


class IndustryList(BaseModel):
    """By name."""

    industries: list[CountedIndustry]
    contacts_without: int = Field(description="Contacts that have no industry.")


class IndustryName(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Text = Field(min_length=1, max_length=LONGEST, examples=["Renewable energy"])


class MergeInto(BaseModel):
    model_config = ConfigDict(extra="forbid")

    into: GivenId = Field(description="The industry that stays.")


class MovedContacts(BaseModel):
    contacts: int = Field(description="How many moved.")


class UnmergedIndustry(BaseModel):
    """Contacts that have their old industry again, and those kept because they were changed or deleted since."""

    restored: int
    kept: int


@router.get("", summary="List industries")
def listed(
    by: Reader, inactive: Annotated[bool, Query(description="Also those that are out of use.")] = False
) -> IndustryList:
    """Each with the number of its contacts."""
    found = industries.listed(with_inactive=inactive, by=by)
    told = [CountedIndustry(**_industry(one).model_dump(), contacts=contacts) for one, contacts in found]
    return IndustryList(industries=told, contacts_without=industries.contacts_without(by=by))


@router.post("", status_code=HTTPStatus.CREATED, summary="Create an industry")
def create(by: Keeper, wanted: IndustryName) -> Industry:
    """Answers 409 with `industry_id` where another one has the name."""
    return _industry(industries.create(wanted.name, by=by))


@router.patch("/{industry_id:number}", summary="Rename an industry")
def rename(by: Keeper, industry_id: Id, wanted: IndustryName) -> Industry:
    """Every contact of it shows the new name; imports and forms that give the old one mean it still."""
    return _industry(industries.rename(industry_id, wanted.name, by=by))


@router.post("/{industry_id:number}/merge", summary="Merge an industry into another one")
def merge(by: Keeper, industry_id: Id, wanted: MergeInto) -> MovedContacts:
    """Its contacts get the other one, which its name means from then on."""
    return MovedContacts(contacts=industries.merge(industry_id, wanted.into, by=by))


@router.post("/{industry_id:number}/unmerge", summary="Undo the merge of an industry")
def unmerge(by: Keeper, industry_id: Id) -> UnmergedIndustry:
    found = industries.unmerge(industry_id, by=by)
    return UnmergedIndustry(restored=found.restored, kept=found.kept)


@router.post(
    "/{industry_id:number}/deactivate", status_code=HTTPStatus.NO_CONTENT, summary="Take an industry out of use"
)
def deactivate(by: Keeper, industry_id: Id) -> None:
    """It stays on its contacts, and is offered no more."""
    industries.deactivate(industry_id, by=by)


@router.post("/{industry_id:number}/activate", status_code=HTTPStatus.NO_CONTENT, summary="Offer an industry again")
def activate(by: Keeper, industry_id: Id) -> None:
    """What a merge moved away stays there until it is taken back."""
    industries.activate(industry_id, by=by)


def _industry(one: industries.Industry) -> Industry:
    return Industry.model_validate(one, from_attributes=True)
