"""Second factors lie sealed in the database."""

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import select, update

from models import sealing, second_factors, users
from models.database import reading, writing
from models.errors import Unavailable
from models.permissions import OPERATOR, Role
from models.second_factors import SecondFactor
from models.settings import settings
from tests import people


@pytest.fixture(autouse=True)
def no_key(tmp_path: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("APPOINTMENT360_HOME", str(tmp_path))
        use(changed)
        yield
    settings.cache_clear()


@pytest.fixture
def ann(db: str) -> users.User:
    return people.person(email="ann@example.com", name="Ann", role=Role.ANALYST)


@pytest.fixture
def ben(db: str) -> users.User:
    return people.person(email="ben@example.com", name="Ben", role=Role.ANALYST)


def use(monkeypatch: pytest.MonkeyPatch, new: str = "", old: str = "") -> None:
    monkeypatch.setenv("APPOINTMENT360_SECRET_KEY", new)
    monkeypatch.setenv("APPOINTMENT360_OLD_SECRET_KEY", old)
    settings.cache_clear()


def enrolled(user: users.User) -> str:
    """The secret that the person's app has."""
    begun = second_factors.begin(by=user.actor())
    second_factors.confirm(pyotp.TOTP(begun.secret).now(), by=user.actor())
    return begun.secret


def takes(user: users.User, secret: str) -> bool:
    with writing(OPERATOR) as session:
        session.execute(update(SecondFactor).values(last_step=0))  # as if no code had been used
        return second_factors.check(session, user.id, pyotp.TOTP(secret).now())


def stored(user: users.User) -> str:
    with reading() as session:
        return session.scalars(select(SecondFactor.secret).where(SecondFactor.user_id == user.id)).one()


def test_the_database_does_not_hold_what_the_app_has(monkeypatch: pytest.MonkeyPatch, ann: users.User) -> None:
    use(monkeypatch, "the key")
    secret = enrolled(ann)
    assert secret not in stored(ann)
    assert stored(ann).startswith(sealing.SEALED)
    assert takes(ann, secret)
    use(monkeypatch, "another key")
    with pytest.raises(Unavailable, match="sealed with a key that is not here"):
        takes(ann, secret)
    use(monkeypatch)
    with pytest.raises(Unavailable, match="APPOINTMENT360_SECRET_KEY"):
        takes(ann, secret)


def test_what_was_sealed_for_one_opens_for_nobody_else(
    monkeypatch: pytest.MonkeyPatch, ann: users.User, ben: users.User
) -> None:
    """Who may write to the table could else sign in as anybody, with an app of their own."""
    use(monkeypatch, "the key")
    secret = enrolled(ben)
    enrolled(ann)
    with writing(OPERATOR) as session:
        session.execute(update(SecondFactor).where(SecondFactor.user_id == ann.id).values(secret=stored(ben)))
    with pytest.raises(Unavailable):
        takes(ann, secret)


def test_what_lay_open_is_sealed_and_works_before_and_after(
    monkeypatch: pytest.MonkeyPatch, ann: users.User, ben: users.User
) -> None:
    secrets = {"ann": enrolled(ann), "ben": enrolled(ben)}
    assert stored(ann) == secrets["ann"]
    assert second_factors.seal() == (0, 0)
    use(monkeypatch, "the key")
    assert takes(ann, secrets["ann"])
    assert second_factors.seal() == (2, 0)
    assert {one.startswith(sealing.SEALED) for one in (stored(ann), stored(ben))} == {True}
    assert takes(ann, secrets["ann"])
    assert takes(ben, secrets["ben"])
    assert second_factors.seal() == (0, 0)


def test_the_key_is_changed(monkeypatch: pytest.MonkeyPatch, ann: users.User) -> None:
    use(monkeypatch, "first")
    secret = enrolled(ann)
    use(monkeypatch, "second", old="first")
    assert takes(ann, secret)
    assert second_factors.seal() == (1, 0)
    use(monkeypatch, "second")
    assert takes(ann, secret)
    use(monkeypatch, "third")
    assert second_factors.seal() == (0, 1)
    use(monkeypatch, "second")
    assert takes(ann, secret)


def test_a_key_is_made_once_for_its_owner_only(monkeypatch: pytest.MonkeyPatch, ann: users.User) -> None:
    made = sealing.make_key()
    assert made is not None
    assert made.stat().st_mode & 0o777 == 0o600
    before = made.read_text()
    assert sealing.make_key() is None
    assert made.read_text() == before
    secret = enrolled(ann)
    assert stored(ann).startswith(sealing.SEALED)
    use(monkeypatch, "the key", old=before.strip())  # it became a setting
    assert second_factors.seal() == (1, 0)
    assert takes(ann, secret)
