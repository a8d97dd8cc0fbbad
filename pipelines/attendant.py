"""Beside whatever works on an import: a thread that shows how far it is, and stops it when it is no longer wanted.

Nothing is measured where the work is done. Postgres tells how many rows a COPY has taken and how much of an index is
built, and sequences how many contacts were made and changed, to whoever asks while the transaction is still open.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import import_orders, import_progress, import_servers, imports
from models.database import writing
from models.import_progress import Progress, Step, Unit
from models.permissions import OPERATOR
from pipelines.interruptible import interrupt, raise_in

EVERY = 0.5  # seconds
PATIENCE = "2s"  # of the server, for a look

Tell = Callable[[str, int, int | None, Unit], None]

log = logging.getLogger(__name__)


class Stopped(BaseException):
    """Somebody wants something else of the import. Like KeyboardInterrupt it is nothing that a step may handle."""


@dataclass(frozen=True)
class Counter:
    """A number that grows with what is done, None while it cannot be read, and where it stood before the step."""

    read: Callable[[Session], int | None]
    before: int = 0


class Unattended:
    """What a step talks to when nobody looks on."""

    def says(self, step: Step, *, total: int | None = None, counter: Counter | None = None) -> None:
        """What is done from now on; `counter` counts how much of it, of `total`, in the step's unit."""

    def confirm(self, session: Session) -> None:
        """In the transaction that finishes: the last moment to stop. Whoever cancels after it comes too late."""


class Attendant(Unattended):
    """A context manager around the work on an import, which the caller has claimed.

    When somebody else gives an order for the import, the work is stopped, and Stopped leaves the block.
    """

    def __init__(self, import_id: int, *, tell: Tell | None = None) -> None:
        """`tell` is called with (step, done, in all, their unit) at each look, from the attendant's thread."""
        self._import_id = import_id
        self._tell = tell
        self._worker = threading.get_ident()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._inside = False
        self._stopped = False
        self._raised = False
        self._now = _Now()
        self._order: int | None = None
        self._thread = threading.Thread(target=self._attend, name=f"attendant of import {import_id}", daemon=True)

    def __enter__(self) -> Self:
        self._order = imports.get(self._import_id, by=OPERATOR).orders
        self._inside = True
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        if self._stopped:
            raise Stopped from error

    def end(self) -> None:
        """Done on leaving; once more it does nothing. From here on no Stopped reaches the worker."""
        self._leave()
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        self._show_nothing()

    def says(self, step: Step, *, total: int | None = None, counter: Counter | None = None) -> None:
        self._now = _Now(step, total, counter)
        if self._tell:
            self._tell(step, 0, None, step.unit)

    def confirm(self, session: Session) -> None:
        if import_orders.locked_row(session, self._import_id).orders != self._order:
            self._stopped = True
            raise Stopped

    def _attend(self) -> None:
        while not self._over.wait(EVERY):
            try:
                self._look()
            except Exception:  # the work meets the same database, and says what is wrong with it
                log.debug("nobody saw how far import %s is", self._import_id, exc_info=True)

    def _look(self) -> None:
        now = self._now
        with writing(OPERATOR) as session:
            session.execute(text(f"SET LOCAL statement_timeout = '{PATIENCE}'"))
            progress = now.progress(session)
            order = import_progress.report(session, self._import_id, progress)
        if self._tell and progress and progress.done:
            self._tell(progress.step, progress.done, progress.total, progress.step.unit)
        if order not in (None, self._order):
            self._stop()

    def _stop(self) -> None:
        """What waits is interrupted at once; loops of Python that are still at it the next time are ended."""
        again, self._stopped = self._stopped, True
        interrupt(self._worker)
        with writing(OPERATOR) as session:
            import_servers.stop_statements(session, self._import_id)
        if again:
            self._raise(Stopped)

    def _raise(self, error: type[BaseException] | None) -> None:
        with self._lock:
            if self._inside:
                self._raised = True
                raise_in(self._worker, error)

    def _leave(self) -> None:
        """One Stopped that is on its way is taken back. Where none is, nothing may be: from then on Python 3.11 looks
        for it at each call, and under a profiler or a debugger it never gets beyond the next one.
        """
        while self._inside:
            try:
                with self._lock:
                    self._inside = False
                    if self._raised:
                        raise_in(self._worker, None)
            except Stopped:
                continue

    def _show_nothing(self) -> None:
        try:
            with writing(OPERATOR) as session:
                import_progress.report(session, self._import_id, None)
        except Exception:  # it is shown only while a process holds the import
            log.debug("the progress of import %s stays", self._import_id, exc_info=True)


class _Now:
    """The present step, when it began, and when it was last seen with nothing done: what comes before that says nothing
    of its speed."""

    def __init__(self, step: Step | None = None, total: int | None = None, counter: Counter | None = None) -> None:
        self.step, self.total, self.counter = step, total, counter
        self.began = self.idle = time.monotonic()
        self.done: int | None = None

    def progress(self, session: Session) -> Progress | None:
        if self.step is None:
            return None
        if self.counter and (found := self.counter.read(session)) is not None:
            self.done = max(found - self.counter.before, self.done or 0)
            if self.total is not None:
                self.done = min(self.done, self.total)  # sequences are counted on by several at once
        now = time.monotonic()
        if not self.done:
            self.idle = now
        return Progress(self.step, self.done, self.total, now - (self.idle if self.done else self.began))
