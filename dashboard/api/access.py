"""Who asks, by the token that the request bears: a personal one, or that of a session. What they may stands on each
route: `by: Annotated[Actor, Needs(Permission.CONTACTS_READ)]`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, SecurityScopes

from dashboard.api import limits
from dashboard.api.problems import ACTOR, Problems
from models import awaited, logs, sign_ins, tokens
from models.permissions import ACCOUNT, Actor, Permission, require, require_own

NONE = "Send a token: Authorization: Bearer ..., from your profile or from /api/v1/sessions."
WRONG = "This token works no more: it was revoked, it expired, or it never was one."

# Threads of its own, so that who asks is known also where all others wait for the database.
_lookups = ThreadPoolExecutor(max_workers=8, thread_name_prefix="token")


class _Described(HTTPBearer):
    """Describes the token in the schema; actor_of reads it."""

    async def __call__(self, request: Request) -> None:  # type: ignore[override]  # it reads nothing
        return None


bearer = _Described(
    auto_error=False,
    scheme_name="token",
    description="A personal token (a360_…), made under *Profile* or with `appointment360 tokens create`, or the token "
    "that `POST /sessions` gives.",
)


async def actor_of(request: Request) -> Actor:
    """Who asks, counted once; a route class may ask before the route does. Raises Problems (401), TooMany."""
    if ACTOR not in request.scope:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip() if kind.lower() == "bearer" else ""
        found = await _known_already(given, request)
        if found is None:
            found = await asyncio.get_running_loop().run_in_executor(_lookups, _known, given, request)
        request.scope[ACTOR] = found
        logs.bind(person_id=found.id)
        return found
    known: Actor = request.scope[ACTOR]
    return known


def Needs(*permissions: Permission) -> Any:  # noqa: N802  # beside Security and Depends
    """The signed-in person, who has these permissions; with none of them whoever is signed in."""
    return Security(_allowed, scopes=[one.scope for one in permissions] or [ACCOUNT])


def token_of(request: Request) -> str:
    return request.headers["authorization"].partition(" ")[2].strip()


def scopes_of(by: Actor) -> list[str]:
    """What this token may do, by the names of scopes."""
    own = [ACCOUNT] if by.scopes is None or ACCOUNT in by.scopes else []
    return [*(one.scope for one in Permission if by.may(one)), *own]


def address_of(request: Request) -> str | None:
    return request.client.host if request.client else None


async def _known_already(token: str, request: Request) -> Actor | None:
    """As `_known`, for a personal token of which nothing has to be noted: most requests need no thread to tell."""
    if not token.startswith(tokens.PREFIX):
        return None
    rows = await awaited.asked(*tokens.question(token))
    found = tokens.in_use(rows, address=address_of(request)) if rows else None
    left = limits.counted(found) if found is not None else None
    if left is None:
        return None
    request.scope[limits.LEFT] = left
    return found


def _known(token: str, request: Request) -> Actor:
    address = address_of(request)
    if not token:
        raise Problems(HTTPStatus.UNAUTHORIZED, NONE, headers={"www-authenticate": "Bearer"})
    personal = token.startswith(tokens.PREFIX)
    found = tokens.actor_of(token, address=address) if personal else sign_ins.actor_of(token)
    if found is None:
        told = {"www-authenticate": 'Bearer error="invalid_token"'}
        raise Problems(HTTPStatus.UNAUTHORIZED, WRONG, headers=told)
    left = request.scope[limits.LEFT] = limits.count(found)
    left.require()
    return found


async def _allowed(
    request: Request,
    needed: SecurityScopes,
    _: Annotated[None, Depends(bearer)],
) -> Actor:
    by = await actor_of(request)
    for scope in needed.scopes:
        if scope == ACCOUNT:
            require_own(by)
        else:
            require(by, BY_SCOPE[scope])
    return by


BY_SCOPE = {one.scope: one for one in Permission}
