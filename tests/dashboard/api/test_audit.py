"""The audit log, the overview's numbers and the process's health over HTTP."""

import csv
import io
from datetime import datetime, timedelta, timezone

import httpx
import pytest

from models import industries, users
from models.contacts import records
from models.database import Database, bind
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client
from tests.people import person


@pytest.fixture
def admin(client: Client) -> httpx.Client:
    return client(Role.ADMIN)


def test_every_line_is_on_one_page(admin: httpx.Client) -> None:
    for name in ("Tin", "Zinc", "Iron"):
        industries.create(name, by=OPERATOR)
    found, before = [], None
    while True:
        page = admin.get("/audit", params={"size": 2} | ({"before": before} if before else {})).json()
        found += page["lines"]
        if (before := page["next"]) is None:
            break
    ids = [one["id"] for one in found]
    assert ids == sorted(set(ids), reverse=True)
    assert [one["subject"] for one in found][:3] == ["industry 3", "industry 2", "industry 1"]
    assert admin.get(f"/audit/{ids[0]}").json() == found[0]
    assert found[0]["at"].endswith("Z")
    assert admin.get("/audit/999999").status_code == 404


def test_lines_are_found_by_every_filter(admin: httpx.Client) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.MANAGER)
    users.change(ann.email, users.Changes(name="Ann Archer"), by=OPERATOR)
    industries.create("Tin", by=ann.actor())

    def events(**asked: str | list[str]) -> list[str]:
        return [one["event"] for one in admin.get("/audit", params=asked).json()["lines"]]

    assert events(who="ann@example.com") == ["industry created", "invitation accepted"]
    assert events(event=["user changed", "industry created"]) == ["industry created", "user changed"]
    assert events(about="user ann@example.com", q="archer") == ["user changed"]
    assert events(since="2999-01-01") == []
    assert events(until="1999-01-01") == []
    [line] = admin.get("/audit", params={"event": "industry created"}).json()["lines"]
    here = datetime.fromisoformat(line["at"]).astimezone(timezone(timedelta(hours=5, minutes=30)))
    for at in (line["at"], here.isoformat()):
        assert events(since=at, until=at) == ["industry created"], at
    assert "industry created" not in events(since=(here + timedelta(microseconds=1)).isoformat())
    assert admin.get(f"/audit?since={here.isoformat()}&until={line['at']}").json()["lines"] == [line], (
        "a bare + is a blank"
    )
    for wrong in ("who=x@example.com", "whom=ann", "event=shaved", "since=soon"):
        assert admin.get(f"/audit?{wrong}").status_code == 422, wrong
    assert admin.get("/audit/people").json()["ann@example.com"] == "Ann Archer"


def test_the_file_has_the_lines_and_notes_that_it_was_taken(admin: httpx.Client) -> None:
    industries.create("Tin", by=OPERATOR)
    answer = admin.get("/audit/file.csv", params={"event": "industry created"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert (len(rows), rows[1][1:4]) == (2, ["operator", "Industry created", "industry 1"])
    newest = admin.get("/audit").json()["lines"][0]
    assert (newest["event"], newest["more"]) == ("audit log exported", {"filter": "event=industry+created"})


def test_the_numbers_of_the_overview(client: Client) -> None:
    for number, country in enumerate(("Germany", "Germany", "India")):
        values = {"last_name": f"L{number}", "country": country, "company": "Acme", "employees": str(10 * number)}
        records.create(values, by=OPERATOR)
    reader = client(Role.ANALYST)
    told = reader.get("/statistics").json()
    assert (told["total"], told["new"], told["companies"], told["average_employees"][:2]) == (3, 3, 1, "10")
    countries = next(one for one in told["by_field"] if one["field"] == "country")
    assert countries == {
        "field": "country", "others": 0, "empty": 0,
        "values": [{"value": "Germany", "contacts": 2}, {"value": "India", "contacts": 1}],
    }  # fmt: skip
    assert {"field": "email", "contacts": 0} in told["filled"]
    assert [one["total"] for one in told["months"]][-1] == 3
    assert reader.get("/statistics?country=India").json()["total"] == 1
    assert reader.get("/statistics?contry=India").status_code == 422


def test_numbers_of_hidden_columns_are_not_there(client: Client) -> None:
    records.create({"last_name": "Archer", "company": "Acme", "employees": "5"}, by=OPERATOR)
    narrow = client(Role.ANALYST, columns=["last_name"])
    told = narrow.get("/statistics").json()
    assert [one["field"] for one in told["filled"]] == ["last_name"]
    assert (told["companies"], told["verified"], told["average_employees"], told["by_field"]) == (None, None, None, [])
    assert narrow.get("/statistics?company=Acme").status_code == 403


def test_it_says_whether_it_can_serve(client: Client, db: str) -> None:
    nobody = client(None)
    assert nobody.get("/ready").json() == nobody.get("/health").json() == {"status": "ok", "disk": "ok"}
    url = Database.url or ""
    bind(url.rpartition("/")[0] + "/nowhere")
    try:
        down = nobody.get("/ready")
        assert (down.status_code, down.headers["content-type"]) == (503, "application/problem+json")
        assert "does not answer" in down.json()["detail"]
        assert nobody.get("/health").status_code == 200
    finally:
        bind(url)
