"""What signing in says and takes: shared by the routes of sessions, of links and of the profile."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from dashboard.api import access
from dashboard.api.moments import Moment
from models import sign_ins
from models.second_factors import Enrolment
from models.sign_ins import Step

Password = Annotated[str, Field(max_length=1000, examples=["correct horse battery"])]
Email = Annotated[str, Field(max_length=300, examples=["ann@example.com"])]
Code = Annotated[
    str, Field(max_length=40, description="The six digits that the authenticator app shows.", examples=["123456"])
]


class Body(BaseModel):
    """What is sent: nothing that the route does not know."""

    model_config = ConfigDict(extra="forbid")


class SignedIn(BaseModel):
    """`needs` null: `token` is the session's. Else `ticket` goes to the next step within ten minutes: “code” to
    `POST /sessions/code`; “enrol”, where the role asks for a second factor and there is none, to
    `POST /sessions/enrolment` and then `POST /sessions/enrolment/confirm`."""

    needs: Literal["code", "enrol"] | None = Field(examples=[None])
    token: str | None = Field(default=None, description="For `Authorization: Bearer …`.", examples=["q0Xk…"])
    expires_at: Moment | None = Field(
        default=None, description="When the session ends, unless it is ended before; in UTC."
    )
    ticket: str | None = Field(default=None, examples=["Zk3…"])


class SetUp(BaseModel):
    """What an authenticator app takes: the QR code of `svg`, which is `uri`, or the secret typed in."""

    secret: str = Field(description="In base 32.", examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    uri: str = Field(examples=["otpauth://totp/Appointment360:ann%40example.com?secret=…&issuer=Appointment360"])
    svg: str

    @classmethod
    def of(cls, made: Enrolment) -> "SetUp":
        return cls(secret=made.secret, uri=made.uri, svg=made.svg)


class RecoveryCodes(BaseModel):
    recovery_codes: list[str] = Field(
        description="Each replaces the app once. They are shown only this once.", examples=[["ABCD-EFGH-JKLM"]]
    )


class SignedUp(RecoveryCodes):
    token: str = Field(description="Of the session.", examples=["q0Xk…"])
    expires_at: Moment | None = Field(description="When the session ends, unless it is ended before; in UTC.")


def gone_on(request: Request, step: Step) -> SignedIn:
    """The session, where the step was the last one, or what it needs."""
    if step.needs:
        return SignedIn(needs=step.needs, ticket=step.ticket)
    token, expires_at = begun(request, step.ticket)
    return SignedIn(needs=None, token=token, expires_at=expires_at)


def begun(request: Request, ticket: str) -> tuple[str, datetime | None]:
    """The token of a new session, for a ticket of the last step, and when it ends."""
    device = request.headers.get("user-agent")
    token = sign_ins.redeem_ticket(ticket, address=access.address_of(request), device=device)
    return token, sign_ins.ends_at(token)
