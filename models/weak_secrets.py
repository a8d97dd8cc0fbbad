"""Why a secret that a program shows to another is too weak to be one. People's passwords: see models/passwords.py."""

from models import passwords
from models.setting_groups import CHANGE_ME

LEAST = 20  # characters
GUESSES = 10**14  # far beyond what passwords need: nothing slows down who guesses these


def is_example(secret: str) -> bool:
    """Whether it is what stands in deploy/env.example, in whatever spelling."""
    return CHANGE_ME.replace("-", "") in "".join(letter for letter in secret.casefold() if letter.isalpha())


def weakness(secret: str) -> str | None:
    """What it is, such as “is too short”; None where nothing is wrong with it."""
    if is_example(secret):
        return "is the example's"
    if len(secret) < LEAST:
        return f"is shorter than {LEAST} characters"
    if passwords.guesses(secret[: passwords.ESTIMATED]) < GUESSES:
        return "is easily guessed"
    return None
