"""What the links of messages do: an invitation, a new password, a new e-mail address; and asking for a new password."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, Field

from dashboard.api import access, problems, sign_in_shapes
from dashboard.api.again import SECRET, Repeatable
from dashboard.api.sign_in_shapes import Body, Email, Password, SignedIn
from models import account_links, sign_ins
from models.account_links import Purpose

router = APIRouter(tags=["sign-in"], route_class=Repeatable)
ON_ITS_WAY = "If there is such an account, a link is on its way by e-mail, which works for one hour."


def _token(link: str) -> str:
    """Of the whole address, or as it is."""
    return link.rpartition("link=")[2]


Link = Annotated[
    str,
    AfterValidator(_token),
    Field(
        max_length=1000, description="The link's address, or its token alone.",
        examples=["https://example.com/?link=Zk3…"],
    ),
]  # fmt: skip


class ResetRequest(Body):
    email: Email


class OpenedLink(Body):
    link: Link


class ChosenPassword(Body):
    link: Link
    password: Password


class Accepted(BaseModel):
    detail: str = Field(examples=[ON_ITS_WAY])


class LinkInfo(BaseModel):
    """What the link is for; `email` is the new address where one is to be confirmed, else the account's."""

    purpose: Purpose
    email: str = Field(examples=["ann@example.com"])
    name: str = Field(examples=["Ann Archer"])


class ConfirmedEmail(BaseModel):
    email: str = Field(description="With which you sign in from now on.", examples=["ann@example.com"])


@router.post("/password-resets", status_code=HTTPStatus.ACCEPTED, summary="Ask for a link to choose a new password")
def request_reset(request: Request, asked: ResetRequest) -> Accepted:
    """The answer is the same whether there is such an account or not."""
    account_links.request_reset(asked.email, address=access.address_of(request))
    return Accepted(detail=ON_ITS_WAY)


@router.post("/links/look", summary="See what a link is for", responses=problems.told(410))
def look(opened: OpenedLink) -> LinkInfo:
    """Without using it up. One that works no more answers 410."""
    found = account_links.look(opened.link)
    return LinkInfo(purpose=found.purpose, email=found.email, name=found.name)


@router.post(
    "/links/password", status_code=HTTPStatus.CREATED, summary="Choose a password by an invitation or a reset",
    openapi_extra=SECRET, responses=problems.told(410),
)  # fmt: skip
def choose_password(request: Request, chosen: ChosenPassword) -> SignedIn:
    """All sessions and other links end; what comes next is as after the first step of signing in."""
    actor = account_links.accept(chosen.link, chosen.password, address=access.address_of(request))
    return sign_in_shapes.gone_on(request, sign_ins.after_link(actor))


@router.post("/links/email", summary="Confirm a new e-mail address", responses=problems.told(410))
def confirm_email(request: Request, opened: OpenedLink) -> ConfirmedEmail:
    found = account_links.look(opened.link)
    account_links.confirm_email(opened.link, address=access.address_of(request))
    return ConfirmedEmail(email=found.email)
