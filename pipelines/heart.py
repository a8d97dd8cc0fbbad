"""What keeps a run of a flow alive in our tables: a connection that holds the run, and a thread that beats on it."""

import json
import logging
import signal
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import psycopg

from models import database, flow_runs
from models.bounded_connection import noticing
from models.database import FLOW_RUNS_LOCK, FLOWS_LOCK, libpq_url
from models.errors import AppError, Conflict, Unavailable
from pipelines.interruptible import interrupt, raise_in

LOOK = 1.0  # seconds between looks whether there is something to say, or somebody wants it stopped

AWAKENING = getattr(signal, "SIGUSR2", None)

log = logging.getLogger(__name__)


class RunsAlready(Conflict):
    """Another process runs the flow, of which one run at a time may be."""


class Cancelled(BaseException):
    """Somebody wants the run stopped. Like KeyboardInterrupt it is nothing that the work may handle."""


class Run:
    """What the work says of itself; may be called from any thread, and as often as it likes. `log` takes the lines of
    the run's log: each step once, and what was counted."""

    def __init__(self, run_id: int, *, log: Callable[[str], object] = lambda line: None) -> None:
        self.id = run_id
        self.log = log
        self.counts: dict[str, Any] = {}
        self.step: str | None = None
        self.done: int | None = None
        self.total: int | None = None
        self.cancelled = False  # somebody stopped it, and the work noticed that by itself

    def tell(self, **counts: float | str | bool | None) -> None:
        """Numbers by name, such as rows=12, bytes=4096: shown while it runs, and kept."""
        self.counts = {**self.counts, **counts}
        self.log(", ".join(_in_words(name, value) for name, value in counts.items()))

    def says(self, step: str, done: int | None = None, total: int | None = None) -> None:
        """What it does from now on, in a few words, and how far that is."""
        if step != self.step:
            self.log(f"{step[:1].upper()}{step[1:]} …")
        self.step, self.done, self.total = step, done, total

    def said(self) -> dict[str, Any]:
        return {
            "id": self.id, "counts": json.dumps(self.counts, default=str), "step": self.step, "done": self.done,
            "total": self.total,
        }  # fmt: skip


def _in_words(name: str, value: float | str | bool | None) -> str:
    """“restore seconds: 0.4”, “proven: yes”, “rows: 1,686”."""
    match value:
        case bool():
            told = "yes" if value else "no"
        case int() | float():
            told = f"{value:,}"
        case _:
            told = str(value)
    return f"{name.replace('_', ' ')}: {told}"


def flow_number(flow: str) -> int:
    """Its number under FLOWS_LOCK."""
    return zlib.crc32(flow.encode()) & 0x7FFFFFFF


class Heart:
    """The connection that holds the run, and the thread that beats on it. Made by the thread that works."""

    def __init__(self, flow: str, *, alone: bool) -> None:
        self.cancelled = False
        self._flow, self._alone = flow, alone
        self._worker = threading.get_ident()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._inside = False
        self._thread: threading.Thread | None = None
        self._awakes = _awaken_by_signal()
        self._connection: psycopg.Connection[Any] | None = self._connected()
        if alone and not self._hold(FLOWS_LOCK, flow_number(flow)):
            self.stop()
            raise RunsAlready(f"{flow} runs already, and one at a time is enough: wait for it, or stop it.")

    def beat_for(self, run: Run) -> None:
        self._run = run
        self._hold(FLOW_RUNS_LOCK, run.id)
        self._inside = True
        self._thread = threading.Thread(target=self._beat, name=f"heart of run {run.id}", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """From here on no Cancelled reaches the worker; one that is on its way is taken back."""
        while self._inside:
            try:
                with self._lock:
                    self._inside = False
                    raise_in(self._worker, None)
            except Cancelled:
                continue

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[Any]:
        url = libpq_url(database.Database.url or "")
        try:
            how: dict[str, Any] = {"autocommit": True, "application_name": f"heart of {self._flow}", **noticing(url)}
            connection: psycopg.Connection[Any] = psycopg.connect(url, **how)
            connection.execute(database.LET_GO_OF_THE_LOST)
        except psycopg.OperationalError as error:
            raise Unavailable(f"The database does not answer: {str(error).strip()}") from error
        return connection

    def _hold(self, lock: int, number: int) -> bool:
        assert self._connection is not None
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [lock, number]).fetchone()
        return bool(row and row[0])

    def _beat(self) -> None:
        told, last = self._run.said(), time.monotonic()
        while not self._over.wait(LOOK):
            said = self._run.said()
            is_due = time.monotonic() - last >= flow_runs.BEAT.total_seconds()
            try:
                if said != told or is_due:
                    self._say(said)
                    told, last = said, time.monotonic()
                else:
                    self._look()
            except (psycopg.Error, AppError) as error:  # the work meets the same database, and says what is wrong
                log.debug("run %s could not be heard: %s", self._run.id, error)
                self._hang_up()
            if self.cancelled:
                self._stop_work()

    def _say(self, said: dict[str, Any]) -> None:
        found = self._speaking().execute(flow_runs.BEATS, said).fetchone()
        self.cancelled = self.cancelled or bool(found and found[0])

    def _look(self) -> None:
        wanted = "SELECT cancelled_at IS NOT NULL FROM flow_runs WHERE id = %s"
        found = self._speaking().execute(wanted, [self._run.id]).fetchone()
        self.cancelled = self.cancelled or bool(found and found[0])

    def _speaking(self) -> psycopg.Connection[Any]:
        """The connection; a new one, which holds what the old one held, where the server went away meanwhile."""
        if self._connection is None:
            self._connection = self._connected()
            if self._alone:
                self._hold(FLOWS_LOCK, flow_number(self._flow))
            self._hold(FLOW_RUNS_LOCK, self._run.id)
        return self._connection

    def _stop_work(self) -> None:
        """What waits is interrupted at once; loops of Python are ended at their next step."""
        interrupt(self._worker)
        with self._lock:
            if self._inside:
                raise_in(self._worker, Cancelled)
                if self._awakes and AWAKENING is not None:
                    signal.pthread_kill(self._worker, AWAKENING)


def _awaken_by_signal() -> bool:
    """Whether AWAKENING ends what this thread waits for in the system, such as a child process: only the first thread
    gets signals, and where there are none (Windows) it goes on waiting."""
    if AWAKENING is None or threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(AWAKENING) is signal.SIG_DFL:
        signal.signal(AWAKENING, lambda *_: None)
    return True
