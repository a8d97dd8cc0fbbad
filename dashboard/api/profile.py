"""One's own account: name, e-mail, password, second factor."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from dashboard.api import access
from dashboard.api.access import Needs
from dashboard.api.again import SECRET, Repeatable
from dashboard.api.links import Accepted
from dashboard.api.moments import Moment
from dashboard.api.sign_in_shapes import Body, Code, Email, Password, RecoveryCodes, SetUp
from models import profile, second_factors, sign_ins
from models.accounts import MAX_NAME
from models.permissions import Actor, Role

router = APIRouter(prefix="/profile", tags=["profile"], route_class=Repeatable)
Person = Annotated[Actor, Needs()]


class Profile(BaseModel):
    """`download_limit` null is no limit, `column_allowed` null is every column."""

    id: int = Field(examples=[3])
    name: str = Field(examples=["Ann Archer"])
    email: str = Field(examples=["ann@example.com"])
    role: Role
    permissions: list[str] = Field(description="By their scopes; of this token.", examples=[["contacts.read"]])
    download_limit: int | None = Field(description="Contacts a month.", examples=[100])
    column_allowed: list[str] | None = Field(examples=[["person", "email"]])
    second_factor: bool
    second_factor_required: bool = Field(description="Whether the role asks for one.")
    recovery_codes_left: int = Field(examples=[10])
    session_expires_at: Moment | None = Field(
        description="When the session of this token ends, in UTC; null of a personal token."
    )


class OwnName(Body):
    name: str = Field(min_length=1, max_length=MAX_NAME, examples=["Ann Archer"])


class NewPassword(Body):
    current: Password
    new: Password


class NewEmail(Body):
    email: Email
    password: Password


class FactorCode(Body):
    code: Code


class OwnPassword(Body):
    password: Password


@router.get("", summary="Who you are, and what you may")
def read(request: Request, by: Person) -> Profile:
    return _profile(request, by)


@router.patch("", summary="Change your name")
def rename(request: Request, by: Person, sent: OwnName) -> Profile:
    profile.rename(sent.name, by=by)
    return _profile(request, by)


@router.post("/password", status_code=HTTPStatus.NO_CONTENT, summary="Change your password")
def change_password(request: Request, by: Person, sent: NewPassword) -> None:
    """Every session but that of this token ends, and so do all links."""
    profile.change_password(sent.current, sent.new, by=by, token=access.token_of(request))


@router.post("/email", status_code=HTTPStatus.ACCEPTED, summary="Change your e-mail")
def change_email(by: Person, sent: NewEmail) -> Accepted:
    """A link goes to the new address; until it is opened you sign in with the old one."""
    profile.ask_email_change(sent.email, sent.password, by=by)
    return Accepted(detail=f"A link is on its way to {sent.email.strip()}. It works for one hour.")


@router.post(
    "/second-factor", status_code=HTTPStatus.CREATED, summary="Begin to set up a second factor", openapi_extra=SECRET
)
def begin_factor(by: Person) -> SetUp:
    """A new secret each time; it counts once its first code came. Only with a session's token."""
    return SetUp.of(second_factors.begin(by=by))


@router.post("/second-factor/confirm", summary="Turn the second factor on", openapi_extra=SECRET)
def confirm_factor(by: Person, sent: FactorCode) -> RecoveryCodes:
    """With the app's first code. Put the recovery codes away: they are shown only this once."""
    return RecoveryCodes(recovery_codes=second_factors.confirm(sent.code, by=by))


@router.post("/second-factor/remove", status_code=HTTPStatus.NO_CONTENT, summary="Remove the second factor")
def remove_factor(by: Person, sent: OwnPassword) -> None:
    """Where the role asks for one, you are signed out, and set up a new one when you sign in."""
    second_factors.remove(password=sent.password, by=by)


@router.post("/recovery-codes", status_code=HTTPStatus.CREATED, summary="Make new recovery codes", openapi_extra=SECRET)
def new_recovery_codes(by: Person, sent: OwnPassword) -> RecoveryCodes:
    """Those from before no longer work."""
    return RecoveryCodes(recovery_codes=second_factors.new_recovery_codes(password=sent.password, by=by))


def _profile(request: Request, by: Actor) -> Profile:
    me = profile.get(by=by)
    assert by.id is not None
    return Profile(
        id=by.id, name=me.name, email=me.email, role=me.role, permissions=access.scopes_of(by),
        download_limit=me.download_limit,
        column_allowed=None if me.column_allowed is None else list(me.column_allowed),
        second_factor=me.second_factor, second_factor_required=me.second_factor_required,
        recovery_codes_left=second_factors.left(by=by),
        session_expires_at=None if by.session_id is None else sign_ins.ends_at(access.token_of(request)),
    )  # fmt: skip
