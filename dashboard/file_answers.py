"""Files as answers, streamed: of exports from the disk, of rows as they are read."""

from collections.abc import Iterable, Iterator
from itertools import chain
from urllib.parse import quote

from starlette.responses import FileResponse, Response, StreamingResponse

from models.exports import Export

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
}
BYTE_ORDER_MARK = "\ufeff"  # without it Excel does not take UTF-8 for what it is
BLOCK = 65_536  # characters
AS_IT_IS = {"content-encoding": "identity"}  # so that nothing compresses it on its way


def of_export(export: Export) -> FileResponse:
    """Its file. One that broke on its way goes on where it stopped: FileResponse answers `Range`, and `If-Range` with
    the ETag, which is the receipt's SHA-256."""
    tagged = {"etag": f'"{export.sha256}"'} if export.sha256 else {}
    return FileResponse(
        export.path,
        filename=export.file_name,
        media_type=MEDIA_TYPES.get(export.format, "application/octet-stream"),
        headers={**AS_IT_IS, **tagged},
    )


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
