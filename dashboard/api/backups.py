"""Backups: what there is, whether drills proved it, and asking for more. Restoring is for the command line."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from dashboard import flow_runs
from dashboard.api import etags
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from models import backup_alerts, backups
from models.permissions import Actor, Permission

router = APIRouter(prefix="/backups", tags=["backups"], route_class=Repeatable)

Overseer = Annotated[Actor, Needs(Permission.SERVER_OVERSEE)]
Keeper = Annotated[Actor, Needs(Permission.SERVER_MANAGE)]


class Backup(BaseModel):
    """`standing` is proven, unproven, failed, running, waiting, removed or gone: proven is only what a drill restored
    and found the same, gone what others removed from its place. `key` is the public part of the key that opens it, null
    where it is not encrypted."""

    id: int = Field(examples=[17])
    name: str = Field(examples=["appointment360-20261127T010000Z-cd0b745c"])
    place: str = Field(examples=["s3://backups/nightly"])
    standing: str = Field(examples=["proven"])
    error: str | None
    created_at: Moment
    finished_at: Moment | None
    seconds: float | None
    bytes: int | None
    tables: int | None
    rows: int | None
    files: int | None = Field(description="Uploads and exports in it.")
    key: str | None
    locked_until: Moment | None = Field(description="Until when the store refuses to delete it.")
    drilled_at: Moment | None
    drill_asked_at: Moment | None
    drill_seconds: float | None = Field(description="What the restore took.")
    differences: list[str] | None = Field(description="What the drill found, in words.")


class Backups(BaseModel):
    """Newest first. `alerts` say what is wrong, and what helps; ages are in seconds. Between `first_moment` and
    `last_moment` the server can be restored to any; they are null where its log is not archived."""

    backups: list[Backup]
    alerts: list[str]
    newest_age: float | None
    proven_age: float | None
    bytes: int
    first_moment: Moment | None
    last_moment: Moment | None


@router.get("", summary="List backups")
def listed(by: Overseer) -> Backups:
    health = backup_alerts.health(by=by)
    first, last = health.moments or (None, None)
    return Backups(
        backups=[_backup(one) for one in backups.listed(by=by)],
        alerts=health.alerts, newest_age=health.newest_age, proven_age=health.proven_age, bytes=health.bytes,
        first_moment=first, last_moment=last,
    )  # fmt: skip


@router.post("", status_code=HTTPStatus.ACCEPTED, summary="Back up now", responses={202: etags.PLACED})
def start(by: Keeper, response: Response) -> Backup:
    """Of one that waits already its number."""
    backup_id = backups.ask(by=by)
    flow_runs.start_backup(backup_id)
    response.headers["location"] = f"/api/v1/backups/{backup_id}"
    return _backup(backups.get(backup_id, by=by))


@router.get("/{backup_id:number}", summary="Read a backup")
def read(by: Overseer, backup_id: Id) -> Backup:
    return _backup(backups.get(backup_id, by=by))


@router.post("/{backup_id:number}/drill", status_code=HTTPStatus.ACCEPTED, summary="Prove a backup")
def drill(by: Keeper, backup_id: Id) -> Backup:
    """It is restored into a database of its own, compared and dropped. Answers 409 where nothing can be restored."""
    backups.ask_drill(backup_id, by=by)
    flow_runs.start_backup(backup_id)
    return _backup(backups.get(backup_id, by=by))


def _backup(one: Any) -> Backup:
    return Backup.model_validate(one, from_attributes=True)
