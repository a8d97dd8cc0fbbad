"""Industries over HTTP."""

from models.contacts import records
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client


def test_industries_are_created_renamed_merged_and_taken_out_of_use(client: Client) -> None:
    manager = client(Role.MANAGER)
    coal = manager.post("/industries", json={"name": "Coal"})
    assert coal.status_code == 201
    iron = manager.post("/industries", json={"name": "Iron"}).json()["id"]
    taken = manager.post("/industries", json={"name": "coal"})
    assert (taken.status_code, taken.json()["industry_id"]) == (409, coal.json()["id"])
    path = f"/industries/{coal.json()['id']}"
    assert manager.patch(path, json={"name": "Charcoal"}).json()["name"] == "Charcoal"
    contact = records.create({"last_name": "Archer", "industry": "coal"}, by=OPERATOR)
    records.create({"last_name": "Baker"}, by=OPERATOR)

    assert manager.post(f"{path}/merge", json={"into": iron}).json() == {"contacts": 1}
    assert manager.get(f"/contacts/{contact}").json()["industry"] == "Iron"
    listed = manager.get("/industries").json()
    assert [(one["name"], one["contacts"]) for one in listed["industries"]] == [("Iron", 1)]
    assert listed["contacts_without"] == 1
    assert manager.post(f"{path}/unmerge").json() == {"restored": 1, "kept": 0}
    assert manager.post(f"{path}/unmerge").status_code == 409
    assert manager.post(f"{path}/deactivate").status_code == 204
    inactive = manager.get("/industries?inactive=true").json()["industries"]
    assert [(one["name"], one["is_active"]) for one in inactive] == [("Charcoal", False), ("Iron", True)]
    assert manager.post(f"{path}/activate").status_code == 204

    assert client(Role.ANALYST).post("/industries", json={"name": "Tin"}).status_code == 403
    assert client(Role.ANALYST, columns=["last_name"]).get("/industries").status_code == 403
    assert manager.patch("/industries/999", json={"name": "Tin"}).status_code == 404
