"""What is in a backup: its manifest lies beside the archive, is written last, and makes it valid.

It is a JSON object {"appointment360 backup": 1, "key", "seal", "content"}: `content` is the manifest as JSON in base64,
encrypted where there is a key, and `seal` proves that who has the key wrote it. Without a key the seal is a SHA-256,
which notices accidents alone.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import pyrage

from models.errors import InvalidInput
from pipelines.backup_key import Key

ARCHIVE, MANIFEST = ".tar.zst.age", ".manifest"
PLAIN_ARCHIVE = ".tar.zst"
MARK, VERSION = "appointment360 backup", 1


class Unfit(InvalidInput):
    """The archive cannot be taken: it is damaged, cut short, of another key, or none of ours."""


@dataclass(frozen=True)
class Manifest:
    """`tables` gives rows and hash of each, `shape` the constraints, indexes, triggers, functions and grants in words,
    `files` size and SHA-256 of each stored file; `size` and `sha256` are the archive's."""

    name: str
    made_at: str
    server: int
    size: int
    sha256: str
    tables: dict[str, tuple[int, str]]
    shape: dict[str, list[str]]
    newest_import: dict[str, Any] | None
    roles: list[str]
    files: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.tables.values())


def archive_name(name: str, key: str | None) -> str:
    return name + (ARCHIVE if key else PLAIN_ARCHIVE)


def written(manifest: Any, key: Key | None) -> bytes:
    """Of a Manifest, or another dataclass of which JSON can be made."""
    content = json.dumps(asdict(manifest), sort_keys=True).encode()
    if key is not None:
        content = pyrage.encrypt(content, [key.identity.to_public()])
    name = key.name if key else None
    outer = {MARK: VERSION, "key": name, "seal": _seal(content, key), "content": base64.b64encode(content).decode()}
    return json.dumps(outer, sort_keys=True).encode()


def key_of(data: bytes) -> str | None:
    """The public part of the key that opens it; None is not encrypted. Raises Unfit."""
    name = _outer(data).get("key")
    if name is not None and not isinstance(name, str):
        raise Unfit("The manifest is damaged: its key is none.")
    return name


def read(data: bytes, key: Key | None, *, name: str) -> Manifest:
    """The manifest of the backup `name`; `key` is not asked for where it is not encrypted. Raises Unfit."""
    found = opened(data, key, name=name)
    try:
        found |= {one: {of: tuple(pair) for of, pair in found[one].items()} for one in ("tables", "files")}
        return Manifest(**found)
    except (ValueError, TypeError, KeyError) as error:
        raise Unfit(f"{name} is refused: its manifest is damaged, or somebody else wrote it.") from error


def opened(data: bytes, key: Key | None, *, name: str) -> dict[str, Any]:
    """What was written as the manifest of `name`, as JSON gives it. Raises Unfit."""
    outer, needed = _outer(data), key_of(data)
    if needed is not None and (key is None or key.name != needed):
        raise Unfit(
            f"{name} opens with another key than this one: it was made with the key whose public part is {needed}. "
            "Name its file with --key."
        )
    used = key if needed is not None else None
    damaged = f"{name} is refused: its manifest is damaged, or somebody else wrote it."
    try:
        content = base64.b64decode(outer["content"], validate=True)
        # Anything but what was written is refused, also where it would mean the same.
        same = data == json.dumps(outer, sort_keys=True).encode()
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise Unfit(damaged) from error
    if not same or not hmac.compare_digest(str(outer.get("seal")), _seal(content, used)):
        raise Unfit(damaged)
    try:
        plain = pyrage.decrypt(content, [used.identity]) if used else content
        found: dict[str, Any] = json.loads(plain)
        whose = found["name"]
    except (pyrage.DecryptError, ValueError, TypeError, KeyError) as error:
        raise Unfit(damaged) from error
    if whose != name:
        raise Unfit(f"{name} is refused: its manifest is that of {whose}.")
    return found


def _outer(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise Unfit("This is no manifest of a backup: it is damaged, cut short, or something else.") from error
    if not isinstance(found, dict) or MARK not in found:
        raise Unfit("This is no manifest of a backup of Appointment360.")
    if found[MARK] != VERSION:
        raise Unfit(f"This backup has the format {found[MARK]}, and this program knows {VERSION}: use a newer one.")
    return found


def _seal(content: bytes, key: Key | None) -> str:
    return key.seal(content) if key else hashlib.sha256(content).hexdigest()
