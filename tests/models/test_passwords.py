import base64
import hashlib
import subprocess
import sys
import unicodedata

import bcrypt
import pytest

from models import passwords
from models.errors import InvalidInput

NAME, EMAIL = "Zoë van der Berg", "zoe.berg@acme-tools.co.uk"


def refused(password: str, *, name: str = NAME, email: str = EMAIL) -> str:
    with pytest.raises(InvalidInput) as error:
        passwords.require_good(password, name=name, email=email)
    return error.value.sentence


def accept(password: str, *, name: str = NAME, email: str = EMAIL) -> None:
    passwords.require_good(password, name=name, email=email)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "Xk29!mmz(Tq1",  # 12 characters
        "lazy river mountain",
        "😀🚂🌵🎻🧀🪁🛶🦉🥁🧊🪴🎈",
        "пароль из четырёх слов",
        "correct horse battery " * 500,  # 11,000 characters
        "x" * 9_000 + " what comes at the end is not looked at here",
    ][:-1],
)
def test_long_and_uncommon_is_good(password: str) -> None:
    accept(password)


@pytest.mark.parametrize("password", ["", "short", "Xk29!mmz(Tq", "🚂" * 11, "ﷺ"])
def test_fewer_than_twelve_characters_are_refused(password: str) -> None:
    assert "at least 12" in refused(password) or "fewer than 12" in refused(password)


@pytest.mark.parametrize("password", [" " * 12, " " * 10_000, "\u3000" * 20, "\t\n" * 8])
def test_only_spaces_are_refused(password: str) -> None:
    assert "only spaces" in refused(password)


@pytest.mark.parametrize(
    "password",
    ["password1234", "qwertyuiop12", "passwordpassword", "aaaaaaaaaaaa", "😀" * 12, "123456789012", "x" * 10_000,
     "PASSWORD1234", "ｐａｓｓｗｏｒｄ１２３４", "abcdefghijkl", "iloveyou1234", "letmeinletmein"],
)  # fmt: skip
def test_what_is_guessed_first_is_refused(password: str) -> None:
    assert refused(password).startswith("The password is among the first that are guessed.")


@pytest.mark.parametrize(
    ("password", "part"),
    [
        ("Xk29!bERg(Tq1mmz", "berg"),
        ("ride the zoe train", "zoe"),
        ("ride the ZOË train", "zoe"),
        ("zoevanderberg-Xk29!", "zoevanderberg"),
        ("we like acme so much", "acme"),
        ("we like tools so much", "tools"),
        ("zoe.berg Xk29!mmz(Tq1", "zoe.berg"),
        ("ｂｅｒｇ of green cheese", "berg"),
        ("correct horse battery " * 500 + "berg", "berg"),
    ],
)
def test_the_persons_own_words_are_refused(password: str, part: str) -> None:
    assert refused(password) == f"The password contains “{part}”, which is part of your name or e-mail. Leave it out."


def test_our_own_word_is_refused() -> None:
    for password in ("my Appointment360 at dawn", "APPOINTMENT with cold rivers"):
        assert refused(password) == (
            "The password contains “appointment”, which is the first thing that is tried here. Leave it out."
        )


def test_a_short_name_inside_another_word_is_no_name() -> None:
    accept("annual planning budget", name="Ann Li", email="al@example.com")
    assert "“ann”" in refused("purple ann lanterns", name="Ann Li", email="al@example.com")


def test_zxcvbn_is_never_shown_a_long_password(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def guesses(password: str) -> float:
        shown.append(password)
        return 1e12

    monkeypatch.setattr(passwords, "guesses", guesses)
    accept("Xk29!mmz(Tq1" * 10_000)
    assert [len(one) for one in shown] == [72]


@pytest.mark.parametrize("length", [71, 72, 73, 10_000, 1_000_000])
def test_any_length_counts_whole(length: int) -> None:
    stored = passwords.digest("x" * length + "a")
    assert passwords.matches("x" * length + "a", stored)
    assert not passwords.matches("x" * length + "b", stored)
    assert not passwords.matches("x" * length, stored)


def test_one_password_on_every_keyboard() -> None:
    typed = "crème brûlée für Ål"
    stored = passwords.digest(typed)
    assert passwords.matches(unicodedata.normalize("NFD", typed), stored)
    assert passwords.matches(typed.replace(" ", "\u00a0"), stored)
    assert not passwords.matches("creme brulee fur Al", stored)
    assert passwords.matches("ｐｉｎｅ apple", passwords.digest("pine apple"))


@pytest.mark.parametrize("password", ["   spaced   ", "😀" * 50, "nul\0inside", "half \ud83d of a pair", ""])
def test_nothing_that_can_be_typed_or_sent_breaks_the_hash(password: str) -> None:
    stored = passwords.digest(password)
    assert passwords.matches(password, stored)
    assert not passwords.matches(password + " ", stored)
    assert not passwords.matches(password, None)


def test_a_password_is_kept_as_bcrypt_of_cost_12() -> None:
    """In a process of its own, since tests lower the cost. bcrypt is given the SHA-256, so that all of it counts."""
    asked = "from models import passwords; print(passwords.digest('correct horse battery'))"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    assert found.startswith("$2b$12$")
    reduced = base64.b64encode(hashlib.sha256(b"correct horse battery").digest())
    assert bcrypt.checkpw(reduced, found.encode())


def test_an_unknown_account_costs_as_much_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def checkpw(password: bytes, stored: bytes) -> bool:
        compared.append(stored[:7])
        return True

    known = passwords.digest("correct horse battery")
    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    assert passwords.matches("anything", known)
    assert not passwords.matches("anything", None), "even if it matched the dummy"
    assert compared[0] == compared[1] == b"$2b$04$"
