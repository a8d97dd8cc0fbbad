"""Watched folders over HTTP."""

from datetime import UTC, datetime
from pathlib import Path

from models import import_orders, imports, watched_files, watched_looks
from models.permissions import OPERATOR, Role
from models.settings import settings
from models.watched_files import Sight
from tests.dashboard.api.conftest import Client


def taken(folder_id: int, place: Path) -> int:
    """A look takes a file, which is cancelled as an import; its number among the files."""
    folder, by = watched_looks.begin(folder_id)
    made = watched_files.take(
        folder, Sight("leads.csv", 3, datetime.now(UTC), "1"), "0" * 64, lambda *_: place / "leads.csv", by=by
    )
    assert made
    import_orders.cancel(made, by=OPERATOR)
    assert imports.get(made, by=OPERATOR).state == imports.State.CANCELLED
    return watched_files.of_folder(folder_id, by=OPERATOR)[0].id


def test_a_folder_is_watched_changed_paused_looked_at_and_removed(client: Client, open_folder: Path) -> None:
    settings.cache_clear()
    admin, manager = client(Role.ADMIN), client(Role.MANAGER)
    wanted = {"name": "Leads", "address": "s3://leads/in", "schedule": "hour", "pattern": "*.csv"}
    made = admin.post("/watched-folders", json={**wanted, "rules": {"keep": "ours"}})
    assert made.status_code == 201, made.text
    assert (made.json()["schedule"], made.json()["rules"]["keep"]) == ("0 * * * *", "ours")
    path = made.headers["location"].removeprefix("/api/v1")
    assert admin.post("/watched-folders", json=wanted).status_code == 409
    assert admin.post("/watched-folders", json={**wanted, "name": "X", "address": "/etc"}).status_code == 422
    assert manager.post("/watched-folders", json=wanted).status_code == 403
    assert manager.get(path).json() == made.json()
    assert admin.put(path, json={**wanted, "commits": True}).json()["commits"] is True
    assert manager.post(f"{path}/pause").status_code == 204
    assert manager.post(f"{path}/look").status_code == 409
    assert manager.post(f"{path}/resume").status_code == 204
    assert manager.post(f"{path}/look").status_code == 202

    file_id = taken(made.json()["id"], open_folder)
    [file] = manager.get(f"{path}/files").json()["files"]
    assert (file["name"], file["outcome"]) == ("leads.csv", "cancelled")
    assert manager.post(f"/watched-folders/files/{file_id}/try-again").status_code == 204
    assert manager.get(f"{path}/files").json()["files"][0]["outcome"] == "to be tried again"
    assert [one["files"] for one in manager.get("/watched-folders").json()["folders"]] == [1]
    assert client(Role.ANALYST).get("/watched-folders").status_code == 403
    assert (admin.delete(path).status_code, admin.get(path).status_code) == (204, 404)
    assert admin.get(f"{path}/files").status_code == 404
