"""A new version takes the place of the old one, instance by instance, and the old one comes back, while people work: no
request fails, and nothing is written twice or lost. As an operator does it: out by instance.sh, SIGTERM, in again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import tokens
from models.contacts import search
from models.filters import parse
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import Site
from tests.production.nginx_site import ROOT, Instance, Proxy, two_instances
from tests.production.people_at_work import Load, next_version

pytestmark = pytest.mark.deploy
INSTANCE = str(ROOT / "deploy" / "nginx" / "instance.sh")
ENDED_WITHIN = 90.0  # seconds


@pytest.fixture
def behind(site: Site, tmp_path: Path) -> Iterator[tuple[Proxy, list[Instance]]]:
    with two_instances(site.url, tmp_path, REQUESTS_PER_HOUR="100000") as both:
        yield both


@pytest.fixture
def tomorrow(tmp_path: Path) -> Path:
    return next_version(tmp_path / "tomorrow")


def replaced(proxy: Proxy, old: Instance, program: Path | None) -> Instance:
    """Taken out, told to end, started with the other program, and let in once it is ready."""
    proxy.run(INSTANCE, "down", old.address)
    assert old.process is not None
    old.process.send_signal(signal.SIGTERM)
    old.process.wait(ENDED_WITHIN)
    environment = {name: value for name, value in old.environment.items() if name != "PYTHONPATH"}
    if program is not None:
        environment["PYTHONPATH"] = str(program)
    new = Instance(old.port, environment, old.folder)
    new.start()
    new.wait()
    proxy.run(INSTANCE, "up", new.address)
    return new


def test_an_upgrade_and_a_rollback_under_load_fail_no_request(
    behind: tuple[Proxy, list[Instance]], site: Site, tomorrow: Path
) -> None:
    proxy, instances = behind
    _, token = tokens.create("load", by=site.people[Role.ADMIN].actor())
    with Load(proxy.client, token) as load:
        load.some_more()
        assert set(load.releases) == {"1"}

        environment = instances[0].environment | {"PYTHONPATH": str(tomorrow)}
        migrated = subprocess.run(
            [sys.executable, "-m", "deploy.cli", "migrate", "--json"], env=environment, cwd=instances[0].folder,
            capture_output=True, text=True,
        )  # fmt: skip
        assert '"schema": "9999"' in migrated.stdout, migrated.stderr
        load.some_more()  # the old version on the new schema
        for place, old in enumerate(instances):
            instances[place] = replaced(proxy, old, tomorrow)
            load.some_more()
        load.releases.clear()
        load.some_more()
        assert set(load.releases) == {"2"}

        for place, new in enumerate(instances):  # it does not please: back
            instances[place] = replaced(proxy, new, None)
        load.releases.clear()
        load.some_more()
        assert set(load.releases) == {"1"}
    assert load.failed == []
    assert len(load.created) == len(set(load.created)) > 0
    assert search.count(parse(["last_name=Loaded"], by=OPERATOR), by=OPERATOR) == len(load.created)
