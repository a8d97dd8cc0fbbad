"""Personal tokens: made, listed, revoked."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dashboard.api.access import Needs
from dashboard.api.again import SECRET, Repeatable
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from dashboard.api.sign_in_shapes import Body
from models import tokens
from models.accounts import MAX_NAME
from models.permissions import SCOPES, Actor

router = APIRouter(prefix="/tokens", tags=["tokens"], route_class=Repeatable)
Person = Annotated[Actor, Needs()]


class NewToken(Body):
    name: str = Field(min_length=1, max_length=MAX_NAME, examples=["Nightly export"])
    scopes: list[Annotated[str, Field(max_length=60)]] | None = Field(
        None,
        max_length=100,
        description=f"What it may do; null is all that you may. Of: {', '.join(SCOPES)}.",
        examples=[["contacts.read"]],
    )
    days: int | None = Field(
        90, strict=True, ge=1, le=tokens.MOST_DAYS, description="How long it works; null until it is revoked."
    )


class MadeToken(BaseModel):
    id: int = Field(examples=[5])
    token: str = Field(description="Shown only this once.", examples=["a360_…"])


class ListedToken(BaseModel):
    id: int = Field(examples=[5])
    name: str = Field(examples=["Nightly export"])
    ending: str = Field(description="Its last characters.", examples=["x7Qk"])
    scopes: list[str] | None = Field(description="Null is all that the person may.", examples=[["contacts.read"]])
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None = Field(description="To the minute.")
    last_address: str | None = Field(examples=["192.0.2.7"])
    works: bool = Field(description="Neither revoked nor expired.")

    @classmethod
    def of(cls, one: tokens.Listed) -> "ListedToken":
        return cls.model_validate(one, from_attributes=True)


@router.post("", status_code=HTTPStatus.CREATED, summary="Make a token", openapi_extra=SECRET)
def create(by: Person, wanted: NewToken) -> MadeToken:
    """Only with a session's token: no token makes another one."""
    token_id, token = tokens.create(wanted.name, scopes=wanted.scopes, days=wanted.days, by=by)
    return MadeToken(id=token_id, token=token)


@router.get("", summary="List your tokens")
def listed(by: Person) -> list[ListedToken]:
    """The newest first, also those that work no more."""
    return [ListedToken.of(one) for one in tokens.listed(by=by)]


@router.delete("/{token_id:number}", status_code=HTTPStatus.NO_CONTENT, summary="Revoke a token")
def revoke(by: Person, token_id: Id) -> None:
    """It works no more from this moment on."""
    tokens.revoke(token_id, by=by)
