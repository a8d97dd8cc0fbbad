"""Backups over HTTP. What makes and drills them is tested where it is."""

from models import backups
from models.backups import Drill, Made
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client


def test_a_backup_is_asked_for_followed_and_drilled(client: Client) -> None:
    admin = client(Role.ADMIN)
    assert admin.get("/backups").json()["backups"] == []
    asked = admin.post("/backups")
    assert (asked.status_code, asked.json()["standing"]) == (202, "waiting")
    backup_id = asked.json()["id"]
    assert admin.post("/backups").json()["id"] == backup_id
    assert admin.post(f"/backups/{backup_id}/drill").status_code == 409
    backups.finish(backup_id, Made(10, 2, 3, 0, None), by=OPERATOR)
    path = asked.headers["location"].removeprefix("/api/v1")
    assert admin.get(path).json()["standing"] == "unproven"
    assert admin.post(f"/backups/{backup_id}/drill").json()["drill_asked_at"] is not None
    backups.drilled(backup_id, Drill.DIFFERS, seconds=2.0, differences=["Rows are missing."], by=OPERATOR)
    told = admin.get("/backups").json()
    assert told["alerts"] == [f"The drill of backup {backup_id} failed, and it may be of no use: Rows are missing."]
    assert told["backups"][0]["differences"] == ["Rows are missing."]
    assert admin.get("/backups/999").status_code == 404


def test_only_administrators_see_backups(client: Client) -> None:
    for role in (Role.MANAGER, Role.ANALYST):
        assert client(role).get("/backups").status_code == 403
        assert client(role).post("/backups").status_code == 403
