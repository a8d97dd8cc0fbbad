"""A typed client, generated from the schema as any program's author would, does its work with contacts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dashboard.api import api
from models.permissions import Role
from tests.dashboard.api.conftest import Client

PACKAGE = "appointment360_client"


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the package, made once."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(api.openapi()))
    (folder / "config.yaml").write_text(f"package_name_override: {PACKAGE}\npost_hooks: []\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--meta", "none"]
    options = ["--config", "config.yaml", "--output-path", PACKAGE, "--fail-on-warning"]
    made = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def program(generated: Path, client: Client) -> Iterator[Any]:
    """The client with a manager's token, and its modules by name."""
    opened = client(Role.MANAGER)
    made = import_module(PACKAGE).AuthenticatedClient(
        base_url=str(opened.base_url).rstrip("/"), token=opened.headers["authorization"].removeprefix("Bearer ")
    )

    def part(name: str) -> ModuleType:
        return import_module(f"{PACKAGE}.{name}")

    yield made, part
    made.get_httpx_client().close()


def test_a_program_creates_finds_changes_and_undoes_by_its_types(program: Any) -> None:
    client, part = program
    models = part("models")
    create, listed = part("api.contacts.contacts_create"), part("api.contacts.contacts_listed")
    change, read = part("api.contacts.contacts_change"), part("api.contacts.contacts_read")
    values = models.ContactValues(last_name="Archer", employees=12, tags=["VIP"], annual_revenue="5.50")
    made = create.sync_detailed(client=client, body=values, idempotency_key="once")
    again = create.sync_detailed(client=client, body=values, idempotency_key="once")
    assert (made.status_code, made.parsed, again.parsed) == (201, again.parsed, made.parsed)
    contact = made.parsed
    assert (contact.last_name, contact.employees, contact.tags) == ("Archer", 12, ["VIP"])
    assert contact.created_at.tzinfo is not None

    filters = models.Filters.from_dict({"employees.gte": 5, "tags": "VIP"})
    page = listed.sync(client=client, filters=filters, count=True)
    assert ([one.id for one in page.contacts], page.total, page.next_) == ([contact.id], 1, None)
    none = listed.sync(client=client, filters=models.Filters.from_dict({"employees.gte": 50}), count=True)
    assert none.total == 0

    changed = change.sync(
        contact.id, client=client, body=models.ContactValues(title="CEO"), if_match=made.headers["etag"]
    )
    assert changed.title == "CEO"
    late = change.sync_detailed(
        contact.id, client=client, body=models.ContactValues(title="CTO"), if_match=made.headers["etag"]
    )
    assert (late.status_code, type(late.parsed).__name__, late.parsed.status) == (412, "Problem", 412)
    history = part("api.contacts.contact_past_read_history").sync(contact.id, client=client)
    undone = part("api.contacts.contact_past_undo").sync(contact.id, history.changes[0].version, client=client)
    assert undone.title is None
    assert read.sync(contact.id, client=client).version == undone.version


def test_a_program_writes_many_and_reads_what_was_wrong_with_each(program: Any) -> None:
    client, part = program
    models, bulk = part("models"), part("api.many_contacts.contact_bulk_write")
    items = [
        models.CreateItem(action="create", values=models.ContactValues(last_name="Baker")),
        models.DeleteItem(action="delete", id=999, version=None),
    ]
    refused = bulk.sync(client=client, body=models.BulkItems(items=items))
    assert [(one.index, one.status) for one in refused.items] == [(1, 404)]
    done = bulk.sync(client=client, body=models.BulkItems(items=items[:1]))
    assert (len(done.items), done.items[0].version) == (1, 0)
    count = part("api.contacts.contact_lookups_count").sync(client=client)
    assert count.count == 1
