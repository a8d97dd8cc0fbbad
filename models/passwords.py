"""Password hashing: SHA-256 before bcrypt, so that a long passphrase counts whole (bcrypt stops at 72 bytes)."""

import base64
import hashlib

import bcrypt


def _reduced(password: str) -> bytes:
    return base64.b64encode(hashlib.sha256(password.encode()).digest())


def digest(password: str) -> str:
    return bcrypt.hashpw(_reduced(password), bcrypt.gensalt()).decode()


def matches(password: str, stored: str | None) -> bool:
    """Compares against a dummy where there is no hash, so that an unknown account answers as slowly as a known one."""
    right = bcrypt.checkpw(_reduced(password), (stored or DUMMY).encode())
    return right and stored is not None


DUMMY = "$2b$12$C6UzMDM.H6dfI/f/IKcEeO5pXqf0G8m2Zb1n0tW0h4c9YJ5pBq9vK"
