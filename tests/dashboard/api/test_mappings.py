"""Saved mappings over HTTP: made of an import, found by other files, shared, changed, forgotten."""

from pathlib import Path

import httpx
import pytest

from models.permissions import Role
from tests.dashboard.api.conftest import Client
from tests.dashboard.api.importing import as_csv, planned, uploaded

FILE = as_csv([{"Mail": "ann@x.com", "Firma": "Acme", "Notiz": "x"}])
CHOSEN = {
    "columns": {"Mail": "email", "Firma": "company"}, "left_out": ["Notiz"], "match": "email", "keep": "ours",
    "keep_fields": {"company": "theirs"}, "dated_by": "",
}  # fmt: skip


@pytest.fixture
def manager(client: Client, warm_home: Path) -> httpx.Client:
    return client(Role.MANAGER)


def test_a_mapping_is_saved_used_shared_and_forgotten(manager: httpx.Client, client: Client) -> None:
    address = uploaded(manager, FILE)
    number = int(address.rpartition("/")[2])
    made = manager.post("/mappings", json={"import_id": number, "name": "CRM", "chosen": CHOSEN})
    assert (made.status_code, made.json()["chosen"], made.json()["own"]) == (201, CHOSEN, True)
    where = made.headers["location"].removeprefix("/api/v1")
    assert manager.get(where).json()["uses"][0]["import_id"] == number
    again = manager.post("/mappings", json={"import_id": number, "name": "crm"})
    assert (again.status_code, "choose another name, or replace it" in again.json()["detail"]) == (409, True)

    second = uploaded(manager, as_csv([{"MAIL": "bob@x.com", "Notiz": "", "Land": "DE"}]), "second.csv")
    bound = manager.get(f"{second}/mapping/by/{made.json()['id']}").json()
    assert (bound["chosen"]["columns"], bound["chosen"]["left_out"]) == ({"MAIL": "email"}, ["Notiz"])
    assert (bound["new"], bound["gone"]) == (["Land"], ["Firma"])

    other = client(Role.MANAGER)
    assert other.get(where).status_code == 404
    assert manager.post(f"{where}/share", json={"shared": True}).json()["shared"] is True
    assert (other.get(where).json()["owner"], other.get(where).json()["own"]) == ("An manager", False)
    assert other.put(where, json=CHOSEN).status_code == 403
    assert client(Role.ADMIN).post(f"{where}/rename", json={"name": "CRM 2"}).json()["title"] == "CRM 2"
    assert [one["name"] for one in manager.get("/mappings").json() if one["name"]] == ["CRM 2"]
    assert manager.get("/mappings", params={"name": "crm 2"}).json()[0]["id"] == made.json()["id"]
    missing = manager.get("/mappings", params={"name": "Apollo"})
    assert (missing.status_code, "Mappings with a name: “CRM 2”" in missing.json()["detail"]) == (404, True)

    changed = manager.put(where, json={**CHOSEN, "left_out": [], "keep_fields": {"Company": "never"}})
    assert (changed.json()["chosen"]["left_out"], changed.json()["chosen"]["keep_fields"]) == ([], {"company": "never"})
    for wrong in ({"keep_fields": {"emial": "ours"}}, {"dated_by": "When"}, {"columns": {"Mail": "emial"}}):
        assert manager.put(where, json={**CHOSEN, **wrong}).status_code == 422, wrong
        body = {"import_id": number, "name": "B", "chosen": {**CHOSEN, **wrong}}
        assert manager.post("/mappings", json=body).status_code == 422, wrong
    assert (manager.delete(where).status_code, manager.get(where).status_code) == (204, 404)


def test_a_file_of_its_kind_goes_straight_to_its_plan(manager: httpx.Client) -> None:
    address = uploaded(manager, FILE)
    manager.post(
        "/mappings", json={"import_id": int(address.rpartition("/")[2]), "name": "CRM", "chosen": CHOSEN}
    ).raise_for_status()
    second = planned(manager, FILE.replace(b"ann", b"bob"), "second.csv")
    found = manager.get(second).json()
    assert (found["state"], found["mapped"]) == ("planned", "Mapped as last time: CRM.")
    assert manager.get(f"{second}/mapping").json()["chosen"] == CHOSEN
    [kept] = [one["id"] for one in manager.get("/mappings").json() if one["name"]]
    third = uploaded(manager, as_csv([{"Mail": "cid@x.com", "Firma": "", "Notiz": "", "Land": ""}]), mapping_id=kept)
    assert manager.get(third).json()["mapped"] == "Mapped by “CRM”."
    refused = manager.post("/imports", json={"name": "a.csv", "size": 5, "mapping_id": 999})
    assert refused.status_code == 404
