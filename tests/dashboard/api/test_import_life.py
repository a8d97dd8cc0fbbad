"""A program's hundred thousand rows, from the file to the undo of their import, by nothing but HTTP requests."""

import base64
import hashlib
from pathlib import Path

from models.permissions import Role
from pipelines import export_contacts
from tests.dashboard.api.conftest import Client
from tests.dashboard.api.importing import commit, done
from tests.pipelines.importing import sql

ROWS, PART = 100_000, 1_500_000
COUNTRIES = ("Germany", "France", "Italy", "Spain")


def file() -> bytes:
    lines = ["Email,First Name,Last Name,Company,Country,# Employees"]
    lines += [
        f"p{number}@x{number % 9}.com,Ann{number},Archer,Company {number % 977},{COUNTRIES[number % 4]},{number % 500}"
        for number in range(ROWS)
    ]
    return "\r\n".join(lines).encode()


def test_a_hundred_thousand_rows_come_go_out_and_are_taken_back(client: Client, warm_home: Path) -> None:
    admin, data = client(Role.ADMIN), file()
    sql("UPDATE users SET download_limit = NULL")
    described = {"name": "people.csv", "size": len(data), "part_size": PART}
    begun = admin.post("/imports", json=described, headers={"idempotency-key": "my file"})
    again = admin.post("/imports", json=described, headers={"idempotency-key": "my file"})
    assert (begun.status_code, again.json(), again.headers["location"]) == (
        201, begun.json(), begun.headers["location"],
    )  # fmt: skip
    address = f"/imports/{begun.json()['import_id']}"
    numbers = begun.json()["missing"]
    assert len(numbers) > 3
    for number in (numbers[-1], *numbers[:-1], numbers[1]):  # the last one first, and one of them twice
        part = data[(number - 1) * PART : number * PART]
        told = base64.b64encode(hashlib.sha256(part).digest()).decode()
        sent = admin.put(f"{address}/parts/{number}", content=part, headers={"content-digest": f"sha-256=:{told}:"})
        assert sent.status_code == 200, sent.text
    whole = {"sha256": hashlib.sha256(data).hexdigest()}
    opened = done(admin, admin.post(f"{address}/upload/complete", json=whole))
    assert (opened["state"], opened["rows"], opened["sha256"]) == ("opened", ROWS, whole["sha256"])

    chosen = admin.get(f"{address}/mapping").json()["chosen"]
    planned = done(admin, admin.put(f"{address}/mapping", json={**chosen, "match": "email"}))
    assert (planned["state"], planned["created"], planned["rejected"]) == ("planned", ROWS, 0)
    assert commit(admin, address)["state"] == "committed"
    page = admin.get("/contacts", params={"country": "Germany", "employees.gte": 400, "count": True, "size": 1}).json()
    assert (page["total"], page["contacts"][0]["country"]) == (5_000, "Germany")

    wanted = {"filter": "country=Germany", "columns": ["email", "company"], "format": "csv"}
    asked = admin.post("/exports", json=wanted).json()
    export_contacts.run(asked["id"])
    receipt = admin.get(f"/exports/{asked['id']}").json()
    assert (receipt["state"], receipt["rows"]) == ("done", 25_000)
    where, middle = f"/exports/{asked['id']}/file", receipt["bytes"] // 2
    first = admin.get(where, headers={"range": f"bytes=0-{middle - 1}"})
    rest = admin.get(where, headers={"range": f"bytes={middle}-", "if-range": first.headers["etag"]})
    assert (first.status_code, rest.status_code) == (206, 206)
    assert hashlib.sha256(first.content + rest.content).hexdigest() == receipt["sha256"]

    assert done(admin, admin.post(f"{address}/undo"))["undone"] == {"removed": ROWS, "restored": 0, "kept": 0}
    assert admin.get("/contacts", params={"count": True}).json()["total"] == 0
