"""Pages by number, of lists that do not grow while somebody turns them; contacts have pages by key instead."""

from typing import Annotated

from fastapi import Path, Query

from models.database import LARGEST_ID

PageNumber = Annotated[int, Query(alias="page", ge=1, le=10_000_000, description="From 1.")]
PageSize = Annotated[int, Query(ge=1, le=200, description="How many on a page.")]
Id = Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[12])]
