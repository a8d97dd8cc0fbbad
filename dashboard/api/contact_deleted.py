"""Deleted contacts: found, read as they were, brought back."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from dashboard.api import contact_shapes as shapes
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.contact_shapes import SeenValues, WholeContact
from dashboard.api.contacts import JSON
from dashboard.api.filtering import ContactIds
from dashboard.api.ids import ContactId
from dashboard.api.moments import Moment
from models.contacts import bulk, deleted, records
from models.permissions import Actor, Permission

router = APIRouter(prefix="/contacts/deleted", tags=["deleted contacts"], route_class=Repeatable)

Editor = Annotated[Actor, Needs(Permission.CONTACTS_EDIT)]


class DeletedContact(BaseModel):
    """`values` holds name, title, company and e-mail as they were, as far as you may see them."""

    id: int
    values: SeenValues
    at: Moment
    by: str = Field(examples=["Ann Archer"])


class DeletedPage(BaseModel):
    """The last deleted first."""

    contacts: list[DeletedContact]
    total: int


class ContactIdList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ids: ContactIds = Field(examples=[[17, 18]])


class RestoredCount(BaseModel):
    restored: int = Field(description="Those that were deleted; somebody else may have restored the rest.")


@router.get("", response_model=DeletedPage, response_model_exclude_unset=True, summary="List deleted contacts")
def listed(
    by: Editor,
    q: Annotated[
        str, Query(max_length=deleted.LONGEST_SEARCH, description="Words of the name, company or e-mail.")
    ] = "",
    page: Annotated[int, Query(ge=1, le=deleted.LARGEST_PAGE, description="Beyond the last one: the last.")] = 1,
    size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    found, total = deleted.page(q, number=page, size=size, by=by)
    told: list[dict[str, Any]] = [
        {"id": one.id, "values": shapes.row(one.values), "at": shapes.plain(one.at), "by": one.by_name} for one in found
    ]
    return Response(to_json({"contacts": told, "total": total}), media_type=JSON)


@router.post("/restore", summary="Restore many")
def restore(by: Editor, wanted: ContactIdList) -> RestoredCount:
    """Bring those of them back that are deleted, as they were."""
    return RestoredCount(restored=bulk.restore(wanted.ids, by=by))


@router.get(
    "/{contact_id:number}",
    response_model=WholeContact,
    response_model_exclude_unset=True,
    summary="Read a deleted contact",
)
def read(by: Editor, contact_id: ContactId) -> Response:
    """As it was when it was deleted."""
    return Response(to_json(shapes.record(records.deleted(contact_id, by=by))), media_type=JSON)
