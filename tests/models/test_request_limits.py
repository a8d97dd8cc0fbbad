import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from models.database import reading, writing
from models.permissions import OPERATOR
from models.request_limits import RequestLimit, clear_past, take

MINUTE = timedelta(minutes=1)


def later(by: timedelta) -> None:
    """As if everything so far had happened earlier."""
    with writing(OPERATOR) as session:
        session.execute(update(RequestLimit).values(due_at=RequestLimit.due_at - by))


def rows() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(RequestLimit)) or 0


def test_so_many_at_once_then_one_after_the_other(db: str) -> None:
    assert [take("a", times=3, within=MINUTE) for _ in range(3)] == [None] * 3
    wait = take("a", times=3, within=MINUTE)
    assert wait is not None
    assert timedelta(seconds=1) <= wait <= timedelta(seconds=20)
    assert take("b", times=3, within=MINUTE) is None, "another key has its own"
    later(timedelta(seconds=20))
    assert take("a", times=3, within=MINUTE) is None
    assert take("a", times=3, within=MINUTE) is not None


def test_what_was_refused_does_not_count(db: str) -> None:
    take("a", times=1, within=MINUTE)
    for _ in range(5):
        assert take("a", times=1, within=MINUTE) is not None
    later(MINUTE)
    assert take("a", times=1, within=MINUTE) is None


def test_many_at_once_get_no_more_than_the_limit(db: str) -> None:
    allowed: list[bool] = []
    threads = [
        threading.Thread(target=lambda: allowed.append(take("a", times=5, within=MINUTE) is None)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 5


def test_what_nobody_waits_for_is_cleared_away(db: str) -> None:
    for number in range(3):
        take(f"key {number}", times=1, within=MINUTE)
    later(timedelta(hours=1))
    take("new", times=1, within=MINUTE)
    clear_past()
    assert rows() == 1
    assert take("new", times=1, within=MINUTE) is not None


def test_a_clock_that_was_put_back_makes_nobody_wait_for_it(db: str) -> None:
    take("a", times=2, within=MINUTE)
    later(-timedelta(days=3))
    assert [take("a", times=2, within=MINUTE) is None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("key", ["", "x" * 2000, "ключ", "'; --"])
def test_any_key_is_a_key(db: str, key: str) -> None:
    assert take(key, times=1, within=MINUTE) is None
    assert take(key, times=1, within=MINUTE) is not None
