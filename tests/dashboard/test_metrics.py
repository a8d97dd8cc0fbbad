"""What a Prometheus server reads, by its own parser and over real HTTP."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from models import backups
from models.backups import Drill, Made
from models.database import writing
from models.permissions import OPERATOR
from tests.dashboard.conftest import Site, served

TOKEN = "a-token-of-the-monitoring"
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


def test_how_the_backups_stand(watched: str) -> None:
    before = samples(watched)
    assert "appointment360_backup_newest_age_seconds" not in before
    assert "appointment360_backup_alert refuted" not in before
    for outcome, found in ((Drill.MATCHES, []), (Drill.DIFFERS, ["Rows are missing."])):
        made = backups.ask(by=OPERATOR)
        backups.finish(made, Made(10_000, 2, 3, 0, None), by=OPERATOR)
        backups.drilled(made, outcome, seconds=2.5, differences=found, by=OPERATOR)
    after = samples(watched)
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


def test_without_its_database_there_are_none_now(tmp_path: Path) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    with served(nowhere, tmp_path, APPOINTMENT360_METRICS_TOKEN=TOKEN) as address:
        answer = httpx.get(f"{address}/metrics", headers=SHOWN, timeout=10)
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
