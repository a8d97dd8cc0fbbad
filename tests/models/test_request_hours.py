import threading
from datetime import timedelta

from sqlalchemy import func, select, text, update

from models import request_hours
from models.database import engine, reading, writing
from models.permissions import OPERATOR
from models.request_hours import RequestHour, Taken


def take(*, at_once: int = 1, limit: int = 10, near: int = 4, user: int = 7) -> Taken:
    return request_hours.take(user, at_once=at_once, near=near, limit=limit)


def test_some_at_a_time_then_one_by_one_then_none(db: str) -> None:
    assert [take(at_once=3).granted for _ in range(10)] == [1, 3, 1, 1, 1, 1, 1, 1, 0, 0]
    last = take(at_once=3)
    assert (last.granted, last.taken) == (0, 10)
    assert 0 < last.seconds <= 3600
    assert take(user=8).granted == 1, "another person has their own"


def test_many_at_once_get_no_more_than_the_limit_and_no_less(db: str) -> None:
    granted: list[int] = []

    def all_that_there_are() -> None:
        while more := take(at_once=5, near=20, limit=100).granted:
            granted.append(more)

    threads = [threading.Thread(target=all_that_there_are) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 100


def test_what_was_not_used_is_there_for_others(db: str) -> None:
    first = [take(limit=5, near=0, at_once=4) for _ in range(2)]
    assert [one.granted for one in first] == [1, 4]
    request_hours.give_back(7, first[1].began_at, 3)
    assert [take(limit=5).granted for _ in range(4)] == [1, 1, 1, 0]


def test_a_new_hour_begins_anew_and_past_ones_are_cleared(db: str) -> None:
    for _ in range(6):
        take(limit=5)
    assert take(limit=5).granted == 0
    with writing(OPERATOR) as session:
        session.execute(update(RequestHour).values(began_at=RequestHour.began_at - timedelta(hours=3)))
    assert take(limit=5).granted == 1
    request_hours.clear_past()
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(RequestHour)) == 1


def test_hours_are_those_of_utc_wherever_the_connection_is(db: str) -> None:
    """In a zone of half hours they would begin half an hour earlier."""
    began = take().began_at
    with engine().begin() as connection:
        connection.execute(text("SET LOCAL TIME ZONE 'Asia/Kolkata'"))
        asked = {"user": 7, "at_once": 1, "near": 1, "limit": 10}
        assert connection.execute(request_hours._TAKE, asked).one().began_at == began
