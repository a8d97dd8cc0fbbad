"""Work that another thread may end: waits, for a query of DuckDB or a child process, and loops of Python."""

import ctypes
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


def raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise the exception in that thread, at the next step of its Python code; None takes one back."""
    given = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), given)
