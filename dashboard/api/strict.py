"""Values in bodies, of JSON's own types: Python would take true for 1, "7" for 7, 1 for true, 0 for a day of 1970."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from models.database import LARGEST_BIGINT, LARGEST_ID


def _number(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("give a number")
    return value


def _text(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError("give a text")
    return value


def _storable(value: str) -> str:
    if "\x00" in value:
        raise ValueError("leave the NUL character out")
    return value


Text = Annotated[str, AfterValidator(_storable)]
Flag = Annotated[bool, Field(strict=True)]
Day = Annotated[date, BeforeValidator(_text)]
Instant = Annotated[AwareDatetime, BeforeValidator(_text)]

Yes = Flag
NUMBER = BeforeValidator(_number)  # behind the bounds, which would not come into the schema else
GivenId = Annotated[int, Field(ge=1, le=LARGEST_ID), NUMBER]
GivenBigId = Annotated[int, Field(ge=1, le=LARGEST_BIGINT), NUMBER]
Natural = Annotated[int, Field(ge=0, le=LARGEST_BIGINT), NUMBER]
Moment = Instant
