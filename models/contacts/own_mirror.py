"""The columnar mirror of contacts that this process has, for whoever asks; what one is, mirror.py says.

A process without one, as most commands are, loads nothing of its engine for it.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from models import disks
from models.contacts import mirror_files
from models.database import reading
from models.fields import Kind
from models.filters import Filters
from models.machine import machine_memory
from models.settings import settings

if TYPE_CHECKING:
    from models.contacts.mirror import Mirror, View

P = ParamSpec("P")
R = TypeVar("R")
MOST_MEMORY = 1_000_000_000  # bytes, where nothing is set
TRIES = 5  # snapshots that may have been overtaken by others' questions before the database answers


class Phase(StrEnum):
    """What a mirror is about."""

    OFF = "off"
    WAITING = "waiting"  # for the database
    LOADING = "loading"
    FOLLOWING = "following"


@dataclass(frozen=True)
class Progress:
    """`total` is an estimate; `fault` is why it does not come further, in a sentence for who runs the server."""

    phase: Phase
    done: int = 0
    total: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Standing:
    """`contacts` are those in it, once it follows; `bytes` those of its file; `behind` the seconds since it was last
    seen to have every change."""

    progress: Progress
    contacts: int | None = None
    bytes: int = 0
    behind: float | None = None


class Overtaken(Exception):
    """The mirror is of a later snapshot than the session."""


class Failed(Exception):
    """The mirror could not answer: whoever `asks` asks the database then."""


_current: "Mirror | None" = None
_MAY_ASK: ContextVar[bool] = ContextVar("may ask the mirror", default=True)


def asks(read: Callable[P, R]) -> Callable[P, R]:
    """A function that only reads contacts, by `viewing()`, and may be called again: what the mirror fails at, as where
    its memory or its disk is too small, the database answers."""

    @functools.wraps(read)
    def reads(*given: P.args, **named: P.kwargs) -> R:
        try:
            return read(*given, **named)
        except Failed:
            before = _MAY_ASK.set(False)
            try:
                return read(*given, **named)
            finally:
                _MAY_ASK.reset(before)

    return reads


@contextmanager
def mirroring() -> Iterator[None]:
    """While this lasts, the process has one, where the settings say so; else nobody's contacts stay in old files."""
    wanted = settings()
    if wanted.mirror == "off":
        mirror_files.clear(disks.mirrors())
        yield
        return
    from models.contacts.mirror import held

    memory = wanted.mirror_memory or min(MOST_MEMORY, machine_memory() // 4)
    with held(disks.mirrors(), threads=wanted.mirror_threads, memory=f"{memory}B"):
        yield


@contextmanager
def having(mirror: "Mirror") -> Iterator[None]:
    """While this lasts, it is this process's."""
    global _current
    _current = mirror
    try:
        yield
    finally:
        _current = None


def tell() -> None:
    """Something changed."""
    if _current is not None:
        _current.tell()


def progress() -> Progress:
    return Progress(Phase.OFF) if _current is None else _current.progress


def has_dictionary(column: str) -> bool:
    """Whether this process has a mirror that follows, and in it a dictionary of the column of contacts: how many have
    each of its values is counted in one look then, however many values there are."""
    return _current is not None and _current.has_dictionary(column)


def standing() -> Standing | None:
    """None where this process has none, by the settings."""
    return None if _current is None else _current.standing()


@contextmanager
def viewing() -> "Iterator[View | None]":
    """The mirror, with a session whose snapshot it shows; None where the database is to answer.

    Raises TooSlow, and Failed, for whoever `asks`.
    """
    mirror = _current
    if mirror is None or mirror.progress.phase is not Phase.FOLLOWING or not _MAY_ASK.get():
        yield None
        return
    for _ in range(TRIES):
        with reading() as session:
            try:
                view = mirror.view(session)
            except Overtaken:
                continue
            if view is None:
                break
            try:
                with view.asked():
                    yield view
            finally:
                view.close()
            return
    yield None


def can_answer(filters: Filters) -> bool:
    """Rules of data quality are asked of the database, and so are contacts as they were."""
    return filters.as_of is None and all(one.field.kind is not Kind.CHECK for one in filters.filters)
