"""The quality of the data over HTTP. What the library finds is tested where it is."""

import csv
import io
import re
from datetime import UTC, datetime

from models.contacts import records
from models.permissions import OPERATOR, Role
from tests.checked import checked
from tests.dashboard.api.conftest import Client

EMAIL = "email_is_an_address"


def test_a_check_is_asked_for_and_followed(client: Client) -> None:
    manager = client(Role.MANAGER)
    assert manager.get("/checks").json() == {"run": None, "newest": None, "rules": [], "completeness": []}
    asked = manager.post("/checks/runs")
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    assert manager.post("/checks/runs").json()["id"] == asked.json()["id"]
    path = asked.headers["location"].removeprefix("/api/v1")
    assert manager.get(path).json()["asked_by"] == "An manager"
    assert manager.get(f"{path}/results").json()["rules"] == []
    run_id = checked({EMAIL: 2})  # the same run, carried out
    assert run_id == asked.json()["id"]
    assert manager.get(path).json()["state"] == "done"
    assert client(Role.ANALYST).post("/checks/runs").status_code == 403
    assert manager.get("/checks/runs/999").status_code == manager.get("/checks/runs/999/results").status_code == 404


def test_rules_have_their_filter_and_their_points(client: Client) -> None:
    records.create({"last_name": "Archer"}, by=OPERATOR)
    first, second = checked(), checked({EMAIL: 2, "payment_is_in_rupees": 1})
    analyst = client(Role.ANALYST)
    found = analyst.get("/checks", params={"runs": 60}).json()
    rules = {one["name"]: one for one in found["rules"]}
    assert (rules[EMAIL]["failing"], rules[EMAIL]["success"], rules[EMAIL]["filter"]) == (2, False, f"check={EMAIL}")
    assert [(one["run_id"], one["failing"]) for one in rules[EMAIL]["points"]] == [(first, 0), (second, 2)]
    assert rules[EMAIL]["broken_since"] == found["run"]["finished_at"]
    assert "payment_is_in_rupees" not in rules
    assert {one["field"]: one["filled"] for one in found["completeness"]}["last_name"] == 1
    assert analyst.get("/contacts", params={"check": EMAIL}).json()["contacts"] == []
    runs = analyst.get("/checks/runs", params={"size": 1}).json()
    assert ([one["id"] for one in runs["runs"]], runs["next"]) == ([second], second)
    assert [one["id"] for one in analyst.get("/checks/runs", params={"before": second}).json()["runs"]] == [first]
    whole = client(Role.ADMIN).get("/checks").json()
    [payment] = [one for one in whole["rules"] if one["name"] == "payment_is_in_rupees"]
    assert (payment["examples"], payment["filter"]) == (["pay_17"], None)


def test_a_rule_is_switched_by_administrators(client: Client) -> None:
    checked()
    admin = client(Role.ADMIN)
    path = "/checks/rules/status_is_a_known_value"
    assert client(Role.MANAGER).put(path, json={"blocks": True}).status_code == 403
    assert admin.put(path, json={"blocks": True}).status_code == 204
    blocking = {one["name"] for one in admin.get("/checks").json()["rules"] if one["blocks"]}
    assert {"status_is_a_known_value", EMAIL} <= blocking
    assert admin.put("/checks/rules/nothing", json={"blocks": True}).status_code == 404
    [line] = admin.get("/audit", params={"event": "rule switched"}).json()["lines"]
    assert (line["subject"], line["before"], line["after"]) == (
        "rule status_is_a_known_value", {"stops imports": False}, {"stops imports": True},
    )  # fmt: skip


def test_the_report_opens_offline_and_holds_what_the_person_sees(client: Client) -> None:
    records.create({"last_name": "Archer", "company": "<b>Acme"}, by=OPERATOR)
    checked(), checked({EMAIL: 2, "industry_name_is_clean": 1, "payment_is_in_rupees": 1}, named="<i>pay & go")
    whole, narrow = client(Role.ADMIN), client(Role.ANALYST, columns=["email", "title"])
    page = whole.get("/checks/report.html")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert page.headers["content-disposition"] == f'attachment; filename="data quality {today}.html"'
    assert f"data%20quality%20{today}.csv" in whole.get("/checks/report.csv").headers["content-disposition"]
    assert "Over time, to 20.0 %" in page.text
    half = page.text.index("A payment is in INR.")
    assert _heights(page.text[half:]) == [21.0, 12.0], "half as high as the rule that twice as many rows break"
    assert "&lt;i&gt;pay &amp; go" in page.text
    assert not re.search(r"(?:src|href|url|@import)\s*[=(]", page.text), "it fetches nothing"
    assert "<script" not in page.text
    assert page.text.count("<svg") == page.text.count("<polyline") > 60
    assert "A payment is in INR." in page.text
    seen = narrow.get("/checks/report.html").text
    assert "E-mail is an e-mail address." in seen
    for hidden in ("INR", "industry", "Company", "pay &amp; go"):
        assert hidden not in seen, hidden
    lines = list(csv.DictReader(io.StringIO(narrow.get("/checks/report.csv").text.removeprefix("\ufeff"))))
    by_name = {one["Name"]: one for one in lines}
    assert set(by_name) == {
        EMAIL,
        "email_is_not_too_long",
        "title_is_not_too_long",
        "email_is_filled",
        "title_is_filled",
    }
    assert (by_name[EMAIL]["Failing"], by_name[EMAIL]["Share failing"], by_name[EMAIL]["Holds"]) == (
        "2", "0.200000", "no",
    )  # fmt: skip
    assert by_name["email_is_filled"]["Failing"] == "1"


def _heights(page: str) -> list[float]:
    """Of the first line chart there, from above."""
    points = re.search(r'points="([^"]+)"', page)
    assert points is not None
    return [float(one.split(",")[1]) for one in points[1].split()]
