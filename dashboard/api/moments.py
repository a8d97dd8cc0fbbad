"""Moments as the API gives them: ISO 8601 in UTC, whatever time zone the database's connection has."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

Moment = Annotated[
    datetime,
    AfterValidator(lambda moment: moment.astimezone(UTC)),
    Field(description="In UTC.", examples=["2026-11-01T09:30:00Z"]),
]
