"""What deploy/monitoring promises: Prometheus reads it, each rule fires when it should, and what it names exists."""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.dashboard.conftest import ROOT, Site, served
from tests.waiting import free_port, until

pytestmark = pytest.mark.deploy
FOLDER = ROOT / "deploy" / "monitoring"
TOKEN = "a-token-of-the-monitoring"
OF_PROMETHEUS = {"up"}
NAME = re.compile(r"\b(?:appointment360|process)_\w+|\bup\b")
GROUPS = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
PANELS = json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]


@pytest.fixture(scope="module")
def web(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    more = {"APPOINTMENT360_METRICS_TOKEN": TOKEN, "PREFECT_API_URL": "http://127.0.0.1:1/api"}
    with served(site.url, tmp_path_factory.mktemp("watched"), **more) as address:
        yield address


def promtool(*arguments: object) -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_rule_fires_and_is_quiet_beside_that() -> None:
    promtool("check", "rules", "--lint-fatal", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    told = [(one["alertname"], bool(one["exp_alerts"])) for test in tests for one in test["alert_rule_test"]]
    assert sorted(told) == sorted((rule["alert"], fires) for rule in RULES for fires in (True, False))


def test_a_rule_that_was_broken_is_noticed(tmp_path: Path) -> None:
    """The check above can fail."""
    broken = (FOLDER / "alerts.yml").read_text().replace("> 0.02 *", "> 0.5 *")
    (tmp_path / "alerts.yml").write_text(broken)
    (tmp_path / "alerts_test.yml").write_text((FOLDER / "alerts_test.yml").read_text())
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yml"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"ManyErrors fires" in done.stdout + done.stderr


def test_every_metric_that_is_named_exists(web: str) -> None:
    answer = httpx.get(f"{web}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    there = {
        name
        for family in text_string_to_metric_families(answer.text)
        for name in (family.name, *(f"{family.name}{end}" for end in ENDS[family.type]))
    }
    wanted = {name for query in [*QUERIES, *(rule["expr"] for rule in RULES)] for name in NAME.findall(query)}
    assert len(wanted) > 30
    assert wanted - there - OF_PROMETHEUS - OF_A_REPLICA == set()


ENDS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ()}
OF_A_REPLICA = {"appointment360_replica_lag_seconds"}  # where contacts are browsed on one: test_replica_metrics


def test_the_queries_of_the_dashboard_are_queries(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(QUERIES)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"SUCCESS: {len(QUERIES)} rules found" in promtool("check", "rules", tmp_path / "queries.yml")


def test_prometheus_reads_an_instance_by_this_configuration(web: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    job["authorization"]["credentials_file"] = str(tmp_path / "token")
    job["static_configs"] = [{"targets": [web.removeprefix("http://")]}]
    job["scrape_interval"] = "2s"
    job["scrape_timeout"] = "2s"
    config["rule_files"] = [str(FOLDER / "alerts.yml")]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    promtool("check", "config", tmp_path / "prometheus.yml")
    port = free_port()
    command = ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            ready = partial(asked, f"http://127.0.0.1:{port}", 'appointment360_ready{job="appointment360"}')
            assert until("it was read", ready, (tmp_path / "log").read_text) == "1"
        finally:
            process.terminate()
            process.wait(30)


def asked(prometheus: str, query: str) -> str:
    """The value of its one series, and nothing as long as there is none."""
    try:
        found = httpx.get(f"{prometheus}/api/v1/query", params={"query": query}).json()["data"]["result"]
    except (httpx.TransportError, KeyError, ValueError):
        return ""
    return str(found[0]["value"][1]) if found else ""
