"""Saved mappings: which column of files of one kind fills which field."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.api import import_shapes as shapes
from dashboard.api import problems, strict
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.import_shapes import Chosen, ImportState
from dashboard.api.paging import Id
from dashboard.api.strict import Text
from models import import_drafts, imports, mappings
from models.imports import State
from models.mappings import LONGEST_NAME
from models.permissions import Actor, Permission

router = APIRouter(prefix="/mappings", tags=["mappings"], route_class=Repeatable)

Importer = Annotated[Actor, Needs(Permission.IMPORTS_RUN)]
Name = Annotated[Text, Field(min_length=1, max_length=LONGEST_NAME, examples=["Apollo"])]


class Mapping(BaseModel):
    """One without a name is what an import left behind. `headers` are those of the file that it was made with."""

    id: int
    name: str | None
    title: str
    own: bool
    shared: bool
    owner: str | None = Field(description="Null for the command line.")
    headers: list[str]
    chosen: Chosen
    file_name: str = Field(description="The last file that had it.")
    changed_at: datetime
    used_at: datetime | None
    imports: int = Field(description="How many it mapped.")


class Use(BaseModel):
    import_id: int
    file_name: str
    state: ImportState
    at: datetime


class MappingWithUses(Mapping):
    """With the newest imports that it mapped."""

    uses: list[Use]


class NewMapping(BaseModel):
    model_config = ConfigDict(extra="forbid")

    import_id: strict.GivenId = Field(description="Whose columns it is for.", examples=[12])
    name: Name
    shared: strict.Yes = Field(False, description="Everybody who imports can use it.")
    replacing: strict.Yes = Field(False, description="In place of your own one of that name.")
    chosen: Chosen | None = Field(None, description="Null: what the import has.")


class MappingName(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class Sharing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    shared: strict.Yes


@router.get("", summary="List mappings", responses=problems.told(404))
def listed(
    by: Importer,
    name: Annotated[Text | None, Query(description="Only the one of that name.", max_length=LONGEST_NAME)] = None,
) -> list[Mapping]:
    """Your own, those that are shared, and what others' imports left behind; the last used first."""
    found = mappings.listed(by=by) if name is None else [mappings.named(name, by=by)]
    return [Mapping(**_shown(one)) for one in found]


@router.post("", status_code=HTTPStatus.CREATED, summary="Save the columns of an import")
def save(by: Importer, wanted: NewMapping, response: Response) -> Mapping:
    """Under a name. Answers 409 where the name is taken."""
    chosen = wanted.chosen.of_models() if wanted.chosen else import_drafts.stored(imports.get(wanted.import_id, by=by))
    mapping_id = mappings.save(
        wanted.import_id, chosen, wanted.name, shared=wanted.shared, replacing=wanted.replacing, by=by
    )
    response.headers["location"] = f"/api/v1/mappings/{mapping_id}"
    return _read(mapping_id, by)


@router.get("/{mapping_id}", summary="Read one")
def read(by: Importer, mapping_id: Id) -> MappingWithUses:
    uses = [Use(import_id=one.import_id, file_name=one.file_name, state=State(one.state), at=shapes.utc(one.at))
            for one in mappings.uses(mapping_id, by=by)]  # fmt: skip
    return MappingWithUses(**_shown(mappings.get(mapping_id, by=by)), uses=uses)


@router.put("/{mapping_id}", summary="Change its columns")
def change(by: Importer, mapping_id: Id, chosen: Chosen) -> Mapping:
    """For the files to come: imports that have it stay as they are."""
    mappings.change(mapping_id, chosen.of_models(), by=by)
    return _read(mapping_id, by)


@router.post("/{mapping_id}/rename", summary="Give it another name")
def rename(by: Importer, mapping_id: Id, wanted: MappingName) -> Mapping:
    mappings.rename(mapping_id, wanted.name, by=by)
    return _read(mapping_id, by)


@router.post("/{mapping_id}/share", summary="Share it, or keep it for its owner")
def share(by: Importer, mapping_id: Id, wanted: Sharing) -> Mapping:
    mappings.share(mapping_id, wanted.shared, by=by)
    return _read(mapping_id, by)


@router.delete("/{mapping_id}", status_code=HTTPStatus.NO_CONTENT, summary="Forget it")
def remove(by: Importer, mapping_id: Id) -> None:
    """Imports that have it stay as they are. Answers 409 while a watched folder has it."""
    mappings.remove(mapping_id, by=by)


def _read(mapping_id: int, by: Actor) -> Mapping:
    return Mapping(**_shown(mappings.get(mapping_id, by=by)))


def _shown(one: mappings.Listed) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "title": one.title, "own": one.is_own, "shared": one.is_shared,
        "owner": one.owner, "headers": one.headers, "chosen": Chosen.shown(one.chosen), "file_name": one.file_name,
        "changed_at": shapes.utc(one.changed_at), "used_at": one.used_at and shapes.utc(one.used_at),
        "imports": one.imports,
    }  # fmt: skip
