"""What the undo of an import, or the undo of that, left as it was."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, WithJsonSchema

from dashboard import file_answers
from dashboard.api import import_shapes as shapes
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.contact_shapes import plain
from dashboard.api.csv_routes import CSV, named
from dashboard.api.paging import Id, PageNumber, PageSize
from models import import_kept
from models.import_undos import Kind, Why
from models.permissions import Actor, Permission

router = APIRouter(prefix="/imports", tags=["imports"], route_class=Repeatable)

Importer = Annotated[Actor, Needs(Permission.IMPORTS_RUN)]


UndoKind = Annotated[str, WithJsonSchema({"type": "string", "enum": [one.value for one in Kind]})]


class Run(BaseModel):
    """An undo, or a redo; `counts`: removed or returned, restored, kept."""

    kind: UndoKind
    at: datetime
    by: str
    counts: dict[str, int]


class Since(BaseModel):
    by: str
    at: datetime
    import_id: int | None = Field(description="That did it, or that was taken back by it.")


class KeptField(BaseModel):
    """What it held and goes on to hold, and what it would have gone back to; null is nothing, or hidden."""

    field: str
    stayed: Any
    would_be: Any
    since: Since


class Kept(BaseModel):
    """`rest`: its other fields went back."""

    contact: int
    name: str
    why: Why
    fields: list[KeptField]
    since: Since
    rest: bool


class KeptPage(BaseModel):
    run: Run | None = Field(description="The last undo, or redo; null where there was none.")
    contacts: list[Kept]
    total: int


@router.get("/{import_id}/kept", summary="What an undo left as it was")
def kept(by: Importer, import_id: Id, page: PageNumber = 1, size: PageSize = 50) -> KeptPage:
    """Each contact with the values that somebody changed since the import."""
    run = import_kept.last(import_id, by=by)
    found, total = import_kept.page(import_id, number=page, size=size, by=by)
    return KeptPage(
        run=Run(kind=run.kind, at=shapes.utc(run.at), by=run.by_name, counts=run.counts) if run else None,
        contacts=[_shown(one) for one in found],
        total=total,
    )


@router.get("/{import_id}/kept.csv", response_class=CSV, summary="All of them as a file")
def kept_as_csv(by: Importer, import_id: Id) -> Response:
    return file_answers.csv(import_kept.as_csv(import_id, by=by), named(import_id, "kept.csv", by))


def _shown(one: import_kept.Kept) -> Kept:
    fields = [
        KeptField(
            field=each.name, stayed=plain(each.stayed), would_be=plain(each.would_be),
            since=_since(each.since),
        )
        for each in one.fields
    ]  # fmt: skip
    return Kept(
        contact=one.contact_id, name=one.label, why=one.why, fields=fields, since=_since(one.since), rest=one.rest
    )


def _since(one: import_kept.Since) -> Since:
    return Since(by=one.by_name, at=shapes.utc(one.at), import_id=one.import_id)
