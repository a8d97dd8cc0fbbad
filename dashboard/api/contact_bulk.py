"""Many contacts at once: each as it says, or all that match a filter in the same way; and taking that back."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from dashboard.api import contact_shapes as shapes
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.contact_shapes import ContactValues
from dashboard.api.filtering import Chosen
from dashboard.api.strict import Flag, GivenBigId, GivenId, Instant, Natural, Text
from models.contacts import bulk, many
from models.contacts.bulk import Batch
from models.contacts.editing import LONGEST_TEXT
from models.permissions import Actor, Permission

router = APIRouter(prefix="/contacts/bulk", tags=["many contacts"], route_class=Repeatable)

Editor = Annotated[Actor, Needs(Permission.CONTACTS_EDIT)]
Number = Annotated[GivenBigId, Field(examples=[17])]
Version = Annotated[
    Natural | None,
    Field(
        examples=[12],
        description="Of the contact as you saw it; null changes whatever stands there.",
    ),
]  # fmt: skip
Tags = Annotated[list[Annotated[Text, Field(min_length=1, max_length=300)]], Field(max_length=100)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CreateItem(Strict):
    action: Literal["create"]
    values: ContactValues
    anyway: Flag = Field(False, description="Also where one that can be no other is there.")


class ChangeItem(Strict):
    action: Literal["change"]
    id: Number
    version: Version
    values: ContactValues


class DeleteItem(Strict):
    action: Literal["delete"]
    id: Number
    version: Version


class BulkItems(Strict):
    """All of them are carried out, or none is."""

    items: list[Annotated[CreateItem | ChangeItem | DeleteItem, Field(discriminator="action")]] = Field(
        min_length=1, max_length=many.MOST
    )


class WrittenItem(BaseModel):
    id: int
    version: int | None = Field(description="What it is at now; null of one that was deleted.")


class BulkWritten(BaseModel):
    """In the order of the items."""

    items: list[WrittenItem]


class BulkChoice(Chosen):
    expected: Natural = Field(description="How many you counted: another number changes nothing.")


class BulkSetting(BulkChoice):
    field: str = Field(min_length=1, max_length=60, examples=["status"])
    value: Text | None = Field(
        max_length=LONGEST_TEXT, examples=["archived"],
        description="As a form takes it: industries by name, owners by e-mail, lists with commas; null empties it.",
    )  # fmt: skip


class BulkTagging(BulkChoice):
    add: Tags = Field([], examples=[["Newsletter"]])
    remove: Tags = Field([], examples=[[]])


class BulkDone(Strict):
    """What was done, for `POST /contacts/bulk/put-back`: send it as it is. `count` were really changed."""

    what: Literal["changed", "deleted"]
    field: str | None = Field(min_length=1, max_length=60)
    count: Natural
    first: Natural
    last: Natural
    at: Instant
    by_id: GivenId | None


class BulkPutBack(BaseModel):
    restored: int
    kept: int = Field(description="Those that somebody changed since: they stay as they are.")


@router.post("", summary="Create, change and delete up to 1,000")
def write(by: Editor, wanted: BulkItems) -> BulkWritten:
    """In one transaction. Where some cannot be done nothing is, and the answer is 422: `items` says of each of those,
    by its place from 0, what its own request would have been answered."""
    done = many.write([_item(one) for one in wanted.items], by=by)
    return BulkWritten(items=[WrittenItem(id=one.id, version=one.version) for one in done])


@router.post("/change", summary="Set one field of all that match")
def change(by: Editor, wanted: BulkSetting) -> BulkDone:
    done = bulk.change(wanted.selection(by), wanted.field, wanted.value, expected=wanted.expected, by=by)
    return _done(done)


@router.post("/tag", summary="Add and remove tags of all that match")
def tag(by: Editor, wanted: BulkTagging) -> BulkDone:
    """The order of the tags is kept, and each stands once."""
    done = bulk.tag(wanted.selection(by), add=wanted.add, remove=wanted.remove, expected=wanted.expected, by=by)
    return _done(done)


@router.post("/delete", summary="Delete all that match")
def delete(by: Editor, wanted: BulkChoice) -> BulkDone:
    return _done(bulk.delete(wanted.selection(by), expected=wanted.expected, by=by))


@router.post("/put-back", summary="Undo a change of many")
def put_back(by: Editor, done: BulkDone) -> BulkPutBack:
    """Your own; anybody's for who looks after what others did. A second time it finds nothing left."""
    told = Batch(done.what, done.field, done.count, done.first, done.last, done.at.isoformat(), done.by_id)
    found = bulk.put_back(told, by=by)
    return BulkPutBack(restored=found.restored, kept=found.kept)


def _item(one: CreateItem | ChangeItem | DeleteItem) -> many.Item:
    match one:
        case CreateItem():
            return many.Create(shapes.texts(one.values), one.anyway)
        case ChangeItem():
            return many.Change(one.id, shapes.texts(one.values), one.version)
        case DeleteItem():
            return many.Delete(one.id, one.version)


def _done(batch: Batch) -> BulkDone:
    told: dict[str, Any] = {name: getattr(batch, name) for name in ("what", "field", "count", "first", "last", "by_id")}
    return BulkDone(**told, at=datetime.fromisoformat(batch.at))
