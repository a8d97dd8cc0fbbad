"""Many contacts at once over HTTP: each as it says, by filter, put back, restored, copied, compared."""

from typing import Any

import httpx
import pytest

from models.contacts import records
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client

ROWS: list[dict[str, str]] = [
    {"last_name": "Archer", "country": "Germany", "email": "a@example.com", "tags": "VIP"},
    {"last_name": "Baker", "country": "Germany", "email": "b@example.com"},
    {"last_name": "Cook", "country": "France", "email": "c@example.com", "work_direct_phone": "+49 30 901820"},
]


@pytest.fixture
def ids(db: str) -> list[int]:
    return [records.create(row, by=OPERATOR) for row in ROWS]


@pytest.fixture
def manager(client: Client, ids: list[int]) -> httpx.Client:
    return client(Role.MANAGER)


def values(client: httpx.Client, name: str) -> list[Any]:
    return [one[name] for one in client.get("/contacts", params={"fields": name, "sort": "id"}).json()["contacts"]]


def test_items_are_all_written_or_none_and_each_problem_has_its_place(manager: httpx.Client, ids: list[int]) -> None:
    items: list[dict[str, Any]] = [
        {"action": "create", "values": {"last_name": "New", "employees": 7, "departments": ["Sales"]}},
        {"action": "change", "id": ids[0], "version": 0, "values": {"title": "CEO", "country": None}},
        {"action": "delete", "id": ids[1], "version": None},
    ]
    wrong = {"action": "change", "id": ids[2], "version": 0, "values": {"email": "at home", "website": "!"}}
    gone = {"action": "delete", "id": 999, "version": None}
    twin = {"action": "create", "values": {"email": "c@example.com"}}
    refused = manager.post("/contacts/bulk", json={"items": [*items, wrong, gone, twin]})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    told = {one["index"]: one for one in refused.json()["items"]}
    assert {place: one["status"] for place, one in told.items()} == {3: 422, 4: 404, 5: 409}
    assert {one["field"] for one in told[3]["errors"]} == {"email", "website"}
    assert told[5]["contact_id"] == ids[2]
    assert values(manager, "last_name") == ["Archer", "Baker", "Cook"]

    key = {"idempotency-key": "bulk"}
    done = manager.post("/contacts/bulk", json={"items": items}, headers=key)
    assert done.status_code == 200, done.text
    assert manager.post("/contacts/bulk", json={"items": items}, headers=key).json() == done.json()
    new, changed, deleted = done.json()["items"]
    assert deleted == {"id": ids[1], "version": None}
    assert manager.get(f"/contacts/{changed['id']}").json()["version"] == changed["version"]
    assert manager.get(f"/contacts/{new['id']}").json()["departments"] == ["Sales"]
    assert values(manager, "last_name") == ["Archer", "Cook", "New"]


def test_the_shape_of_every_item_is_looked_at(manager: httpx.Client) -> None:
    for items in (
        [],
        [{"action": "create", "values": {"last_name": "X"}}] * 1001,
        [{"action": "change", "id": 1, "values": {}}],  # a version is named, or it is said that it is none
        [{"action": "burn", "id": 1}],
        [{"action": "create", "values": {"last_nam": "X"}}],
        [{"action": "create", "values": {"last_name": "X", "employees": "7"}}],
        [{"action": "create", "values": {"last_name": "X", "is_active": 1}}],
        [{"action": "create", "values": {"last_name": "X", "last_raised_at": 0}}],
        [{"action": "delete", "id": True, "version": None}],
    ):
        assert manager.post("/contacts/bulk", json={"items": items}).status_code == 422, items[:1]


def test_all_that_match_are_changed_tagged_deleted_and_put_back(manager: httpx.Client) -> None:
    wanted = {"filter": "country=Germany", "field": "status", "value": "archived"}
    late = manager.post("/contacts/bulk/change", json={**wanted, "expected": 3})
    assert (late.status_code, "2 match by now" in late.json()["detail"]) == (409, True)
    changed = manager.post("/contacts/bulk/change", json={**wanted, "expected": 2}).json()
    assert (changed["count"], values(manager, "status")) == (2, ["archived", "archived", "active"])
    for wrong in ({"field": ""}, {"field": "stauts"}, {"at": "then"}, {"at": "2026-01-01T00:00:00"}, {"first": -1}):
        assert manager.post("/contacts/bulk/put-back", json={**changed, **wrong}).status_code == 422, wrong
    assert manager.post("/contacts/bulk/put-back", json=changed).json() == {"restored": 2, "kept": 0}
    assert values(manager, "status") == ["active"] * 3

    tagging = {"filter": "", "expected": 3, "add": ["New"], "remove": ["VIP"]}
    tagged = manager.post("/contacts/bulk/tag", json=tagging).json()
    assert values(manager, "tags") == [["New"]] * 3
    assert manager.post("/contacts/bulk/put-back", json=tagged).json()["restored"] == 3
    assert values(manager, "tags") == [["VIP"], None, None]

    deleted = manager.post("/contacts/bulk/delete", json={"filter": "country=Germany", "expected": 2}).json()
    assert manager.get("/contacts/count").json() == {"count": 1}
    assert manager.post("/contacts/bulk/put-back", json=deleted).json() == {"restored": 2, "kept": 0}
    assert manager.post("/contacts/bulk/put-back", json=deleted).json() == {"restored": 0, "kept": 0}


def test_what_somebody_else_did_is_put_back_by_administrators_alone(client: Client, manager: httpx.Client) -> None:
    done = manager.post("/contacts/bulk/delete", json={"filter": "", "expected": 3}).json()
    assert client(Role.MANAGER).post("/contacts/bulk/put-back", json=done).status_code == 403
    assert client(Role.ADMIN).post("/contacts/bulk/put-back", json=done).json()["restored"] == 3


def test_deleted_contacts_are_found_read_and_restored(manager: httpx.Client, client: Client, ids: list[int]) -> None:
    manager.post("/contacts/bulk/delete", json={"ids": ids[:2], "expected": 2})
    page = manager.get("/contacts/deleted?q=baker").json()
    assert (page["total"], page["contacts"][0]["values"]["email"]) == (1, "b@example.com")
    narrow = client(Role.MANAGER, columns=["last_name"])
    assert set(narrow.get("/contacts/deleted").json()["contacts"][0]["values"]) == {"last_name"}
    assert manager.get(f"/contacts/deleted/{ids[0]}").json()["deleted_by"] == "An manager"
    assert manager.get(f"/contacts/deleted/{ids[2]}").status_code == 404
    assert manager.post("/contacts/deleted/restore", json={"ids": ids}).json() == {"restored": 2}
    assert client(Role.ANALYST).get("/contacts/deleted").status_code == 403


def test_copies_cost_what_they_say(client: Client, ids: list[int]) -> None:
    analyst = client(Role.ANALYST)
    wanted = {"filter": "country=Germany", "field": "email"}
    assert analyst.post("/contacts/copies/cost", json=wanted).json() == {"values": 2, "credits": 2}
    assert analyst.post("/contacts/copies", json=wanted).json() == {
        "values": ["b@example.com", "a@example.com"], "credits": 2,
    }  # fmt: skip
    assert analyst.post("/contacts/copies/cost", json=wanted).json()["credits"] == 0
    assert analyst.post("/contacts/copies", json={"field": "last_name"}).status_code == 422
    narrow = client(Role.ANALYST, columns=["last_name"])
    assert narrow.post("/contacts/copies", json={"field": "email"}).status_code == 403


def test_who_has_no_credits_left_is_told_so(client: Client, ids: list[int]) -> None:
    poor = client(Role.ANALYST, limit=1)
    refused = poor.post("/contacts/copies", json={"field": "email"})
    assert (refused.status_code, refused.json()["detail"].startswith("This would take 3 credits")) == (402, True)


def test_a_difference_counts_and_lists_what_came_left_and_changed(manager: httpx.Client, ids: list[int]) -> None:
    since = manager.get(f"/contacts/{ids[2]}/history").json()["changes"][0]["at"]
    asked = {"from": since, "country": "Germany"}
    manager.post("/contacts", json={"last_name": "New", "country": "Germany"})
    for contact, change in ((ids[0], {"country": "France"}), (ids[1], {"title": "CEO"})):
        manager.patch(f"/contacts/{contact}", json=change, headers={"if-match": '"0"'})
    numbers = manager.get("/contacts/difference", params=asked).json()
    assert (numbers["came"], numbers["left"], numbers["changed"]) == (1, 1, 1)
    [changed] = manager.get("/contacts/difference/changed", params=asked).json()["contacts"]
    assert (changed["id"], changed["fields"]) == (ids[1], [{"field": "title", "old": None, "new": "CEO"}])
    [left] = manager.get("/contacts/difference/left", params=asked).json()["contacts"]
    assert (left["is_there"], left["values"]["country"]) == (True, "France")
    assert manager.get("/contacts/difference/went", params=asked).status_code == 422
    assert manager.get("/contacts/difference", params={**asked, "to": "2000-01-01"}).status_code == 422
