"""Imports over HTTP: mapped, planned, looked at from every side, committed, undone, brought back."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dashboard import flow_runs
from dashboard.api import api
from models import database, import_acceptances, import_progress, imports
from models.database import IMPORTS_LOCK, writing
from models.import_progress import Progress, Step
from models.permissions import OPERATOR, Role
from pipelines import import_orders
from pipelines.import_steps import PlanMoved
from tests.dashboard.api.conftest import Client
from tests.dashboard.api.importing import as_csv, commit, committed, done, planned, uploaded
from tests.dashboard.test_flow_runs import Prefect, prefect  # noqa: F401  # a fixture that one test asks for
from tests.pipelines.importing import contacts

HERE = as_csv(
    [
        {"Email": "ann@x.com", "First Name": "Ann", "Title": "CEO", "City": "Rome", "Shoe": "38"},
        {"Email": "bob@x.com", "First Name": "Bob", "Title": "VP", "City": "", "Shoe": ""},
        {"Email": "cid@x.com", "First Name": "Cid", "Title": "VP", "City": "Bonn", "Shoe": ""},
    ]
)
FILE = as_csv(
    [
        {"Email": "ann@x.com", "First Name": "Ann", "Title": "CTO", "City": "Rome", "Shoe": "39"},
        {"Email": "bob@x.com", "First Name": "Bob", "Title": "CTO", "City": "Oslo", "Shoe": ""},
        {"Email": "cid@x.com", "First Name": "Cid", "Title": "VP", "City": "Bonn", "Shoe": ""},
        {"Email": "new@x.com", "First Name": "New", "Title": "", "City": "Kyiv", "Shoe": ""},
        {"Email": "new@x.com", "First Name": "New", "Title": "", "City": "Kyiv", "Shoe": ""},
        {"Email": "", "First Name": "", "Title": "", "City": "Nowhere", "Shoe": ""},
    ]
)
NUMBERS = ("rows", "created", "updated", "unchanged", "duplicates", "rejected")


@pytest.fixture
def nothing_stands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows differ from those before by more than files do."""
    monkeypatch.setattr(import_acceptances, "missing_from", lambda session, import_id: [])


@pytest.fixture
def manager(client: Client, warm_home: Path) -> httpx.Client:
    return client(Role.MANAGER)


def read(client: httpx.Client, address: str, **params: Any) -> Any:
    answer = client.get(address, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def lines(client: httpx.Client, address: str, **params: Any) -> list[list[str]]:
    answer = client.get(address, params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), answer.text
    return list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["detail"]


def test_an_import_from_its_columns_to_its_undo_and_back(manager: httpx.Client, nothing_stands_out: None) -> None:
    committed(manager, HERE, "before.csv")
    address = planned(manager, FILE)
    found = read(manager, address)
    assert {name: found[name] for name in NUMBERS} == dict(zip(NUMBERS, (6, 1, 2, 1, 1, 1), strict=True))
    assert (found["state"], found["phase"], found["by"], found["file"]["format"]) == (
        "planned", "to check", "An manager", "csv",
    )  # fmt: skip
    assert found["mapped"].startswith("Mapped as last time: before.csv")
    what_it_would_do(manager, address)

    stale = manager.post(f"{address}/commit", json={"plan": "2020-01-01T00:00:00+00:00"})
    assert problem(stale)[0] == 409
    assert "made anew since you looked" in problem(stale)[1]
    assert commit(manager, address)["state"] == "committed"
    assert read(manager, "/contacts", count="true")["total"] == 4
    assert [row["contact"] for row in read(manager, f"{address}/rows", kind="created")["rows"]] == [4]
    assert problem(manager.post(f"{address}/cancel"))[0] == 409
    listed = read(manager, "/imports", size=1)
    assert (listed["total"], [one["state"] for one in listed["imports"]]) == (2, ["committed"])

    ann = manager.get("/contacts/1")
    manager.patch("/contacts/1", json={"title": "Chair"}, headers={"if-match": ann.headers["etag"]}).raise_for_status()
    assert done(manager, manager.post(f"{address}/undo"))["undone"] == {"removed": 1, "restored": 1, "kept": 1}
    kept = read(manager, f"{address}/kept")
    assert (kept["total"], kept["run"]["kind"], kept["contacts"][0]["contact"]) == (1, "undo", 1)
    field = kept["contacts"][0]["fields"][0]
    assert (field["field"], field["stayed"], field["would_be"], field["since"]["by"]) == (
        "title", "Chair", "CEO", "An manager",
    )  # fmt: skip
    assert [row[3:6] for row in lines(manager, f"{address}/kept.csv")][1] == ["Title", "Chair", "CEO"]
    assert read(manager, "/contacts", count="true")["total"] == 3
    assert done(manager, manager.post(f"{address}/redo"))["state"] == "committed"
    assert {one["email"]: one.get("title") for one in contacts()} == {
        "ann@x.com": "Chair", "bob@x.com": "CTO", "cid@x.com": "VP", "new@x.com": None,
    }  # fmt: skip


def what_it_would_do(manager: httpx.Client, address: str) -> None:
    plan = read(manager, f"{address}/plan")
    assert {one["field"]: one["contacts"] for one in plan["changes"]} == {"title": 2, "city": 1, "extra": 1}
    title = next(one for one in plan["changes"] if one["field"] == "title")
    assert title["examples"][0] == {"field": "title", "before": "CEO", "after": "CTO"}
    assert (plan["stops"], plan["match"], plan["keep"]) == (False, "auto", "theirs")
    page = read(manager, f"{address}/rows", size=1, page=2)
    assert (page["total"], [(row["line"], row["contact"], row["name"]) for row in page["rows"]]) == (2, [(3, 2, "Bob")])
    assert page["rows"][0]["values"] == [
        {"field": "title", "before": "VP", "after": "CTO"}, {"field": "city", "before": None, "after": "Oslo"},
    ]  # fmt: skip
    assert [row["contact"] for row in read(manager, f"{address}/rows", changing="city")["rows"]] == [2]
    assert lines(manager, f"{address}/rows.csv", changing="city")[1:] == [["3", "2", "Bob", "City", "", "Oslo"]]
    assert problem(manager.get(f"{address}/rows", params={"changing": "shoe"}))[0] == 422
    rejects = read(manager, f"{address}/rejects")
    assert (rejects["total"], rejects["rows"][0]["line"], rejects["rows"][0]["cells"][3]) == (1, 7, "Nowhere")
    duplicate = read(manager, f"{address}/rejects", kind="duplicate")["rows"][0]
    assert (duplicate["line"], duplicate["other_line"]) == (6, 5)
    [reason] = read(manager, f"{address}/rejects/reasons")
    assert (reason["number"], reason["rows"]) == (0, 1)
    assert read(manager, f"{address}/rejects", reason=0) == rejects
    assert [row[0] for row in lines(manager, f"{address}/rejects.csv", kind="duplicate")] == ["Rejected line", "6"]
    assert {one["success"] for one in read(manager, f"{address}/checks")} >= {True}
    assert read(manager, f"{address}/notes") == []
    assert read(manager, f"{address}/moved") == {"rows": [], "total": 0, "next": None}
    assert read(manager, f"{address}/kept") == {"run": None, "contacts": [], "total": 0}


def test_columns_are_proposed_chosen_and_kept_as_a_draft(manager: httpx.Client) -> None:
    assert problem(manager.get("/imports/1/mapping"))[0] == 404
    begun = manager.post("/imports", json={"name": "empty.csv", "size": 5}).json()["import_id"]
    assert "is not read yet" in problem(manager.get(f"/imports/{begun}/mapping"))[1]
    assert problem(manager.get(f"/imports/{begun}/plan"))[0] == 409
    address = uploaded(manager, HERE)
    there = read(manager, f"{address}/mapping")
    assert there["chosen"] == {
        "columns": {"Email": "email", "First Name": "first_name", "Title": "title", "City": "city"},
        "left_out": [], "match": "auto", "keep": "theirs", "keep_fields": {}, "dated_by": "",
    }  # fmt: skip
    assert (there["proposed"]["City"], there["draft"], "full_name" in there["fields"]) == ("city", None, True)
    preview = read(manager, f"{address}/preview")
    assert (preview["rows"][0], preview["examples"]["Email"][:2]) == (
        {"line": 2, "cells": ["ann@x.com", "Ann", "CEO", "Rome", "38"]}, ["ann@x.com", "bob@x.com"],
    )  # fmt: skip
    chosen = {
        "columns": {"Email": "email", "City": "company"}, "left_out": ["Shoe"], "match": "email", "keep": "ours",
        "keep_fields": {"company": "never"}, "dated_by": "Title",
    }  # fmt: skip
    assert manager.put(f"{address}/mapping/draft", json=chosen).status_code == 204
    assert read(manager, f"{address}/mapping")["draft"]["chosen"] == chosen
    for wrong in (
        {"columns": {"Emial": "email"}}, {"columns": {"Email": "emial"}}, {"keep_fields": {"emial": "ours"}},
        {"dated_by": "When"}, {"columns": {"Email": "email", "City": "email"}}, {"match": "guess"}, {"more": 1},
    ):  # fmt: skip
        for where in (f"{address}/mapping/draft", f"{address}/mapping"):
            assert problem(manager.put(where, json={**chosen, **wrong}))[0] == 422, wrong
    assert manager.delete(f"{address}/mapping/draft").status_code == 204
    assert read(manager, f"{address}/mapping")["draft"] is None
    assert done(manager, manager.put(f"{address}/mapping", json=chosen))["created"] == 3
    assert read(manager, f"{address}/mapping")["chosen"] == chosen
    commit(manager, address)
    assert contacts("email")[0] == contacts("email")[0] | {"email": "ann@x.com", "company": "Rome"}
    assert problem(manager.put(f"{address}/mapping", json=chosen))[0] == 409


def test_what_stands_out_is_accepted_with_a_reason(manager: httpx.Client) -> None:
    rows = [{"Last Name": f"L{number}", "Email": f"p{number}@x.com"} for number in range(200)]
    committed(manager, as_csv(rows), "usual.csv")
    address = planned(manager, as_csv([{"Last Name": f"M{number}", "Email": ""} for number in range(200)]), "odd.csv")
    plan = read(manager, f"{address}/plan")
    assert plan["stops"]
    refused = manager.post(f"{address}/commit", json={"plan": plan["plan"]})
    assert problem(refused)[0] == 409
    assert "accept it with a reason" in problem(refused)[1]
    told = read(manager, f"{address}/findings")
    stopping = [one["name"] for one in told["findings"] if one["stops"]]
    assert (told["accepted"], "email_empty" in stopping, told["compared"]["same_columns"]) == (None, True, True)
    page = read(manager, f"{address}/findings/email_empty/rows", size=2, page=2)
    assert (page["total"], page["headers"]) == (200, ["E-mail", "Last Name"])
    assert page["rows"][0] == {"line": 4, "values": [None, "M2"]}
    assert len(lines(manager, f"{address}/findings/email_empty/rows.csv")) == 201
    assert problem(manager.get(f"{address}/findings/nothing/rows"))[0] == 404

    def accept(**wanted: Any) -> httpx.Response:
        return manager.post(f"{address}/findings/accept", json={"digest": told["digest"], **wanted})

    assert problem(accept(reason="no"))[0] == 422
    assert "is not what you looked at" in problem(accept(reason="That is so.", digest="0"))[1]
    accepted = accept(reason="They are as many as that.", once=True)
    assert (accepted.status_code, accepted.json()["accepted"]["whole"]) == (200, True)
    assert manager.post(f"{address}/findings/withdraw").status_code == 204
    assert problem(manager.post(f"{address}/commit", json={"plan": plan["plan"]}))[0] == 409
    accept(reason="They are as many as that.").raise_for_status()
    assert not read(manager, f"{address}/plan")["stops"]
    assert commit(manager, address)["created"] == 200


def test_what_is_asked_of_an_import_starts_its_flow(manager: httpx.Client, request: pytest.FixtureRequest) -> None:
    address = committed(manager, HERE)
    asked: type[Prefect] = request.getfixturevalue("prefect")
    manager.post(f"{address}/undo").raise_for_status()
    number = int(address.rpartition("/")[2])
    [run] = asked.runs.values()
    order = imports.get(number, by=OPERATOR).orders
    assert run["parameters"] == {"import_id": number, "order": order}
    assert list(asked.flows.values())[-1:] == ["undo-import"]
    withdrawn = manager.post(f"{address}/cancel")
    assert (withdrawn.json()["state"], withdrawn.json()["wanted"]) == ("committed", None), "only the undo is"
    assert len(asked.runs) == 1
    flow_runs._Waited.seconds = 0.0


def test_how_far_it_is(manager: httpx.Client) -> None:
    data = as_csv([{"Email": "dan@x.com", "Company": "Acme"}])
    address = f"/imports/{manager.post('/imports', json={'name': 'a.csv', 'size': len(data)}).json()['import_id']}"
    assert (read(manager, address)["phase"], read(manager, address)["bytes"]) == ("uploading", len(data))
    manager.put(f"{address}/parts/1", content=data).raise_for_status()
    assert manager.post(f"{address}/upload/complete").json()["phase"] == "waiting"
    assert manager.post(f"{address}/resume").json()["phase"] == "waiting", "as it is wanted already"
    number = int(address.rpartition("/")[2])
    with database.claimed(IMPORTS_LOCK, number), writing(OPERATOR) as session:
        import_progress.report(session, number, Progress(Step.STAGE, 50, 200, 2.0))
        session.commit()
        found = read(manager, address)
    assert (found["phase"], found["progress"]["step"], found["progress"]["unit"]) == (
        "running",
        "Typing the rows",
        "rows",
    )
    assert (found["progress"]["percent"], found["progress"]["seconds_left"]) == (25.0, 6.0)
    assert read(manager, address)["progress"] is None


def test_a_plan_that_held_no_longer_is_made_again(manager: httpx.Client, nothing_stands_out: None) -> None:
    committed(manager, HERE, "before.csv")
    address = planned(manager, FILE)
    number = int(address.rpartition("/")[2])
    ann = manager.get("/contacts/1")
    manager.patch("/contacts/1", json={"title": "CFO"}, headers={"if-match": ann.headers["etag"]}).raise_for_status()
    seen = read(manager, f"{address}/plan")["plan"]
    manager.post(f"{address}/commit", json={"plan": seen}).raise_for_status()
    with pytest.raises(PlanMoved):
        import_orders.carry_out(number, imports.get(number, by=OPERATOR).orders)
    stopped = read(manager, address)
    assert (stopped["phase"], stopped["moved"]) == ("interrupted", 1)
    assert done(manager, manager.post(f"{address}/resume"))["state"] == "planned"
    moved = read(manager, f"{address}/moved", size=1)
    assert (moved["total"], moved["rows"][0]["line"], moved["next"]) == (1, 2, 2)
    assert moved["rows"][0]["differences"] == [{"field": "title", "planned": "CEO → CTO", "now": "CFO → CTO"}]
    assert read(manager, f"{address}/moved", after=2)["rows"] == []
    assert lines(manager, f"{address}/moved.csv")[1] == ["2", "Ann", "Title", "CEO → CTO", "CFO → CTO"]
    stale = manager.post(f"{address}/commit", json={"plan": seen})
    assert problem(stale)[0] == 409
    assert commit(manager, address)["state"] == "committed"


def test_a_cancelled_one_is_over(manager: httpx.Client) -> None:
    address = planned(manager, HERE)
    cancelled = manager.post(f"{address}/cancel")
    assert (cancelled.status_code, cancelled.json()["phase"]) == (202, "cancelled")
    assert problem(manager.post(f"{address}/resume"))[0] == 409
    assert problem(manager.get(f"{address}/rows"))[0] == 409


SECRET = "zqxj"


def test_nobody_learns_a_hidden_value(manager: httpx.Client, client: Client, nothing_stands_out: None) -> None:
    """Of a file of somebody else, and of contacts, on each road that reads imports and exports."""
    rows = [
        {"Email": f"p{number}@{SECRET}.com", "Notes": SECRET, "Last Name": f"L{number}", "# Employees": SECRET}
        for number in range(3)
    ]
    first = committed(manager, as_csv(rows), "first.csv")
    changed = [{**row, "Notes": f"{SECRET} more", "Email": "no address" if not row["Notes"] else row["Email"]}
               for row in rows] + [{"Email": f"{SECRET}@", "Last Name": "", "Notes": SECRET}]  # fmt: skip
    second = planned(manager, as_csv(changed), "second.csv")
    manager.post("/exports", json={"filter": f"email.contains={SECRET}", "columns": ["email"]}).raise_for_status()
    narrow = client(Role.MANAGER, columns=["last_name", "title"])
    answers = [narrow.get(address, params=params) for address, params in roads(first, second)]
    for answer in answers:
        assert SECRET not in answer.text, answer.url
        assert answer.status_code < 500, answer.text
    assert sum(answer.status_code == 200 for answer in answers) > 20, "it was let in, and not told"
    assert [one.get(first).json()["sha256"] is None for one in (narrow, manager)] == [True, False]
    for order in ("commit", "undo", "redo", "findings/accept"):
        body = {"commit": {"plan": "x"}, "findings/accept": {"reason": "It is right.", "digest": "x"}}.get(order)
        assert narrow.post(f"{second}/{order}", json=body).status_code == 403


def roads(*imports_: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of every GET of imports, mappings, exports and differences, with what it may be asked."""
    kinds: list[dict[str, str]] = [{}, {"kind": "created"}, {"kind": "duplicate"}, {"changing": "notes"}]
    for path, methods in api.openapi()["paths"].items():
        if "get" not in methods or not path.startswith(("/imports", "/mappings", "/exports", "/contacts/difference")):
            continue
        asked = re.sub(r"\{(export|mapping)_id\}", "1", path).replace("{name}", "odd")
        for address in imports_ if "{import_id}" in asked else ("",):
            for params in kinds if re.search("rows|rejects", asked) else kinds[:1]:
                more = {"from": "2020-01-01"} if "difference" in asked else {}
                yield asked.replace("/imports/{import_id}", address), params | more
