"""Values of a body that are what the schema says: “1” is no number, 1 is no “yes”, and a number is no moment."""

from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field, StrictBool

from models.database import LARGEST_ID

Yes = StrictBool


def _number(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        raise ValueError("give a number")
    return value


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("give a moment in ISO 8601, with its time zone")
    return value


NUMBER = BeforeValidator(_number)  # behind the bounds, which would not come into the schema else
Id = Annotated[int, Field(ge=1, le=LARGEST_ID), NUMBER]
Moment = Annotated[AwareDatetime, BeforeValidator(_text)]
