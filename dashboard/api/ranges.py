"""`Range` of files: what cannot be answered is a problem, as every other error is; the rest file_answers does."""

import re
from http import HTTPStatus

from fastapi import Request

from dashboard.api.problems import Problems

_ONE = r"(?:\d+-\d*|-\d+)"
_RANGES = re.compile(rf"bytes\s*=\s*{_ONE}(?:\s*,\s*{_ONE})*", re.ASCII | re.IGNORECASE)
LONGEST = 2000  # characters


def require_within(request: Request, *, size: int, etag: str) -> None:
    """Raises Problems: 400 for what asks for no bytes, 416 for bytes that the file does not have."""
    asked = request.headers.get("range")
    if asked is None or not _counts(request, etag):
        return
    if len(asked) > LONGEST or not _RANGES.fullmatch(asked.strip()):
        raise Problems(HTTPStatus.BAD_REQUEST, "Range: ask for bytes=FROM-TO, counted from 0, or leave it out.")
    parts = [part.strip().split("-") for part in asked.partition("=")[2].split(",")]
    for first, last in parts:
        begins = int(first) if first else max(0, size - int(last))
        if begins >= size or (first and last and int(last) < begins):
            raise Problems(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                f"Range: the file has {size:,} bytes, numbered from 0.",
                headers={"content-range": f"bytes */{size}"},
            )


def _counts(request: Request, etag: str) -> bool:
    """Of another file than that of If-Range all is answered."""
    condition = request.headers.get("if-range")
    return condition is None or condition == etag
