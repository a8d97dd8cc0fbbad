"""Which field, parameter, filter or column an error is about, by the name that the program gave it."""

from typing import Any

import pytest

from models.permissions import Role
from tests.dashboard.api.conftest import Client, SignedIn
from tests.people import person

ASKED: list[tuple[str, str]] = [
    ("/contacts?contry=Germany", "contry"),
    ("/contacts?country.gte=5", "country.gte"),
    ("/contacts?or1.employees.gte=many", "or1.employees.gte"),
    ("/contacts?employees.between=9,1", "employees.between"),
    ("/contacts?is_active=maybe", "is_active"),
    ("/contacts?as_of=yesterday", "as_of"),
    ("/contacts?as_of=2999-01-01", "as_of"),
    ("/contacts?sort=-colour", "sort"),
    ("/contacts?fields=email,colour", "fields"),
    ("/contacts?fields=", "fields"),
    ("/contacts?after=x", "after"),
    ("/contacts/count-by/colour", "field"),
    ("/contacts/facets?fields=colour", "fields"),
    ("/contacts/facets?range=title:1-5", "range"),
    ("/contacts/values/employees", "field"),
    ("/contacts/difference?from=2999-01-01", "from"),
    ("/contacts/difference?from=2026-01-01&to=never", "to"),
    ("/audit?colour=red", "colour"),
    ("/audit?since=monday", "since"),
    ("/audit?who=nobody@example.com", "who"),
    ("/payments?kind=gift", "kind"),
    ("/merges/proposal?contact=1&contact=2&survivor=3", "survivor"),
]
SENT: list[tuple[str, dict[str, Any], str]] = [
    ("/contacts", {"last_name": "Archer", "email": "no address"}, "email"),
    ("/contacts/bulk/change", {"filter": "contry=x", "field": "title", "value": "", "expected": 0}, "filter"),
    ("/contacts/bulk/change", {"field": "colour", "value": "red", "expected": 0}, "field"),
    ("/contacts/bulk/change", {"field": "employees", "value": "many", "expected": 0}, "value"),
    ("/contacts/bulk/tag", {"add": [], "remove": [], "expected": 0}, "add"),
    ("/contacts/copies", {"field": "title"}, "field"),
    ("/views", {"name": "!", "filter": ""}, "name"),
    ("/views", {"name": "A", "filter": "contry=x"}, "filter"),
    ("/views", {"name": "A", "sort": "colour"}, "sort"),
    ("/views", {"name": "A", "columns": ["colour"]}, "columns"),
    ("/exports", {"filter": "country.gte=1"}, "filter"),
    ("/exports", {"columns": ["colour"]}, "columns"),
    ("/industries", {"name": "-"}, "name"),
    ("/users", {"email": "nobody", "name": "No"}, "email"),
    ("/users", {"email": "no@example.com", "name": "No", "column_allowed": ["colour"]}, "column_allowed"),
    ("/watched-folders", {"name": "A", "address": "here", "schedule": "hour"}, "address"),
    ("/watched-folders", {"name": "A", "address": "s3://leads/in", "schedule": "often"}, "schedule"),
    (
        "/watched-folders",
        {"name": "A", "address": "s3://leads/in", "schedule": "hour", "mail_to": "nobody"},
        "mail_to",
    ),
    ("/profile/password", {"current": "correct horse battery", "new": "short"}, "new"),
]


@pytest.fixture
def asker(signed_in: SignedIn) -> Any:
    """Who may everything, with a session."""
    return signed_in(person(email="one@example.com", name="One", role=Role.ADMIN, password="correct horse battery"))


def test_an_error_names_what_of_the_request_it_is_about(asker: Any) -> None:
    answers = [(asker.get(address), address, field) for address, field in ASKED]
    answers += [(asker.post(address, json=body), f"{address} {body}", field) for address, body, field in SENT]
    for answer, asked, field in answers:
        told = answer.json()
        assert (answer.status_code, [one["field"] for one in told.get("errors", [])]) == (422, [field]), (asked, told)
        assert told["detail"].endswith(told["errors"][0]["message"]), "the sentence is the same one"


def test_what_is_hidden_is_named_as_it_was_asked_for(client: Client) -> None:
    narrow = client(Role.ANALYST, columns=["last_name"])
    for asked, field in (
        ("email.starts=a", "email.starts"), ("sort=email", "sort"), ("fields=email", "fields"),
    ):  # fmt: skip
        refused = narrow.get(f"/contacts?{asked}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (403, field)


def test_a_name_that_is_taken_is_named(asker: Any) -> None:
    for address, body, field in (
        ("/industries", {"name": "Tin"}, "name"),
        ("/views", {"name": "Mine"}, "name"),
        ("/users", {"email": "two@example.com", "name": "Two"}, "email"),
    ):
        asker.post(address, json=body).raise_for_status()
        refused = asker.post(address, json=body)
        assert (refused.status_code, [one["field"] for one in refused.json()["errors"]]) == (409, [field]), address
    assert refused.json()["detail"] == refused.json()["errors"][0]["message"]


def test_an_error_about_all_of_a_request_names_nothing(client: Client) -> None:
    assert "errors" not in client(Role.ANALYST).get("/contacts/4711").json()


def test_contacts_are_sorted_by_what_their_columns_are_called(client: Client) -> None:
    editor = client(Role.MANAGER)
    for name in ("Baker", "Archer"):
        editor.post("/contacts", json={"last_name": name, "email": f"{name}@example.com"}).raise_for_status()
    for asked, names in (
        ("full_name", ["Archer", "Baker"]), ("-full_name", ["Baker", "Archer"]), ("added", ["Baker", "Archer"]),
        ("-added", ["Archer", "Baker"]), ("changed", ["Baker", "Archer"]), ("-contact", ["Archer", "Baker"]),
    ):  # fmt: skip
        page = editor.get("/contacts", params={"sort": asked, "size": 1}).json()
        rest = editor.get("/contacts", params={"sort": asked, "size": 1, "after": page["next"]}).json()
        assert [one["last_name"] for one in page["contacts"] + rest["contacts"]] == names, asked
    kept = editor.post("/views", json={"name": "Newest", "sort": "-added"}).json()
    assert kept["sort"] == "-created_at"
    told = editor.get("/contacts?sort=colour").json()["detail"]
    assert "colour" in told
    assert "full_name, added, changed, contact, " in told
