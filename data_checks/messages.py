"""What a gate and a checker say to each other, and where they meet: one JSON object each way, on a pipe or a socket.

A request is {"url", "table", "schema"}, where no table means every table that has a suite; the answer
{"verdicts": [...]} or {"error", "kind"}, where `error` is the sentence for a person and `kind` the name of its class in
models.errors.
"""

import hashlib
import json
import os
import secrets
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models import errors
from models.check_results import Verdict
from models.errors import AppError

LONGEST_ADDRESS = 100  # bytes; the kernel's limit for a socket's path is 104 to 108


def address(home: Path) -> Path:
    """The path of the socket at which the warm checker of `home` listens."""
    beside = home.resolve() / "checks.sock"
    if len(os.fsencode(beside)) <= LONGEST_ADDRESS:
        return beside
    digest = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"appointment360-checks-{digest}.sock"


def key(home: Path) -> bytes | None:
    """The secret that gate and checker prove to each other; None before the first checker made it."""
    try:
        return (home / "checks.key").read_bytes() or None
    except FileNotFoundError:
        return None


def made_key(home: Path) -> bytes:
    """The secret, made where there is none: readable by its owner only."""
    try:
        descriptor = os.open(home / "checks.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return (home / "checks.key").read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret := secrets.token_hex(32).encode())
    return secret


def request(url: str, table: str | None, schema: str | None) -> bytes:
    return _packed({"url": url, "table": table, "schema": schema})


def answer(verdicts: list[Verdict]) -> bytes:
    return _packed({"verdicts": [asdict(verdict) for verdict in verdicts]})


def refusal(error: AppError) -> bytes:
    kind = next(one.__name__ for one in type(error).__mro__ if hasattr(errors, one.__name__))
    return _packed({"error": error.sentence, "kind": kind})


def read_request(line: bytes) -> tuple[str, str | None, str | None]:
    asked = json.loads(line)
    return asked["url"], asked["table"], asked["schema"]


def read_answer(line: bytes) -> list[Verdict]:
    """The verdicts; raises the error that the answer tells of."""
    said = json.loads(line)
    if "error" in said:
        raise getattr(errors, said["kind"])(said["error"])
    return [Verdict(**one) for one in said["verdicts"]]


def _packed(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
