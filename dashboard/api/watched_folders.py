"""Watched folders: places whose new files become imports by schedule, and what became of each file."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.api import etags
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from dashboard.api.strict import Flag, GivenId, Text
from models import watched_files, watched_folders
from models.database import LARGEST_BIGINT
from models.imports import Keep, MatchRule
from models.permissions import Actor, Permission
from models.watched_folders import Folder, Watching

router = APIRouter(prefix="/watched-folders", tags=["watched folders"], route_class=Repeatable)

Importer = Annotated[Actor, Needs(Permission.IMPORTS_RUN)]
Keeper = Annotated[Actor, Needs(Permission.FOLDERS_WATCH)]
FileId = Annotated[int, Path(ge=1, le=LARGEST_BIGINT)]


class FolderRules(BaseModel):
    """What no mapping changes; null leaves it to the mapping."""

    model_config = ConfigDict(extra="forbid")

    match: MatchRule | None = None
    keep: Keep | None = None


class FolderWanted(BaseModel):
    """`schedule` is hour, day, weekday, week, month, or five fields of cron; `mapping_id` null takes what is remembered
    for a file's headers. With `commits` it writes what its plan says, else a person commits."""

    model_config = ConfigDict(extra="forbid")

    name: Text = Field(min_length=1, max_length=watched_folders.LONGEST_NAME, examples=["Leads"])
    address: Text = Field(
        min_length=1, max_length=1000, description="A folder, or s3://bucket/prefix.", examples=["s3://leads/in"]
    )
    schedule: Text = Field(max_length=100, examples=["*/5 * * * *"])
    pattern: Text = Field(
        "*", max_length=watched_folders.LONGEST_PATTERN, description="Of file names.", examples=["*.csv"]
    )
    time_zone: Text = Field("UTC", max_length=60)
    mapping_id: GivenId | None = Field(None)
    rules: FolderRules = FolderRules()
    commits: Flag = False
    mail_to: Text | None = Field(None, max_length=300, description="Whom to tell.", examples=["ann.archer@example.com"])

    def watching(self) -> Watching:
        rules = {name: str(value) for name, value in self.rules if value is not None}
        return Watching(**self.model_dump(exclude={"rules"}), rules=rules)


class WatchedFolder(BaseModel):
    """`owner` is whose rights it has, null the command line; `error` is of the last look."""

    id: int
    name: str
    address: str
    schedule: str = Field(description="As cron.")
    sentence: str = Field(examples=["Every 5 minutes, UTC"])
    pattern: str
    time_zone: str
    mapping_id: int | None
    mapping: str | None
    rules: FolderRules
    commits: bool
    mail_to: str | None
    is_active: bool
    owner: str | None
    next_look: Moment
    looked_at: Moment | None
    error: str | None
    files: int


class WatchedFolders(BaseModel):
    """By name."""

    folders: list[WatchedFolder]


class WatchedFile(BaseModel):
    """`outcome` is a word: imported, waits for you, under way, failed, cancelled, undone, to be tried again."""

    id: int
    name: str
    size: int = Field(description="In bytes.")
    seen_at: Moment
    import_id: int | None
    outcome: str
    error: str | None
    created: int
    updated: int
    rejected: int


class WatchedFiles(BaseModel):
    """The newest first."""

    files: list[WatchedFile]


@router.get("", summary="List watched folders")
def listed(by: Importer) -> WatchedFolders:
    return WatchedFolders(folders=[_folder(one) for one in watched_folders.listed(by=by)])


@router.post("", status_code=HTTPStatus.CREATED, summary="Watch a folder", responses={201: etags.PLACED})
def add(by: Keeper, wanted: FolderWanted, response: Response) -> WatchedFolder:
    """With your rights; its imports are yours. The first look is at the next minute."""
    made = watched_folders.add(wanted.watching(), by=by)
    response.headers["location"] = f"/api/v1/watched-folders/{made}"
    return _folder(watched_folders.get(made, by=by))


@router.get("/{folder_id:number}", summary="Read a watched folder")
def read(by: Importer, folder_id: Id) -> WatchedFolder:
    return _folder(watched_folders.get(folder_id, by=by))


@router.put("/{folder_id:number}", summary="Watch it otherwise")
def change(by: Keeper, folder_id: Id, wanted: FolderWanted) -> WatchedFolder:
    """With your rights from now on."""
    watched_folders.change(folder_id, wanted.watching(), by=by)
    return _folder(watched_folders.get(folder_id, by=by))


@router.delete("/{folder_id:number}", status_code=HTTPStatus.NO_CONTENT, summary="Watch it no more")
def remove(by: Keeper, folder_id: Id) -> None:
    """What came of it stays, the files in the place as well."""
    watched_folders.remove(folder_id, by=by)


@router.post("/{folder_id:number}/pause", status_code=HTTPStatus.NO_CONTENT, summary="Pause watching")
def pause(by: Importer, folder_id: Id) -> None:
    watched_folders.activate(folder_id, False, by=by)


@router.post("/{folder_id:number}/resume", status_code=HTTPStatus.NO_CONTENT, summary="Go on watching")
def resume(by: Importer, folder_id: Id) -> None:
    watched_folders.activate(folder_id, True, by=by)


@router.post("/{folder_id:number}/look", status_code=HTTPStatus.ACCEPTED, summary="Look now")
def look(by: Importer, folder_id: Id) -> WatchedFolder:
    """Within a minute. Answers 409 while it is paused."""
    watched_folders.look_soon(folder_id, by=by)
    return _folder(watched_folders.get(folder_id, by=by))


@router.get("/{folder_id:number}/files", summary="List the files of a watched folder")
def files(by: Importer, folder_id: Id, most: Annotated[int, Query(ge=1, le=500)] = 50) -> WatchedFiles:
    watched_folders.get(folder_id, by=by)
    found = watched_files.of_folder(folder_id, most=most, by=by)
    return WatchedFiles(files=[WatchedFile.model_validate(one, from_attributes=True) for one in found])


@router.post("/files/{file_id:number}/try-again", status_code=HTTPStatus.NO_CONTENT, summary="Try a file again")
def try_again(by: Importer, file_id: FileId) -> None:
    """The next look, which comes soon, imports it once more."""
    watched_files.try_again(file_id, by=by)


def _folder(one: Folder) -> WatchedFolder:
    watching = one.watching
    return WatchedFolder(
        id=one.id, name=watching.name, address=watching.address, schedule=watching.schedule, sentence=one.schedule,
        pattern=watching.pattern, time_zone=watching.time_zone, mapping_id=watching.mapping_id, mapping=one.mapping,
        rules=FolderRules.model_validate(watching.rules), commits=watching.commits, mail_to=watching.mail_to,
        is_active=one.is_active, owner=one.owner, next_look=one.next_look, looked_at=one.looked_at, error=one.error,
        files=one.files,
    )  # fmt: skip
