"""Counts, facets, completion, neighbours and what is alike, over HTTP."""

from typing import Any

import httpx
import pytest

from models import industries
from models.contacts import records
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client

ROWS = [
    {"last_name": "Archer", "company": "Acme", "country": "Germany", "employees": "12", "tags": "VIP, News"},
    {"last_name": "Baker", "company": "Acme Robotics", "country": "Germany", "employees": "300", "tags": "VIP"},
    {"last_name": "Cook", "company": "Bolt", "country": "France", "industry": "Software", "is_active": "no"},
    {"last_name": "Dyer", "email": "dyer@example.com"},
]


@pytest.fixture
def ids(db: str) -> list[int]:
    industries.create("Software", by=OPERATOR)
    return [records.create(row, by=OPERATOR) for row in ROWS]


@pytest.fixture
def analyst(client: Client, ids: list[int]) -> httpx.Client:
    return client(Role.ANALYST)


def counted(answer: Any) -> dict[Any, int]:
    return {one["value"]: one["count"] for one in answer["values"]}


def test_counts_are_of_what_the_filter_asks(analyst: httpx.Client) -> None:
    assert analyst.get("/contacts/count").json() == {"count": 4}
    assert analyst.get("/contacts/count?country=Germany&country=France&employees.gte=50").json() == {"count": 1}
    assert counted(analyst.get("/contacts/count-by/country").json()) == {"Germany": 2, "France": 1, None: 1}
    assert counted(analyst.get("/contacts/count-by/tags?country=Germany").json()) == {"VIP": 2, "News": 1}
    assert counted(analyst.get("/contacts/count-by/is_active").json()) == {True: 3, False: 1}
    assert counted(analyst.get("/contacts/count-by/industry").json()) == {"Software": 1, None: 3}
    assert counted(analyst.get("/contacts/count-by/country?begins=ge%00R").json()) == {"Germany": 2}
    assert counted(analyst.get("/contacts/count-by/tags?begins=v&country=Germany").json()) == {"VIP": 2}
    assert counted(analyst.get("/contacts/count-by/industry?begins=SOFT").json()) == {"Software": 1}
    refused = analyst.get("/contacts/count-by/is_active?begins=y")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "begins")
    refused = analyst.get("/contacts/count-by/contry")
    assert (refused.status_code, "There is no field “contry” to count by" in refused.json()["detail"]) == (422, True)
    assert analyst.get("/contacts/count?contry=Germany").status_code == 422


def test_facets_count_several_fields_and_ranges_of_numbers_at_once(analyst: httpx.Client) -> None:
    asked = {"fields": "country,industry", "range": ["employees:1-50", "employees:51-"], "country": "Germany"}
    facets = {one["field"]: counted(one) for one in analyst.get("/contacts/facets", params=asked).json()["facets"]}
    assert facets == {"country": {"Germany": 2}, "industry": {}, "employees": {"1-50": 1, "51-": 1}}
    for wrong in ({}, {"fields": "id"}, {"range": "country:1-2"}, {"range": "employees:9-1"}, {"range": "employees"}):
        assert analyst.get("/contacts/facets", params=wrong).status_code == 422, wrong


def test_values_are_completed_and_forms_get_their_suggestions(analyst: httpx.Client) -> None:
    assert analyst.get("/contacts/values/company?typed=acm").json() == {"values": ["Acme", "Acme Robotics"]}
    assert analyst.get("/contacts/values/industry?typed=so&most=1").json() == {"values": ["Software"]}
    assert analyst.get("/contacts/values/employees?typed=1").status_code == 422
    assert analyst.get("/contacts/suggestions").json()["suggestions"]["industry"] == ["Software"]


def test_neighbours_stand_beside_a_contact_in_the_order_asked(analyst: httpx.Client, ids: list[int]) -> None:
    found = analyst.get(f"/contacts/{ids[1]}/neighbours?sort=last_name&company.empty=no").json()
    assert found == {"previous": ids[0], "next": ids[2], "place": 2, "total": 3}
    assert analyst.get("/contacts/999/neighbours").status_code == 404


def test_contacts_that_may_be_the_same_are_found_before_one_is_created(analyst: httpx.Client, ids: list[int]) -> None:
    asked = {"email": "Dyer@example.com", "last_name": "archer", "company": "ACME"}
    found = analyst.post("/contacts/alike", json=asked).json()["contacts"]
    assert [(one["id"], one["reason"]) for one in found] == [
        (ids[3], "same e-mail"), (ids[0], "same name and company"),
    ]  # fmt: skip
    assert analyst.post(f"/contacts/alike?besides={ids[3]}", json={"email": "dyer@example.com"}).json() == {
        "contacts": []
    }


def test_what_is_hidden_is_neither_counted_nor_completed(client: Client, ids: list[int]) -> None:
    narrow = client(Role.ANALYST, columns=["last_name", "country"])
    for path in (
        "/contacts/count?company=Acme", "/contacts/count-by/company", "/contacts/facets?fields=company",
        "/contacts/facets?range=employees:1-50", "/contacts/values/company?typed=a",
        f"/contacts/{ids[0]}/neighbours?sort=company", "/contacts/difference?from=2020-01-01&company=Acme",
    ):  # fmt: skip
        assert narrow.get(path).status_code == 403, path
    assert set(narrow.get("/contacts/suggestions").json()["suggestions"]) == set()
    assert narrow.post("/contacts/alike", json={"email": "dyer@example.com"}).json() == {"contacts": []}
