"""What tests of several processes share: a port that nobody listens at, and waiting for what one of them does."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import TypeVar

T = TypeVar("T")
LONGEST = 120.0  # seconds until something must have happened
EVERY = 0.05  # seconds
# A thousand for each process that shares the tests, below those of the system (32,768 and on).
_ports = count(20_000 + 2_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) + os.getpid() % 1_000)


def free_port() -> int:
    """None that the system gives to whoever asks for any, nor another process of the tests takes meanwhile."""
    while True:
        port = next(_ports)
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port


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
