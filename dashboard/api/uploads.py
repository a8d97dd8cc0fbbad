"""Uploads: a file in parts, which come in any order, several at once, straight from the request to the disk."""

import asyncio
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from dashboard import streamed
from dashboard.api import digests, imports, problems, strict
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.import_shapes import ImportWhole
from dashboard.api.paging import Id
from dashboard.api.problems import Problems
from dashboard.api.strict import Text
from models import import_parts, import_uploads, mappings, parted_uploads
from models.import_parts import ImportPart
from models.import_uploads import Upload
from models.parted_uploads import PartWriter
from models.permissions import Actor, Permission

router = APIRouter(prefix="/imports", tags=["uploads"], route_class=Repeatable)

Importer = Annotated[Actor, Needs(Permission.IMPORTS_RUN)]
Number = Annotated[int, Path(ge=1, le=import_parts.MOST, description="From 1.", examples=[1])]
LARGEST_FILE, LARGEST_PART = 2**53 - 1, 2**30  # bytes
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The bytes of the part.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Sha256 = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$", description="In hexadecimal digits.")]


class NewUpload(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Text = Field(min_length=1, max_length=1000, description="Of the file.", examples=["leads.csv"])
    size: Annotated[int, Field(ge=1, le=LARGEST_FILE), strict.NUMBER] = Field(
        description="Bytes of the file.", examples=[20_000_000]
    )
    part_size: Annotated[int, Field(ge=1, le=LARGEST_PART), strict.NUMBER] | None = Field(
        None, examples=[5_000_000],
        description=f"Bytes of each part but the last; without it {import_parts.USUAL_SIZE:,} or more. A file has at "
        f"most {import_parts.MOST:,} parts.",
    )  # fmt: skip
    mapping_id: strict.GivenId | None = Field(
        None, description="The saved mapping that its columns have; null: that of earlier files "
        "with these columns, where there were any.",
    )  # fmt: skip
    modified: strict.Moment | None = Field(
        None, examples=["2026-11-01T09:30:00Z"],
        description="When the file was changed last. With it an unfinished upload of the same file is found again.",
    )  # fmt: skip


class StoredPart(BaseModel):
    number: int = Field(examples=[1])
    bytes: int
    sha256: str


class UploadState(BaseModel):
    """The parts that are `here` are on the disk, whatever happens; those that are `missing` are to come."""

    import_id: int = Field(examples=[12])
    name: str = Field(description="As the import has it.")
    size: int
    part_size: int | None = Field(description="Bytes of each part but the last; null where a browser sends it.")
    arrived: int = Field(description="Bytes that are here.")
    complete: bool
    here: list[StoredPart]
    missing: list[int] = Field(description="Numbers of parts.")


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sha256: Sha256 | None = Field(None, description="Of the whole file, which is compared with what arrived.")


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Begin an upload",
    responses=problems.told(404, 413, 423, 507)
    | {200: {"model": UploadState, "description": "There is one of the same file: it goes on."}},
)
def begin(by: Importer, wanted: NewUpload, response: Response) -> UploadState:
    """A new import, whose file comes in parts. Answers 200 with the upload that there is of the same file, where you
    say when it was `modified`: go on with what is `missing` there."""
    part_size = wanted.part_size or import_parts.usual_size(wanted.size)
    modified = _milliseconds(wanted.modified)
    if wanted.mapping_id is not None:
        mappings.get(wanted.mapping_id, by=by)
    upload = import_uploads.begin(
        name=wanted.name, size=wanted.size, modified=modified, part_size=part_size, mapping_id=wanted.mapping_id, by=by
    )
    if not upload.is_new:
        response.status_code = HTTPStatus.OK
    response.headers["location"] = f"/api/v1/imports/{upload.import_id}/upload"
    return _described(upload, by)


@router.get("/{import_id}/upload", summary="Which parts are here")
def look(by: Importer, import_id: Id) -> UploadState:
    """Of your own upload: for who goes on with it."""
    return _described(import_uploads.get(import_id, by=by), by)


@router.put(
    "/{import_id}/parts/{number}",
    openapi_extra=BODY,
    summary="Send a part",
    responses=problems.told(400, 408, 423, 507),
)
async def put(
    request: Request,
    by: Importer,
    import_id: Id,
    number: Number,
    content_digest: digests.ContentDigest = None,
    digest: digests.Digest = None,
) -> StoredPart:
    """Its bytes as they are. Once this is answered they are on the disk. The same part sent again is answered the same;
    where another one is there already it stays, and 409 is answered. 423: somebody sends this part just now."""
    said = digests.sha256(content_digest, digest)
    part = await run_in_threadpool(PartWriter, import_id, number, sha256=said, by=by)
    try:
        return _part(await _stored(request, part))
    except TimeoutError as error:
        raise Problems(HTTPStatus.REQUEST_TIMEOUT, f"{streamed.SILENT} Send the part again.") from error
    except ClientDisconnect as error:  # nobody reads it
        raise Problems(HTTPStatus.BAD_REQUEST, "The connection broke.") from error


@router.delete(
    "/{import_id}/parts/{number}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Let a part come anew",
    responses=problems.told(423),
)
def remove(by: Importer, import_id: Id, number: Number) -> None:
    """One that is not what it should be, before the upload is complete."""
    parted_uploads.remove(import_id, number, by=by)


@router.post("/{import_id}/upload/complete", status_code=HTTPStatus.ACCEPTED, summary="Complete an upload")
def complete(by: Importer, import_id: Id, response: Response, whole: Whole | None = None) -> ImportWhole:
    """Its file is opened then, and where its columns are known from an earlier one its plan is made, too. Answers 409
    with the numbers of what is `missing`."""
    import_uploads.complete(import_id, sha256=whole.sha256 if whole else None, by=by)
    return imports.ordered(import_id, response, by)


async def _stored(request: Request, part: PartWriter) -> ImportPart:
    await run_in_threadpool(part.__enter__)
    try:
        async for data in streamed.blocks(request):
            await run_in_threadpool(part.write, data)
        return await run_in_threadpool(part.keep)
    finally:
        # Also when the request is cancelled: the part is let go.
        await asyncio.shield(run_in_threadpool(part.__exit__, None, None, None))


def _described(upload: Upload, by: Actor) -> UploadState:
    here = [] if upload.is_complete else [_part(one) for one in parted_uploads.listed(upload.import_id, by=by)]
    return UploadState(
        import_id=upload.import_id, name=upload.name, size=upload.size, part_size=upload.part_size,
        arrived=upload.offset, complete=upload.is_complete, here=here, missing=_missing(upload, here),
    )  # fmt: skip


def _missing(upload: Upload, here: list[StoredPart]) -> list[int]:
    if upload.is_complete or upload.part_size is None:
        return []
    numbers = {one.number for one in here}
    return [one for one in range(1, import_parts.count(upload.size, upload.part_size) + 1) if one not in numbers]


def _part(part: ImportPart) -> StoredPart:
    return StoredPart(number=part.number, bytes=part.bytes, sha256=part.sha256)


def _milliseconds(moment: datetime | None) -> int | None:
    """Since 1970, as browsers say it."""
    return None if moment is None else max(0, round(moment.timestamp() * 1000))
