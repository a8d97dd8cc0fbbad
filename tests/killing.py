"""A small machine whose parts are killed while files come in: Postgres, web, runner, flow and checker, each a process.

Like `up` it starts again what has died; Prefect alone is missing, so the sweep begins what a flow else would. The test
of imports and the benchmark use it.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from sqlalchemy.exc import DBAPIError

from deploy.embedded_postgres import Server, start_or_join
from models import database, import_orders, imports, migrations, settings, sign_ins
from models.database import reading
from models.errors import Conflict, Unavailable
from models.imports import State
from models.permissions import Actor, Role
from tests.dashboard.test_uploads import Sender, Web
from tests.people import person
from tests.waiting import free_port

ROOT = Path(__file__).parents[1]
RUNNER = """
import time
from datetime import timedelta
from pipelines import sweep
from pipelines.own_database import bind_database
sweep.PATIENCE = timedelta(0)
bind_database()
while True:
    sweep.carry_out_orders()
    time.sleep(0.05)
"""
TUNING = {"shared_buffers": "128MB"}
PIECES = 8  # of an upload
LONGEST = 180.0  # seconds until an import must be there
LOOKS_AFTER = 0.5  # seconds between two looks for parts that are dead
UPLOAD = "upload"
# The steps in which a kill can fall, by the state in which they find the import.
STEPS = {"open": State.NEW, "stage": State.OPENED, "check and plan": State.STAGED, "commit": State.PLANNED}
VICTIMS = (
    ("flow",), ("runner",), ("runner", "flow"), ("Postgres",), ("web",), ("checker",),
    ("flow", "runner", "web", "checker", "Postgres"),
)  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """When in an import, as a share of the step's usual time, and who dies."""

    step: str
    share: float
    victims: tuple[str, ...]


def kills(number: int, imports_: int, *, seed: int) -> list[list[Kill]]:
    """So many moments over that many imports, in each the earlier step first. Every step and every victim has its
    turn, and what falls together is left to chance."""
    chance = random.Random(seed)
    steps = [UPLOAD, *STEPS]
    at = [steps[n % len(steps)] for n in range(number)]
    who = [VICTIMS[n % len(VICTIMS)] for n in range(number)]
    chance.shuffle(at)
    chance.shuffle(who)
    drawn = [Kill(step, chance.random(), victims) for step, victims in zip(at, who, strict=True)]
    shares = [drawn[n::imports_] for n in range(imports_)]
    return [sorted(one, key=lambda kill: (steps.index(kill.step), kill.share)) for one in shares]


@dataclass
class Machine:
    """The parts; `usual` are the seconds that each step takes when nobody is killed."""

    folder: Path
    usual: dict[str, float] = field(default_factory=dict)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    done: list[Kill] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def url(self) -> str:
        return self.server.url("killed")

    def start(self) -> None:
        # A port of its own: while its server is dead, another one on this machine takes the one that all prefer.
        self.server: Server = start_or_join(self.folder, tuning=TUNING, preferred_port=free_port())
        for name in ("killed", "undisturbed"):
            self.server.ensure_database(name)
            migrations.upgrade(self.server.url(name))
        self.home.mkdir(mode=0o755)
        database.bind(self.url)
        self.by = _manager()
        self.web = Web(self.url, self.home)
        self.mend()

    def mend(self) -> None:
        """Start again what is dead, as the supervisor does; the database first."""
        if not self.server.alive():
            died, port = self.server, self.server.port
            self.server = start_or_join(self.folder, tuning=TUNING, preferred_port=port)
            died.release()
            assert self.server.port == port, "somebody took the port"
        if self.web.process is None or self.web.process.poll() is not None:
            self.web.start()
        environment = {
            **os.environ, "DATABASE_URL": self.url, "APPOINTMENT360_HOME": str(self.home), "PYTHONPATH": str(ROOT)
        }  # fmt: skip
        environment.pop("PREFECT_API_URL", None)
        commands = {
            "runner": [sys.executable, "-c", RUNNER],
            "checker": [sys.executable, "-m", "data_checks.gate", "--home", str(self.home)],
        }
        for name, command in commands.items():
            if name not in self.processes or self.processes[name].poll() is not None:
                with (self.folder / f"{name}.log").open("ab") as log:
                    self.processes[name] = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)

    def kill(self, kill: Kill) -> None:
        """SIGKILL, to all of them before any can notice that another is gone."""
        self.done.append(kill)
        dying = [process for name in kill.victims for process in self._of(name)]
        for process in dying:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for name in kill.victims:
            if name in self.processes:
                self.processes[name].wait()
        if "web" in kill.victims and self.web.process:
            self.web.process.wait()
        if "Postgres" in kill.victims:
            _eventually(lambda: not self.server.alive(), "the server is gone")

    def stop(self) -> None:
        for name in ("runner", "checker"):
            if name in self.processes:
                family = [*self._of("flow"), *self._of(name)]
                for process in family:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                self.processes[name].wait()
        if self.web.process is not None:
            self.web.kill()
        database.engine().dispose()
        self.server.release()

    def flows(self) -> list[psutil.Process]:
        """What carries out orders, also where the runner that began it is dead."""
        return [process for process in psutil.process_iter() if self._is_flow(process)]

    def _is_flow(self, process: psutil.Process) -> bool:
        try:
            ours = process.environ().get("APPOINTMENT360_HOME") == str(self.home)
            return ours and "pipelines.import_orders" in process.cmdline()
        except psutil.Error:
            return False

    def _of(self, name: str) -> list[psutil.Process]:
        if name == "flow":
            return [one for flow in self.flows() for one in (*_children(flow), flow)]
        if name == "Postgres":
            return [psutil.Process(int(next(self.folder.rglob("postmaster.pid")).read_text().split()[0]))]
        process = self.web.process if name == "web" else self.processes[name]
        assert process is not None
        with suppress(psutil.NoSuchProcess):
            return [psutil.Process(process.pid)]
        return []


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """It runs, and this process is bound to its database and its home."""
    before = os.environ.get("APPOINTMENT360_HOME")
    made = Machine(folder)
    os.environ["APPOINTMENT360_HOME"] = str(made.home)
    settings.settings.cache_clear()
    try:
        made.start()
        yield made
    finally:
        made.stop()
        os.environ.pop("APPOINTMENT360_HOME")
        if before is not None:
            os.environ["APPOINTMENT360_HOME"] = before
        settings.settings.cache_clear()


def bring_in(on: Machine, file: Path, planned: Sequence[Kill] = ()) -> int:
    """The file's way in as a person goes it: upload, plan, commit. At each moment of `planned` somebody is killed, and
    started again. Returns the import's id once it is committed."""
    left = list(planned)
    import_id = _upload(on, file, left)
    looked = time.monotonic()
    deadline = looked + LONGEST
    while True:
        assert time.monotonic() < deadline, f"import {import_id} never came in: {_log(on, planned)}"
        try:
            if _is_in(on, import_id, left):
                break
        except (DBAPIError, Unavailable):  # the server is on its way back
            time.sleep(0.05)
        if time.monotonic() > looked + LOOKS_AFTER:
            on.mend()  # who dies of another's death does so some moments later
            looked = time.monotonic()
    for kill in left:  # their steps went by while others were being started again
        on.kill(kill)
        on.mend()
    return import_id


def _is_in(on: Machine, import_id: int, left: list[Kill]) -> bool:
    """One look at the import, with what a person, or fate, does then."""
    found = imports.get(import_id, by=on.by)
    assert found.error is None, (found.error, on.done)
    if found.wanted is None:
        if found.state == State.COMMITTED:
            return True
        wanted = State.PLANNED if found.state == State.OPENED else State.COMMITTED
        plan = (found.planned or {}).get("at") if wanted is State.COMMITTED else None
        with suppress(Conflict):  # whoever carried out the last order is about to let go
            import_orders.ask(import_id, wanted, plan=plan, by=on.by)
    elif left and _has_come(left[0], found.state) and _is_held(import_id):
        kill = left.pop(0)
        time.sleep(kill.share * on.usual[kill.step])
        on.kill(kill)
        on.mend()
    time.sleep(0.005)
    return False


def _has_come(kill: Kill, state: str) -> bool:
    """Whether the step is under way, or has passed while somebody else was being started again."""
    order = list(STEPS.values())
    return state in order and order.index(State(state)) >= order.index(STEPS[kill.step])


def _is_held(import_id: int) -> bool:
    with reading() as session:
        return import_id in imports.being_worked_on(session, [import_id])


def _upload(on: Machine, file: Path, left: list[Kill]) -> int:
    """In pieces, like the browser; what does not arrive is sent again from where the web says."""
    content = file.read_bytes()
    piece = -(-len(content) // PIECES)
    deadline = time.monotonic() + LONGEST
    sender = Sender(on.web, _token(on.by))
    with sender.client:
        while time.monotonic() < deadline:
            try:
                begun = sender.begin(file.name, len(content)).raise_for_status().json()
                offset = begun["offset"]
                while offset < len(content):
                    sent = _sent(on, left, content[offset : offset + piece], (offset + piece) / len(content))
                    offset = sender.put(begun["import_id"], offset, sent).raise_for_status().json()["offset"]
                sender.complete(begun["import_id"]).raise_for_status()
                return int(begun["import_id"])
            except httpx.HTTPError:
                time.sleep(0.05)
    raise AssertionError(f"{file.name} never arrived: {_log(on, left)}")


def _sent(on: Machine, left: list[Kill], content: bytes, arrives: float) -> Iterator[bytes]:
    """The piece as it goes over the line, in the middle of which somebody may be killed."""
    half = len(content) // 2
    yield content[:half]
    while left and left[0].step == UPLOAD and left[0].share <= arrives:
        on.kill(left.pop(0))
        on.mend()
    yield content[half:]


def _token(by: Actor) -> str:
    return sign_ins.redeem_ticket(sign_ins.issue_ticket(by), address="127.0.0.1", device="a test")


def _manager() -> Actor:
    return person(email="mia@example.com", name="Mia", role=Role.MANAGER).actor()


def _children(process: psutil.Process) -> Iterable[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return ()


def _eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def _log(on: Machine, planned: Sequence[Kill]) -> str:
    logs = [f"{path.name}: {path.read_text()[-2000:]}" for path in on.folder.glob("*.log")]
    return "\n".join([*map(str, planned), *logs])
