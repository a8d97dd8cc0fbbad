"""`appointment360 up` as a person runs it, with every part real: Postgres, web, Prefect, runner, checker.

One machine serves the whole module, because a start costs Prefect's 15 seconds; tests that break it leave it running.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import sync_playwright

from deploy import running
from tests.dashboard import chromium
from tests.deploy.command_line import COMMAND, PROJECT
from tests.waiting import free_port, until

PARTS = {"web", "runner", "prefect", "checker"}
LONGEST = 240.0  # seconds until all of it is up


class Machine:
    """An `up` in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.printed = home.parent / "printed"

    def start(self, *options: str) -> None:
        with self.printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--port", str(self.port), "--no-browser", *options],
                cwd=PROJECT, env=self.environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
                start_new_session=True,  # as a shell starts it, and systemd: it leads its group
            )  # fmt: skip
        self.saw("Ctrl-C stops all of it.")

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        return {**kept, "APPOINTMENT360_HOME": str(self.home), "APPOINTMENT360_ADMIN_EMAIL": "root@example.com"}

    @property
    def said(self) -> str:
        return self.printed.read_text()

    def saw(self, sentence: str) -> None:
        """Wait until it printed `sentence`."""

        def seen() -> bool:
            assert self.process is not None
            return sentence in self.said or self.process.poll() is not None

        until(f"it says {sentence}", seen, lambda: self.said, within=LONGEST)
        assert sentence in self.said, self.said

    def cli(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*COMMAND, *arguments], cwd=PROJECT, env=self.environment, capture_output=True, text=True)

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self.cli(*arguments, "--json")
        return json.loads(done.stdout)

    def web(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
            return response.read().decode()

    def prefect(self, path: str, body: object = None) -> Any:
        """Prefect's API, signed in as the file in the home says."""
        [address] = re.findall(r"^Prefect +(http://\S+)", self.said, re.MULTILINE)
        sign_in = b64encode((self.home / "prefect-auth").read_bytes()).decode()
        request = urllib.request.Request(
            f"{address}/api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {sign_in}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def parts(self) -> dict[str, int]:
        recorded, _ = running.read(self.home / "running.json")
        return {one.name: one.pid for one in recorded if running.is_alive(one)}

    def postmaster(self) -> int:
        return int((self.home / "postgres" / "pgdata" / "postmaster.pid").read_text().splitlines()[0])

    def processes(self) -> list[psutil.Process]:
        """All that runs for this home: they carry it in their environment, or work in its data directory."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            inside = process.cwd().startswith(str(self.home))
            told = process.environ().get("APPOINTMENT360_HOME") == str(self.home)
            return (inside or told) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def kill(self) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):  # it ended by itself since it was listed
                process.kill()
        if self.process is not None:
            self.process.wait()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="appointment360-")).resolve()
    folder.chmod(0o755)
    made = Machine(folder / "home")
    try:
        made.start("--sample")
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder, ignore_errors=True)


def test_it_says_what_runs_where(machine: Machine) -> None:
    said = machine.said
    assert re.search(r"^E-mail: +root@example.com\nPassword: +\S{15,}$", said, re.MULTILINE)
    assert f"The backups' key was made: {machine.home / 'backup.key'}. Keep a copy of it elsewhere" in said
    assert f"web         http://127.0.0.1:{machine.port}\n" in said
    assert f"home        {machine.home}\n" in said
    assert set(machine.parts()) == {"supervisor", *PARTS}


def test_the_web_answers_and_finds_its_database(machine: Machine) -> None:
    assert json.loads(machine.web("/healthz")) == {"status": "ok"}
    assert json.loads(machine.web("/readyz")) == {"status": "ok"}


def test_the_sample_is_in(machine: Machine) -> None:
    [number] = re.findall(r"^([\d,]+) sample contacts are in\.$", machine.said, re.MULTILINE)
    assert machine.json("count") == {"count": int(number.replace(",", ""))}


def test_a_second_one_says_that_it_runs_already(machine: Machine) -> None:
    second = machine.cli("up", "--no-browser")
    assert second.returncode == 0
    assert second.stdout == f"Appointment360 runs already: http://127.0.0.1:{machine.port} (home {machine.home})\n"


def test_a_port_that_is_taken(machine: Machine, open_folder: Path) -> None:
    other = machine.cli("up", "--no-browser", "--port", str(machine.port), "--home", str(open_folder / "other"))
    assert other.returncode == 1
    assert f"Port {machine.port} on 127.0.0.1 is not free" in other.stderr
    assert f"appointment360 up --port {machine.port + 1}" in other.stderr


def test_secrets_are_for_their_owner_only(machine: Machine) -> None:
    for name in ("prefect-auth", "running.json", "secret.key", "backup.key"):
        assert (machine.home / name).stat().st_mode & 0o077 == 0


def test_prefect_starts_and_wants_a_sign_in(machine: Machine) -> None:
    """With fastapi 0.155 or later Prefect's server does not start; see the pin in pyproject.toml."""
    machine.saw("Prefect is ready")
    assert machine.prefect("admin/version")
    [address] = re.findall(r"^Prefect +(http://\S+)", machine.said, re.MULTILINE)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{address}/api/admin/version")


def test_a_flow_started_by_name_commits_an_import(machine: Machine, tmp_path: Path) -> None:
    machine.saw("Prefect is ready")
    file = tmp_path / "flow.csv"
    file.write_text("First Name,Email\nFlo,flo@example.com\nFred,fred@example.com\n")
    planned = machine.json("import", str(file), "--dry-run")
    assert (planned["state"], planned["created"]) == ("planned", 2)
    deployment = until(
        "it is deployed", lambda: _deployment(machine, "import-contacts/default"), lambda: _log(machine, "runner")
    )
    run = machine.prefect(
        f"deployments/{deployment['id']}/create_flow_run", {"parameters": {"import_id": planned["import_id"]}}
    )
    ended = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    until(
        "it ended", lambda: machine.prefect(f"flow_runs/{run['id']}")["state_type"] in ended,
        lambda: _log(machine, "runner"),
    )  # fmt: skip
    done = machine.prefect(f"flow_runs/{run['id']}")["state"]
    assert done["type"] == "COMPLETED", done
    assert machine.json("imports", "show", str(planned["import_id"]))["state"] == "committed"


@pytest.mark.browser
def test_an_import_from_the_browser_runs_as_flows(machine: Machine, tmp_path: Path) -> None:
    machine.saw("Prefect is ready")
    file = tmp_path / "walk.csv"
    file.write_text("First Name,Email,City\nWal,wal@example.com,Ulm\nWim,wim@example.com,Bonn\n")  # a kind of its own
    with sync_playwright() as playwright:
        path = chromium.executable(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(180_000)  # each flow is a process that loads Prefect
        page.goto(f"http://127.0.0.1:{machine.port}/imports?new=1")
        [password] = re.findall(r"^Password: +(\S+)$", machine.said, re.MULTILINE)
        page.get_by_label("Work e-mail").fill("root@example.com")
        page.get_by_role("textbox", name="Password").fill(password)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Choose a file").wait_for()
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_role("button", name="Make the plan").click()
        page.get_by_role("button", name="Commit 2 changes").click()
        page.get_by_role("button", name="Undo the import").click()
        page.get_by_role("dialog").get_by_role("button", name="Undo the import").click()
        page.get_by_text("Taken back").wait_for()
        page.goto(f"http://127.0.0.1:{machine.port}/prefect/v2/runs")  # Prefect's own screens, through the web
        page.get_by_text(re.compile("^undo of import")).first.wait_for()
        browser.close()
    shown = machine.json("imports", "list")["imports"][0]
    assert (shown["file_name"], shown["state"], shown["created"]) == ("walk.csv", "undone", 2)
    names = {run["name"]: run["state_type"] for run in machine.prefect("flow_runs/filter", {"sort": "START_TIME_DESC"})}
    identity = shown["import_id"]
    assert names[f"import {identity}"] == names[f"undo of import {identity}"] == "COMPLETED"


def _deployment(machine: Machine, name: str) -> Any:
    """None while the runner has not offered it yet."""
    try:
        return machine.prefect(f"deployments/name/{name}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None


def test_a_killed_web_is_started_again(machine: Machine) -> None:
    before = machine.parts()["web"]
    os.kill(before, signal.SIGKILL)
    machine.saw("web was ended by SIGKILL; started again in 1 s.")
    machine.saw("web runs again")
    assert machine.parts()["web"] != before
    until("the web is ready", lambda: _answered(machine), lambda: _log(machine, "web"))


def _log(machine: Machine, part: str) -> str:
    return (machine.home / "logs" / f"{part}.log").read_text()


def _answered(machine: Machine) -> bool:
    try:
        return bool(machine.web("/readyz"))
    except OSError:
        return False


def test_a_prefect_whose_port_is_taken_moves_to_another(machine: Machine) -> None:
    [address] = re.findall(r"^Prefect +(http://\S+)", machine.said, re.MULTILINE)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = int(address.rpartition(":")[2])
        recorded, _ = running.read(machine.home / "running.json")
        running.end_all([one for one in recorded if one.name == "prefect"], patience=0.0)
        until(f"port {port} is free", lambda: _is_bound(other, port))  # what it was answering may end later
        other.listen()
        machine.saw(f"Port {port} was taken by another program; Prefect moves to")
        [moved] = re.findall(r"Prefect moves to (http://\S+)", machine.said)
        assert moved != address
        machine.saw(f"Prefect is ready: {moved}")
    until("the web is ready", lambda: _answered(machine), lambda: _log(machine, "web"))


def _is_bound(candidate: socket.socket, port: int) -> bool:
    with suppress(OSError):
        candidate.bind(("127.0.0.1", port))
        return True
    return False


def test_a_killed_postgres_is_started_again(machine: Machine) -> None:
    before = machine.json("count")
    os.kill(machine.postmaster(), signal.SIGKILL)
    machine.saw("PostgreSQL runs again")
    assert machine.json("count") == before
    until("the web is ready", lambda: _answered(machine), lambda: _log(machine, "web"))


def test_after_a_kill_of_the_supervisor_nothing_runs_and_nothing_is_lost(machine: Machine) -> None:
    assert machine.process is not None
    before = machine.json("count")
    machine.process.kill()
    machine.process.wait()
    until("nothing runs", lambda: not machine.parts(), lambda: str(machine.parts()))
    machine.start("--sample")
    assert machine.json("count") == before
    assert "There are contacts already, so the sample is not imported." in machine.said
    assert "Password" not in machine.said
    assert set(machine.parts()) == {"supervisor", *PARTS}


def test_sigterm_stops_everything(machine: Machine) -> None:
    assert machine.process is not None
    assert len(machine.processes()) > len(PARTS)
    machine.process.terminate()
    assert machine.process.wait() == 0
    assert [process.cmdline() for process in machine.processes()] == []
    assert machine.said.endswith("Stopping …\nStopped.\n")
    assert not (machine.home / "postgres" / "pgdata" / "postmaster.pid").exists()
