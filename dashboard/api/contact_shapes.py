"""What a contact looks like in JSON, made from the fields' declarations: nothing here names a field."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from dashboard.api.moments import Moment
from dashboard.api.strict import NUMBER, Day, Flag, Text
from models.contacts import editing
from models.contacts.amounts import MONEY_LIMIT, WHOLE_LIMIT
from models.contacts.history import FieldChange as Changed
from models.contacts.records import DEFAULTS as NEW
from models.contacts.records import Record
from models.contacts.table import FIELDS
from models.fields import Field as Declared
from models.fields import Kind
from models.filters import visible_fields
from models.permissions import Actor

LONGEST = editing.LONGEST_TEXT
MOST_OF_A_LIST = 1_000
SYSTEM_MOMENTS = ("created_at", "updated_at")


Value = str | int | bool | list[str] | None  # of a field, in JSON
TYPES: dict[Kind, Any] = {
    Kind.LIST: list[Annotated[Text, Field(min_length=1, max_length=LONGEST)]],
    Kind.WHOLE: Annotated[int, Field(ge=-WHOLE_LIMIT, le=WHOLE_LIMIT), NUMBER],
    Kind.MONEY: Annotated[str, Field(pattern=f"^-?[0-9]{{1,{len(str(MONEY_LIMIT)) - 1}}}([.][0-9]{{1,2}})?$")],
    Kind.DATE: Day,
    Kind.FLAG: Flag,
}


def _field(declared: Declared) -> tuple[Any, Any]:
    kind = declared.kind
    longest = MOST_OF_A_LIST if kind is Kind.LIST else None if kind in TYPES else declared.longest or LONGEST
    known = f" Usual values: {', '.join(declared.choices)}." if declared.choices else ""
    described = Field(
        default=None, title=declared.title, description=f"{kind.value.capitalize()}.{known}",
        examples=[declared.shown_example], max_length=longest,
    )  # fmt: skip
    return TYPES.get(kind, Text) | None, described


_DECLARED: dict[str, Any] = {name: _field(declared) for name, declared in FIELDS.items()}


ContactValues: Any = create_model(
    "ContactValues",
    __config__=ConfigDict(extra="forbid"),
    __doc__="A contact's fields. Empty is null; industry by name, owner by e-mail; money as text with decimals.",
    **_DECLARED,
)


SeenValues: Any = create_model(
    "SeenValues", __doc__="A contact's fields as the asking person may see them: hidden ones are left out.", **_DECLARED
)


class FieldChange(BaseModel):
    """A field's value before and after; null is none."""

    field: str = Field(examples=["title"])
    old: Value = Field(examples=["Manager"])
    new: Value = Field(examples=["Head of Sales"])


class Kept(BaseModel):
    """What the system keeps of a contact beside its fields. Only chosen and visible ones are there."""

    id: int = Field(ge=1, examples=[17])
    created_at: Moment | None = None
    updated_at: Moment | None = None
    version: int | None = Field(None, description="Moves with every write.", examples=[12])


Contact: Any = create_model(
    "Contact",
    __base__=Kept,
    __doc__="A contact as the asking person may see it: hidden and unchosen fields are left out.",
    **_DECLARED,
)


def texts(values: BaseModel) -> dict[str, str | None]:
    """What was sent, as the texts of a form: what was left out is left out."""
    sent = values.model_dump(exclude_unset=True)
    return {
        name: (value if isinstance(value, str) else editing.as_text(name, value)) or None
        for name, value in sent.items()
    }


def replaced(values: BaseModel, by: Actor) -> dict[str, str | None]:
    """The texts of every field that the person sees: what was left out becomes what a new contact has there, which is
    nothing but for its status."""
    begun = {name: editing.as_text(name, NEW[FIELDS[name].column]) for name in FIELDS if FIELDS[name].column in NEW}
    seen = visible_fields(by)
    return dict.fromkeys(seen) | {name: begun[name] for name in seen if name in begun} | texts(values)


CHANGED = (datetime, date, Decimal)  # types of values that JSON has otherwise


def rows(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the search, which become JSON by `to_json`: days and amounts are told by it as `plain` has them, and no
    field is a moment."""
    moments = [name for name in SYSTEM_MOMENTS if found and name in found[0]]
    if not moments:
        return found
    return [one | {name: plain(one[name]) for name in moments} for one in found]


def row(found: dict[str, Any]) -> dict[str, Any]:
    """A row of the search as JSON has it."""
    return {name: plain(value) if type(value) in CHANGED else value for name, value in found.items()}


def record(found: Record) -> dict[str, Any]:
    """One whole contact."""
    kept = {
        "id": found.id, "version": found.version, "created_at": found.created_at, "updated_at": found.updated_at,
        "created_by": found.created_by, "import_id": found.import_id, "import_line": found.import_line,
        "file_name": found.file_name, "extra": found.extra,
    }  # fmt: skip
    if found.deleted_at is not None:
        kept |= {"deleted_at": found.deleted_at, "deleted_by": found.deleted_by}
    return {name: plain(value) for name, value in (kept | found.values).items()}


def changes(found: Iterable[Changed]) -> list[FieldChange]:
    return [FieldChange(field=one.name, old=plain(one.old), new=plain(one.new)) for one in found]


def plain(value: Any) -> Any:
    """Moments in UTC, days and amounts as text, these with all their digits; the rest as it is."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
    return value


class WholeContact(Contact):  # type: ignore[misc]  # made above
    """One contact with where it came from. `version` moves with every write; the ETag has it, and If-Match takes it."""

    version: int
    created_by: str
    import_id: int | None = None
    import_line: int | None = None
    file_name: str | None = None
    extra: dict[str, Any] | None = Field(None, description="What no field took; for who sees every column.")
    deleted_at: Moment | None = None
    deleted_by: str | None = None


class ContactPage(BaseModel):
    """`next` goes into `after` for the following page, and is null on the last one."""

    contacts: list[Contact]
    next: str | None = Field(examples=["eyJzIjoiLWlkIn0"])
    total: int | None = Field(None, description="All that match; with `count=true`.", examples=[1250])
    meant: str | None = Field(
        None,
        description="Where nothing is found with `q`: the one that finds contacts under the same filters, if one "
        "letter or the accents of a word are wrong; null where there is none, or it takes too long to find.",
        examples=["greta"],
    )
