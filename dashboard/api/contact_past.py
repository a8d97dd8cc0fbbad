"""What happened to one contact, where its values come from, and the undo of one change."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from dashboard.api import contact_shapes as shapes
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.contact_shapes import FieldChange, Value, WholeContact
from dashboard.api.contacts import answered
from dashboard.api.etags import TAGGED
from dashboard.api.ids import ContactId
from dashboard.api.moments import Moment
from models.contacts import history, provenance, records
from models.contacts.history import What
from models.contacts.provenance import Origin
from models.database import LARGEST_BIGINT
from models.permissions import Actor, Permission

router = APIRouter(prefix="/contacts/{contact_id:number}", tags=["contacts"], route_class=Repeatable)

Reader = Annotated[Actor, Needs(Permission.CONTACTS_READ)]
Version = Annotated[int, Path(ge=1, le=LARGEST_BIGINT, description="`version` of a change in the history.")]


class ContactChange(BaseModel):
    """`version` is what the change replaced, null of the creation. `import_id`, `file_name` and `line` are there where
    a file brought it; `merged` are the contacts that were merged into this one."""

    what: What
    at: Moment
    by: str = Field(examples=["Ann Archer"])
    fields: list[FieldChange]
    version: int | None
    import_id: int | None
    file_name: str | None
    line: int | None
    with_others: bool = Field(description="The same action changed other contacts, too.")
    merged: list[int]
    can_be_undone: bool = Field(description="As long as nothing has changed its fields again.")


class ContactHistory(BaseModel):
    """The newest first; a change of fields that you may not see is left out."""

    changes: list[ContactChange]


class ValueSource(BaseModel):
    """A value and the change that made it so; null where that lies before the oldest one that is known."""

    value: Value
    change: ContactChange | None
    is_put_back: bool = Field(description="A person gave the field the value again that the change before replaced.")


class FieldOrigin(BaseModel):
    """The present value first, then the older ones."""

    field: str = Field(examples=["email"])
    values: list[ValueSource]


class ContactOrigins(BaseModel):
    """Of each field that ever held a value. `begins` is the oldest change that is known, where older were left out."""

    fields: list[FieldOrigin]
    begins: Moment | None


@router.get("/history", summary="Read what happened to one")
def read_history(
    by: Reader,
    contact_id: ContactId,
    until: Annotated[AwareDatetime | None, Query(description="Nothing after it.")] = None,
    most: Annotated[int, Query(ge=1, le=history.MOST_CHANGES, description="Beside the creation.")] = 50,
) -> ContactHistory:
    """Also of a deleted contact, for who may restore it."""
    found = history.of_contact(contact_id, until=until, most=most, by=by)
    return ContactHistory(changes=[_change(one) for one in found])


@router.get("/origin", summary="Read where its values come from")
def read_origin(by: Reader, contact_id: ContactId) -> ContactOrigins:
    """Each value with the change, the file and its line, or the person that it comes from."""
    found = provenance.of_changes(history.of_contact(contact_id, by=by))
    fields = [FieldOrigin(field=name, values=list(map(_source, values))) for name, values in found.origins.items()]
    return ContactOrigins(fields=fields, begins=found.begins)


@router.post(
    "/changes/{version:number}/undo",
    response_model=WholeContact,
    response_model_exclude_unset=True,
    summary="Undo one change",
    responses=TAGGED,
)
def undo(
    by: Annotated[Actor, Needs(Permission.CONTACTS_EDIT)], contact_id: ContactId, version: Version
) -> Response:  # fmt: skip
    """The values that stood before come back. Answers 409 where a newer change touched the same fields."""
    return answered(records.undo(contact_id, version, by=by))


def _change(one: history.Change) -> ContactChange:
    told: dict[str, Any] = {
        name: getattr(one, name)
        for name in ("what", "at", "version", "import_id", "file_name", "line", "with_others", "can_be_undone")
    }
    return ContactChange(**told, by=one.by_name, fields=shapes.changes(one.fields), merged=list(one.merged))


def _source(one: Origin) -> ValueSource:
    change = None if one.change is None else _change(one.change)
    return ValueSource(value=shapes.plain(one.value), change=change, is_put_back=one.is_put_back)
