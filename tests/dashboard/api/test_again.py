"""A POST that is sent again: with its answer lost, at the same time, and after its server was killed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from models import tokens, users
from models.database import libpq_url
from models.permissions import OPERATOR, Role
from tests.dashboard.api.conftest import Client, SignedIn
from tests.dashboard.api.servers import instance, wait_until_held
from tests.people import person

ANN = {"first_name": "Ann", "last_name": "Archer", "email": "ann@example.com"}
KEY = {"idempotency-key": "one"}


@pytest.fixture
def gate(db: str) -> Iterator["psycopg.Connection[Any]"]:
    """A connection that keeps whatever `stopped_before` names waiting, until it unlocks."""
    with psycopg.connect(libpq_url(db), autocommit=True) as connection:
        connection.execute(
            """CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$"""
        )
        connection.execute("SELECT pg_advisory_lock(1)")
        yield connection


def stop_before(gate: "psycopg.Connection[Any]", what: str) -> None:
    gate.execute(f"CREATE TRIGGER stop BEFORE {what} EXECUTE FUNCTION wait_for_the_test()".encode())


def let_go(gate: "psycopg.Connection[Any]") -> None:
    gate.execute("SELECT pg_advisory_unlock(1)")


THE_CONTACT = "INSERT ON contacts FOR EACH ROW"
THE_ANSWER = "UPDATE ON idempotency_keys FOR EACH ROW WHEN (NEW.status IS NOT NULL)"


def contacts(client: httpx.Client) -> int:
    return int(client.get("/contacts?count=true").json()["total"])


def create(client: httpx.Client, key: str = "one") -> httpx.Response:
    return client.post("/contacts?anyway=true", json=ANN, headers={"idempotency-key": key})


def test_two_at_the_same_time_are_one(client: Client, gate: "psycopg.Connection[Any]") -> None:
    stop_before(gate, THE_CONTACT)
    manager = client(Role.MANAGER)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(create, manager)
        wait_until_held(1)
        second = create(manager)
        assert (second.status_code, second.headers["retry-after"]) == (409, "1")
        assert "is being carried out" in second.json()["detail"]
        let_go(gate)
        made = first.result()
    again = create(manager)
    assert (made.status_code, again.json(), again.headers["idempotency-replayed"]) == (201, made.json(), "true")
    assert (again.headers["etag"], again.headers["location"]) == (made.headers["etag"], made.headers["location"])
    assert contacts(manager) == 1


def test_of_many_at_once_one_is_carried_out(client: Client) -> None:
    manager = client(Role.MANAGER)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: create(manager), range(24)))
    first = [one for one in answers if one.status_code == 201 and "idempotency-replayed" not in one.headers]
    assert len(first) == 1
    assert {one.status_code for one in answers} <= {201, 409}
    assert contacts(manager) == 1


def test_a_server_that_is_killed_costs_nothing_but_time(
    db: str, tmp_path: Path, gate: "psycopg.Connection[Any]"
) -> None:
    """Killed after the commit, and before it; the other server is asked again."""
    person(email="mia@example.com", name="Mia", role=Role.MANAGER)
    _, token = tokens.create_for("mia@example.com", "a test", by=OPERATOR)
    with instance(db, tmp_path) as survivor, survivor.client(token) as other, ThreadPoolExecutor(1) as pool:
        stop_before(gate, THE_ANSWER)
        with instance(db, tmp_path) as killed, killed.client(token) as program:
            lost = pool.submit(create, program)
            wait_until_held(1)
            killed.process.kill()
            assert isinstance(lost.exception(), httpx.TransportError)
        let_go(gate)
        gate.execute("DROP TRIGGER stop ON idempotency_keys; SELECT pg_advisory_lock(1)")
        again = create(other)
        assert (again.status_code, "was carried out" in again.json()["detail"]) == (409, True)
        assert contacts(other) == 1

        stop_before(gate, THE_CONTACT)
        with instance(db, tmp_path) as killed, killed.client(token) as program:
            lost = pool.submit(create, program, "two")
            wait_until_held(1)
            assert create(other, "two").status_code == 409, "it lives"
            killed.process.kill()
            assert isinstance(lost.exception(), httpx.TransportError)
        let_go(gate)
        while (again := create(other, "two")).status_code == 409:
            assert again.headers["retry-after"] == "1"
        assert (again.status_code, contacts(other)) == (201, 2)
        assert create(other, "two").headers["idempotency-replayed"] == "true"


def test_an_error_after_something_was_written_is_answered_again(client: Client, signed_in: SignedIn) -> None:
    """A wrong password counts as a failed try: sent again it is the same try."""
    me = signed_in(person(email="ann@example.com", name="Ann", role=Role.ANALYST))
    wrong = {"current": "wrong", "new": "purple tractor sings loudly"}
    told = [me.post("/profile/password", json=wrong, headers=KEY) for _ in range(3)]
    assert [(one.status_code, one.json()["detail"]) for one in told] == [(403, told[0].json()["detail"])] * 3
    assert "4 tries left" in told[0].json()["detail"]
    assert told[2].headers["idempotency-replayed"] == "true"


def test_what_was_refused_before_it_wrote_is_tried_anew(client: Client) -> None:
    manager = client(Role.MANAGER)
    assert manager.post("/contacts", json={**ANN, "email": "ann at example"}, headers=KEY).status_code == 422
    assert create(manager).status_code == 201
    other = manager.post("/contacts", json={**ANN, "last_name": "Baker"}, headers=KEY)
    assert (other.status_code, "another request" in other.json()["detail"]) == (422, True)


def test_a_secret_is_not_kept(signed_in: SignedIn) -> None:
    me = signed_in(person(email="ann@example.com", name="Ann", role=Role.ANALYST))
    assert me.post("/tokens", json={"name": "Nightly"}, headers=KEY).status_code == 201
    again = me.post("/tokens", json={"name": "Nightly"}, headers=KEY)
    assert (again.status_code, "cannot be given again" in again.json()["detail"]) == (409, True)
    assert len(me.get("/tokens").json()) == 1


def test_no_answer_is_given_to_who_may_see_less_now(client: Client) -> None:
    manager = client(Role.MANAGER)
    assert "email" in create(manager).json()
    _, narrower = tokens.create_for("manager0@example.com", "less", scopes=["contacts.edit"], by=OPERATOR)
    other = manager.post("/contacts?anyway=true", json=ANN, headers={**KEY, "authorization": f"Bearer {narrower}"})
    assert (other.status_code, "email" in other.json()) == (422, False)
    users.change("manager0@example.com", users.Changes(column_allowed=("last_name",)), by=OPERATOR)
    assert create(manager).status_code == 422
    assert contacts(manager) == 1


def test_keys_of_others_are_others(client: Client) -> None:
    one, two = client(Role.MANAGER), client(Role.MANAGER)
    assert [create(one).status_code, create(two).status_code] == [201, 201]
    assert contacts(one) == 2


@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
def test_what_is_no_key_is_said(client: Client, key: str) -> None:
    refused = client(Role.MANAGER).post("/contacts", json=ANN, headers={"idempotency-key": key})
    assert (refused.status_code, refused.json()["detail"]) == (
        422, "Idempotency-Key is a text of 1 to 255 printable characters, ASCII, no blanks.",
    )  # fmt: skip
