"""The web while its database is away, and when it is back."""

import json
from pathlib import Path

import httpx

from models import tokens
from models.outages import AGAIN, SENTENCE
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import Site, served
from tests.door import door_before
from tests.waiting import until

BY_TOKEN = (("GET", "/contacts"), ("GET", "/contacts/1"), ("POST", "/contacts"), ("GET", "/profile"))
BY_NOBODY = (("POST", "/api/v1/sessions"), ("POST", "/auth/session"))
BY_COOKIE = (("GET", "/exports/1/file"), ("GET", "/imports/1/upload"), ("GET", "/pay/subscription"))
BODIES = {
    "/api/v1/contacts": {"last_name": "Archer"},
    "/api/v1/sessions": {"email": "somebody@example.com", "password": "a long one"},
    "/auth/session": {"ticket": "one"},
}


def test_every_route_says_so_and_comes_back(site: Site, tmp_path: Path) -> None:
    _, token = tokens.create_for(site.people[Role.ADMIN].email, "a test", scopes=None, by=OPERATOR)
    cookie = f"session={site.token(Role.ADMIN)}"
    wanted = [
        *((method, f"/api/v1{path}", {"authorization": f"Bearer {token}"}) for method, path in BY_TOKEN),
        *((method, path, {}) for method, path in BY_NOBODY),
        *((method, path, {"cookie": cookie}) for method, path in BY_COOKIE),
    ]
    with (
        door_before(site.url) as (door, url),
        served(url, tmp_path, APPOINTMENT360_LOG_FORMAT="json") as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):

        def asked() -> list[httpx.Response]:
            return [
                client.request(method, path, json=BODIES.get(path), headers={"origin": address, **headers})
                for method, path, headers in wanted
            ]

        before = [one.status_code for one in asked()]
        assert 503 not in before
        door.shut()
        away = asked()
        away += asked()
        door.open()
        until("it is ready again", lambda: client.get("/readyz").status_code == 200)
        after = [one.status_code for one in asked()]
    assert [(one.status_code, one.headers["content-type"]) for one in away] == [
        (503, "application/problem+json")
    ] * len(away), [(one.url.path, one.text) for one in away]
    assert {(one.headers["retry-after"], one.json()["detail"]) for one in away} == {(str(AGAIN), SENTENCE)}
    assert after == before

    lines = [json.loads(line) for line in (tmp_path / "web.log").read_text().splitlines()]
    for one in away:
        of_it = [line for line in lines if line.get("request_id") == one.json()["request_id"]]
        told = [line for line in of_it if line["logger"].startswith("dashboard.")]
        assert [(line["level"], line["event"].partition(": ")[2][:29]) for line in told] == [
            ("warning", "the database does not answer:"), ("info", ""),
        ], of_it  # fmt: skip
        assert not [line for line in of_it if "errors" in line]
    assert not [line for line in lines if "Exception in ASGI" in line["event"]]
