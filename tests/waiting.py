"""What tests of several processes share: a port that nobody listens at, and waiting for what one of them does."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONGEST = 120.0  # seconds until something must have happened
EVERY = 0.05  # seconds


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def until(
    what: str,
    condition: Callable[[], T],
    said: Callable[[], str] = str,
    *,
    within: float = LONGEST,
    every: float = EVERY,
) -> T:
    """What the condition found, once it finds something; `said` tells what was logged meanwhile. `within` and `every`
    are seconds."""
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, f"never happened: {what}\n{said()}"
        time.sleep(every)
    return found
