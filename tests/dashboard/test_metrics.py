"""What a Prometheus server reads, by its own parser and over real HTTP."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from models import backups
from models.backups import Drill, Made
from models.database import reading, writing
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import Site, served
from tests.dashboard.tab import tab

TOKEN = "a-token-of-the-monitoring"
NOWHERE = "http://127.0.0.1:1/api"
SHOWN = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def watched(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(site.url, tmp_path_factory.mktemp("watched"), APPOINTMENT360_METRICS_TOKEN=TOKEN) as address:
        yield address


@pytest.fixture(autouse=True)
def none_left(site: Site) -> Iterator[None]:
    yield
    with writing(OPERATOR) as session:
        session.execute(text("DELETE FROM backups; DELETE FROM backup_alerts"))


def samples(address: str) -> dict[str, float]:
    """“name” or “name kind” -> value."""
    answer = httpx.get(f"{address}/metrics", headers=SHOWN)
    assert answer.status_code == 200
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def samples_with(address: str, name: str) -> dict[str, float]:
    """Once that one is there: what was read is kept for some seconds."""
    deadline = time.monotonic() + 30
    while name not in (found := samples(address)):
        assert time.monotonic() < deadline, sorted(found)
        time.sleep(0.2)
    return found


def test_how_the_backups_stand(watched: str) -> None:
    before = samples(watched)
    assert "appointment360_backup_newest_age_seconds" not in before
    assert "appointment360_backup_alert refuted" not in before
    for outcome, found in ((Drill.MATCHES, []), (Drill.DIFFERS, ["Rows are missing."])):
        made = backups.ask(by=OPERATOR)
        backups.finish(made, Made(10_000, 2, 3, 0, None), by=OPERATOR)
        backups.drilled(made, outcome, seconds=2.5, differences=found, by=OPERATOR)
    after = samples_with(watched, "appointment360_backup_alert refuted")
    assert after["appointment360_backup_alert refuted"] == 1
    assert after["appointment360_backup_alerts"] == before["appointment360_backup_alerts"] + 1
    assert after["appointment360_backup_stored_bytes"] == 20_000
    assert after["appointment360_backup_restore_seconds"] == 2.5
    assert (
        0 < after["appointment360_backup_newest_age_seconds"] < after["appointment360_backup_proven_age_seconds"] < 60
    )
    assert after["process_resident_memory_bytes"] > 50_000_000


def test_only_with_the_token(watched: str) -> None:
    for headers in ({}, {"authorization": TOKEN}, {"authorization": "Bearer é".encode()}):
        answer = httpx.get(f"{watched}/metrics", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "APPOINTMENT360_METRICS_TOKEN" in answer.text


def test_without_a_token_set_there_are_none(web: str) -> None:
    answer = httpx.get(f"{web}/metrics", headers=SHOWN)
    assert answer.status_code == 404
    assert "set APPOINTMENT360_METRICS_TOKEN" in answer.text


def test_without_its_database_an_instance_tells_of_itself(tmp_path: Path) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    with served(nowhere, tmp_path, APPOINTMENT360_METRICS_TOKEN=TOKEN, PREFECT_API_URL=NOWHERE) as address:
        found = samples(address)
        parts = httpx.get(f"{address}/readyz", headers=SHOWN, timeout=10)
        nobody = httpx.get(f"{address}/readyz", timeout=10)
    assert (found["appointment360_ready"], found["appointment360_prefect_up"]) == (0, 0)
    assert found["process_resident_memory_bytes"] > 50_000_000
    assert not [name for name in found if name.startswith(("appointment360_backup", "appointment360_database"))]
    assert parts.json()["parts"]["database"] == parts.json()["parts"]["prefect"] == "away"
    assert (nobody.status_code, nobody.json()) == (503, {"status": "The database does not answer."})


def test_requests_screens_and_what_waits(watched: str, site: Site) -> None:
    before = samples(watched)
    with writing(OPERATOR) as session:
        session.execute(
            text("""INSERT INTO flow_runs (flow, state, scheduled, started_at)
            VALUES ('back-up', 'waiting', false, now() - interval '1 hour')""")
        )
        session.execute(
            text("""INSERT INTO flow_runs (flow, state, scheduled, ended_at)
            VALUES ('import-contacts', 'failed', false, now()), ('import-contacts', 'failed', false, now())""")
        )
    try:
        httpx.get(f"{watched}/api/v1/contacts/1?q=somebody", headers={"authorization": "Bearer nothing"})
        httpx.get(f"{watched}/exports/1/file")
        with tab(watched, f"session={site.token(Role.ADMIN)}") as one:
            one.run("contacts")
            found = samples_with(watched, "appointment360_flow_runs back-up waiting")
            assert found["appointment360_sockets_open"] == 1
    finally:
        with writing(OPERATOR) as session:
            session.execute(text("DELETE FROM flow_runs"))
    assert found["appointment360_requests_total /api/v1/contacts/{contact_id} 4xx"] == 1
    assert found["appointment360_request_seconds_count /exports/{export_id}/file"] == 1
    assert found["appointment360_requests_in_flight"] == 1  # the one that asks
    assert found["appointment360_operations_total screen contacts"] >= 1
    assert found["appointment360_operations_statements_total screen contacts"] >= 1
    assert found["appointment360_flow_runs back-up waiting"] == 1
    assert found["appointment360_flow_runs_oldest_waiting_seconds"] >= 3600
    assert found["appointment360_flow_runs_ended import-contacts failed"] == 2
    assert found["appointment360_database_size_bytes"] > 5_000_000
    assert found["appointment360_database_connections active"] >= 1
    assert 0 < found["appointment360_pool_connections_most"] < found["appointment360_database_connections_most"]
    assert found["appointment360_ready"] == before["appointment360_ready"] == 1
    free = {name: value for name, value in found.items() if name.startswith("appointment360_disk_free_bytes")}
    assert free
    assert all(value > 0 for value in free.values())
    with reading() as session:
        people = session.execute(text("SELECT name, email FROM users")).all()
    told = httpx.get(f"{watched}/metrics", headers=SHOWN).text
    assert not [one for person in people for one in person if one in told]
