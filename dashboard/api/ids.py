"""The numbers in addresses: digits alone, as many as an id has; `{contact_id:number}` on a route."""

from typing import Annotated

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor

from models.database import LARGEST_BIGINT, LARGEST_ID


class Number(Convertor[str]):
    """Left as it is: the parameter says how large it may be. Words beside it in the same place are other routes'."""

    regex = "[0-9]{1,19}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("number", Number())

ContactId = Annotated[int, Path(ge=1, le=LARGEST_BIGINT, examples=[17])]
Id = Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[3])]  # of whatever there are fewer of
BigId = Annotated[int, Path(ge=1, le=LARGEST_BIGINT, examples=[4711])]  # of whatever there are more of
