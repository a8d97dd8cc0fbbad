"""Sign-in for a while: e-mail and password, the second factor where there is one, and a session's token."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from dashboard.api import access, again
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from models import sign_ins
from models.permissions import Actor

router = APIRouter(prefix="/sessions", tags=["sign-in"], route_class=Repeatable)
SECRET = {f"x-{again.UNKEPT}": True}


class Credentials(BaseModel):
    email: str = Field(max_length=300, examples=["ann@example.com"])
    password: str = Field(max_length=1000, examples=["correct horse battery"])
    stays: bool = Field(False, description="A session of days, as “Stay signed in” makes it.")


class Code(BaseModel):
    ticket: str = Field(max_length=200, description="What the first step gave.", examples=["Zk3…"])
    code: str = Field(max_length=40, description="Of the authenticator app, or a recovery code.", examples=["123456"])


class SignedIn(BaseModel):
    """`needs` null: `token` is the session's. Else `ticket` goes to the next step within ten minutes: “code” to
    `POST /sessions/code`; “enrol” means that the role asks for a second factor, which is set up on the web first."""

    needs: Literal["code", "enrol"] | None
    token: str | None = None
    ticket: str | None = None


@router.post("", status_code=HTTPStatus.CREATED, summary="Sign in", openapi_extra=SECRET)
def sign_in(request: Request, credentials: Credentials) -> SignedIn:
    """The first step. After five failures in a row an account waits, and so does an address."""
    address = access.address_of(request)
    step = sign_ins.check_password(credentials.email, credentials.password, address=address, stays=credentials.stays)
    if step.needs:
        return SignedIn(needs=step.needs, ticket=step.ticket)
    return _begun(request, step.ticket)


@router.post("/code", status_code=HTTPStatus.CREATED, summary="Second step of signing in", openapi_extra=SECRET)
def second_step(request: Request, code: Code) -> SignedIn:
    return _begun(request, sign_ins.check_code(code.ticket, code.code, address=access.address_of(request)))


@router.delete("/current", status_code=HTTPStatus.NO_CONTENT, summary="Sign out")
def sign_out(request: Request, by: Annotated[Actor, Needs()]) -> None:
    """The session of this token ends. A personal token goes on: `DELETE /tokens/{token_id}` revokes it."""
    sign_ins.sign_out(access.token_of(request))


def _begun(request: Request, ticket: str) -> SignedIn:
    device = request.headers.get("user-agent")
    return SignedIn(needs=None, token=sign_ins.redeem_ticket(ticket, address=access.address_of(request), device=device))
