"""People, roles and credits over HTTP, as administrators and as programs of theirs."""

from typing import Any

import httpx
import pyotp
import pytest

from models import account_links, credits, second_factors, tokens, users
from models.accounts import User
from models.permissions import DEEDS, OPERATOR, PERMISSIONS, Role
from tests.dashboard.api.conftest import Client, SignedIn
from tests.people import PASSWORD, person


@pytest.fixture
def admin(client: Client) -> httpx.Client:
    return client(Role.ADMIN)


@pytest.fixture
def ann(db: str) -> User:
    return person(email="ann@example.com", name="Ann", role=Role.ANALYST)


def changed(admin: httpx.Client, user: User, **values: Any) -> httpx.Response:
    tag = admin.get(f"/users/{user.id}").headers["etag"]
    return admin.patch(f"/users/{user.id}", json=values, headers={"if-match": tag})


def test_a_person_is_invited_by_a_link(admin: httpx.Client) -> None:
    wanted = {
        "email": "Ben@Example.com", "name": "Ben", "role": "manager", "download_limit": None,
        "column_allowed": ["person"],
    }  # fmt: skip
    answer = admin.post("/users", json=wanted)
    made = answer.json()["user"]
    assert (answer.status_code, answer.headers["location"]) == (201, f"/api/v1/users/{made['id']}")
    assert (made["email"], made["status"], made["role"], made["download_limit"], made["column_allowed"]) == (
        "ben@example.com", "invited", "manager", None, ["person"],
    )  # fmt: skip
    first = answer.json()["link"]
    second = admin.post(f"/users/{made['id']}/link").json()["link"]
    with pytest.raises(account_links.LinkRefused):
        account_links.look(first.partition("link=")[2])
    account_links.accept(second.partition("link=")[2], PASSWORD, address=None)
    assert admin.get(f"/users/{made['id']}").json()["status"] == "active"
    taken = admin.post("/users", json=wanted)
    assert (taken.status_code, "already" in taken.json()["detail"]) == (409, True)
    assert admin.post("/users", json={**wanted, "email": "no address"}).status_code == 422
    unknown = admin.post("/users", json={**wanted, "email": "c@example.com", "column_allowed": ["shoe"]})
    assert (unknown.status_code, "Unknown column shoe" in unknown.json()["detail"]) == (422, True)


def test_people_are_listed_and_found(admin: httpx.Client, ann: User) -> None:
    listed = admin.get("/users").json()["users"]
    assert [one["email"] for one in listed] == ["admin0@example.com", "ann@example.com"]
    assert [one["email"] for one in admin.get("/users?q=ANN").json()["users"]] == ["ann@example.com"]
    assert admin.get("/users?status=invited").json() == {"users": []}
    assert admin.get("/users/999999").status_code == 404


def test_only_what_is_sent_is_changed(admin: httpx.Client, ann: User) -> None:
    assert changed(admin, ann, name="Ann Archer").json()["download_limit"] == 100
    told = changed(admin, ann, role="manager", download_limit=None, column_allowed=["person", "email"]).json()
    assert (told["name"], told["role"], told["download_limit"], told["column_allowed"]) == (
        "Ann Archer", "manager", None, ["person", "email"],
    )  # fmt: skip
    told = changed(admin, ann, download_limit=7, column_allowed=None).json()
    assert (told["download_limit"], told["column_allowed"], told["role"]) == (7, None, "manager")


def test_nobodys_change_is_overwritten_unseen(admin: httpx.Client, ann: User) -> None:
    path, tag = f"/users/{ann.id}", admin.get(f"/users/{ann.id}").headers["etag"]
    assert admin.patch(path, json={"name": "A"}).status_code == 428
    first = admin.patch(path, json={"name": "A"}, headers={"if-match": tag})
    late = admin.patch(path, json={"role": "admin"}, headers={"if-match": tag})
    assert (late.status_code, late.json()["by"], late.json()["changed"]["name"]) == (412, "An admin", "A")
    assert admin.get(path).json()["role"] == "analyst"
    again = admin.patch(path, json={"role": "manager"}, headers={"if-match": first.headers["etag"]})
    assert again.json()["role"] == "manager"


def test_accounts_are_closed_and_opened_again(admin: httpx.Client, ann: User, signed_in: SignedIn) -> None:
    me = signed_in(ann)
    number, token = tokens.create("Nightly", by=ann.actor())
    program = httpx.Client(base_url=me.base_url, headers={"authorization": f"Bearer {token}"})
    assert [one["id"] for one in admin.get(f"/users/{ann.id}/tokens").json()] == [number]
    assert admin.delete(f"/users/{ann.id}/sessions").json() == {"ended": 1}
    assert (me.get("/profile").status_code, program.get("/profile").status_code) == (401, 200)
    assert admin.post(f"/users/{ann.id}/deactivate").json()["status"] == "deactivated"
    assert program.get("/profile").status_code == 401
    assert admin.post(f"/users/{ann.id}/link").status_code == 409
    assert admin.post(f"/users/{ann.id}/reactivate").json()["status"] == "active"
    assert program.get("/profile").status_code == 200
    assert admin.delete(f"/users/{ann.id}/tokens/{number}").status_code == 204
    assert admin.delete(f"/users/{ann.id}/tokens/{number}").status_code == 404
    assert program.get("/profile").status_code == 401
    program.close()
    tokens.create("Another", by=ann.actor())
    assert [admin.delete(f"/users/{ann.id}/tokens").json() for _ in range(2)] == [{"revoked": 1}, {"revoked": 0}]


def test_the_last_administrator_stays(admin: httpx.Client) -> None:
    [me] = admin.get("/users").json()["users"]
    refused = admin.post(f"/users/{me['id']}/deactivate")
    assert (refused.status_code, "last active administrator" in refused.json()["detail"]) == (409, True)


def test_a_lost_factor_is_reset(admin: httpx.Client, ann: User) -> None:
    assert admin.delete(f"/users/{ann.id}/second-factor").status_code == 404
    secret = second_factors.begin(by=ann.actor()).secret
    second_factors.confirm(pyotp.TOTP(secret).now(), by=ann.actor())
    assert admin.get(f"/users/{ann.id}").json()["second_factor"] is True
    assert admin.delete(f"/users/{ann.id}/second-factor").status_code == 204
    assert admin.get(f"/users/{ann.id}").json()["second_factor"] is False


def test_roles_and_what_is_asked_of_them(admin: httpx.Client, ann: User, signed_in: SignedIn) -> None:
    roles = {one["role"]: one for one in admin.get("/roles").json()}
    assert (roles["admin"]["deeds"], roles["analyst"]["second_factor"]) == (list(DEEDS), False)
    assert set(roles["analyst"]["permissions"]) == {one.scope for one in PERMISSIONS[Role.ANALYST]}
    me = signed_in(ann)
    assert admin.put("/roles/analyst", json={"second_factor": True}).json() == {"signed_out": 1}
    assert me.get("/profile").status_code == 401
    assert admin.get("/roles").json()[-1]["second_factor"] is True
    assert admin.put("/roles/owner", json={"second_factor": True}).status_code == 422


def test_credits_are_granted_seen_and_taken_back(admin: httpx.Client, ann: User, signed_in: SignedIn) -> None:
    path, me = f"/users/{ann.id}/credits", signed_in(ann)
    granted = admin.post(path, json={"amount": 200, "note": "for the fair"}).json()
    assert (granted["lasting"], granted["left"], granted["available"], granted["limit"]) == (200, 100, 300, 100)
    assert admin.post(f"{path}/take-back", json={"amount": 50}).json()["lasting"] == 150
    too_many = admin.post(f"{path}/take-back", json={"amount": 151})
    assert (too_many.status_code, "at most 150" in too_many.json()["detail"]) == (422, True)
    assert admin.post(path, json={"amount": 0}).status_code == 422
    assert me.get("/credits").json() == admin.get(path).json()
    first = me.get("/credits/entries?size=2").json()
    assert [(one["kind"], one["amount"], one["by"]) for one in first["entries"]] == [
        ("taken back", -50, "An admin"), ("grant", 200, "An admin"),
    ]  # fmt: skip
    rest = me.get("/credits/entries", params={"size": 2, "before": first["next"]}).json()
    assert ([one["kind"] for one in rest["entries"]], rest["next"]) == (["allowance"], None)
    assert admin.get(f"{path}/entries").json()["entries"] == first["entries"] + rest["entries"]
    assert admin.get("/users/999999/credits").status_code == 404
    assert me.get(path).status_code == 403
    [listed] = admin.get("/users?q=ann").json()["users"]
    assert (listed["used"], listed["lasting"]) == (0, 150)


def test_a_grant_that_was_sent_twice_is_one(admin: httpx.Client, ann: User) -> None:
    key = {"idempotency-key": "grant-1"}
    told = [admin.post(f"/users/{ann.id}/credits", json={"amount": 10}, headers=key).json() for _ in range(3)]
    assert [one["lasting"] for one in told] == [10, 10, 10]
    assert credits.balance(of=ann.id, by=OPERATOR).lasting == 10


def test_a_token_that_may_only_grant_does_not_fail_after_it_did(db: str, ann: User) -> None:
    """At the operation itself: the balance that it answers takes no other permission."""
    root = person(email="root@example.com", name="Root", role=Role.ADMIN)
    _, token = tokens.create_for(root.email, "Granting", scopes=["credits.grant"], by=OPERATOR)
    by = tokens.actor_of(token, address=None)
    assert by is not None
    assert credits.grant(ann.email, 5, by=by).lasting == 5
    assert users.find(ann.email, by=OPERATOR).download_limit == 100


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/roles/analyst", {"second_factor": 0}),
        ("POST", "/users/1/credits", {"amount": True}),
        ("POST", "/users/1/credits", {"amount": "5"}),
        ("POST", "/users", {"email": "c@example.com", "name": "C", "download_limit": False}),
        ("POST", "/users", {"email": "c@example.com", "name": "C", "is_admin": True}),
    ],
)
def test_what_is_of_another_kind_is_refused(admin: httpx.Client, method: str, path: str, body: dict[str, Any]) -> None:
    refused = admin.request(method, path, json=body)
    assert (refused.status_code, [one["field"] for one in refused.json()["errors"]]) == (422, [list(body)[-1]])


def test_a_note_holds_whatever_was_written(admin: httpx.Client, ann: User) -> None:
    assert admin.post(f"/users/{ann.id}/credits", json={"amount": 1, "note": "a\u0000b"}).status_code == 200
    assert admin.get(f"/users/{ann.id}/credits/entries").json()["entries"][0]["note"] == "a\ufffdb"


def test_words_are_no_numbers(admin: httpx.Client) -> None:
    assert admin.delete("/sessions/code").status_code == 405
    assert admin.get("/users/ann").status_code == 404
    assert admin.get(f"/users/{'9' * 19}").status_code == 422
    assert admin.get(f"/users/{'9' * 6000}").status_code == 404
