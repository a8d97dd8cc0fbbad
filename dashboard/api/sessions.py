"""Sign-in for a while: e-mail and password, the second factor where there is one, and a session's token."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from dashboard.api import access, limits, sign_in_shapes
from dashboard.api.access import Needs
from dashboard.api.again import SECRET, Repeatable
from dashboard.api.ids import BigId
from dashboard.api.moments import Moment
from dashboard.api.sign_in_shapes import Body, Code, Email, Password, SetUp, SignedIn, SignedUp
from models import sign_in_sessions, sign_ins
from models.errors import Conflict
from models.permissions import Actor

router = APIRouter(prefix="/sessions", tags=["sign-in"], route_class=Repeatable)
Person = Annotated[Actor, Needs()]
Ticket = Annotated[str, Field(max_length=200, description="What the step before gave.", examples=["Zk3…"])]


class Credentials(Body):
    email: Email
    password: Password
    stays: bool = Field(False, strict=True, description="A session of days, as “Stay signed in” makes it.")


class SecondStep(Body):
    ticket: Ticket
    code: str = Field(max_length=40, description="Of the authenticator app, or a recovery code.", examples=["123456"])


class EnrolmentRequest(Body):
    ticket: Ticket


class EnrolmentCode(Body):
    ticket: Ticket
    code: Code


class OpenSession(BaseModel):
    """One place where you are signed in."""

    id: int = Field(examples=[12])
    device: str = Field(examples=["Firefox on Windows"])
    address: str | None = Field(examples=["192.0.2.7"])
    created_at: Moment
    last_seen_at: Moment
    expires_at: Moment = Field(description="When it ends, unless it is ended before; in UTC.")
    is_this: bool = Field(description="Whether it is that of the token with which you ask.")


class EndedSessions(BaseModel):
    ended: int = Field(description="Sessions.", examples=[2])


@router.post("", status_code=HTTPStatus.CREATED, summary="Sign in", openapi_extra=SECRET)
def sign_in(request: Request, credentials: Credentials) -> SignedIn:
    """The first step. An account waits after five failures in a row, and so does an address after five in an hour
    (429 with `Retry-After`); `RateLimit-*` is of the address's failures."""
    with limits.sign_in(request):
        step = sign_ins.check_password(
            credentials.email, credentials.password, address=access.address_of(request), stays=credentials.stays,
            by_program=True,
        )  # fmt: skip
    return sign_in_shapes.gone_on(request, step)


@router.post("/code", status_code=HTTPStatus.CREATED, summary="Second step of signing in", openapi_extra=SECRET)
def second_step(request: Request, sent: SecondStep) -> SignedIn:
    address = access.address_of(request)
    with limits.sign_in(request):
        ticket = sign_ins.check_code(sent.ticket, sent.code, address=address, by_program=True)
    token, expires_at = sign_in_shapes.begun(request, ticket)
    return SignedIn(needs=None, token=token, expires_at=expires_at)


@router.post(
    "/enrolment", status_code=HTTPStatus.CREATED, summary="Set up the second factor that is asked for",
    openapi_extra=SECRET,
)  # fmt: skip
def enrol(sent: EnrolmentRequest) -> SetUp:
    """A new secret each time; it counts once its first code came."""
    return SetUp.of(sign_ins.enrol(sent.ticket))


@router.post(
    "/enrolment/confirm", status_code=HTTPStatus.CREATED, summary="Confirm the second factor, and be signed in",
    openapi_extra=SECRET,
)  # fmt: skip
def confirm_enrolment(request: Request, sent: EnrolmentCode) -> SignedUp:
    """With the app's first code. Put the recovery codes away: they are shown only this once."""
    address = access.address_of(request)
    with limits.sign_in(request):
        codes, ticket = sign_ins.confirm_enrolment(sent.ticket, sent.code, address=address, by_program=True)
    token, expires_at = sign_in_shapes.begun(request, ticket)
    return SignedUp(recovery_codes=codes, token=token, expires_at=expires_at)


@router.get("", summary="Where you are signed in")
def listed(by: Person) -> list[OpenSession]:
    """The one that asks first, then the latest used."""
    return [OpenSession.model_validate(one, from_attributes=True) for one in sign_in_sessions.sessions_of(by=by)]


@router.delete("", summary="Sign out everywhere else")
def end_others(request: Request, by: Person) -> EndedSessions:
    """With a personal token: everywhere."""
    return EndedSessions(ended=sign_in_sessions.end_others(by=by, token=access.token_of(request)))


@router.delete("/current", status_code=HTTPStatus.NO_CONTENT, summary="Sign out")
def sign_out(request: Request, by: Person) -> None:
    """The session of this token ends. A personal token is none (409): `DELETE /tokens/{token_id}` revokes it."""
    if by.session_id is None:
        raise Conflict("This is a personal token, and no session that could end: revoke it instead.")
    sign_in_sessions.sign_out(access.token_of(request))


@router.delete("/{session_id:number}", status_code=HTTPStatus.NO_CONTENT, summary="Sign out in one place")
def end(by: Person, session_id: BigId) -> None:
    sign_in_sessions.end(session_id, by=by)
