"""The owner's key: an age identity in a file of its own, which is no part of any backup.

Whoever has the file opens every backup made with it, also by age's own tool; without it none can be opened.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from pyrage import IdentityError, x25519

from models import backups, stored_files
from models.errors import Conflict, InvalidInput, NotFound, Unavailable
from models.settings import settings

LOSING_IT = (
    "Keep a copy of it elsewhere, such as in a password manager or on paper: without it no backup can be opened, "
    "by nobody, and a new key opens no older one."
)


@dataclass(frozen=True)
class Key:
    identity: x25519.Identity

    @property
    def name(self) -> str:
        """Its public part, which opens nothing."""
        return str(self.identity.to_public())

    def seal(self, content: bytes) -> str:
        """A proof that who has the key wrote this content: age alone says only for whom it is."""
        secret = hashlib.sha256(b"appointment360 seal of backups\0" + str(self.identity).encode()).digest()
        return hmac.new(secret, content, "sha256").hexdigest()


def path() -> Path:
    return backups.key_file()


def make(to: Path | None = None) -> tuple[Key, Path]:
    """A new key in its file, readable by this system user only. Raises Conflict (there is one), Unavailable."""
    target = to or path()
    key = Key(x25519.Identity.generate())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Conflict(f"{target} is there already, and old backups need it: move it away, and keep it.") from error
    except OSError as error:
        raise Unavailable(f"{target} cannot be written: {error.strerror or error}.") from error
    try:
        with os.fdopen(file, "w") as opened:
            opened.write(f"# Opens the backups of Appointment360. Public key: {key.name}\n{key.identity}\n")
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        target.unlink(missing_ok=True)  # half a key would be taken for one
        raise Unavailable(f"{target} cannot be written: {error.strerror or error}.") from error
    return key, target


def read(file: Path | None = None) -> Key:
    """Raises NotFound, InvalidInput, Unavailable."""
    source = file or path()
    try:
        lines = source.read_text().split("\n")
    except FileNotFoundError as error:
        raise NotFound(
            f"There is no key {source}: name its file with --key or APPOINTMENT360_BACKUP_KEY. What was made with a "
            "key opens with that one alone: look for the copy of it that was kept."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"The key {source} cannot be read: {error}.") from error
    secret = next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
    try:
        return Key(x25519.Identity.from_str(secret))
    except IdentityError as error:
        raise InvalidInput(f"{source} holds no key: one begins with AGE-SECRET-KEY-1.") from error


def wanted() -> tuple[Key | None, bool]:
    """The key that new backups take, None where the owner wants none; and whether it was made just now. Only the
    home's is made: a file that a setting names has to be there.

    Raises NotFound, InvalidInput, Unavailable.
    """
    if settings().backup_encryption == "none":
        return None, False
    try:
        return read(), False
    except NotFound as error:
        if settings().backup_key is not None:
            raise NotFound(
                f"There is no key {path()}, which APPOINTMENT360_BACKUP_KEY names: correct that, or make one there "
                f"with `appointment360 backup key new {path()}`."
            ) from error
        if stored_files.are_shared():
            raise NotFound(
                f"There is no key {path()}, and none is made where hosts share {stored_files.root()}: each would have "
                "its own. Make one with `appointment360 backup key new FILE`, and name it on every host by "
                "APPOINTMENT360_BACKUP_KEY."
            ) from error
        return make()[0], True
