"""People: who may sign in, in which role, seeing what, taking out how much; and the rules of roles."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StrictBool

from dashboard.api import etags
from dashboard.api.access import Needs
from dashboard.api.again import SECRET, Repeatable
from dashboard.api.etags import IfMatch
from dashboard.api.ids import Id
from dashboard.api.moments import Moment
from dashboard.api.sessions import EndedSessions
from dashboard.api.sign_in_shapes import Body, Email
from dashboard.api.tokens import ListedToken
from models import credits, role_rules, second_factors, sign_in_sessions, tokens, user_list, users
from models.accounts import DEFAULT_DOWNLOAD_LIMIT, MAX_NAME
from models.database import LARGEST_ID
from models.permissions import Actor, Permission, Role
from models.user_list import Person, Status
from models.users import Changes

router = APIRouter(tags=["people"], route_class=Repeatable)
Manager = Annotated[Actor, Needs(Permission.USERS_MANAGE)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, examples=["Ann Archer"])]
Limit = Annotated[int, Field(strict=True, ge=0, le=LARGEST_ID, examples=[500])]
Columns = Annotated[
    list[Annotated[str, Field(max_length=60)]],
    Field(max_length=200, description="Fields and groups of them.", examples=[["person", "email"]]),
]


class User(BaseModel):
    """`download_limit` null is no limit, `column_allowed` null is every column. `used` and `lasting` are credits: of
    this month, and those that last."""

    id: int = Field(examples=[3])
    name: str = Field(examples=["Ann Archer"])
    email: str = Field(examples=["ann@example.com"])
    role: Role
    status: Status
    download_limit: int | None = Field(description="Contacts a month.", examples=[100])
    column_allowed: list[str] | None = Field(examples=[["person", "email"]])
    second_factor: bool
    last_seen_at: Moment | None
    created_at: Moment
    used: int = Field(examples=[12])
    lasting: int = Field(examples=[200])
    version: int = Field(description="The ETag has it, and If-Match takes it.", examples=[1795682123456789])


class People(BaseModel):
    users: list[User]


class Invitation(Body):
    email: Email
    name: Name
    role: Role = Role.ANALYST
    download_limit: Limit | None = Field(DEFAULT_DOWNLOAD_LIMIT, description="Contacts a month; null is no limit.")
    column_allowed: Columns | None = Field(None, description="Fields and groups that may be seen; null is all.")


class InvitedUser(BaseModel):
    user: User
    link: str | None = Field(description="To hand over, where no mail server is set; else null: it was mailed.")


class UserChange(Body):
    """What is left out stays as it is."""

    name: Name | None = None
    role: Role | None = None
    download_limit: Limit | None = Field(None, description="Contacts a month; null is no limit.")
    column_allowed: Columns | None = Field(None, description="Fields and groups that may be seen; null is all.")


class NewLink(BaseModel):
    link: str | None = Field(description="To hand over, where no mail server is set; else null: it was mailed.")


class RevokedTokens(BaseModel):
    revoked: int = Field(description="That worked.", examples=[1])


class RoleRule(BaseModel):
    role: Role
    title: str = Field(examples=["Analyst"])
    description: str
    deeds: list[str] = Field(description="What the role may do, in words.")
    permissions: list[str] = Field(description="The same by the scopes of tokens.")
    second_factor: bool = Field(description="Whether everybody in the role signs in with one.")


class RoleRuleChange(Body):
    second_factor: StrictBool


class RoleRuleChanged(BaseModel):
    signed_out: int = Field(description="People who had no second factor.", examples=[2])


@router.get("/users", summary="List people")
def listed(
    by: Manager,
    q: Annotated[str, Query(description="A part of the name or the e-mail.", max_length=200)] = "",
    status: Annotated[Status | None, Query(description="Only these.")] = None,
) -> People:
    """All of them, by e-mail."""
    return People(users=_users(user_list.everyone(search=q, status=status, by=by), by))


@router.post("/users", status_code=HTTPStatus.CREATED, summary="Invite a person", openapi_extra=SECRET)
def invite(response: Response, by: Manager, wanted: Invitation) -> InvitedUser:
    """They choose their password by a link, which works once, within seven days."""
    made = users.invite(
        email=wanted.email, name=wanted.name, role=wanted.role, download_limit=wanted.download_limit,
        column_allowed=_columns(wanted.column_allowed), by=by,
    )  # fmt: skip
    response.headers["location"] = f"/api/v1/users/{made.user.id}"
    return InvitedUser(user=_user(response, made.user.id, by), link=made.link)


@router.get("/users/{user_id:number}", summary="Read one person")
def read(response: Response, by: Manager, user_id: Id) -> User:
    """With the ETag that a change takes."""
    return _user(response, user_id, by)


@router.patch("/users/{user_id:number}", summary="Change a person")
def change(response: Response, by: Manager, user_id: Id, sent: UserChange, if_match: IfMatch = None) -> User:
    """Counts at once for what they have open. Only what you send is changed; the last active administrator stays."""
    version, given = None if etags.is_any(if_match) else etags.version(if_match), sent.model_fields_set
    changes = Changes(
        name=sent.name,
        role=sent.role,
        download_limit=sent.download_limit,
        unlimited="download_limit" in given and sent.download_limit is None,
        column_allowed=_columns(sent.column_allowed),
        every_column="column_allowed" in given and sent.column_allowed is None,
    )
    users.change(_email(user_id, by), changes, version=version, by=by)
    return _user(response, user_id, by)


@router.post("/users/{user_id:number}/deactivate", summary="Deactivate a person")
def deactivate(response: Response, by: Manager, user_id: Id) -> User:
    """They can no longer sign in, and are signed out at once; their tokens work no more. What they did stays."""
    users.deactivate(_email(user_id, by), by=by)
    return _user(response, user_id, by)


@router.post("/users/{user_id:number}/reactivate", summary="Reactivate a person")
def reactivate(response: Response, by: Manager, user_id: Id) -> User:
    users.reactivate(_email(user_id, by), by=by)
    return _user(response, user_id, by)


@router.post(
    "/users/{user_id:number}/link", status_code=HTTPStatus.CREATED, summary="Make a new link for a person",
    openapi_extra=SECRET,
)  # fmt: skip
def new_link(by: Manager, user_id: Id) -> NewLink:
    """An invitation for who has not accepted yet, else a link for a new password. Those before work no more."""
    return NewLink(link=users.new_link(_email(user_id, by), by=by))


@router.delete("/users/{user_id:number}/sessions", summary="End all sessions of a person")
def end_sessions(by: Manager, user_id: Id) -> EndedSessions:
    """On every device, at once. Tokens go on: revoke those, too, where the account is not to be trusted."""
    return EndedSessions(ended=sign_in_sessions.end_all(_email(user_id, by), by=by))


@router.delete(
    "/users/{user_id:number}/second-factor", status_code=HTTPStatus.NO_CONTENT, summary="Reset a person's second factor"
)
def reset_factor(by: Manager, user_id: Id) -> None:
    """For who lost it; they are signed out, and told."""
    second_factors.reset(_email(user_id, by), by=by)


@router.get("/users/{user_id:number}/tokens", summary="List the tokens of a person")
def tokens_of(by: Manager, user_id: Id) -> list[ListedToken]:
    return [ListedToken.of(one) for one in tokens.listed_of(_email(user_id, by), by=by)]


@router.delete("/users/{user_id:number}/tokens", summary="Revoke all tokens of a person")
def revoke_tokens(by: Manager, user_id: Id) -> RevokedTokens:
    return RevokedTokens(revoked=tokens.revoke_all_of(_email(user_id, by), by=by))


@router.delete(
    "/users/{user_id:number}/tokens/{token_id:number}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Revoke a token of a person",
)
def revoke_token(by: Manager, user_id: Id, token_id: Id) -> None:
    tokens.revoke_of(_email(user_id, by), token_id, by=by)


@router.get("/roles", summary="What each role may do, and what is asked of it")
def roles(by: Manager) -> list[RoleRule]:
    return [
        RoleRule(
            role=role, title=role.label, description=role.description, deeds=role.deeds,
            permissions=[one.scope for one in Permission if one in role.permissions],
            second_factor=role_rules.second_factor_required(role, by=by),
        )
        for role in Role
    ]  # fmt: skip


@router.put("/roles/{role}", summary="Require a second factor of a role, or no longer")
def rule(by: Annotated[Actor, Needs(Permission.SETTINGS_CHANGE)], role: Role, sent: RoleRuleChange) -> RoleRuleChanged:
    """Who has none is signed out, and sets one up at the next sign-in."""
    return RoleRuleChanged(signed_out=role_rules.require_second_factor(role, sent.second_factor, by=by))


def _email(user_id: int, by: Actor) -> str:
    return user_list.with_id(user_id, by=by).email


def _columns(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _user(response: Response, user_id: int, by: Actor) -> User:
    """With its ETag."""
    [found] = _users([user_list.with_id(user_id, by=by)], by)
    response.headers["etag"] = etags.of(found.version)
    return found


def _users(found: list[Person], by: Actor) -> list[User]:
    usage = credits.usage([one.id for one in found], by=by)
    return [_shape(one, *usage.get(one.id, (0, None, 0))) for one in found]


def _shape(one: Person, used: int, _: int | None, lasting: int) -> User:
    return User(
        id=one.id, name=one.name, email=one.email, role=one.role, status=one.status,
        download_limit=one.download_limit,
        column_allowed=None if one.column_allowed is None else list(one.column_allowed),
        second_factor=one.second_factor, last_seen_at=one.last_seen_at, created_at=one.created_at, used=used,
        lasting=lasting, version=one.version,
    )  # fmt: skip
