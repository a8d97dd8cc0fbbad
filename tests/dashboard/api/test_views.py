"""Saved views and their schedules over HTTP."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from models.contacts import records
from models.permissions import OPERATOR, Role
from models.settings import settings
from tests.dashboard.api.conftest import Client


@pytest.fixture
def analyst(client: Client) -> httpx.Client:
    return client(Role.ANALYST)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("APPOINTMENT360_EXPORT_ROOTS", str(tmp_path))
    settings.cache_clear()
    yield str(tmp_path)
    monkeypatch.undo()
    settings.cache_clear()


def saved(client: httpx.Client, name: str = "German leads", **more: Any) -> Any:
    answer = client.post("/views", json={"name": name, "filter": "country=Germany", **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_view_is_saved_changed_put_back_renamed_deleted_and_restored(analyst: httpx.Client) -> None:
    records.create({"last_name": "Archer", "country": "Germany"}, by=OPERATOR)
    view = saved(analyst, columns=["full_name", "country"], sort="-country")
    path = f"/views/{view['id']}"
    assert (view["sentence"], view["mine"], view["columns"]) == ("Country is Germany", True, ["full_name", "country"])
    assert analyst.get("/views/counts").json() == {"counts": [{"id": view["id"], "count": 1}]}
    changed = analyst.put(path, json={"filter": "country=France"}).json()
    assert (changed["filter"], changed["put_back_to"]) == ("country=France", "Country is Germany")
    assert analyst.post(f"{path}/put-back").json()["filter"] == "country=Germany"
    assert analyst.patch(path, json={"name": "Leads"}).json()["name"] == "Leads"
    assert [one["id"] for one in analyst.get("/views?name=leads").json()["views"]] == [view["id"]]
    assert analyst.get("/views?name=Laeds").json()["detail"].endswith("Did you mean “Leads”?")
    assert analyst.get(path).json()["used_at"] is None
    assert analyst.post(f"{path}/use").status_code == 204
    assert analyst.get(path).json()["used_at"]
    assert analyst.delete(path).status_code == 204
    assert (analyst.get(path).status_code, analyst.get("/views").json()) == (404, {"views": []})
    assert [one["name"] for one in analyst.get("/views/deleted").json()["views"]] == ["Leads"]
    assert analyst.post(f"{path}/restore").json()["deleted_at"] is None
    assert analyst.post("/views", json={"name": "Bad", "filter": "contry=x"}).status_code == 422
    assert analyst.post("/views", json={"name": "leads"}).status_code == 409


def test_a_shared_view_tells_others_nothing_of_hidden_columns(client: Client, analyst: httpx.Client) -> None:
    path = f"/views/{saved(analyst, columns=['last_name', 'country'])['id']}"
    other = client(Role.ANALYST, columns=["last_name"])
    assert other.get(path).status_code == 404
    assert analyst.post(f"{path}/share").json()["shared"] is True
    told = other.get(path)
    assert (told.json()["filter"], told.json()["columns"], told.json()["editable"]) == (None, ["last_name"], False)
    assert "Germany" not in told.text
    assert other.get("/views/counts").json()["counts"][0]["count"] is None
    assert other.patch(path, json={"name": "Mine"}).status_code == 403
    assert client(Role.ADMIN).patch(path, json={"name": "Ours"}).json()["name"] == "Ours"
    assert analyst.post(f"{path}/unshare").json()["shared"] is False
    assert other.get(path).status_code == 404


def test_a_view_is_exported_by_schedule(client: Client, analyst: httpx.Client, place: str) -> None:
    wanted = {"every": "weekday", "place": place, "time_zone": "Europe/Berlin"}
    made = analyst.post("/view-schedules", json={**wanted, "view_id": saved(analyst)["id"]})
    assert (made.status_code, made.json()["every"]) == (201, "0 6 * * 1-5")
    path = made.headers["location"].removeprefix("/api/v1")
    assert analyst.get(path).json() == made.json()
    assert analyst.put(path, json={**wanted, "format": "xlsx"}).json()["format"] == "xlsx"
    assert analyst.post(f"{path}/pause").json()["active"] is False
    assert analyst.post(f"{path}/resume").json()["active"] is True
    asked = analyst.post(f"{path}/runs")
    assert asked.status_code == 202
    [run] = analyst.get(f"{path}/runs").json()["runs"]
    assert (run["id"], run["state"], run["by_hand"]) == (asked.json()["run_id"], "waiting", True)
    assert analyst.get("/view-schedules").json()["schedules"][0]["running"] is True
    other = client(Role.ANALYST)
    assert (other.get(path).status_code, other.get(f"{path}/runs").status_code) == (404, 404)
    assert client(Role.ADMIN).get(f"{path}/runs").status_code == 200
    assert analyst.put(path, json={**wanted, "place": "/etc"}).status_code == 403
    assert analyst.put(path, json={**wanted, "every": "often"}).status_code == 422
    assert analyst.delete(path).status_code == 204
    assert analyst.get("/view-schedules").json() == {"schedules": []}
