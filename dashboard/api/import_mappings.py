"""What is read from where of an import: proposed, chosen, kept as a draft, and planned with."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from dashboard.api import import_shapes as shapes
from dashboard.api import imports as import_routes
from dashboard.api import problems
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.import_shapes import Chosen, ImportWhole
from dashboard.api.paging import Id
from models import import_drafts, import_orders, imports, mapping_memory, mappings
from models.contacts import mapping as field_mapping
from models.errors import Conflict
from models.imports import Import
from models.permissions import Actor, Permission

router = APIRouter(prefix="/imports", tags=["imports"], route_class=Repeatable)

Importer = Annotated[Actor, Needs(Permission.IMPORTS_RUN)]


class PreviewRow(BaseModel):
    line: int
    cells: list[str | None]


class Preview(BaseModel):
    """The beginning of the file, once it was opened; without values for whom they are hidden from. `filled` is the
    share of the first rows that has the column's value."""

    rows: list[PreviewRow]
    examples: dict[str, list[str]]
    filled: dict[str, float]


class Draft(BaseModel):
    """What you chose and made no plan of yet."""

    at: datetime
    chosen: Chosen


class MappingState(BaseModel):
    """`chosen` is what the import has, `proposed` what its headers say."""

    headers: list[str]
    fields: list[str] = Field(description="What a column may fill.")
    chosen: Chosen
    proposed: dict[str, str] = Field(description="Header -> field.")
    proposed_left_out: list[str]
    mapped: str | None = Field(description="By what it was mapped, in words.")
    draft: Draft | None


class Bound(BaseModel):
    """What a saved mapping says for this file; columns that are `new` to it, and those of it that are `gone`."""

    chosen: Chosen
    new: list[str]
    gone: list[str]


@router.get("/{import_id}/preview", summary="The first rows of the file")
def preview(by: Importer, import_id: Id) -> Preview:
    found = imports.preview(import_id, by=by) or imports.Preview([], {}, {})
    rows = [PreviewRow(line=line, cells=cells) for line, cells in found.rows]
    return Preview(rows=rows, examples=found.examples, filled=found.filled)


@router.get("/{import_id}/mapping", summary="What is read from where", responses=problems.told(409))
def read(by: Importer, import_id: Id) -> MappingState:
    found = _opened(import_id, by)
    opened = found.opened or {}
    draft = import_drafts.find(import_id, by=by)
    return MappingState(
        headers=opened["headers"],
        fields=list(field_mapping.TARGETS),
        chosen=Chosen.shown(import_drafts.stored(found)),
        proposed={header: name for name, header in (opened.get("proposed") or {}).items()},
        proposed_left_out=opened.get("proposed_left_out") or [],
        mapped=mapping_memory.sentence(found.recalled) if found.recalled else None,
        draft=Draft(at=shapes.utc(draft.at), chosen=Chosen.shown(draft.chosen)) if draft else None,
    )


@router.put("/{import_id}/mapping", status_code=HTTPStatus.ACCEPTED, summary="Change it, and make the plan")
def change(by: Importer, import_id: Id, wanted: Chosen, response: Response) -> ImportWhole:
    """A plan there was is given up. Files with these columns are mapped so from then on."""
    chosen = wanted.of_models()
    import_orders.remap(
        import_id, chosen.columns, left_out=chosen.left_out, match=chosen.match, keep=chosen.keep,
        keep_fields=chosen.keep_fields, dated_by=chosen.dated_by, by=by,
    )  # fmt: skip
    return import_routes.ordered(import_id, response, by)


@router.get(
    "/{import_id}/mapping/by/{mapping_id}", summary="What a saved mapping says for it", responses=problems.told(409)
)
def bound(by: Importer, import_id: Id, mapping_id: Id) -> Bound:
    """Changes nothing: send what it `chosen` to the mapping of the import."""
    found, kept = _opened(import_id, by), mappings.get(mapping_id, by=by)
    here = mapping_memory.bind(kept.chosen, kept.headers, (found.opened or {})["headers"])
    return Bound(chosen=Chosen.shown(here.chosen), new=list(here.new), gone=list(here.gone))


@router.put("/{import_id}/mapping/draft", status_code=HTTPStatus.NO_CONTENT, summary="Keep a choice for later")
def keep(by: Importer, import_id: Id, wanted: Chosen) -> None:
    """The import's screen goes on from it, and you find it here."""
    headers = (_opened(import_id, by).opened or {})["headers"]
    import_drafts.keep(import_id, import_drafts.checked(wanted.of_models(), headers), by=by)


@router.delete("/{import_id}/mapping/draft", status_code=HTTPStatus.NO_CONTENT, summary="Discard it")
def forget(by: Importer, import_id: Id) -> None:
    import_drafts.forget(import_id, by=by)


def _opened(import_id: int, by: Actor) -> Import:
    found = imports.get(import_id, by=by)
    if not (found.opened or {}).get("headers"):
        raise Conflict(f"The file of import {import_id} is not read yet: its columns are known once it is.")
    return found
