"""Personal tokens: made, listed, revoked."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.sessions import SECRET
from models import tokens
from models.database import LARGEST_ID
from models.permissions import SCOPES, Actor

router = APIRouter(prefix="/tokens", tags=["tokens"], route_class=Repeatable)
Person = Annotated[Actor, Needs()]


class NewToken(BaseModel):
    name: str = Field(min_length=1, max_length=200, examples=["Nightly export"])
    scopes: list[str] | None = Field(
        None,
        description=f"What it may do; null is all that you may. Of: {', '.join(SCOPES)}.",
        examples=[["contacts.read"]],
    )
    days: int | None = Field(90, ge=1, le=tokens.MOST_DAYS, description="How long it works; null until it is revoked.")


class MadeToken(BaseModel):
    id: int
    token: str = Field(description="Shown only this once.", examples=["a360_…"])


class ListedToken(BaseModel):
    id: int
    name: str
    ending: str = Field(description="Its last characters.")
    scopes: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_address: str | None
    works: bool = Field(description="Neither revoked nor expired.")


@router.post("", status_code=HTTPStatus.CREATED, summary="Make a token", openapi_extra=SECRET)
def create(by: Person, wanted: NewToken) -> MadeToken:
    """Only with a session's token: no token makes another one."""
    token_id, token = tokens.create(wanted.name, scopes=wanted.scopes, days=wanted.days, by=by)
    return MadeToken(id=token_id, token=token)


@router.get("", summary="List your tokens")
def listed(by: Person) -> list[ListedToken]:
    return [ListedToken.model_validate(one, from_attributes=True) for one in tokens.listed(by=by)]


@router.delete("/{token_id}", status_code=HTTPStatus.NO_CONTENT, summary="Revoke a token")
def revoke(by: Person, token_id: Annotated[int, Path(ge=1, le=LARGEST_ID)]) -> None:
    tokens.revoke(token_id, by=by)
