"""Reading that another thread may watch: how many bytes of a file are done so far.

Who reads says what it begins, and counts; whether anybody looks on is no concern of it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import IO, Any

import duckdb

from models.import_progress import Step


class Meter:
    """Bytes that are done: those that the reader adds up, unless `look` tells them."""

    def __init__(self, look: Callable[[], int | None] | None = None) -> None:
        self.done = 0
        self._look = look

    def read(self) -> int:
        """For whoever looks on, from any thread. It never becomes less."""
        if self._look is not None:
            with suppress(ValueError, OSError, duckdb.Error):  # its file or connection was closed in this very moment
                self.done = max(self._look() or 0, self.done)
        return self.done


Begun = Callable[[Step, int | None, Meter], None]
_begun: ContextVar[Begun] = ContextVar("begun", default=lambda step, total, meter: None)


@contextmanager
def watching(begun: Begun) -> Iterator[None]:
    """While the block runs, `begun` is told of each part of its reading, with the bytes that this has, where known."""
    token = _begun.set(begun)
    try:
        yield
    finally:
        _begun.reset(token)


def begin(step: Step, total: int | None = None, *, look: Callable[[], int | None] | None = None) -> Meter:
    """The part of the reading that begins; without a `total` nobody can tell how far it is."""
    meter = Meter(look)
    _begun.get()(step, total, meter)
    return meter


def place_in(file: IO[Any]) -> Callable[[], int]:
    """How far an open file was read from the disk."""
    return lambda: os.lseek(file.fileno(), 0, os.SEEK_CUR)
