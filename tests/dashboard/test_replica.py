"""A web that has a replica, over real HTTP."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from models import database, migrations, tokens
from models.contacts import records
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import served
from tests.people import person
from tests.replicas import followed_server, standing_still
from tests.waiting import until

TOKEN = "a-token-of-the-monitoring"


def test_programs_count_on_the_replica_and_see_what_they_wrote(tmp_path: Path) -> None:
    with followed_server() as (server, follower):
        url = server.url("contacts")
        server.ensure_database("contacts")
        migrations.upgrade(url)
        database.bind(url)
        records.create({"first_name": "Ann"}, by=OPERATOR)
        person(email="max@example.com", name="Max", role=Role.MANAGER)
        _, token = tokens.create_for("max@example.com", "counting", by=OPERATOR)
        follower.caught_up()
        # A mirror would answer before the replica is asked.
        given = {"APPOINTMENT360_MIRROR": "off", "APPOINTMENT360_METRICS_TOKEN": TOKEN}
        given["DATABASE_REPLICA_URL"] = follower.url(url)
        with (
            served(url, tmp_path, **given) as address,
            httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}) as web,
        ):
            assert web.get("/api/v1/contacts/count").json() == {"count": 1}
            follower.caught_up()  # with what the question itself has written: when the token was used
            assert web.get("/api/v1/contacts/count").json() == {"count": 1}
            until("it answers", lambda: samples(web)["answered"] >= 1)
            follower.asked("SELECT pg_wal_replay_pause()")
            until("it pauses", lambda: follower.asked("SELECT pg_get_wal_replay_pause_state() = 'paused'"))
            behind = samples(web)["behind"]
            assert web.post("/api/v1/contacts", json={"first_name": "Bob"}).status_code == 201
            assert web.get("/api/v1/contacts/count").json() == {"count": 2}
            told(web, behind=behind + 1)
            follower.asked("SELECT pg_wal_replay_resume()")
            follower.caught_up()
            answered = samples(web)["answered"]
            assert web.get("/api/v1/contacts/count").json() == {"count": 2}
            told(web, answered=answered + 1)
            assert "appointment360_replica_lag_seconds" in names(web)
            follower.kill()
            assert web.get("/api/v1/contacts/count").json() == {"count": 2}
            told(web, answered=answered + 1)
            until("it is away", lambda: "appointment360_replica_lag_seconds" not in names(web))
            until("it is ready", lambda: ready(web) == 1)
            with standing_still(server.home / "postgres" / "pgdata"):
                told_of_a_standstill(web)
            until("it is ready", lambda: ready(web) == 1)
            assert web.get("/readyz").status_code == 200
            assert web.get("/api/v1/contacts/count").json() == {"count": 2}
        database.unbind()


def told_of_a_standstill(web: httpx.Client) -> None:
    """By as many who ask as the web has threads, and one more."""
    patient = httpx.Limits(max_connections=100)
    with ThreadPoolExecutor(90) as people, httpx.Client(base_url=web.base_url, limits=patient, timeout=30) as all_:
        paths = ["/readyz", "/metrics"] * 45
        key = {"authorization": f"Bearer {TOKEN}"}
        answers = list(people.map(lambda path: all_.get(path, headers=key).status_code, paths))
        assert answers[0::2] == [503] * 45
        assert set(answers[1::2]) <= {200, 503}
        until("it is not ready", lambda: ready(web) == 0)
        assert all_.get("/healthz").status_code == 200
        assert all_.get("/api/v1/health").status_code == 200, "what takes a thread has one"


def ready(web: httpx.Client) -> float:
    [found] = [one.value for family in families(web) for one in family.samples if one.name == "appointment360_ready"]
    return found


def told(web: httpx.Client, **outcomes: float) -> None:
    """Numbers are read anew every few seconds."""
    until("it is told", lambda: outcomes.items() <= samples(web).items())


def names(web: httpx.Client) -> set[str]:
    return {sample.name for family in families(web) for sample in family.samples}


def families(web: httpx.Client) -> list[Metric]:
    answer = web.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return list(text_string_to_metric_families(answer.text))


def samples(web: httpx.Client) -> dict[str, float]:
    """The outcome -> how many questions had it."""
    return {
        sample.labels["outcome"]: sample.value
        for family in families(web)
        for sample in family.samples
        if sample.name == "appointment360_replica_questions_total"
    }
