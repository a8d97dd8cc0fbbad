"""Imports: listed, read, and brought further by orders, which flows carry out."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard import flow_runs
from dashboard.api import import_shapes as shapes
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.import_shapes import ImportPage, ImportWhole
from dashboard.api.paging import Id, PageNumber, PageSize
from dashboard.api.strict import Text
from models import import_orders, imports
from models.imports import State
from models.permissions import Actor, Permission

router = APIRouter(prefix="/imports", tags=["imports"], route_class=Repeatable)

Importer = Annotated[Actor, Needs(Permission.IMPORTS_RUN)]
Undoer = Annotated[Actor, Needs(Permission.IMPORTS_UNDO)]


class SeenPlan(BaseModel):
    model_config = ConfigDict(extra="forbid")

    plan: Text = Field(
        description="`plan` of the import whose plan you saw: another one is not committed.", max_length=100,
        examples=["2026-11-01T09:30:00.123456+00:00"],
    )  # fmt: skip


@router.get("", summary="List imports")
def listed(by: Importer, page: PageNumber = 1, size: PageSize = 50) -> ImportPage:
    found, total = imports.page(number=page, size=size, by=by)
    return ImportPage.model_validate({"imports": [shapes.short(one) for one in found], "total": total})


@router.get("/{import_id}", summary="Read one")
def read(by: Importer, import_id: Id) -> ImportWhole:
    """With `progress` while it is being worked on: ask again after a second or more."""
    return shapes.whole(imports.listed(import_id, by=by), by)


@router.post("/{import_id}/commit", status_code=HTTPStatus.ACCEPTED, summary="Commit the plan that you saw")
def commit(by: Importer, import_id: Id, seen: SeenPlan, response: Response) -> ImportWhole:
    """Answers 409 where the plan was made anew since, or something about it stands out that nobody has accepted."""
    import_orders.ask(import_id, State.COMMITTED, plan=seen.plan, by=by)
    return ordered(import_id, response, by)


@router.post("/{import_id}/resume", status_code=HTTPStatus.ACCEPTED, summary="Go on with one that stopped")
def resume(by: Importer, import_id: Id, response: Response) -> ImportWhole:
    """Up to its plan, which is made anew where contacts moved since; one that is not opened yet is opened first."""
    found = imports.get(import_id, by=by)
    import_orders.ask(import_id, State.OPENED if found.state == State.NEW else State.PLANNED, by=by)
    return ordered(import_id, response, by)


@router.post("/{import_id}/cancel", status_code=HTTPStatus.ACCEPTED, summary="Cancel one")
def cancel(by: Importer, import_id: Id, response: Response) -> ImportWhole:
    """Nothing of it is written; a process that works on it stops within seconds. Of an undo, or the undo of one, that
    was asked for, only that is withdrawn."""
    import_orders.cancel(import_id, by=by)
    return ordered(import_id, response, by)


@router.post("/{import_id}/undo", status_code=HTTPStatus.ACCEPTED, summary="Undo one")
def undo(by: Undoer, import_id: Id, response: Response) -> ImportWhole:
    """What it created is removed, what it changed is put back; what was changed since stays, and is listed as kept."""
    import_orders.ask(import_id, State.UNDONE, by=by)
    return ordered(import_id, response, by)


@router.post("/{import_id}/redo", status_code=HTTPStatus.ACCEPTED, summary="Bring an undone one back")
def redo(by: Undoer, import_id: Id, response: Response) -> ImportWhole:
    import_orders.ask_redo(import_id, by=by)
    return ordered(import_id, response, by)


def ordered(import_id: int, response: Response, by: Actor) -> ImportWhole:
    """What was asked of it is noted: start its flow, and say where to look. Where no flow comes the sweep begins."""
    listed = imports.listed(import_id, by=by)
    found = listed.import_
    if found.wanted not in (None, State.CANCELLED):
        again = import_orders.is_redo(found)
        flow_runs.start_import(found.id, until=found.wanted or "", order=found.orders, again=again)
    response.headers.update({"location": f"/api/v1/imports/{import_id}", "retry-after": "1"})
    return shapes.whole(listed, by)
