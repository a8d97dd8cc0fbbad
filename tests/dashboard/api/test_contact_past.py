"""A contact's history, the origin of its values, as it was, and the undo of one change, over HTTP."""

from datetime import UTC, datetime

import httpx
import pytest

from models.contacts import records
from models.contacts.moments import When
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client


@pytest.fixture
def contact(db: str) -> int:
    made = records.create({"last_name": "Archer", "title": "Manager", "email": "a@example.com"}, by=OPERATOR)
    first = records.update(made, {"title": "CTO", "annual_revenue": "5.5"}, version=0, by=OPERATOR)
    records.update(made, {"title": "CEO", "last_raised_at": "2026-01-02"}, version=first.version, by=OPERATOR)
    return made


@pytest.fixture
def manager(client: Client) -> httpx.Client:
    return client(Role.MANAGER)


def test_the_history_tells_what_changed_the_newest_first(manager: httpx.Client, contact: int) -> None:
    newest, second, created = manager.get(f"/contacts/{contact}/history").json()["changes"]
    assert (newest["what"], newest["by"], newest["can_be_undone"]) == ("changed", "operator", True)
    assert newest["fields"] == [
        {"field": "title", "old": "CTO", "new": "CEO"},
        {"field": "last_raised_at", "old": None, "new": "2026-01-02"},
    ]
    assert second["fields"][1] == {"field": "annual_revenue", "old": None, "new": "5.50"}
    assert (created["what"], created["version"]) == ("created", None)
    until = {"until": second["at"]}
    assert len(manager.get(f"/contacts/{contact}/history", params=until).json()["changes"]) == 2
    assert len(manager.get(f"/contacts/{contact}/history?most=1").json()["changes"]) == 1


def test_each_value_has_its_origin(manager: httpx.Client, contact: int) -> None:
    found = manager.get(f"/contacts/{contact}/origin").json()
    origins = {one["field"]: one["values"] for one in found["fields"]}
    assert [one["value"] for one in origins["title"]] == ["CEO", "CTO", "Manager"]
    assert origins["email"][0]["change"]["what"] == "created"
    assert found["begins"] is None


def test_one_change_is_undone_and_an_older_one_of_the_same_field_is_not(manager: httpx.Client, contact: int) -> None:
    newest, second, _ = manager.get(f"/contacts/{contact}/history").json()["changes"]
    refused = manager.post(f"/contacts/{contact}/changes/{second['version']}/undo")
    assert (refused.status_code, refused.json()["detail"].startswith("Title was changed again")) == (409, True)
    undone = manager.post(f"/contacts/{contact}/changes/{newest['version']}/undo")
    assert (undone.json()["title"], undone.json()["last_raised_at"]) == ("CTO", None)
    assert undone.headers["etag"] == f'"{undone.json()["version"]}"'
    assert manager.post(f"/contacts/{contact}/changes/999/undo").status_code == 404


def test_it_is_read_as_it_was(manager: httpx.Client, contact: int) -> None:
    second = manager.get(f"/contacts/{contact}/history").json()["changes"][1]
    was = manager.get(f"/contacts/{contact}", params={"as_of": second["at"]})
    assert (was.json()["title"], "etag" in was.headers) == ("CTO", False)
    early = When(datetime(2001, 1, 1, tzinfo=UTC)).written
    assert manager.get(f"/contacts/{contact}", params={"as_of": early}).status_code == 422
    assert manager.get(f"/contacts/{contact}", params={"as_of": "soon"}).status_code == 422


def test_hidden_fields_are_in_no_change_and_their_changes_are_not_told(client: Client, contact: int) -> None:
    narrow = client(Role.MANAGER, columns=["last_name", "email"])
    told = narrow.get(f"/contacts/{contact}/history")
    assert [one["what"] for one in told.json()["changes"]] == ["created"]
    assert "CTO" not in told.text + narrow.get(f"/contacts/{contact}/origin").text
    newest = client(Role.MANAGER).get(f"/contacts/{contact}/history").json()["changes"][0]
    assert narrow.post(f"/contacts/{contact}/changes/{newest['version']}/undo").status_code == 409
