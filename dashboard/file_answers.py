"""Files as answers, streamed: of exports from the disk or from the store that all hosts share, of rows as they are
read."""

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse

from models import file_places, stored_files
from models.exports import Export
from models.settings import settings

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
}
BYTE_ORDER_MARK = "\ufeff"  # without it Excel does not take UTF-8 for what it is
BLOCK = 65_536  # characters
PRESIGNED = 60  # seconds, in which a browser begins what it was sent to
ONE_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)
AS_IT_IS = {"content-encoding": "identity"}  # so that nothing compresses it on its way


def of_export(export: Export, asked: Request, *, may_lead_away: bool = False) -> Response:
    """Its file; to who follows it, the way to the store that has it, where a setting allows.

    One that broke on its way goes on where it stopped: `Range` is answered, and `If-Range` with the ETag, which is the
    receipt's SHA-256. Raises NotFound, Unavailable.
    """
    tagged = {"etag": f'"{export.sha256}"'} if export.sha256 else {}
    if file_places.is_s3(export.path):
        if may_lead_away and settings().files_presigned and asked.method == "GET":
            return RedirectResponse(_presigned(export), HTTPStatus.SEE_OTHER)
        return _of_store(export, asked, {**AS_IT_IS, **tagged})
    return FileResponse(
        export.path,
        filename=export.file_name,
        media_type=_media_type(export),
        headers={**AS_IT_IS, **tagged},
    )


def size_of(export: Export) -> int:
    """Bytes of its file. Raises OSError."""
    return export.bytes if file_places.is_s3(export.path) else Path(export.path).stat().st_size


def _presigned(export: Export) -> str:
    """An address at the store: whoever came this far may have the file, and so may for a minute whoever they tell."""
    place, name = stored_files.place_of(export.path)
    return place.presigned(
        name, seconds=PRESIGNED, disposition=_attached(export.file_name), media_type=_media_type(export)
    )


def _of_store(export: Export, asked: Request, headers: dict[str, str]) -> Response:
    """One range of bytes, or all of it: several are answered with all, as a server may."""
    place, name = stored_files.place_of(export.path)
    headers |= {"accept-ranges": "bytes", "content-disposition": _attached(export.file_name)}
    first, last, status = 0, export.bytes - 1, HTTPStatus.OK
    condition = asked.headers.get("if-range")
    part = ONE_RANGE.fullmatch(asked.headers.get("range", "").strip())
    if part and any(part.groups()) and condition in (None, headers.get("etag")):
        begins, ends = part.groups()
        first = int(begins) if begins else max(0, export.bytes - int(ends))
        last = min(last, int(ends)) if begins and ends else last
        if first > last:
            return PlainTextResponse(
                "Range: the file has no such bytes.",
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                headers={"content-range": f"bytes */{export.bytes}"},
            )
        headers["content-range"], status = f"bytes {first}-{last}/{export.bytes}", HTTPStatus.PARTIAL_CONTENT
    headers["content-length"] = str(last - first + 1)
    if asked.method == "HEAD" or not export.bytes:
        return Response(status_code=status, headers=headers, media_type=_media_type(export))
    blocks = place.read(name, first, last if status == HTTPStatus.PARTIAL_CONTENT else None)
    return StreamingResponse(blocks, status, headers, _media_type(export))


def _attached(name: str) -> str:
    plain = quote(name)
    return f'attachment; filename="{name}"' if plain == name else f"attachment; filename*=utf-8''{plain}"


def _media_type(export: Export) -> str:
    return MEDIA_TYPES.get(export.format, "application/octet-stream")


def csv(lines: Iterable[str], name: str) -> Response:
    """The lines as a file of that name, as they come."""
    return StreamingResponse(
        _in_blocks(chain(BYTE_ORDER_MARK, lines)),
        media_type=MEDIA_TYPES["csv"],
        headers={"content-disposition": f"attachment; filename*=utf-8''{quote(name)}", **AS_IT_IS},
    )


def _in_blocks(lines: Iterable[str]) -> Iterator[str]:
    """Starlette asks for each block from another thread, which costs more than a line."""
    block, length = [], 0
    for line in lines:
        block.append(line)
        length += len(line)
        if length >= BLOCK:
            yield "".join(block)
            block, length = [], 0
    yield "".join(block)
