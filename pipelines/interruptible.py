"""Waits that another thread may end: a query of DuckDB, a child process. Python's own loops need none of this."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_ends: dict[int, list[Callable[[], object]]] = {}


@contextmanager
def interruptible(end: Callable[[], object]) -> Iterator[None]:
    """While the block runs, `interrupt` of its thread calls `end`, after which what the block waits for fails."""
    ours = _ends.setdefault(threading.get_ident(), [])
    ours.append(end)
    try:
        yield
    finally:
        ours.remove(end)


def interrupt(thread: int) -> None:
    """End what that thread waits for, if it is anything of this kind."""
    for end in list(_ends.get(thread, ())):
        with suppress(Exception):  # it was over in this very moment
            end()
