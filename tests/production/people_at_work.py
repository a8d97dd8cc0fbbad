"""People at work with a site, and the next version of the program, which takes the place of this one meanwhile."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from models import migrations
from tests.production.containers import ROOT

RELEASE = "x-release"
CLIENTS = 4
PAUSE = 0.2  # seconds between two requests of a client
MOST = 4000  # requests of a client, whatever happens
SCHEMA = "9999"  # of the next version
PROGRAM = ("models", "data_checks", "pipelines", "dashboard", "deploy")


@dataclass
class Load:
    """Each looks at pages, asks the API, and writes. A request that fails is kept. `client(from_address=, headers=)` is
    called in the thread that uses what it makes.
    """

    client: Callable[..., httpx.Client]
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
        with self.client(from_address=f"127.0.0.{100 + number}", headers=headers) as client:
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


def next_version(folder: Path, *besides: str) -> Path:
    """The program's source, and what is `besides` it, with answers that say so and a column more in the schema."""
    for name in (*PROGRAM, *besides):
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, folder / name)
    edge = folder / "dashboard" / "edge.py"
    source = edge.read_text()
    told = source.replace('"x-content-type', f'"{RELEASE}": "2", "x-content-type')
    assert told != source
    edge.write_text(told)
    versions = folder / "models" / "migrations" / "versions"
    today = migrations.newest()
    template = (versions / "0024_shared_files.py").read_text()
    template = template.replace('"0024"', f'"{SCHEMA}"').replace('"0023"', f'"{today}"')
    (versions / f"{SCHEMA}_tomorrow.py").write_text(f'{template}\n\nserves_from = "{today}"\n')
    (versions / f"{SCHEMA}_tomorrow.sql").write_text("ALTER TABLE contacts ADD COLUMN of_tomorrow TEXT;\n")
    return folder
