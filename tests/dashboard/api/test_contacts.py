"""Contacts over HTTP: read, written, found again, and what a program is told when it errs."""

from pathlib import Path
from typing import Any

import httpx

from dashboard.api import cursors
from models.contacts import mirror, records, search
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Role
from tests.dashboard.api.conftest import Client

ANN = {
    "first_name": "Ann",
    "last_name": "Archer",
    "email": "ann@example.com",
    "employees": 12,
    "annual_revenue": "5.50",
}


def made(client: httpx.Client, **values: Any) -> Any:
    answer = client.post("/contacts", json={**ANN, **values})
    assert answer.status_code == 201, answer.text
    return answer


def test_what_is_created_is_read_and_changed_by_its_etag(client: Client) -> None:
    manager = client(Role.MANAGER)
    created = made(manager, departments=["Sales", "Europe"], is_active=False)
    found = manager.get(f"/contacts/{created.json()['id']}")
    assert found.json() == created.json()
    assert (found.json()["annual_revenue"], found.json()["departments"]) == ("5.50", ["Sales", "Europe"])
    assert found.json()["created_at"].endswith("Z")
    path, tag = f"/contacts/{found.json()['id']}", found.headers["etag"]
    changed = manager.patch(path, json={"title": "VP", "employees": None}, headers={"if-match": tag})
    assert (changed.json()["title"], changed.json()["employees"], changed.json()["email"]) == (
        "VP", None, "ann@example.com",
    )  # fmt: skip
    late = manager.patch(path, json={"title": "CEO"}, headers={"if-match": tag})
    assert (late.status_code, late.headers["content-type"]) == (412, "application/problem+json")
    assert late.json()["changed"]["title"] == "VP"
    replaced = manager.put(path, json={"last_name": "Baker"}, headers={"if-match": changed.headers["etag"]})
    assert (replaced.json()["last_name"], replaced.json()["first_name"], replaced.json()["email"]) == (
        "Baker",
        None,
        None,
    )
    assert manager.delete(path).status_code == 428
    assert manager.delete(path, headers={"if-match": replaced.headers["etag"]}).status_code == 204
    assert manager.get(path).status_code == 410
    assert manager.post(f"{path}/restore").json()["last_name"] == "Baker"


def test_a_filter_that_is_repeated_means_any_of_its_values(client: Client) -> None:
    manager = client(Role.MANAGER)
    for number, country in enumerate(["Germany", "France", "Italy", "France"]):
        made(manager, email=f"p{number}@example.com", country=country)
    pages = []
    for asked in ("country=Germany&country=France", "country.not=Italy&country.not=Spain", "country=Italy"):
        found, after = [], ""
        while after is not None:
            page = manager.get(f"/contacts?{asked}&size=2&after={after}".removesuffix("&after=")).raise_for_status()
            found += [one["email"][:2] for one in page.json()["contacts"]]
            after = page.json()["next"]
        pages.append(found)
    assert pages == [["p3", "p1", "p0"], ["p3", "p1", "p0"], ["p2"]]


def test_a_body_of_another_kind_is_told_what_to_send(client: Client) -> None:
    manager = client(Role.MANAGER)
    for body in ({"data": {"last_name": "Baker"}}, {"content": b"Baker", "headers": {"content-type": "text/plain"}}):
        answer = manager.post("/contacts", **body)
        assert (answer.status_code, "Content-Type: application/json" in answer.json()["detail"]) == (400, True)


def test_a_version_of_another_contact_is_none_of_this_one(client: Client) -> None:
    manager = client(Role.MANAGER)
    one, other = (made(manager, email=f"{name}@example.com", last_name=name).json() for name in ("ann", "bob"))
    changed = manager.patch(f"/contacts/{other['id']}", json={"title": "VP"}, headers={"if-match": '"0"'})
    for answer in (
        manager.patch(f"/contacts/{one['id']}", json={"title": "CEO"}, headers={"if-match": changed.headers["etag"]}),
        manager.delete(f"/contacts/{one['id']}", headers={"if-match": changed.headers["etag"]}),
    ):
        assert (answer.status_code, "none of this contact's" in answer.json()["detail"]) == (412, True)


def test_what_is_left_out_of_a_replacement_is_as_in_a_new_contact(client: Client) -> None:
    manager = client(Role.MANAGER)
    new = made(manager, email="ann@example.com", last_name="Ann", status="archived", title="VP").json()
    sent = {"email": "ann@example.com", "last_name": "Ann"}
    replaced = manager.put(f"/contacts/{new['id']}", json=sent, headers={"if-match": '"0"'}).json()
    assert (replaced["status"], replaced["is_active"], replaced["title"]) == ("active", True, None)


def test_every_contact_is_on_one_page_whatever_comes_in_between(client: Client) -> None:
    manager = client(Role.MANAGER)
    for number in range(7):
        made(manager, email=f"p{number}@example.com", company="Acme" if number % 2 else None, last_name=f"L{number}")
    asked = {"size": 3, "sort": "company", "fields": "last_name", "count": "true", "employees.gte": 5}
    first = manager.get("/contacts", params=asked).json()
    assert (first["total"], [one["last_name"] for one in first["contacts"]]) == (7, ["L1", "L3", "L5"])
    made(manager, email="new@example.com", company="Aaa", last_name="New")
    second = manager.get("/contacts", params={**asked, "after": first["next"]}).json()
    third = manager.get("/contacts", params={**asked, "after": second["next"]}).json()
    assert [one["last_name"] for one in [*second["contacts"], *third["contacts"]]] == ["L0", "L2", "L4", "L6"]
    assert (set(first["contacts"][0]), third["next"]) == ({"id", "last_name"}, None)
    wrong = manager.get("/contacts", params={**asked, "sort": "-company", "after": first["next"]})
    assert (wrong.status_code, wrong.json()["detail"]) == (
        422, "after: it belongs to another filter or order. Begin again without it.",
    )  # fmt: skip


def test_every_problem_names_its_field(client: Client) -> None:
    answer = client(Role.MANAGER).post("/contacts", json={**ANN, "email": "ann at example", "employees": "many"})
    assert [one["field"] for one in answer.json()["errors"]] == ["employees"]
    answer = client(Role.MANAGER).post("/contacts", json={**ANN, "email": "ann at example", "person_linkedin_url": "!"})
    assert {one["field"] for one in answer.json()["errors"]} == {"email", "person_linkedin_url"}
    answer = client(Role.ANALYST).get("/contacts", params={"contry": "Germany"})
    assert (answer.status_code, "contry" in answer.json()["detail"]) == (422, True)


def test_hidden_columns_are_not_there(client: Client) -> None:
    contact = records.create({"last_name": "Archer", "email": "ann@example.com"}, by=OPERATOR)
    narrow = client(Role.ANALYST, columns=["last_name"])
    assert set(narrow.get(f"/contacts/{contact}").json()) >= {"id", "last_name", "version"}
    assert "email" not in narrow.get(f"/contacts/{contact}").text
    assert narrow.get("/contacts", params={"email.starts": "ann"}).status_code == 403


def test_a_token_does_what_its_scopes_and_its_person_may(client: Client) -> None:
    assert client(None).get("/contacts").status_code == 401
    reader = client(Role.MANAGER, scopes=["contacts.read"])
    assert reader.get("/contacts").status_code == 200
    refused = reader.post("/contacts", json=ANN)
    assert (refused.status_code, "contacts.edit" in refused.json()["detail"]) == (403, True)
    assert client(Role.ANALYST).post("/contacts", json=ANN).status_code == 403
    assert reader.get("/tokens").status_code == 403


def test_a_post_that_is_sent_again_is_carried_out_once(client: Client) -> None:
    manager = client(Role.MANAGER)
    key = {"idempotency-key": "one"}
    first, second = (manager.post("/contacts", json=ANN, headers=key) for _ in range(2))
    assert (second.status_code, second.json(), second.headers["etag"]) == (201, first.json(), first.headers["etag"])
    assert second.headers["idempotency-replayed"] == "true"
    assert manager.get("/contacts?count=true").json()["total"] == 1
    other = manager.post("/contacts", json={**ANN, "email": "b@example.com"}, headers=key)
    assert (other.status_code, "another request" in other.json()["detail"]) == (422, True)


def test_what_is_not_possible_at_an_address_is_told_with_what_is(client: Client) -> None:
    manager = client(Role.MANAGER)
    for path, methods in (
        ("/contacts/17", "DELETE, GET, HEAD, PATCH, PUT"), ("/contacts/count", "GET, HEAD"), ("/contacts/bulk", "POST"),
    ):  # fmt: skip
        refused = manager.request("POST" if path != "/contacts/bulk" else "PUT", path)
        assert (refused.status_code, refused.headers["allow"]) == (405, methods), path
    for nowhere in ("/contacts/one", "/contacts/12345678901234567890", "/contacts/17/nothing"):
        assert (manager.get(nowhere).status_code, manager.get(nowhere).json()["title"]) == (404, "Not Found")


def test_a_page_goes_on_in_every_order_and_a_made_up_end_of_one_is_refused(client: Client) -> None:
    manager = client(Role.MANAGER)
    for number in range(3):
        made(manager, email=f"p{number}@example.com", tags=[f"T{number}"], last_raised_at=f"2026-01-0{number + 1}")
    for sort in ("tags", "-last_raised_at", "annual_revenue", "created_at", "industry", "is_active", "-employees"):
        asked = {"sort": sort, "size": 1, "fields": "email"}
        first = manager.get("/contacts", params=asked).json()
        second = manager.get("/contacts", params={**asked, "after": first["next"]})
        third = manager.get("/contacts", params={**asked, "after": second.json()["next"]}).json()
        found = [one["email"] for page in (first, second.json(), third) for one in page["contacts"]]
        assert (len(set(found)), third["next"]) == (3, None), sort
    for keys in ([["Decimal", "1"], 5], ["x", "y", 5], ["5", 6], [], ["x"], [None, 5], [["date", "soon"], 5]):
        wrong = manager.get("/contacts", params={"sort": "-employees", "after": cursors.written(keys, "\n-employees")})
        assert wrong.status_code == 422, keys


def test_a_page_gives_the_versions_that_changes_name(client: Client) -> None:
    manager = client(Role.MANAGER)
    contact = made(manager).json()["id"]
    manager.patch(f"/contacts/{contact}", json={"title": "CEO"}, headers={"if-match": '"0"'})
    [listed] = manager.get("/contacts?fields=title,version").json()["contacts"]
    assert listed == {"id": contact, "title": "CEO", "version": manager.get(f"/contacts/{contact}").json()["version"]}
    assert "version" not in manager.get("/contacts?fields=title").json()["contacts"][0]


def test_a_body_that_is_no_json_is_told_so(client: Client) -> None:
    manager = client(Role.MANAGER)
    for body, status in ((b"caf\xe9", 400), (b"{", 400), (b'"text"', 422), (b"[]", 422)):
        answer = manager.post("/contacts", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), body
        assert ("is no JSON" in answer.json()["detail"]) == (status == 400)


def test_a_page_that_one_person_asked_for_shows_another_no_more_than_they_see(db: str) -> None:
    """Its statement is kept from one request to the next."""
    records.create({"last_name": "Baker", "email": "baker@example.com", "title": "CEO"}, by=OPERATOR)
    records.create({"last_name": "Cook", "email": "cook@example.com", "title": "CEO"}, by=OPERATOR)
    narrow = Actor(None, "Ann", Role.ANALYST, frozenset({"last_name"}))
    everything = Actor(None, "Max", Role.ADMIN)
    for by, seen in ((everything, True), (narrow, False), (everything, True)):
        [row] = search.following(Filters(), size=1, by=by).rows
        assert (row["last_name"], "email" in row) == ("Cook", seen)
        page = search.following(Filters(q="CEO"), size=1, by=by).rows  # of a title that is hidden nothing is found
        assert len(page) == seen


def test_an_empty_page_says_what_was_meant(client: Client, tmp_path: Path) -> None:
    manager = client(Role.MANAGER)
    made(manager, last_name="Mayfield")
    with mirror.held(tmp_path, threads=1, memory="200MB") as held:
        assert held.wait(60)
        asked = {"q": "mayfeld", "fields": "last_name"}
        assert manager.get("/contacts", params=asked).json() == {"contacts": [], "next": None, "meant": "mayfield"}
        found = manager.get("/contacts", params={**asked, "q": "mayfield"}).json()
        assert (len(found["contacts"]), "meant" in found) == (1, False)
        for other in ({"employees.gte": 13}, {"q": "nobody"}):
            assert manager.get("/contacts", params={**asked, **other}).json()["meant"] is None
