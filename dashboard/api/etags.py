"""ETag and If-Match: who writes names the version that they saw, so that nobody's change is overwritten unseen."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header

from dashboard.api.problems import Problems

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The ETag of what you saw: another one means that somebody wrote since, and nothing is changed. "
        "With * it is changed whatever stands there.",
        examples=['"12"'],
        max_length=100,
    ),
]
# What a route documents of its answer's headers.
_TAG = {"ETag": {"description": "The version; If-Match takes it.", "schema": {"type": "string"}, "example": '"12"'}}
_LOCATION = {"Location": {"description": "Where it is from now on.", "schema": {"type": "string"}}}
TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": _TAG}}
LOCATED: dict[str, Any] = {"headers": _TAG | _LOCATION}
PLACED: dict[str, Any] = {"headers": _LOCATION}


def of(version: int) -> str:
    return f'"{version}"'


def is_any(if_match: str | None) -> bool:
    """Whether any version will do, as long as there is one."""
    return if_match is not None and if_match.strip() == "*"


def version(if_match: str | None) -> int:
    """The version that the header names. Raises Problems: 428 without the header, 412 for what is no version."""
    if if_match is None:
        raise Problems(
            HTTPStatus.PRECONDITION_REQUIRED, "Send If-Match with the ETag of what you saw, so that no change is lost."
        )
    digits = if_match.strip().removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        raise Problems(HTTPStatus.PRECONDITION_FAILED, "If-Match names a version that never was: read it again.")
    return int(digits)
