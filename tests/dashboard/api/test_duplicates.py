"""Duplicates and merges over HTTP. What the search finds is tested where it is; its pairs are put in by hand here."""

from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update

from models.contacts import records
from models.contacts.table import Contact
from models.database import writing
from models.duplicates import runs
from models.duplicates.tables import DuplicatePair, DuplicateRun, State
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client

REASON = {"of": "email", "title": "E-mail", "found": "the same", "bits": 21.0}


@pytest.fixture
def ids(db: str) -> list[int]:
    """Three contacts of one person and a fourth one, with their pairs of a search that is done."""
    rows = [{"last_name": "Archer", "email": f"a{n}@example.com", "tags": f"T{n}"} for n in range(3)]
    made = [records.create(row, by=OPERATOR) for row in [*rows, {"last_name": "Other"}]]
    run_id = runs.ask(by=OPERATOR)
    with writing(OPERATOR) as session:
        session.execute(update(DuplicateRun).values(state=State.DONE, pairs=2, contacts=4))
        seen = dict(session.execute(select(Contact.id, Contact.updated_at)).all())  # type: ignore[arg-type]
        pairs = [(made[0], made[1], 25.0), (made[1], made[2], 22.0), (made[2], made[3], 3.0)]
        session.execute(
            insert(DuplicatePair),
            [
                {"left_id": left, "right_id": right, "run_id": run_id, "cluster_id": 1, "weight": weight,
                 "probability": 0.9, "reasons": [REASON], "left_seen": seen[left], "right_seen": seen[right]}
                for left, right, weight in pairs
            ],
        )  # fmt: skip
    return made


@pytest.fixture
def manager(client: Client, ids: list[int]) -> httpx.Client:
    return client(Role.MANAGER)


def test_a_search_is_asked_for_looked_at_and_stopped(manager: httpx.Client) -> None:
    before = manager.get("/duplicates").json()
    assert (before["newest"]["state"], before["open_pairs"]) == ("done", 3)
    asked = manager.post("/duplicates/runs")
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    assert manager.post("/duplicates/runs").json()["id"] == asked.json()["id"]
    path = asked.headers["location"].removeprefix("/api/v1")
    assert manager.get(path).json()["state"] == "waiting"
    assert manager.post(f"{path}/cancel").status_code == 204
    assert (manager.get(path).json()["state"], manager.post(f"{path}/cancel").status_code) == ("cancelled", 409)
    assert manager.get("/duplicates").json()["last_done"] == before["last_done"]
    assert manager.get("/duplicates/runs/999").status_code == 404


def test_pairs_are_listed_decided_and_opened_again(manager: httpx.Client, ids: list[int]) -> None:
    page = manager.get("/duplicates/pairs?least=20&size=1").json()
    assert (page["total"], page["pairs"][0]["weight"]) == (2, 25.0)
    assert page["pairs"][0]["reasons"] == [REASON]
    assert manager.get("/duplicates/pairs", params={"contact_id": ids[3]}).json()["total"] == 1
    pair = f"/duplicates/pairs/{ids[3]}/{ids[2]}"
    assert manager.get(pair).json()["left_id"] == ids[2]
    assert manager.get(f"/duplicates/pairs/{ids[0]}/{ids[1]}/cluster").json() == {"contact_ids": ids}
    assert manager.put(f"{pair}/decision", json={"decision": "not the same"}).status_code == 204
    [decided] = manager.get("/duplicates/pairs", params={"decision": "not the same"}).json()["pairs"]
    assert (decided["right_id"], decided["decided_by"]) == (ids[3], "An manager")
    assert manager.delete(f"{pair}/decision").status_code == 204
    assert manager.delete(f"{pair}/decision").status_code == 404
    assert manager.get(f"/duplicates/pairs/{ids[0]}/{ids[3]}").status_code == 404
    for wrong in ("least=nan", "least=-1", "decision=perhaps", "offset=-1"):
        assert manager.get(f"/duplicates/pairs?{wrong}").status_code == 422, wrong


def seen(manager: httpx.Client, *ids: int) -> list[dict[str, Any]]:
    return [{"id": one, "version": manager.get(f"/contacts/{one}").json()["version"]} for one in ids]


def test_contacts_are_merged_as_proposed_or_chosen_and_taken_apart(manager: httpx.Client, ids: list[int]) -> None:
    proposal = manager.get("/merges/proposal", params={"contact": ids[:2], "survivor": ids[1]}).json()
    assert (proposal["survivor_id"], proposal["choices"]["tags"]) == (ids[1], 0)
    assert [one["email"] for one in proposal["contacts"]] == ["a0@example.com", "a1@example.com"]
    assert manager.get("/merges/proposal", params={"contact": ids[:2], "survivor": ids[2]}).status_code == 422
    assert manager.get("/merges/proposal", params={"contact": ids[:1]}).status_code == 422

    wanted = {"survivor_id": ids[0], "contacts": seen(manager, *ids[:2]), "choices": {"email": ids[1]}}
    stale = {**wanted, "contacts": [{"id": ids[0], "version": 77}, {"id": ids[1], "version": 0}]}
    assert manager.post("/merges", json=stale).status_code == 409
    made = manager.post("/merges", json=wanted)
    assert made.status_code == 201, made.text
    gone = manager.get(f"/contacts/{ids[1]}")
    assert (gone.status_code, gone.json()["into"]) == (410, ids[0])
    survivor = manager.get(f"/contacts/{ids[0]}").json()
    assert (survivor["email"], survivor["tags"]) == ("a1@example.com", ["T0", "T1"])
    assert manager.get("/merges/proposal", params={"contact": ids[:2]}).status_code == 410
    [listed] = manager.get("/merges", params={"contact_id": ids[0], "standing": "true"}).json()["merges"]
    assert (listed["id"], listed["others"]) == (made.json()["id"], [ids[1]])
    undone = manager.post(f"/merges/{made.json()['id']}/undo").json()
    assert undone == {"survivor_id": ids[0], "restored": [ids[1]], "kept": []}
    assert manager.post(f"/merges/{made.json()['id']}/undo").status_code == 409
    assert manager.get("/merges?standing=true").json() == {"merges": []}


def test_groups_that_are_surely_the_same_are_merged_at_once(manager: httpx.Client, ids: list[int]) -> None:
    assert manager.get("/merges/sure").json() == {"groups": [ids[:3]], "contacts": 3}
    assert manager.get("/merges/sure?least=5").status_code == 422
    assert manager.post("/merges/sure", json={"least": 20, "expected": 2}).status_code == 409
    made = manager.post("/merges/sure", json={"least": 20, "expected": 1}).json()["ids"]
    assert manager.post("/merges/undo", json={"ids": made}).json() == {"restored": 2}


def test_who_does_not_see_every_column_learns_nothing_of_pairs(client: Client, ids: list[int]) -> None:
    narrow = client(Role.MANAGER, columns=["last_name", "email"])
    for path in ("/duplicates", "/duplicates/pairs", "/merges", "/merges/sure", f"/duplicates/pairs/{ids[0]}/{ids[1]}"):
        assert narrow.get(path).status_code == 403, path
