"""The baseline of the API's bench: bare FastAPI and psycopg, the same statements and nothing else; one connection for
each thread, no sign-in, no rules. `uvicorn tests.bench.plain_api:plain`, with DATABASE_URL and STATEMENTS set."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import psycopg
from fastapi import Body, FastAPI
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

plain = FastAPI()
_own = threading.local()
_read: dict[str, tuple[str, dict[str, Any]]] = json.loads(Path(os.environ["STATEMENTS"]).read_text())
_statements = {name: statement for name, (statement, _) in _read.items()}
_given = {name: given for name, (_, given) in _read.items()}


def _connection() -> "psycopg.Connection[dict[str, Any]]":
    if not hasattr(_own, "connection"):
        _own.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row)
    found: psycopg.Connection[dict[str, Any]] = _own.connection
    return found


@plain.get("/contacts/{contact_id}")
def one(contact_id: int) -> Any:
    return _connection().execute(_statements["one"].encode(), {"id": contact_id}).fetchone()


@plain.get("/contacts")
def page() -> Any:
    return {"contacts": _connection().execute(_statements["page"].encode()).fetchall()}


@plain.post("/contacts", status_code=201)
def create(values: dict[str, Any] = Body()) -> Any:  # noqa: B008  # as FastAPI has it
    """What a contact of ours comes with: who writes is set, duplicates are looked for, an audit line is written."""
    connection, given = _connection(), {**_given["create"], **values}
    with connection.transaction():
        connection.execute(_statements["who"].encode(), _given["who"])
        connection.execute(_statements["alike"].encode(), {**_given["alike"], "email": values["email"]}).fetchall()
        made = connection.execute(_statements["create"].encode(), given).fetchone()
        connection.execute(_statements["told"].encode(), {**_given["told"], "details": Jsonb({"after": values})})
    return made


@plain.post("/contacts/bare", status_code=201)
def bare(values: dict[str, Any] = Body()) -> Any:  # noqa: B008  # as FastAPI has it
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    statement = f"INSERT INTO contacts ({columns}) VALUES ({places}) RETURNING *"
    return _connection().execute(statement.encode(), values).fetchone()
