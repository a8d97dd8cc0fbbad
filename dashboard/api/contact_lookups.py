"""What one asks of contacts beside themselves: how many there are, of what, what a field's values are, who is alike."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from dashboard.api import contact_shapes as shapes
from dashboard.api import filtering
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.contact_shapes import ContactValues, Value
from dashboard.api.filtering import FILTERED
from dashboard.api.ids import ContactId
from models.contacts import autocomplete, likeness, records, search
from models.contacts.facets import Range
from models.database import LARGEST_BIGINT
from models.errors import InvalidInput
from models.permissions import Actor, Permission

router = APIRouter(prefix="/contacts", tags=["contacts"], route_class=Repeatable)

MOST_FACETS = 8
Reader = Annotated[Actor, Needs(Permission.CONTACTS_READ)]
FieldName = Annotated[
    str, Path(max_length=60, pattern="^[a-z_]+$", description="A field's name.", examples=["country"])
]
SORT = Query(description=filtering.SORTED, max_length=60, examples=["-id"])


class ContactCount(BaseModel):
    count: int = Field(ge=0, examples=[1250])


class FieldValueCount(BaseModel):
    value: Value = Field(description="Null: contacts without one. Of ranges “51-200”, or “201-”.", examples=["Germany"])
    count: int = Field(ge=0, examples=[410])


class FieldCounts(BaseModel):
    """Commonest first; of a list each member counts."""

    field: str = Field(examples=["country"])
    values: list[FieldValueCount]


class ContactFacets(BaseModel):
    facets: list[FieldCounts]


class FieldValues(BaseModel):
    values: list[str] = Field(examples=[["Acme", "Acme Robotics"]])


class FormSuggestions(BaseModel):
    """What a form offers: field -> values, the declared ones first."""

    suggestions: dict[str, list[str]] = Field(examples=[{"status": ["active", "do not contact", "archived"]}])


class ContactNeighbours(BaseModel):
    """The contacts before and after it, null at the ends; its place from 1 among `total`."""

    previous: int | None
    next: int | None
    place: int
    total: int


class AlikeContact(BaseModel):
    id: int
    name: str
    title: str | None
    company: str | None
    email: str | None
    reason: str = Field(examples=["same e-mail, same LinkedIn"])


class AlikeContacts(BaseModel):
    """The surest first, five at most."""

    contacts: list[AlikeContact]


@router.get("/count", summary="Count contacts", openapi_extra=FILTERED)
def count(request: Request, by: Reader) -> ContactCount:
    """Exactly, of all that match. Every parameter is a filter."""
    return ContactCount(count=search.count(filtering.of(request, by=by), by=by))


@router.get("/count-by/{field}", summary="Count contacts by a field", openapi_extra=FILTERED)
def count_by(
    request: Request,
    by: Reader,
    field: FieldName,
    begins: Annotated[
        str,
        Query(
            max_length=autocomplete.LONGEST,
            description="Of a text only the values that begin so, capitals aside.",
            examples=["acm"],
        ),
    ] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> FieldCounts:
    """The field's values with their exact counts, commonest first. Every other parameter is a filter."""
    asked = filtering.of(request, "begins", "limit", by=by)
    found = search.count_by(asked, field, begins=begins, limit=limit, by=by)
    return _counts(field, found)


@router.get("/facets", summary="Count contacts by several fields", openapi_extra=FILTERED)
def facets(
    request: Request,
    by: Reader,
    fields: Annotated[str, Query(description="Fields of few values, with commas.", max_length=600)] = "",
    ranges: Annotated[
        list[Annotated[str, Field(pattern="^[a-z_]{1,60}:[0-9]{1,15}-[0-9]{0,15}$")]] | None,
        Query(
            alias="range",
            description="Of numbers: field:from-to, both included, or field:from-.",
            examples=[["employees:51-200"]],
            max_length=50,
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="FieldValues of each field.")] = 20,
) -> ContactFacets:
    """In one look at the contacts that match, without the empty ones. Every other parameter is a filter."""
    named, within = filtering.names(fields), _ranges(ranges or [])
    if not 1 <= len(named) + len(within) <= MOST_FACETS:
        raise InvalidInput(f"fields: name 1 to {MOST_FACETS} of them.", field="fields")
    asked = filtering.of(request, "fields", "range", "limit", by=by)
    found = search.count_by_each(asked, named, ranges=within, limit=limit, by=by)
    return ContactFacets(facets=[_counts(name, values) for name, values in found.items()])


@router.get("/values/{field}", summary="Complete a value")
def values(
    by: Reader,
    field: FieldName,
    typed: Annotated[str, Query(max_length=autocomplete.LONGEST, examples=["acm"])] = "",
    most: Annotated[int, Query(ge=1, le=autocomplete.MOST)] = 20,
) -> FieldValues:
    """Values that begin with what is typed, capitals aside, the commonest first. Answers at once at any size: beyond
    what is common not every rare value is found."""
    return FieldValues(values=autocomplete.values(field, typed, most=most, by=by))


@router.get("/suggestions", summary="List what forms offer")
def suggestions(by: Reader) -> FormSuggestions:
    """For fields of few values, lists, industries and owners: what fits, or stands in contacts already."""
    return FormSuggestions(suggestions=records.suggestions(by=by))


@router.post("/alike", summary="Find contacts that may be the same")
def alike(
    by: Reader,
    values: ContactValues,
    besides: Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT, description="A contact that is not meant.")] = None,
) -> AlikeContacts:
    """Before one is created or changed: those with the same e-mail, LinkedIn page, external id, or name and company."""
    typed = {name: text for name, text in shapes.texts(values).items() if text}
    found = likeness.alike(typed, besides=besides, by=by)
    return AlikeContacts(contacts=[AlikeContact.model_validate(one, from_attributes=True) for one in found])


@router.get("/{contact_id:number}/neighbours", summary="Find the contacts beside one", openapi_extra=FILTERED)
def neighbours(
    request: Request, by: Reader, contact_id: ContactId, sort: Annotated[str, SORT] = search.NEWEST_FIRST
) -> ContactNeighbours:
    """Where it stands among those that match, or would stand. Every other parameter is a filter."""
    found = search.neighbours(filtering.of(request, "sort", by=by), sort=sort, contact_id=contact_id, by=by)
    return ContactNeighbours.model_validate(found, from_attributes=True)


def _counts(name: str, found: list[tuple[Any, int]]) -> FieldCounts:
    return FieldCounts(
        field=name, values=[FieldValueCount(value=_written(value), count=number) for value, number in found]
    )  # fmt: skip


def _written(value: Any) -> Any:
    if isinstance(value, tuple):
        low, high = value
        return f"{low}-{'' if high is None else high}"
    return shapes.plain(value)


def _ranges(given: list[str]) -> dict[str, list[Range]]:
    found: dict[str, list[Range]] = {}
    for one in given:
        name, low, high = re.split("[:-]", one)
        if high and int(high) < int(low):
            raise InvalidInput(f"range: {one} ends before it begins.", field="range")
        found.setdefault(name, []).append((int(low), int(high) if high else None))
    return found
