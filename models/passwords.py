"""Passwords: which are good enough, and how they are hashed.

Before anything else a password is normalised with NFKC, as NIST SP 800-63B (3.1.1.2) asks: full-width letters and
composed accents are the same password on every keyboard. RFC 8265's OpaqueString differs only in leaving compatibility
characters apart. Then SHA-256 before bcrypt, so that a long passphrase counts whole (bcrypt stops at 72 bytes).
"""

import base64
import hashlib
import re
import unicodedata
from functools import cache

import bcrypt

from models import breached_passwords
from models.errors import InvalidInput

LEAST = 12  # characters
GUESSES = 10**8  # zxcvbn's border between “somewhat” and “safely unguessable” (its score 3)
ESTIMATED = 72  # characters that zxcvbn is shown: its time grows faster than the length
ROUNDS = 12  # bcrypt's cost; tests lower it

OURS = ("appointment",)  # words of this very place, which whoever guesses tries first

SHORT_WORD = 3  # a name as short as “Ann” is found only as a word by itself: “annual” is none


def require_good(password: str, *, name: str, email: str, field: str = "password") -> None:
    """Raises InvalidInput, with the reason, for one that is short, blank, easily guessed, stolen elsewhere, or about
    the person or us; Unavailable where the list of stolen ones cannot be read."""
    normal = _normalised(password)
    if not normal.strip():
        raise InvalidInput(
            f"The password is empty or only spaces. Choose one of at least {LEAST} characters.", field=field
        )
    if min(len(password), len(normal)) < LEAST:
        raise InvalidInput(
            f"The password has fewer than {LEAST} characters. Make it longer: a few unrelated words are easy to keep.",
            field=field,
        )
    if found := _own_word(normal, name, email):
        raise InvalidInput(
            f"The password contains “{found}”, which is part of your name or e-mail. Leave it out.", field=field
        )
    if found := next((word for word in OURS if word in _folded(normal)), None):
        raise InvalidInput(
            f"The password contains “{found}”, which is the first thing that is tried here. Leave it out.", field=field
        )
    if guesses(normal[:ESTIMATED]) < GUESSES:
        raise InvalidInput(
            "The password is among the first that are guessed. Take a few unrelated words, or let a password manager "
            "make one.",
            field=field,
        )
    if breached_passwords.include(password, normal):
        raise InvalidInput(
            "The password is among those that were stolen from other sites, and are tried everywhere. Choose another "
            "one.",
            field=field,
        )


def digest(password: str) -> str:
    return bcrypt.hashpw(_reduced(password), bcrypt.gensalt(ROUNDS)).decode()


def matches(password: str, stored: str | None) -> bool:
    """Compares against a dummy where there is no hash, so that an unknown account answers as slowly as a known one."""
    right = bcrypt.checkpw(_reduced(password), (stored or _dummy(ROUNDS)).encode())
    return right and stored is not None


def _normalised(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _reduced(password: str) -> bytes:
    # A program may send half a surrogate pair, which plain UTF-8 refuses.
    return base64.b64encode(hashlib.sha256(_normalised(password).encode("utf-8", "surrogatepass")).digest())


@cache
def _dummy(rounds: int) -> str:
    return bcrypt.hashpw(b"nobody", bcrypt.gensalt(rounds)).decode()


def _own_word(password: str, name: str, email: str) -> str | None:
    """The part of the person's name or e-mail that the password contains."""
    folded, words = _folded(password), set(_words(password))
    mailbox, _, domain = email.partition("@")
    parts = [_folded(name), _folded(name).replace(" ", ""), _folded(mailbox), *_words(name), *_words(mailbox)]
    parts += [word for label in domain.split(".")[:-1] for word in _words(label)]
    for part in sorted(set(parts), key=lambda part: (-len(part), part)):
        if part in words if len(part) == SHORT_WORD else len(part) > SHORT_WORD and part in folded:
            return part
    return None


def _words(value: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", _folded(value))


def _folded(value: str) -> str:
    """In one case and without accents."""
    apart = unicodedata.normalize("NFKD", value.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character)).strip()


def guesses(password: str) -> float:
    from zxcvbn import zxcvbn  # its word lists take 50 ms to load, which most commands need not spend

    return float(zxcvbn(password)["guesses"])
