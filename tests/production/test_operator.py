"""An operator who knows deploy/RUNBOOK.md alone: from an empty machine to a site with TLS and two instances, which gets
last night's backup of a lost one, loses an instance under load, is upgraded, and whatever else may happen to it."""

import ctypes
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

from tests import people
from tests.deploy.command_line import COMMAND, PROJECT
from tests.production import lost_site
from tests.production.authority import authority_for
from tests.production.booted import CURRENT, uploaded
from tests.production.containers import ROOT
from tests.production.empty_machine import EmptyMachine, downloads
from tests.production.people_at_work import CLIENTS, Load, next_version

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]  # a first build has much to fetch
RUNBOOK = (ROOT / "deploy" / "RUNBOOK.md").read_text()
BLOCKS = dict(re.findall(r"^```sh\n# run: ([a-z-]+)[^\n]*\n(.*?)^```$", RUNBOOK, re.M | re.S))
SITE, ADMIN = "contacts.example.org", "admin@contacts.example.org"
PERSON = lost_site.PERSON
SOURCE = ("pyproject.toml", "requirements.lock", "README.md", "LICENSE")
WEB = "appointment360-web@8361.service"
NEW_NETWORK = 0x40000000  # CLONE_NEWNET


@dataclass
class Operator:
    """Does what the runbook says on the machine, and looks at the site from outside."""

    machine: EmptyMachine
    trusted: Path
    given: dict[str, str]
    done: set[str] = field(default_factory=set)

    def follow(self, block: str, **more: str) -> str:
        self.done.add(block)
        return self.machine.follow(BLOCKS[block], **{**self.given, **more})

    def client(self, *, from_address: str, headers: dict[str, str]) -> httpx.Client:
        """For the thread that calls this, which is in the machine's network from then on."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(self.machine.network).open("rb") as network:
            assert libc.setns(network.fileno(), NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
        transport = httpx.HTTPTransport(
            verify=ssl.create_default_context(cafile=str(self.trusted)), local_address=from_address
        )
        hooks = {"request": [lambda request: request.extensions.update(sni_hostname=SITE)]}
        headers = {"Host": SITE, **headers}
        return httpx.Client(
            transport=transport, headers=headers, base_url="https://127.0.0.1", event_hooks=hooks, timeout=60
        )

    def looked(self, address: str, *more: str) -> str:
        """What curl, which trusts whom the machine trusts, shows of it."""
        return self.machine.run("curl", "-sS", "--max-time", "60", *more, address)

    def sign_in(self, email: str, password: str) -> dict[str, Any]:
        return self.posted("/api/v1/sessions", email=email, password=password)

    def posted(self, path: str, **body: str) -> dict[str, Any]:
        data = ["-H", "Content-Type: application/json", "--data", json.dumps(body)]
        return dict(json.loads(self.looked(f"https://{SITE}{path}", *data)))

    def secret(self, name: str) -> str:
        return self.machine.run("cat", f"/etc/appointment360/secrets/{name}")

    def ready(self) -> None:
        self.machine.until("both are ready", lambda: self.machine.ready(8361) and self.machine.ready(8362))


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """On an empty machine that has the source of this version and of the next one, and what somebody kept elsewhere of
    a site whose host is lost: the keys and the place of the backups."""
    folder = tmp_path_factory.mktemp("operator")
    tomorrow = next_version(folder / "tomorrow", *SOURCE)
    kept, backups = folder / "kept", folder / "backups"
    made = subprocess.run([*COMMAND, "secrets", "new", "--into", kept], cwd=PROJECT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    backups.mkdir()
    folders = {
        "/root/appointment360:ro": ROOT, "/root/tomorrow:ro": tomorrow, "/srv/kept:ro": kept, "/srv/backups": backups,
        "/root/.cache/uv": downloads(),
    }  # fmt: skip
    machine = EmptyMachine(folders, (SITE,))
    try:
        machine.boot()
        with authority_for(80, folder, network=machine.network) as authority:
            machine.believe(authority.own, authority.root)
            machine.run("mkdir", "-p", "/root/.config/letsencrypt")
            machine.run("tee", "/root/.config/letsencrypt/cli.ini", given=f"server = {authority.url}\n")
            given = {"SITE": SITE, "ADMIN": ADMIN, "SOURCE": "/root/appointment360", "KEPT": "/srv/kept"}
            yield Operator(machine, authority.root, given | {"BACKUPS": "/srv/backups"})
    finally:
        machine.end()


@pytest.fixture(scope="module")
def lost(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of the site of before, which had a server of PostgreSQL like this one's: how many contacts, and whose factor."""
    machine = operator.machine
    machine.run("runuser", "-u", "postgres", "--", "createdb", "-O", "appointment360", "lost")
    kept, backups = machine.folders["/srv/kept:ro"], machine.folders["/srv/backups"]
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://appointment360:{operator.secret('database_password')}@127.0.0.1/lost",
        "APPOINTMENT360_HOME": str(tmp_path_factory.mktemp("lost")),
        "APPOINTMENT360_SECRET_KEY": (kept / "secret_key").read_text().strip(),
        "APPOINTMENT360_BACKUP_KEY": str(kept / "backup_key"),
        "APPOINTMENT360_BACKUP_TO": str(backups),
    }
    there = ["nsenter", f"--net={machine.network}", sys.executable, "-m", "tests.production.lost_site"]
    done = subprocess.run(there, env=environment, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    machine.run("runuser", "-u", "postgres", "--", "dropdb", "--force", "lost")
    return dict(json.loads(done.stdout))


def test_every_procedure_has_a_name() -> None:
    assert RUNBOOK.count("```sh") == len(BLOCKS)


def test_an_empty_machine_becomes_a_site(operator: Operator) -> None:
    machine = operator.machine
    operator.follow("keys-of-before")
    operator.follow("install")
    operator.follow("install")  # once more changes nothing
    assert operator.follow("certificate").endswith('{"status":"ok"}')
    assert operator.secret("secret_key") == (machine.folders["/srv/kept:ro"] / "secret_key").read_text().strip()
    assert "x-release" not in operator.looked(f"https://{SITE}/", "-I")
    assert f"location: https://{SITE}/contacts" in operator.looked(f"http://{SITE}/contacts", "-I").lower()
    operator.ready()
    signed_in = operator.sign_in(ADMIN, operator.secret("admin_password"))
    assert signed_in["token"]
    assert machine.run("systemctl", "--failed", "--no-legend") == ""
    assert "appointment360-certificate.timer" in machine.run("systemctl", "list-timers", "--no-pager")
    assert "certbot.timer" not in machine.run("systemctl", "list-timers", "--no-pager")


def test_prometheus_watches_it(operator: Operator) -> None:
    machine = operator.machine
    operator.follow("watch")

    def up() -> list[str]:
        """What it says of each; nothing while it starts."""
        told = machine.run("curl", "-s", "http://127.0.0.1:9090/api/v1/query?query=up", check=False)
        return [one["value"][1] for one in json.loads(told)["data"]["result"]] if told.startswith("{") else []

    machine.until("it asked both", lambda: up() == ["1", "1"])
    assert "127.0.0.1:9090" in operator.machine.run("ss", "-ltn")
    assert not re.search(r"(\*|0\.0\.0\.0|\[::\]):9090", operator.machine.run("ss", "-ltn"))
    rules = json.loads(operator.looked("http://127.0.0.1:9090/api/v1/rules"))["data"]["groups"]
    assert {group["file"] for group in rules} == {"/etc/prometheus/alerts.yml"}


def test_last_nights_backup_of_a_lost_site_is_there_again(operator: Operator, lost: dict[str, Any]) -> None:
    """With its people, who find their passwords and second factors."""
    machine = operator.machine
    machine.run("systemctl", "stop", "appointment360.target")
    machine.run(
        "tee", "-a", "/etc/appointment360/env", given="APPOINTMENT360_REQUESTS_PER_HOUR=100000\n"
    )  # for the load
    machine.run("runuser", "-u", "postgres", "--", "dropdb", "--force", "prefect")
    operator.follow("empty-database")
    operator.follow("restore")
    operator.ready()
    assert machine.appointment360("count")["count"] == lost["contacts"]
    assert machine.run("cat", "/var/lib/appointment360/imports/1/upload/leads.csv") == lost["upload"]
    step = operator.sign_in(PERSON, people.PASSWORD)
    code = pyotp.TOTP(lost["factor"]).now()
    assert operator.posted("/api/v1/sessions/code", ticket=step["ticket"], code=code)["token"]


def test_an_instance_is_lost_under_load_and_nobody_waits_for_it(operator: Operator) -> None:
    """Ended, and then hanging: what it was asked in that moment is lost, and nothing else."""
    machine = operator.machine
    with Load(operator.client, token(operator)) as load:
        load.some_more()
        assert load.failed == []
        machine.run("systemctl", "kill", "--signal=KILL", WEB)
        load.some_more()
        hanging = machine.state(WEB, "MainPID")["MainPID"]
        machine.until("it is there again", lambda: machine.ready(8361))
        machine.run("systemctl", "kill", "--signal=STOP", WEB)
        time.sleep(3)  # and nobody notices
        operator.follow("instance", PORT="8361")
        assert machine.state(WEB, "MainPID")["MainPID"] != hanging
        lost = len(load.failed)
        load.some_more()
    assert len(load.failed) == lost <= 2 * CLIENTS, load.failed
    found = machine.appointment360("count", "--where", "last_name=Loaded")["count"]
    assert len(load.created) <= found <= len(load.created) + lost
    assert machine.ready(8361)


def test_it_is_upgraded_and_taken_back_under_load(operator: Operator) -> None:
    machine = operator.machine
    old = Path(machine.run("readlink", CURRENT)).name
    with Load(operator.client, token(operator)) as load:
        load.some_more()
        assert set(load.releases) == {"1"}
        operator.follow("upgrade", SOURCE="/root/tomorrow", NEW="tomorrow")
        load.releases.clear()
        load.some_more()
        assert set(load.releases) == {"2"}
        operator.follow("back", OLD=old)
        load.releases.clear()
        load.some_more()
        assert set(load.releases) == {"1"}
    assert load.failed == []


def test_a_site_without_prefect_gets_it_back(operator: Operator) -> None:
    operator.follow("prefect")
    assert uploaded(operator.machine, token(operator), "after-prefect.csv"), "a worker took it"


def test_a_disk_gets_room_again(operator: Operator) -> None:
    """By the rules, and the journal's share."""
    assert "Disks" in operator.follow("disk")


def test_whoever_read_the_secrets_gets_in_nowhere(operator: Operator) -> None:
    before = {name: operator.secret(name) for name in ("database_url", "prefect_auth", "metrics_token")}
    operator.follow("passwords")
    operator.ready()
    assert all(operator.secret(name) != value for name, value in before.items())
    refused = operator.machine.run("sh", "-c", f"psql '{before['database_url']}' -c 'SELECT 1' 2>&1 || true")
    assert "password authentication failed" in refused
    metrics = ["-o", "/dev/null", "-w", "%{http_code}", "-H"]
    for one, status in ((before["metrics_token"], "401"), (operator.secret("metrics_token"), "200")):
        assert operator.looked("http://127.0.0.1:8361/metrics", *metrics, f"Authorization: Bearer {one}") == status


def test_people_keep_their_second_factors_under_another_key(operator: Operator, lost: dict[str, Any]) -> None:
    before = operator.secret("secret_key")
    operator.follow("secret-key")
    operator.ready()
    assert operator.secret("secret_key") != before
    assert "old_secret_key" not in operator.machine.run("ls", "/etc/appointment360/secrets").split()
    step = operator.sign_in(PERSON, people.PASSWORD)
    time.sleep(30 - time.time() % 30)  # a code works once
    code = pyotp.TOTP(lost["factor"]).now()
    assert operator.posted("/api/v1/sessions/code", ticket=step["ticket"], code=code)["token"]


def test_backups_have_another_key(operator: Operator) -> None:
    before = operator.secret("backup_key")
    operator.follow("backup-key")
    assert operator.secret("backup_key") != before
    [newest, *_] = operator.machine.appointment360("backups")["backups"]
    assert newest["proven"]


def test_a_person_whose_password_leaked_is_out_and_in_again(operator: Operator) -> None:
    machine = operator.machine
    machine.appointment360("users", "set", PERSON, "--remove-second-factor")
    signed_in = operator.sign_in(PERSON, people.PASSWORD)["token"]
    made = machine.appointment360("tokens", "create", PERSON)
    [listed] = machine.appointment360("tokens", "list", PERSON)["tokens"]

    def may(token: str) -> bool:
        status = ["-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: Bearer {token}"]
        return operator.looked(f"https://{SITE}/api/v1/contacts", *status) == "200"

    assert may(signed_in)
    assert may(made["token"])
    operator.follow("person", PERSON=PERSON)
    assert not may(signed_in)
    assert not may(made["token"])
    assert f"https://{SITE}/" in operator.follow("person-again", PERSON=PERSON)
    assert not may(signed_in)
    assert may(made["token"])
    operator.follow("token", PERSON=PERSON, TOKEN=str(listed["id"]))
    assert not may(made["token"])


def test_nothing_in_the_runbook_was_left_out(operator: Operator) -> None:
    """After all the others."""
    assert operator.done == set(BLOCKS)


def token(operator: Operator) -> str:
    return str(operator.machine.appointment360("tokens", "create", lost_site.ADMIN)["token"])
