"""HEAD beside every GET, `If-None-Match` and `If-Match: *`."""

from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from dashboard.api import api
from models.audit import AuditLine, Event
from models.contacts import records
from models.database import reading
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client


@pytest.fixture
def contact(db: str) -> int:
    return records.create({"last_name": "Archer", "email": "ann@example.com"}, by=OPERATOR)


def lines(event: Event) -> int:
    with reading() as session:
        return session.scalar(select(func.count()).where(AuditLine.event == event)) or 0


def told(answer: httpx.Response) -> dict[str, Any]:
    changing = ("x-request-id", "date", "ratelimit-remaining", "ratelimit-reset", "transfer-encoding")
    return {name: value for name, value in answer.headers.items() if name not in changing}


def test_head_is_get_without_its_body(client: Client, contact: int) -> None:
    admin = client(Role.ADMIN)
    paths = [path for path, methods in api.openapi()["paths"].items() if "get" in methods and "{" not in path]
    assert len(paths) > 40
    for path in [*paths, f"/contacts/{contact}", "/contacts/4711"]:
        got, asked = admin.get(path), admin.head(path)
        assert (asked.status_code, asked.content, told(asked)) == (got.status_code, b"", told(got)), path
    refused = admin.head("/contacts/bulk")
    assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "POST", b"")
    assert "HEAD" in admin.put("/contacts").headers["allow"]
    assert "head" not in api.openapi()["paths"]["/contacts"]


def test_head_of_a_file_takes_nothing(client: Client, contact: int) -> None:
    admin = client(Role.ADMIN)
    files = {
        "/audit/file.csv": Event.AUDIT_LOG_EXPORTED,
        "/contacts/difference.csv?from=2020-01-01": Event.DIFFERENCE_EXPORTED,
    }
    for address, event in files.items():
        assert (admin.head(address).status_code, lines(event)) == (200, 0)
        assert (admin.get(address).status_code, lines(event)) == (200, 1)
    assert admin.get("/credits").json()["used"] == 1


def test_what_is_known_already_is_not_sent_again(client: Client, contact: int) -> None:
    manager = client(Role.MANAGER)
    path = f"/contacts/{contact}"
    etag = manager.get(path).headers["etag"]
    for known in (etag, f"W/{etag}", f'"0815", {etag}', "*"):
        for method in ("GET", "HEAD"):
            answer = manager.request(method, path, headers={"if-none-match": known})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
            assert "content-length" not in answer.headers
    manager.patch(path, json={"title": "VP"}, headers={"if-match": etag}).raise_for_status()
    answer = manager.get(path, headers={"if-none-match": etag})
    assert (answer.status_code, answer.json()["title"]) == (200, "VP")
    assert manager.get("/contacts/4711", headers={"if-none-match": "*"}).status_code == 404
    assert manager.get("/contacts", headers={"if-none-match": "*"}).status_code == 200, "it has no ETag"


def test_any_version_will_do_as_long_as_there_is_one(client: Client, contact: int) -> None:
    admin, whatever = client(Role.ADMIN), {"if-match": "*"}
    path = f"/contacts/{contact}"
    assert admin.patch(path, json={"title": "VP"}, headers=whatever).json()["title"] == "VP"
    assert admin.put(path, json={"last_name": "Baker"}, headers=whatever).json()["title"] is None
    assert admin.delete(path, headers=whatever).status_code == 204
    assert admin.delete(path, headers=whatever).status_code == 410
    assert admin.patch("/contacts/4711", json={"title": "VP"}, headers=whatever).status_code == 404
    me = admin.get("/profile").json()["id"]
    assert admin.patch(f"/users/{me}", json={"name": "Root"}, headers=whatever).json()["name"] == "Root"
