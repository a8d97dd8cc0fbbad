"""`appointment360 up`: all of it on one machine, started in order, watched, and stopped in order.

One supervisor per home: up.lock is held by it, and inherited by its warden, so that after a kill -9 the next `up`
waits until the old parts are gone. The web starts first and never waits for Prefect, which needs some 15 seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy import local, output, parts, ports, prefect_server, running
from deploy.local import Connection
from deploy.ports import HOST, Reservation
from deploy.supervisor import PROJECT, Part, Supervisor
from models import kernel_locks
from models.errors import AppError, Conflict

SAMPLE = PROJECT / "tests" / "samples" / "legislators.csv"
WEB_LIMIT = 90.0
TAKE_OVER_LIMIT = 30.0
LOOK_EVERY = 0.2
POSTGRES_EVERY = 2.0
WEB_GRACE = 5  # seconds in which the web answers what was asked of it when it is told to end


@dataclass
class Machine:
    """One run of `up`: where everything is."""

    home: Path
    port: int
    prefect: Reservation
    connection: Connection

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def prefect_address(self) -> str:
        return f"http://{HOST}:{self.prefect.port}"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def parts(self) -> list[Part]:
        """Web first; they are stopped in this order, too."""
        from models import settings

        environment = settings.environment(
            DATABASE_URL=self.connection.url,
            APPOINTMENT360_HOME=str(self.home),
            APPOINTMENT360_PORT=str(self.port),
            PYTHONUNBUFFERED="1",
        )
        for name in parts.FIRST_PASSWORD:
            environment.pop(name, None)
        environment = {name: value for name, value in environment.items() if not prefect_server.foreign_to_it(name)}
        environment |= prefect_server.environment(self.connection, self.prefect.port)
        python = sys.executable
        commands = {
            "web": parts.web_command(HOST, self.port, proxies=parts.believed_proxies(), grace=WEB_GRACE),
            "runner": [python, "-m", "pipelines.serve"],
            "prefect": prefect_server.command(self.prefect.port),
            "checker": [python, "-m", "data_checks.gate"],
        }
        return [Part(name, command, environment) for name, command in commands.items()]


def run(*, port: int | None, sample: bool, browser: bool) -> None:
    """Run until Ctrl-C or SIGTERM; returns at once where it runs already. Raises AppError."""
    from models import exports, production
    from models.settings import settings, unknown

    production.require(settings(), alone=True)
    home = local.prepared_home()
    port = port or settings().port
    lock = _sole(home, f"http://{HOST}:{port}")
    if lock is None:
        return
    try:
        ports.require_free(port)
        output.say(f"Starting Appointment360 in {home}")
        for sentence in unknown():
            output.note(sentence)
        with local.connected(makes=True) as connection:
            prefect_server.ensure_database(connection)
            _first_administrator()
            _backup_key()
            _secret_key()
            exports.fail_interrupted()
            machine = Machine(home, port, ports.reserved(prefect_server.PORT), connection)
            _supervise(machine, lock, sample=sample, browser=browser)
            machine.prefect.release()
        output.say("Stopped.")
    finally:
        os.close(lock)


def _sole(home: Path, address: str) -> int | None:
    """The lock of the only `up` of this home, after what a killed one left is gone; None where another one runs."""
    record = running.record_file(home)
    deadline = time.monotonic() + TAKE_OVER_LIMIT
    while (lock := kernel_locks.taken_if_free(home / "up.lock")) is None:
        recorded, facts = running.read(record)
        if any(one.name == running.SUPERVISOR and running.is_alive(one) for one in recorded):
            output.say(f"Appointment360 runs already: {facts.get('address')} (home {home})")
            return None
        if time.monotonic() > deadline:
            raise Conflict(f"Another `up` of {home} is starting or stopping, for {TAKE_OVER_LIMIT:.0f} seconds now.")
        time.sleep(LOOK_EVERY)
    running.end_all(running.parts(record))
    own = running.identified(running.SUPERVISOR, os.getpid())
    running.record(record, [own] if own else [], {"address": address})
    return lock


def _first_administrator() -> None:
    from models import users
    from models.settings import settings

    given = settings().admin_password
    created = users.first_administrator(
        email=settings().admin_email, password=given.get_secret_value() if given else None
    )
    if created is None:
        return
    user, password = created
    lines = [f"E-mail:   {user.email}", f"Password: {'(from APPOINTMENT360_ADMIN_PASSWORD)' if given else password}"]
    output.boxed("Sign in with" + ("" if given else " (shown only this once)"), lines)


def _backup_key() -> None:
    """Make it before the first backup does, where somebody reads that it was made."""
    from pipelines import backup_key

    try:
        _, new = backup_key.wanted()
    except AppError as error:  # told as the failure of each backup, too
        output.note(error.sentence)
        return
    if new:
        output.say(f"The backups' key was made: {backup_key.path()}. {backup_key.LOSING_IT}")


def _secret_key() -> None:
    """Make it where there is none, and seal what was not sealed with it."""
    from models import sealing, second_factors

    if made := sealing.make_key():
        output.say(f"The key that seals second factors was made: {made}. {sealing.LOSING_IT}")
    _, closed = second_factors.seal()
    if closed:
        output.note(f"{output.counted(closed, 'second factor')} cannot be opened: they were sealed with another key.")


def _supervise(machine: Machine, lock: int, *, sample: bool, browser: bool) -> None:
    web, *others = machine.parts()
    facts = {"address": machine.address, running.PREFECT: machine.prefect_address}
    record = running.record_file(machine.home)
    with Supervisor(record=record, logs=machine.logs, say=_event, facts=facts, hold=[lock]) as supervisor:
        supervisor.start(web)
        if sample and not supervisor.stopping:
            _import_sample(web)
        for part in others:
            supervisor.start(part)
        if _web_answers(machine, supervisor):
            _show_map(machine)
            if browser:
                _open_browser(machine.address)
        _watch(machine, supervisor)
        output.say("Stopping …")


def _watch(machine: Machine, supervisor: Supervisor) -> None:
    """Until somebody stops it: keep the parts and Postgres running, and say when Prefect is there."""
    prefect = _once_answered(machine)
    next_look = time.monotonic()
    while not supervisor.stopping:
        supervisor.look()
        if time.monotonic() >= next_look:
            _keep_postgres(machine, supervisor)
            if _moved_prefect(machine, supervisor):
                prefect = _once_answered(machine)
            if prefect():
                _event(f"Prefect is ready: {machine.prefect_address}")
            next_look = time.monotonic() + POSTGRES_EVERY
        time.sleep(LOOK_EVERY)


def _keep_postgres(machine: Machine, supervisor: Supervisor) -> None:
    server = machine.connection.server
    if server is None or server.alive() or server.alive():  # a busy machine may answer too late once
        return
    _event("PostgreSQL does not answer; starting it again.")
    try:
        local.revive(machine.connection)
    except AppError as error:
        _event(f"{error.sentence} Next try in {POSTGRES_EVERY:.0f} s.")
        return
    revived = machine.connection.server
    assert revived is not None
    _event(f"PostgreSQL runs again on port {revived.port}; what was committed is there.")
    if revived.port != server.port:
        supervisor.replace(machine.parts())


def _moved_prefect(machine: Machine, supervisor: Supervisor) -> bool:
    """Where Prefect died and somebody else has its port by now, it gets another one, and all parts are told."""
    if not supervisor.pausing("prefect") or ports.is_free(machine.prefect.port):
        return False
    taken = machine.prefect
    machine.prefect = ports.reserved(0)
    taken.release()
    _event(f"Port {taken.port} was taken by another program; Prefect moves to {machine.prefect_address}")
    supervisor.know(**{running.PREFECT: machine.prefect_address})
    supervisor.replace(machine.parts())
    return True


def _web_answers(machine: Machine, supervisor: Supervisor) -> bool:
    """Wait for the web's first answer, at most WEB_LIMIT seconds; says so when there is none."""
    deadline = time.monotonic() + WEB_LIMIT
    while time.monotonic() < deadline and not supervisor.stopping:
        if _answers(f"{machine.address}/healthz"):
            return True
        supervisor.look()
        time.sleep(LOOK_EVERY)
    if not supervisor.stopping:
        _event(f"The web has not answered for {WEB_LIMIT:.0f} s. Its log: {machine.logs / 'web.log'}")
    return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310  our own http address
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _once_answered(machine: Machine) -> Callable[[], bool]:
    """A function that is true once: the first time that Prefect answers."""
    waiting = [True]

    def check() -> bool:
        if waiting[0] and _answers(f"{machine.prefect_address}/api/health"):
            waiting[0] = False
            return True
        return False

    return check


def _show_map(machine: Machine) -> None:
    server = machine.connection.server
    auth = prefect_server.auth_file(machine.home)
    rows = [
        ("web", machine.address),
        ("Prefect", f"{machine.prefect_address} (ready in about 15 s; sign-in in {auth})"),
        ("PostgreSQL", f"{HOST}:{server.port}" if server else "the server of DATABASE_URL"),
        ("home", str(machine.home)),
        ("logs", str(machine.logs)),
    ]
    output.table(["what", "where"], rows)
    output.say("Ctrl-C stops all of it.")


def _import_sample(web: Part) -> None:
    """In a process of its own: what an import loads need not stay in the supervisor's memory."""
    from models.contacts import search
    from models.filters import Filters
    from models.permissions import OPERATOR

    if search.count(Filters(), by=OPERATOR):
        output.say("There are contacts already, so the sample is not imported.")
        return
    if not SAMPLE.is_file():
        output.say(f"The sample is not there: {SAMPLE} is missing from this installation.")
        return
    command = [sys.executable, "-m", "deploy.cli", "import", str(SAMPLE), "--yes", "--json"]
    done = subprocess.run(command, env=dict(web.environment), cwd=PROJECT, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = {"error": done.stderr.strip() or f"exit code {done.returncode}"}
    if "error" in found:
        output.say(f"The sample could not be imported: {found['error']}")
    else:
        output.say(f"{found['created']:,} sample contacts are in.")


def _open_browser(address: str) -> None:
    """Where there is a screen to see it on; a machine without one is fine, too."""
    screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if screen and not os.environ.get("SSH_CONNECTION"):
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(address)


def _event(sentence: str) -> None:
    output.say(f"{time.strftime('%H:%M:%S')} {sentence}")
