"""People's secrets that the database holds sealed: whoever reads it, or a copy of it, cannot use them.

The key is a setting, or a file of the home that `appointment360 up` makes. Where there is neither, they lie open. Each
purpose has a key of its own, so that what was sealed for one person opens for no other.
"""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from models import secret_files
from models.errors import Unavailable
from models.settings import home, settings

FILE = "secret.key"
SEALED = "sealed:"  # in front of what is, in the database
LOSING_IT = "Keep it: without it nobody's second factor works, and administrators have to remove them."


def sealed(plain: str, *, purpose: str) -> str:
    """As the database is to hold it: with the newest key, or as it is where there is none."""
    keys = _keys()
    return f"{SEALED}{_lock(keys[0], purpose).encrypt(plain.encode()).decode()}" if keys else plain


def opened(stored: str, *, purpose: str) -> str:
    """Raises Unavailable where none of the keys opens it."""
    if not stored.startswith(SEALED):
        return stored
    try:
        locks = [_lock(key, purpose) for key in _keys()]
        return MultiFernet(locks).decrypt(stored.removeprefix(SEALED)).decode() if locks else _refuse()
    except InvalidToken:
        return _refuse()


def is_newest(stored: str, *, purpose: str) -> bool:
    """Whether it is as `sealed` would make it now."""
    keys = _keys()
    if not keys or not stored.startswith(SEALED):
        return not keys and not stored.startswith(SEALED)
    try:
        return bool(_lock(keys[0], purpose).decrypt(stored.removeprefix(SEALED)))
    except InvalidToken:
        return False


def make_key() -> Path | None:
    """The file of a key that was made now; None where there is a key. Raises Unavailable."""
    if _keys():
        return None
    path = home() / FILE
    try:
        secret_files.write(path, secret_files.random())
    except FileExistsError:  # another one made it in this moment
        return None
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def require_key() -> None:
    """Raises Unavailable where there is none."""
    if not _keys():
        raise Unavailable("There is no key to seal with: set APPOINTMENT360_SECRET_KEY for every part.")


def _keys() -> list[str]:
    """The newest first."""
    given = settings().secret_key
    newest = given.get_secret_value() if given else _kept()
    older = settings().old_secret_key
    return [key for key in (newest, older and older.get_secret_value()) if key]


def _kept() -> str:
    path = home() / FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror or error}.") from error


def _lock(key: str, purpose: str) -> Fernet:
    derived = HKDF(SHA256(), length=32, salt=None, info=f"appointment360 {purpose}".encode()).derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))


def _refuse() -> str:
    raise Unavailable(
        "The second factor was sealed with a key that is not here: give it as APPOINTMENT360_SECRET_KEY, or as "
        "APPOINTMENT360_OLD_SECRET_KEY beside a newer one. Without it an administrator removes the factor."
    )
