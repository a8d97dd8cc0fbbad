"""What a request says of its body's SHA-256: `Content-Digest` (RFC 9530), or the older `Digest` (RFC 3230)."""

import base64
import re
from typing import Annotated

from fastapi import Header

from models.errors import InvalidInput

ContentDigest = Annotated[
    str | None,
    Header(
        alias="Content-Digest",
        description="The SHA-256 of this part. One that arrives otherwise is not kept.",
        examples=["sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"],
        max_length=1000,
    ),
]
Digest = Annotated[
    str | None,
    Header(alias="Digest", description="The same in the older way.", max_length=1000),
]
_CONTENT = re.compile(r"(?:^|,)\s*sha-256=:([^:]*):", re.IGNORECASE)
_OLDER = re.compile(r"(?:^|,)\s*sha-256=([^,\s]*)", re.IGNORECASE)


def sha256(content_digest: str | None, digest: str | None) -> str | None:
    """In hexadecimal digits; None where neither names this algorithm. Raises InvalidInput for what is no SHA-256."""
    for name, header, pattern in (("Content-Digest", content_digest, _CONTENT), ("Digest", digest, _OLDER)):
        if header is not None and (found := pattern.search(header)):
            return _hex(name, found[1])
    return None


def header(sha256_hex: str) -> str:
    """As headers have it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256_hex)).decode()}:"


def _hex(name: str, given: str) -> str:
    try:
        raw = base64.b64decode(given, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise InvalidInput(f"{name}: a SHA-256 is 32 bytes in base64, as sha-256=:…:.", field=name)
    return raw.hex()
