"""Runs parts: starts them, restarts those that die, and stops all of them; none survives it.

A part is data: its name, its command, its environment. Each runs in a session of its own (Ctrl-C at the terminal
reaches the supervisor only, which then stops them in order), writes to `logs`/NAME.log, or where there is no such
folder to where the supervisor writes, and is on record, so that the warden ends it should the supervisor be killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from deploy import kept_logs, running
from deploy.running import Running

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
STEADY_AFTER = 60.0
PATIENCE = 10.0
LOGS_EVERY = 10.0  # seconds between looks how long they are
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WARDEN = "warden"
PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Part:
    """One program to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


@dataclass
class _Life:
    """A part with its process, and when it may be started again after it died."""

    part: Part
    process: subprocess.Popen[bytes] | None = None
    identity: Running | None = None
    began: float = 0.0
    again_at: float = 0.0
    pause: float = FIRST_PAUSE

    def pid(self) -> int:
        return self.process.pid if self.process else 0


class Supervisor:
    """`facts` go on record beside the processes, for whoever asks what runs here.

    Use it as a context: it takes the signals that end programs, and at its end every part is stopped.
    """

    def __init__(
        self,
        *,
        record: Path,
        logs: Path | None,
        say: Callable[[str], None],
        facts: Mapping[str, object] | None = None,
        hold: Sequence[int] = (),
        patience: float = PATIENCE,
    ) -> None:
        """`patience` is how many seconds a part may take to end after it was told to."""
        self.stopping = False
        self._patience = patience
        self._record, self._logs, self._say, self._facts, self._hold = record, logs, say, dict(facts or {}), tuple(hold)
        self._lives: list[_Life] = []
        self._signals = 0
        self._logs_at = 0.0
        self._handlers: dict[signal.Signals, Any] = {}
        self._own = running.identified(running.SUPERVISOR, os.getpid())
        self._warden: subprocess.Popen[bytes] | None = None
        self._lifeline = -1

    def __enter__(self) -> Supervisor:
        running.end_all(running.parts(self._record))
        # One that is ignored stays so: nohup relies on it.
        taken = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._handlers = {number: signal.signal(number, self._on_signal) for number in taken}
        self._start_warden()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def start(self, part: Part) -> None:
        """Start a part, to be kept running from now on."""
        life = _Life(part)
        self._lives.append(life)
        self._spawn(life)

    def alive(self, name: str) -> bool:
        return any(life.part.name == name and life.process and life.process.poll() is None for life in self._lives)

    def pausing(self, name: str) -> bool:
        """Whether it died, nothing of it is left, and its next start is to come."""
        return any(life.part.name == name and life.process is None for life in self._lives)

    def replace(self, parts: Sequence[Part]) -> None:
        """Stop all parts and start these: their environment changed."""
        self._stop_parts()
        for part in parts:
            self.start(part)

    def look(self) -> None:
        """One round: notice who died, start again whose pause is over. Call it a few times a second."""
        if self._warden is not None and self._warden.poll() is not None and not self.stopping:
            self._say("The warden died; started again.")
            self._start_warden()
        if self._logs is not None and time.monotonic() >= self._logs_at:
            self._logs_at = time.monotonic() + LOGS_EVERY
            for life in self._lives:
                _shorten(self._log(life.part.name))
        for life in self._lives:
            if life.process is not None and life.process.poll() is not None:
                self._bury(life)
            if life.process is None and time.monotonic() >= life.again_at and not self.stopping:
                self._spawn(life)

    def stop(self) -> None:
        """Stop the parts in the order in which they were started, then the warden."""
        self.stopping = True
        self._stop_parts()
        if self._warden is not None:
            os.close(self._lifeline)
            self._warden.wait()
            self._warden = None
            self._record.unlink(missing_ok=True)

    def _on_signal(self, number: int, frame: object) -> None:
        self.stopping = True
        self._signals += 1

    def _start_warden(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
        reader, self._lifeline = os.pipe()
        command = [sys.executable, "-m", "deploy.warden", str(self._record)]
        self._warden = self._popen(command, os.environ, WARDEN, stdin=reader, hold=self._hold)
        os.close(reader)
        self._write_record()

    def know(self, **facts: object) -> None:
        """Put more on record."""
        self._facts |= facts
        self._write_record()

    def _spawn(self, life: _Life) -> None:
        try:
            life.process = self._popen(life.part.command, life.part.environment, life.part.name)
        except OSError as error:
            life.again_at = time.monotonic() + life.pause
            self._say(f"{life.part.name} could not be started: {error}. Next try in {life.pause:.0f} s.")
            life.pause = min(life.pause * 2, LONGEST_PAUSE)
            return
        life.began = time.monotonic()
        life.identity = running.identified(life.part.name, life.process.pid)
        self._write_record()
        if life.again_at:
            told = f" (its log: {self._log(life.part.name)})" if self._logs else ""
            self._say(f"{life.part.name} runs again{told}.")

    def _bury(self, life: _Life) -> None:
        """Note a death: end what is left of its group, and plan the next start."""
        assert life.process is not None
        how = _ending(life.process.returncode)
        life.process = None
        if life.identity is not None:
            running.end_all([life.identity], patience=0.0)
        if time.monotonic() - life.began >= STEADY_AFTER:
            life.pause = FIRST_PAUSE
        life.again_at = time.monotonic() + life.pause
        if not self.stopping:
            told = f" Its log: {self._log(life.part.name)}" if self._logs else ""
            self._say(f"{life.part.name} {how}; started again in {life.pause:.0f} s.{told}")
        life.pause = min(life.pause * 2, LONGEST_PAUSE)

    def _stop_parts(self) -> None:
        for life in self._lives:
            if life.process is not None and life.process.poll() is None:
                with suppress(ProcessLookupError):
                    life.process.terminate()
                self._wait(life.process)
            if life.identity is not None:
                running.end_all([life.identity], patience=0.0)
            if life.process is not None:
                life.process.wait()
        self._lives.clear()
        self._write_record()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """Until it ends, or patience does: at once when a second signal comes."""
        deadline = time.monotonic() + self._patience
        while process.poll() is None and time.monotonic() < deadline and self._signals < 2:
            time.sleep(0.02)

    def _write_record(self) -> None:
        identities = [life.identity for life in self._lives if life.identity and life.process]
        own = [self._own] if self._own else []
        running.record(self._record, [*own, *identities], self._facts)

    def _popen(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        name: str,
        stdin: int = subprocess.DEVNULL,
        hold: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        with self._written(name) as written:
            return subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=PROJECT,  # `python -m` finds our modules there, and Streamlit its configuration
                stdin=stdin,
                stdout=written,
                stderr=written,
                start_new_session=True,
                pass_fds=tuple(hold),
            )

    @contextmanager
    def _written(self, name: str) -> Iterator[BinaryIO | None]:
        """Where a part writes; None is where this process does."""
        if self._logs is None:
            yield None
            return
        log = self._log(name)
        _shorten(log)
        with log.open("ab") as written:
            yield written

    def _log(self, name: str) -> Path:
        assert self._logs is not None
        return self._logs / f"{name}.log"


def _shorten(log: Path) -> None:
    with suppress(OSError):  # such as a full disk: what is there stays, and what writes to it runs
        kept_logs.rotate(log)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
