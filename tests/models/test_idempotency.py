"""What becomes of a request's key: carried out once, answered again, taken over from a process that died."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import func, select, update

from models import database, idempotency, industries
from models.database import INSTANCES_LOCK, libpq_url, reading, writing
from models.errors import Conflict, InvalidInput
from models.idempotency import Answer, Carried, IdempotencyKey, UnderWay
from models.industries import Industry
from models.permissions import OPERATOR, Actor, Role
from tests.people import person

ANSWER = Answer(201, {"etag": '"1"'}, b'{"id": 1}')


@pytest.fixture
def ann(db: str) -> Iterator[Actor]:
    yield person(email="ann@example.com", name="Ann", role=Role.ADMIN).actor()
    idempotency._this._close()


def begun(by: Actor, key: str = "one", asked: str = "a") -> Carried:
    found = idempotency.begin(key, asked, by=by)
    assert isinstance(found, Carried)
    return found


def carried_out(mark: Carried, name: str, by: Actor) -> None:
    """An operation, as the API calls it."""
    token = database.MARK.set(mark)
    try:
        industries.create(name, by=by)
    finally:
        database.MARK.reset(token)


def of_another_process(number: int = 4711) -> None:
    """As if that one had begun what was begun."""
    with writing(OPERATOR) as session:
        session.execute(update(IdempotencyKey).values(instance=number))


def made(name: str) -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(Industry).where(Industry.name == name)) or 0


def test_an_answer_is_given_again(ann: Actor) -> None:
    mark = begun(ann)
    with pytest.raises(UnderWay, match="is being carried out"):
        idempotency.begin("one", "a", by=ann)
    carried_out(mark, "Tin", ann)
    mark.answered(ANSWER)
    assert idempotency.begin("one", "a", by=ann) == ANSWER
    with pytest.raises(InvalidInput, match="used for another request"):
        idempotency.begin("one", "b", by=ann)
    begun(person(email="ben@example.com", name="Ben", role=Role.ADMIN).actor())  # keys are each person's own


@pytest.mark.parametrize("body", [None, b"x" * (idempotency.LARGEST + 1)])
def test_an_answer_that_is_not_kept_is_not_made_up(ann: Actor, body: bytes | None) -> None:
    mark = begun(ann)
    mark.answered(Answer(201, {}, body))
    with pytest.raises(Conflict, match="cannot be given again"):
        idempotency.begin("one", "a", by=ann)


def test_an_empty_answer_is_one(ann: Actor) -> None:
    begun(ann).answered(Answer(204, {}, b""))
    assert idempotency.begin("one", "a", by=ann) == Answer(204, {}, b"")


def test_what_wrote_nothing_may_be_sent_again(ann: Actor) -> None:
    begun(ann).failed()
    begun(ann).refused(Answer(422, {}, b"{}"))
    begun(ann)


def test_what_failed_after_it_wrote_is_answered_as_it_was(ann: Actor) -> None:
    mark = begun(ann)
    carried_out(mark, "Tin", ann)
    mark.refused(Answer(401, {}, b"{}"))
    assert idempotency.begin("one", "a", by=ann) == Answer(401, {}, b"{}")


def test_the_note_falls_with_its_transaction(ann: Actor) -> None:
    industries.create("Tin", by=ann)
    mark = begun(ann)
    with pytest.raises(Conflict):
        carried_out(mark, "Tin", ann)
    mark.failed()
    again = begun(ann)
    carried_out(again, "Zinc", ann)


def test_who_died_after_the_commit_is_not_carried_out_again(ann: Actor) -> None:
    carried_out(begun(ann), "Tin", ann)
    of_another_process()
    with pytest.raises(Conflict, match="was carried out, and its answer cannot be given again"):
        idempotency.begin("one", "a", by=ann)


def test_who_died_before_the_commit_is_taken_over_and_writes_nothing_any_more(ann: Actor) -> None:
    begun(ann)
    of_another_process()
    carried_out(begun(ann), "Tin", ann)
    with pytest.raises(UnderWay, match="Another server"):  # it was not dead: its connection was lost
        carried_out(Carried(ann, "one", 4711), "Zinc", ann)
    assert (made("Tin"), made("Zinc")) == (1, 0)


def test_who_lives_is_left_alone(ann: Actor, db: str) -> None:
    begun(ann)
    of_another_process()
    with psycopg.connect(libpq_url(db)) as other:
        other.execute("SELECT pg_advisory_lock(%s, 4711)", [INSTANCES_LOCK])
        with pytest.raises(UnderWay):
            idempotency.begin("one", "a", by=ann)


def test_of_many_at_once_one_takes_it_over(ann: Actor, db: str) -> None:
    """They all have seen that it was left when the first one writes."""
    begun(ann)
    of_another_process()
    found: list[object] = []

    def take_over() -> None:
        try:
            found.append(idempotency.begin("one", "a", by=ann))
        except UnderWay:
            found.append(None)

    threads = [threading.Thread(target=take_over) for _ in range(4)]
    with psycopg.connect(libpq_url(db)) as holding:
        holding.execute("SELECT FROM idempotency_keys FOR UPDATE")
        for thread in threads:
            thread.start()
        while blocked(db) < len(threads):
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Carried) for one in found) == 1


def blocked(db: str) -> int:
    """Connections that wait for a lock of another one."""
    with psycopg.connect(libpq_url(db)) as connection:
        waiting = """SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"""
        [number] = connection.execute(waiting).fetchone() or [0]
        return int(number)


def test_a_lost_connection_is_made_anew(ann: Actor, db: str) -> None:
    begun(ann)
    before = idempotency._this._number
    with psycopg.connect(libpq_url(db), autocommit=True) as other:
        held = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"
        other.execute(held, [INSTANCES_LOCK])
    begun(ann)  # whose instance is gone, with nothing written
    assert idempotency._this._number != before


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\x00b"])
def test_what_is_no_key_is_refused(ann: Actor, key: str) -> None:
    with pytest.raises(InvalidInput, match="1 to 255 printable characters"):
        idempotency.begin(key, "a", by=ann)


def test_keys_are_forgotten_after_a_day(ann: Actor) -> None:
    begun(ann).answered(ANSWER)
    begun(ann, "two")
    with writing(OPERATOR) as session:
        older = update(IdempotencyKey).where(IdempotencyKey.key == "one")
        session.execute(older.values(began_at=IdempotencyKey.began_at - timedelta(hours=25)))
    idempotency.clear_past()
    with reading() as session:
        assert session.scalars(select(IdempotencyKey.key)).all() == ["two"]
    begun(ann)
