"""Exports over HTTP: asked for, followed, fetched in pieces, made again and compared; and differences as files."""

import base64
import hashlib
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from dashboard.api.exports import Format
from models import exports, filters, view_changes
from models.audit import Event
from models.contacts import records
from models.permissions import OPERATOR, Role
from pipelines import export_contacts
from tests.dashboard.api.conftest import Client
from tests.pipelines.importing import sql


@pytest.fixture
def people(db: str, home: Path) -> list[int]:
    """The numbers of contacts of whom two are in Germany."""
    values = [("Ann", "Germany"), ("Bob", "France"), ("Cid", "Germany")]
    return [
        records.create(
            {"first_name": name, "email": f"{name.lower()}@x.com", "country": country, "notes": f"=SUM({name})"},
            by=OPERATOR,
        )
        for name, country in values
    ]


def asked(client: httpx.Client, **wanted: Any) -> Any:
    answer = client.post("/exports", json=wanted)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/exports/{answer.json()['id']}"
    return answer.json()


def made(client: httpx.Client, **wanted: Any) -> Any:
    """One whose file is there, as its flow makes it."""
    number = asked(client, **wanted)["id"]
    export_contacts.run(number)
    return client.get(f"/exports/{number}").raise_for_status().json()


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["detail"]


def test_a_file_is_made_and_fetched_in_pieces(client: Client, people: list[int]) -> None:
    analyst = client(Role.ANALYST)
    cost = analyst.post("/exports/cost", json={"filter": "country=Germany"}).json()
    assert (cost["credits"], cost["enough"]) == (2, True)
    waiting = asked(analyst, filter="country=Germany", columns=["first_name", "email"])
    assert (waiting["state"], waiting["credits"], waiting["percent"], waiting["has_file"]) == (
        "waiting",
        2,
        None,
        False,
    )
    assert problem(analyst.get(f"/exports/{waiting['id']}/file"))[0] == 404
    assert [one["id"] for one in analyst.get("/exports", params={"under_way": True}).json()["exports"]] == [1]
    export_contacts.run(waiting["id"])
    receipt = analyst.get("/exports/1").json()
    assert (receipt["state"], receipt["rows"], receipt["percent"], receipt["by"]) == ("done", 2, 100.0, "An analyst")
    assert (receipt["filter"], receipt["sentence"]) == ("country=Germany", "Country is Germany")

    where = "/exports/1/file"
    whole = analyst.get(where)
    digest = hashlib.sha256(whole.content).digest()
    assert (whole.status_code, digest.hex(), len(whole.content)) == (200, receipt["sha256"], receipt["bytes"])
    assert b"ann@x.com" in whole.content
    assert (whole.headers["etag"], whole.headers["accept-ranges"]) == (f'"{digest.hex()}"', "bytes")
    assert whole.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert whole.headers["content-disposition"] == 'attachment; filename="contacts.csv"'
    head = analyst.head(where)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(receipt["bytes"]), b"")

    def part(asked_for: str, **more: str) -> httpx.Response:
        return analyst.get(
            where, headers={"range": asked_for, **{name.replace("_", "-"): one for name, one in more.items()}}
        )

    pieces = [part("bytes=0-9"), part("bytes=10-", if_range=whole.headers["etag"])]
    assert [one.status_code for one in pieces] == [206, 206]
    assert pieces[1].headers["content-range"] == f"bytes 10-{receipt['bytes'] - 1}/{receipt['bytes']}"
    assert b"".join(one.content for one in pieces) == whole.content
    assert part("bytes=-3").content == whole.content[-3:]
    assert (part("bytes=10-", if_range='"another"').status_code, part("bytes=10-", if_range='"x"').content) == (
        200, whole.content,
    )  # fmt: skip
    beyond = part("bytes=9999999-")
    assert (problem(beyond)[0], beyond.headers["content-range"]) == (416, f"bytes */{receipt['bytes']}")
    assert [problem(part(wrong))[0] for wrong in ("lines=1-2", "bytes=", "bytes=x-2")] == [400] * 3
    lines = sql("SELECT count(*) FROM audit_log WHERE event = %s", Event.EXPORT_DOWNLOADED)
    assert lines[0][0] < 9, "later parts have the line of the beginning"


def test_it_is_made_again_and_compared(client: Client, people: list[int]) -> None:
    analyst = client(Role.ANALYST)
    first = made(analyst, filter="country=Germany", columns=["email"], format="jsonl")
    assert first["compared"] is None
    again = analyst.post(f"/exports/{first['id']}/again")
    assert (again.status_code, again.json()["again_of"], again.json()["credits"]) == (202, first["id"], 0)
    export_contacts.run(again.json()["id"])
    same = analyst.get(f"/exports/{again.json()['id']}").json()["compared"]
    assert same == {"same": True, "rows_then": 2, "rows_now": 2}
    records.delete(people[0], version=records.get(people[0], by=OPERATOR).version, by=OPERATOR)
    other = analyst.post(f"/exports/{first['id']}/again").json()["id"]
    export_contacts.run(other)
    assert analyst.get(f"/exports/{other}").json()["compared"] == {"same": False, "rows_then": 2, "rows_now": 1}


def test_a_selection_a_view_and_what_makes_no_sense(client: Client, people: list[int]) -> None:
    admin = client(Role.ADMIN)
    selected = made(admin, ids=people[:2], columns=["first_name"], format="jsonl", raw_formulas=True)
    assert (selected["rows"], selected["selected"], selected["raw_formulas"]) == (2, people[:2], True)
    chosen = filters.parse_query("country=France", by=OPERATOR)
    view = view_changes.save("French", filters=chosen, columns=("email",), sort="-id", shared=True, by=OPERATOR).id
    by_view = made(admin, view_id=view)
    assert (by_view["view"], by_view["columns"], by_view["rows"], by_view["scheduled"]) == (
        "French",
        ["email"],
        1,
        False,
    )
    assert admin.post("/exports/cost", json={"view_id": view}).json()["credits"] == 0, "it was taken out just now"
    for wrong in (
        {"view_id": view, "filter": "country=France"}, {"filter": "contry=France"}, {"columns": []}, {"format": "doc"},
        {"columns": ["emial"]}, {"ids": []}, {"ids": ["x"]}, {"more": 1}, {"raw_formulas": 1},
        {"filter": "country=\x00"},
    ):  # fmt: skip
        assert problem(admin.post("/exports", json=wrong))[0] == 422, wrong
    assert problem(admin.post("/exports", json={"view_id": 999}))[0] == 404
    assert problem(admin.get("/exports/cost"))[0] == 405
    assert admin.get("/exports", params={"size": 1}).json()["total"] == 2


def test_one_is_cancelled_and_others_do_not_see_it(client: Client, people: list[int]) -> None:
    analyst = client(Role.ANALYST)
    number = asked(analyst)["id"]
    other = client(Role.ANALYST)
    assert {other.get(f"/exports/{number}").status_code, other.post(f"/exports/{number}/cancel").status_code} == {404}
    assert client(Role.ADMIN).get(f"/exports/{number}").json()["by"] == "An analyst"
    cancelled = analyst.post(f"/exports/{number}/cancel").json()
    assert (cancelled["state"], cancelled["credits"]) == ("cancelled", 0)
    assert problem(analyst.post(f"/exports/{number}/cancel"))[0] == 409
    poor = client(Role.ANALYST)
    sql("UPDATE users SET download_limit = 1 WHERE email = 'analyst3@example.com'")
    assert problem(poor.post("/exports", json={}))[0] == 402
    assert poor.post("/exports/cost", json={}).json()["enough"] is False


def test_hidden_columns_leave_no_file(client: Client, people: list[int]) -> None:
    narrow = client(Role.ANALYST, columns=["first_name"])
    assert made(narrow)["columns"] == ["first_name"]
    assert b"x.com" not in narrow.get("/exports/1/file").content
    for wanted in ({"columns": ["email"]}, {"filter": "email.starts=ann"}, {"columns": ["extra"]}):
        assert problem(narrow.post("/exports", json=wanted))[0] == 403, wanted
        assert narrow.post("/exports/cost", json={"filter": "email.starts=ann"}).status_code == 403


def test_a_difference_as_a_file(client: Client, people: list[int]) -> None:
    manager = client(Role.MANAGER)
    between = {"from": "2020-01-01", "country": "Germany"}
    assert manager.get("/contacts/difference.csv/cost", params=between).json() == {"credits": 2}
    answer = manager.get("/contacts/difference.csv", params=between)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert {line.split(",")[1] for line in answer.text.splitlines()[1:]} == {"1", "3"}
    assert manager.get("/contacts/difference.csv/cost", params=between).json() == {"credits": 0}
    assert problem(manager.get("/contacts/difference.csv", params={**between, "from": "soon"}))[0] == 422
    assert problem(manager.get("/contacts/difference.csv", params={"country": "Germany"}))[0] == 422
    assert problem(client(Role.MANAGER, columns=["title"]).get("/contacts/difference.csv", params=between))[0] == 403


def test_the_schema_names_every_format() -> None:
    assert get_args(Format) == exports.FORMATS
