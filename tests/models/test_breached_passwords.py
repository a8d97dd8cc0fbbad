"""The list of passwords that were stolen elsewhere, and that no road takes one of them."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import account_links, breached_passwords, passwords, profile, settings, users
from models.errors import InvalidInput, Unavailable
from models.link_tokens import Purpose
from models.permissions import Role
from tests.people import PASSWORD, link_of, person

STOLEN = "purple tractor sings loudly"
REFUSED = "stolen from other sites"


def digest(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A list that STOLEN is in, and five thousand others."""
    file = tmp_path / "pwned-passwords.txt"
    lines = sorted(f"{digest(one)}:{number}" for number, one in enumerate([STOLEN, *map(str, range(5000))], 1))
    file.write_bytes("\r\n".join(lines).encode())  # as it is handed out, with no end of the last line
    monkeypatch.setenv("APPOINTMENT360_BREACHED_PASSWORDS", str(file))
    settings.settings.cache_clear()
    yield file
    monkeypatch.undo()
    settings.settings.cache_clear()


def test_each_of_the_list_is_found_and_no_other(listed: Path) -> None:
    drawn = random.Random(1).sample(range(5000), 300)
    assert all(breached_passwords.include(str(one)) for one in drawn)
    assert not any(breached_passwords.include(str(one)) for one in range(5000, 5300))
    hashes = sorted(digest(str(one)) for one in range(5000))
    for edge in (hashes[0], hashes[-1]):
        [own] = [str(one) for one in range(5000) if digest(str(one)) == edge]
        assert breached_passwords.include(own)
    assert breached_passwords.include("is not", "17")


def test_a_list_of_one_and_of_none(listed: Path) -> None:
    listed.write_text(f"{digest(STOLEN).lower()}:3\n")
    assert breached_passwords.include(STOLEN)
    assert not breached_passwords.include("another")
    listed.write_text("")
    assert not breached_passwords.include(STOLEN)


def test_no_road_takes_one_of_it(db: str, listed: Path) -> None:
    with pytest.raises(InvalidInput, match=REFUSED):
        users.first_administrator(email="root@example.com", password=STOLEN)
    ann = person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    with pytest.raises(InvalidInput, match=REFUSED):
        profile.change_password(PASSWORD, STOLEN, by=ann.actor(), token=None)
    with pytest.raises(InvalidInput, match=REFUSED):
        passwords.require_good(f"{STOLEN[:-1]}ｙ", name="Ann", email=ann.email)  # the same after NFKC
    with pytest.raises(InvalidInput, match=REFUSED):
        account_links.accept(link_of(ann, Purpose.RESET), STOLEN, address=None)
    profile.change_password(PASSWORD, "orange tractor sings loudly", by=ann.actor(), token=None)


def test_without_a_list_it_is_taken(db: str) -> None:
    passwords.require_good(STOLEN, name="Ann", email="ann@example.com")


def test_a_list_that_is_gone_is_told(listed: Path) -> None:
    listed.unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        passwords.require_good(STOLEN, name="Ann", email="ann@example.com")
