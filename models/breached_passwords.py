"""Passwords that were stolen elsewhere, by a list on this machine that the setting breached_passwords names.

It is what Have I Been Pwned hands out as one file: a line for each, its SHA-1, a colon and how often it was found, in
the order of the hashes. That has 40 GB, and is never loaded: looking one up reads some 35 lines.
"""

import hashlib
import logging
from bisect import bisect_left
from pathlib import Path
from typing import BinaryIO

from models.errors import Unavailable
from models.settings import settings

DIGITS = 40  # of a SHA-1
BEHIND_ALL = b"~"  # sorts after every hash

log = logging.getLogger(__name__)


def include(*passwords: str) -> bool:
    """Whether one of them is in the list; none is where there is no list. Raises Unavailable where the list cannot be
    read: it may have been forgotten after a change of machines, and nobody would notice that nothing is refused."""
    path = settings().breached_passwords
    if path is None:
        return False
    try:
        return any(_is_in(path, password) for password in passwords)
    except OSError as error:
        log.error("The list of breached passwords cannot be read: %s: %s", path, error.strerror)
        raise Unavailable(
            "No password can be chosen now: the list of those that were stolen elsewhere cannot be read. Tell an "
            "administrator."
        ) from error


def _is_in(path: Path, password: str) -> bool:
    digest = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    wanted = digest.upper().encode()
    with path.expanduser().open("rb") as file:
        size = file.seek(0, 2)
        at = bisect_left(range(size), wanted, key=lambda offset: _hash_from(file, offset))
        return _hash_from(file, at) == wanted


def _hash_from(file: BinaryIO, offset: int) -> bytes:
    """That of the first line which begins there or later."""
    file.seek(max(offset - 1, 0))
    if offset:
        file.readline()
    return file.readline()[:DIGITS].upper() or BEHIND_ALL
