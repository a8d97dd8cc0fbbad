"""Filters as programs send them: each condition as a parameter of the address, or all of them as one text in a body."""

from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from dashboard.api.strict import GivenBigId
from models import filters
from models.contacts.bulk import MOST, Selection
from models.errors import about
from models.filters import Filters
from models.permissions import Actor

# On a route's line: what is not named there is a filter. schema.py writes the parameter from the fields' declarations.
FILTERED: dict[str, Any] = {"parameters": [{"$ref": "#/components/parameters/Filters"}]}
LONGEST = 20_000  # characters
SORTED = "A field, or full_name, added or changed; -field for falling."

Conditions = Annotated[
    str,
    Field(
        max_length=LONGEST,
        description="As in an address: conditions with & between them; empty is all contacts.",
        examples=["country=Germany&employees.gte=50"],
    ),
]
ContactIds = Annotated[list[GivenBigId], Field(min_length=1, max_length=MOST)]


class Chosen(BaseModel):
    """All contacts that match `filter`, or those of them with these `ids`."""

    model_config = ConfigDict(extra="forbid")

    filter: Conditions = ""
    ids: ContactIds | None = Field(None, examples=[[17, 18]])

    def selection(self, by: Actor) -> Selection:
        """Raises InvalidInput, NotAllowed."""
        return Selection(read(self.filter, by=by), None if self.ids is None else tuple(self.ids))


def read(conditions: str, *, by: Actor) -> Filters:
    """Those of a body's `filter`. Raises InvalidInput, NotAllowed."""
    with about("filter"):
        return filters.parse_query(conditions, by=by)


def of(request: Request, *own: str, by: Actor) -> Filters:
    """What the address asks, its `own` parameters aside. Raises InvalidInput, NotAllowed."""
    return filters.parse_pairs([pair for pair in request.query_params.multi_items() if pair[0] not in own], by=by)


def names(listed: str) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for name in listed.split(",") if name.strip()]
