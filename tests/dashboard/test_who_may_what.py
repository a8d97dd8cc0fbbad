"""Every screen and every route against the table of who may what, as each role and signed out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import streamlit as st
from sqlalchemy import func, select, update
from starlette.routing import Mount, Route
from streamlit.testing.v1 import AppTest

from dashboard import places
from dashboard.api import api
from dashboard.server import app
from models import exports, permissions
from models.audit import AuditLine
from models.database import reading, writing
from models.exports import Export, State
from models.filters import Filters
from models.imports import Import
from models.permissions import DEEDS, OPERATOR, Permission, Role
from tests.dashboard.conftest import Site
from tests.dashboard.test_narrow_manager import shown
from tests.who_may_what import (
    AUDIT,
    BUY,
    EXPORT,
    IMPORT,
    OWN_PAYMENTS,
    RUN_JOBS,
    SEE_IMPORTS,
    SEE_PERFORMANCE,
    SEE_QUALITY,
)

Screen = Callable[..., AppTest]


def refusal(permission: Permission) -> str:
    return f"**You may not {permission.value}**"


@pytest.mark.parametrize("name", places.PLACES)
@pytest.mark.parametrize("role", Role)
def test_a_screen_opens_for_who_has_its_permission(screen: Screen, role: Role, name: str) -> None:
    permission = places.PLACES[name].permission
    told = shown(screen(role, at=name))
    may = permission is None or permission in role.permissions
    assert ("**You may not " in told) == (not may)
    assert may or (permission and refusal(permission) in told)


@pytest.mark.parametrize("name", [name for name, place in places.PLACES.items() if place.permission])
def test_a_screen_is_neither_shown_nor_offered_without_its_permission(
    screen: Screen, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has every other permission is told, at once; the navigation does not have it."""
    permission = places.PLACES[name].permission
    assert permission
    monkeypatch.setitem(permissions.PERMISSIONS, Role.MANAGER, frozenset(Permission) - {permission})
    offered: list[str] = []
    navigation = st.navigation

    def noting(pages: list[Any], **how: Any) -> Any:
        offered.extend(one.url_path for one in pages if one.visibility == "visible")
        return navigation(pages, **how)

    monkeypatch.setattr(st, "navigation", noting)
    test = screen(Role.MANAGER, at=name)
    assert refusal(permission) in shown(test)
    assert test.title[0].value == places.PLACES[name].title
    assert not test.dataframe
    others = [place for place in places.PLACES.values() if place.permission is not permission and not place.hidden]
    assert sorted(offered) == sorted(place.path or "" for place in others)


def test_signed_out_no_screen_is_shown(screen: Screen) -> None:
    for name in places.PLACES:
        assert screen(None, at=name).title[0].value == "Sign in to Appointment360"


@dataclass(frozen=True)
class Asked:
    """A request and who may make it: `deed` is a row of the table, "" is everybody, signed in or not."""

    path: str
    deed: str = ""
    more: dict[str, Any] = field(default_factory=dict)


# Each route under its method and pattern. What the front page shows comes through Streamlit's socket: see the screens.
ROUTES: dict[str, Asked] = {
    "GET /api/v1/openapi.json": Asked("/api/v1/openapi.json"),
    "GET /audit/log.csv": Asked("/audit/log.csv", AUDIT),
    "GET /performance/report.html": Asked("/performance/report.html", SEE_PERFORMANCE),
    "GET /quality/report.{kind}": Asked("/quality/report.html", SEE_QUALITY),
    "GET /contacts/difference.csv": Asked("/contacts/difference.csv?from=2026-01-01", EXPORT),
    "POST /auth/session": Asked("/auth/session"),
    "POST /auth/sign-out": Asked("/auth/sign-out"),
    "GET /exports/{export_id}/file": Asked("/exports/{export}/file", EXPORT),
    "POST /imports/uploads": Asked("/imports/uploads", IMPORT, {"json": {"name": "a.csv", "size": 0, "modified": 1}}),
    "GET /imports/{import_id}/upload": Asked("/imports/999999/upload", IMPORT),
    "PUT /imports/{import_id}/upload": Asked("/imports/999999/upload?offset=0", IMPORT, {"content": b"x"}),
    "POST /imports/{import_id}/upload/complete": Asked("/imports/999999/upload/complete", IMPORT),
    "GET /imports/{import_id}/{file}": Asked("/imports/999999/rejects.csv", SEE_IMPORTS),
    "GET /pay/pay.js": Asked("/pay/pay.js"),
    "GET /pay/order/{order_id}": Asked("/pay/order/999999", BUY),
    "POST /pay/order/{order_id}/return": Asked("/pay/order/999999/return", BUY),
    "GET /pay/order/{order_id}/done": Asked("/pay/order/999999/done", BUY),
    "GET /pay/order/{order_id}/state": Asked("/pay/order/999999/state", BUY),
    "GET /pay/subscription": Asked("/pay/subscription", BUY),
    "POST /pay/subscription/return": Asked("/pay/subscription/return", BUY),
    "GET /pay/subscription/done": Asked("/pay/subscription/done", OWN_PAYMENTS),
    "GET /pay/subscription/state": Asked("/pay/subscription/state", OWN_PAYMENTS),
    "GET /pay/receipt/{number}": Asked("/pay/receipt/999999", OWN_PAYMENTS),
    "GET /prefect/{path:path}": Asked("/prefect/v2/dashboard", RUN_JOBS),
    "POST /prefect/{path:path}": Asked("/prefect/api/flow_runs/filter", RUN_JOBS),
    "GET /healthz": Asked("/healthz"),
    "GET /readyz": Asked("/readyz"),
    "GET /.well-known/security.txt": Asked("/.well-known/security.txt"),
    "GET /metrics": Asked("/metrics"),  # has a token of its own: see test_metrics.py
    **{f"GET {places.path(name)}": Asked(places.path(name)) for name in places.PLACES},
}


def routes() -> Iterator[str]:
    """“GET /exports/{export_id}/file”, of all that the server itself answers; the resources of the API have a test of
    their own, tests/dashboard/api/test_access.py."""
    for route in app._user_routes:
        listed = (
            [(route.path, one) for one in api.routes if hasattr(one, "path")]
            if isinstance(route, Mount)
            else [("", route)]
        )
        for before, one in listed:
            assert isinstance(one, Route) or hasattr(one, "methods")
            path = f"{before}{one.path}".replace(":id}", "}")
            yield from (f"{method} {path}" for method in one.methods or () if method != "HEAD")


def test_every_route_has_its_line() -> None:
    found = set(routes())
    assert not found - ROUTES.keys(), "Add to ROUTES in this file"
    assert not ROUTES.keys() - found, "Take out of ROUTES in this file"


@pytest.fixture(scope="module")
def exported(site: Site, tmp_path_factory: pytest.TempPathFactory) -> int:
    """An administrator's export whose file is there."""
    file: Path = tmp_path_factory.mktemp("export") / "contacts.csv"
    file.write_text("Email\nann@example.com\n")
    by = site.people[Role.ADMIN].actor()
    made = exports.request(filters=Filters(), columns=["email"], format="csv", by=by)
    with writing(OPERATOR) as session:
        session.execute(update(Export).where(Export.id == made).values(state=State.DONE, path=str(file)))
    return made


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_answers_who_may_use_it(site: Site, web: str, exported: int, route: str) -> None:
    asked, method = ROUTES[route], route.partition(" ")[0]
    permission = DEEDS.get(asked.deed)
    for role in (None, *Role):
        before = written()
        cookies = {"session": site.token(role)} if role else {}
        signed_in = 1 if role else 0  # lines of the audit log that the sign-in itself wrote
        with httpx.Client(base_url=web, cookies=cookies, headers={"origin": web}) as client:
            status = client.request(method, asked.path.format(export=exported), **asked.more).status_code
        if not asked.deed:
            assert status not in (401, 403) or route == "POST /auth/session"
        elif role is None:
            assert status == 401
        else:
            assert (status == 403) == (permission is not None and permission not in role.permissions), (role, status)
        if status in (401, 403):
            assert written() == [(before[0] or 0) + signed_in, *before[1:]]
        if role and role is not Role.ADMIN and "{export}" in asked.path:
            assert status == 404  # not theirs


def written() -> list[int | None]:
    counted = [select(func.count()).select_from(table) for table in (AuditLine, Import, Export)]
    with reading() as session:
        return [session.scalar(one) for one in counted]
