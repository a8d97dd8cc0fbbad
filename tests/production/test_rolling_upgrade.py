"""A new version takes the place of the old one, instance by instance, and the old one comes back, while people work: no
request fails, and nothing is written twice or lost. As an operator does it: out by instance.sh, SIGTERM, in again."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from models import migrations, tokens
from models.contacts import search
from models.filters import parse
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import Site
from tests.production.nginx_site import ROOT, Instance, Proxy, two_instances

pytestmark = pytest.mark.deploy
INSTANCE = str(ROOT / "deploy" / "nginx" / "instance.sh")
RELEASE = "x-release"
CLIENTS = 4
PAUSE = 0.2  # seconds between two requests of a client
MOST = 4000  # requests of a client, whatever happens
ENDED_WITHIN = 90.0  # seconds


@pytest.fixture
def behind(site: Site, tmp_path: Path) -> Iterator[tuple[Proxy, list[Instance]]]:
    with two_instances(site.url, tmp_path, REQUESTS_PER_HOUR="100000") as both:
        yield both


@pytest.fixture
def tomorrow(tmp_path: Path) -> Path:
    """The next version of the program: its answers say so, and its schema has one column more."""
    program = tmp_path / "tomorrow"
    for name in ("models", "data_checks", "pipelines", "dashboard", "deploy"):
        shutil.copytree(ROOT / name, program / name, ignore=shutil.ignore_patterns("__pycache__"))
    edge = program / "dashboard" / "edge.py"
    source = edge.read_text()
    told = source.replace('"x-content-type', f'"{RELEASE}": "2", "x-content-type')
    assert told != source
    edge.write_text(told)
    versions = program / "models" / "migrations" / "versions"
    today = migrations.newest()
    template = (versions / "0024_shared_files.py").read_text()
    template = template.replace('"0024"', '"9999"').replace('"0023"', f'"{today}"')
    (versions / "9999_tomorrow.py").write_text(f'{template}\n\nserves_from = "{today}"\n')
    (versions / "9999_tomorrow.sql").write_text("ALTER TABLE contacts ADD COLUMN of_tomorrow TEXT;\n")
    return program


@dataclass
class Load:
    """People at work: each looks at pages, asks the API, and writes. A request that fails is kept."""

    proxy: Proxy
    token: str
    failed: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    releases: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        """Each request by a connection of its own: nginx takes all of them, also while it takes a new configuration."""
        headers = {"Authorization": f"Bearer {self.token}", "Connection": "close"}
        with self.proxy.client(from_address=f"127.0.0.{100 + number}", headers=headers) as client:
            for turn in range(MOST):
                if self.over.wait(PAUSE):
                    return
                self._one(client, number, turn)

    def _one(self, client: httpx.Client, number: int, turn: int) -> None:
        what = ("/contacts", "/api/v1/contacts?country=Germany", "new")[turn % 3]
        try:
            if what == "new":
                name = f"Upgrade-{number}-{turn}"
                answer = client.post("/api/v1/contacts", json={"first_name": name, "last_name": "Loaded"})
            else:
                answer = client.get(what)
        except httpx.HTTPError as error:
            self.failed.append(f"{what}: {error!r}")
            return
        if answer.is_success:
            self.releases[answer.headers.get(RELEASE, "1")] += 1
            if what == "new":
                self.created.append(name)
        else:
            self.failed.append(f"{what}: {answer.status_code} {answer.text[:300]}")

    def some_more(self) -> None:
        """Let everybody ask a few times."""
        wanted = self.releases.total() + 6 * CLIENTS
        deadline = time.monotonic() + 60
        while self.releases.total() < wanted:
            assert time.monotonic() < deadline, self.failed
            time.sleep(0.05)


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
    with Load(proxy, token) as load:
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
