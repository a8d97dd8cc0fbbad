"""Imports over the API, for tests: a file is sent in parts, and what is asked of it is carried out in this process."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import httpx

from models import imports
from models.permissions import OPERATOR
from pipelines import import_orders

PART = 1_000_000


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def uploaded(client: httpx.Client, data: bytes, name: str = "leads.csv", **more: Any) -> str:
    """The address of an import whose file is here and was opened."""
    described = {"name": name, "size": len(data), "part_size": PART, **more}
    begun = client.post("/imports", json=described).raise_for_status().json()
    address = f"/imports/{begun['import_id']}"
    for number in begun["missing"]:
        part = data[(number - 1) * PART : number * PART]
        client.put(f"{address}/parts/{number}", content=part).raise_for_status()
    done(client, client.post(f"{address}/upload/complete"))
    return address


def planned(client: httpx.Client, data: bytes, name: str = "leads.csv", **more: Any) -> str:
    """The address of an import with a plan, mapped as its headers say where nobody had such a file yet."""
    address = uploaded(client, data, name, **more)
    if client.get(address).json()["state"] == "opened":
        chosen = client.get(f"{address}/mapping").json()["chosen"]
        done(client, client.put(f"{address}/mapping", json=chosen))
    return address


def committed(client: httpx.Client, data: bytes, name: str = "leads.csv") -> str:
    address = planned(client, data, name)
    commit(client, address)
    return address


def commit(client: httpx.Client, address: str) -> Any:
    plan = client.get(f"{address}/plan").raise_for_status().json()["plan"]
    return done(client, client.post(f"{address}/commit", json={"plan": plan}))


def done(client: httpx.Client, answer: httpx.Response) -> Any:
    """The import, once what this answer promises is carried out, as its flow does it."""
    assert answer.status_code == 202, answer.text
    address = answer.headers["location"].removeprefix("/api/v1")
    import_id = int(address.rpartition("/")[2])
    import_orders.carry_out(import_id, imports.get(import_id, by=OPERATOR).orders)
    found = client.get(address).raise_for_status().json()
    assert (found["error"], found["wanted"]) == (None, None), found
    return found
