"""Turns at drawing a screen. What draws takes one core, however many draw: of twenty who click at the same moment half
see their rows much sooner, and the last no later, where one is drawn after the other and not all a little at a time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENT = 1.0  # seconds, after which somebody goes on without a turn: nobody waits for who hangs

_drawing = threading.Lock()


@contextmanager
def turn() -> Iterator[None]:
    """Around what draws, not around what asks much of the database."""
    has_it = _drawing.acquire(timeout=PATIENT)
    try:
        yield
    finally:
        if has_it:
            _drawing.release()
