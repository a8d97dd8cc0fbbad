"""Every route against who may what: without a token, as each role, and with a token of other scopes."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from dashboard.api import api
from models.permissions import ACCOUNT, PERMISSIONS, SCOPES, Role
from tests.dashboard.api.conftest import Client, SignedIn
from tests.people import person

# What needs no token, with the reason.
PUBLIC = {
    "GET /health": "watched by machines",
    "POST /sessions": "where one gets a token",
    "POST /sessions/code": "where one gets a token",
    "POST /sessions/enrolment": "where one gets a token",
    "POST /sessions/enrolment/confirm": "where one gets a token",
    "GET /ready": "watched by machines",
    "POST /password-resets": "for who cannot sign in",
    "POST /links/look": "the link is the access",
    "POST /links/password": "the link is the access",
    "POST /links/email": "the link is the access",
    "POST /payments/webhook": "Razorpay signs what it tells",
}


def routes() -> Iterator[tuple[str, list[str]]]:
    """“GET /contacts”, and the scopes that it needs."""
    for path, methods in api.openapi()["paths"].items():
        for method, described in methods.items():
            [scopes] = [one for way in described.get("security", [{"": []}]) for one in way.values()]
            yield f"{method.upper()} {path}", scopes


ROUTES = dict(routes())


def asked(client: Any, route: str) -> Any:
    method, path = route.split(" ")
    return client.request(method, re.sub(r"\{\w+\}", "999999", path))


def test_every_route_needs_a_token_or_says_why_not(client: Client) -> None:
    assert {route for route, scopes in ROUTES.items() if not scopes} == PUBLIC.keys()
    nobody = client(None)
    for route in ROUTES.keys() - PUBLIC.keys():
        refused = asked(nobody, route)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), route


@pytest.mark.parametrize("role", Role)
def test_a_role_is_let_in_where_it_has_the_permission(signed_in: SignedIn, role: Role) -> None:
    of_role = signed_in(person(email="one@example.com", name="One", role=role))  # who may also what no token may
    granted = {one.scope for one in PERMISSIONS[role]} | {ACCOUNT}
    for route in sorted(ROUTES.keys() - PUBLIC.keys()):
        if "/current" in route:
            continue  # it would end the session
        may = set(ROUTES[route]) <= granted
        assert (asked(of_role, route).status_code == 403) == (not may), route


def test_a_token_is_let_in_where_it_has_the_scope(client: Client) -> None:
    programs: dict[tuple[str, ...], Any] = {}
    for route in sorted(ROUTES.keys() - PUBLIC.keys()):
        others = tuple(sorted(SCOPES.keys() - set(ROUTES[route])))
        if others not in programs:
            programs[others] = client(Role.ADMIN, scopes=list(others))
        assert asked(programs[others], route).status_code == 403, route
