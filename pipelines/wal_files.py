"""A finished piece of the write-ahead log as a file: packed by zstd, encrypted by age, behind a line that says what it
is and whose seal proves it.

The line is a JSON object {"appointment360 log": 1, "name", "system", "key", "seal"}; `tail -n +2 FILE | age -d -i KEY |
zstd -d` opens it without this program.
"""

import hashlib
import hmac
import json
from typing import Any

import pyrage
import zstandard

from pipelines.backup_key import Key
from pipelines.backup_manifest import Unfit

MARK, VERSION = "appointment360 log", 1
SUFFIX, PLAIN_SUFFIX = ".zst.age", ".zst"
MOST = 1 << 30  # bytes of a piece, which PostgreSQL allows


def file_name(segment: str, key: Key | None) -> str:
    return segment + (SUFFIX if key else PLAIN_SUFFIX)


def segment_of(name: str) -> str:
    """The piece's name in the server."""
    return name.removesuffix(".age").removesuffix(".zst")


def written(content: bytes, segment: str, system: str, key: Key | None) -> bytes:
    packed = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(content)
    payload = pyrage.encrypt(packed, [key.identity.to_public()]) if key else packed
    head = {MARK: VERSION, "name": segment, "system": system, "key": key.name if key else None}
    return _line(head | {"seal": _seal(head, payload, key)}) + payload


def key_of(data: bytes, segment: str) -> str | None:
    """The public part of the key that opens it; None is not encrypted. Raises Unfit."""
    try:
        name = json.loads(data.partition(b"\n")[0])["key"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unfit(_damaged(segment)) from error
    return None if name is None else str(name)


def read(data: bytes, segment: str, system: str, key: Key | None) -> bytes:
    """What the server wrote. Raises Unfit, with the reason."""
    line, _, payload = data.partition(b"\n")
    damaged = _damaged(segment)
    try:
        head: dict[str, Any] = json.loads(line)
        seal, whose = head.pop("seal"), head["key"]
        told = (head[MARK], head["name"], head["system"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unfit(damaged) from error
    if whose is not None and (key is None or key.name != whose):
        raise Unfit(f"The piece {segment} of the log opens with the key whose public part is {whose}: name its file.")
    used = key if whose is not None else None
    if line + b"\n" != _line(head | {"seal": seal}) or not hmac.compare_digest(str(seal), _seal(head, payload, used)):
        raise Unfit(damaged)
    if told != (VERSION, segment, system):
        raise Unfit(f"The piece {segment} of the log is refused: the file is that of {told[1]} of server {told[2]}.")
    try:
        packed = pyrage.decrypt(payload, [used.identity]) if used else payload
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MOST)
    except (pyrage.DecryptError, zstandard.ZstdError) as error:
        raise Unfit(damaged) from error


def _damaged(segment: str) -> str:
    return f"The piece {segment} of the log is refused: it is damaged, cut short, or somebody else wrote it."


def _line(head: dict[str, Any]) -> bytes:
    return json.dumps(head, sort_keys=True).encode() + b"\n"


def _seal(head: dict[str, Any], payload: bytes, key: Key | None) -> str:
    told = _line(head) + hashlib.sha256(payload).digest()
    return key.seal(told) if key else hashlib.sha256(told).hexdigest()
