"""Ports of this machine: which are free, and which one is promised to a part that binds it seconds later."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from models.errors import Unavailable

HOST = "127.0.0.1"


@dataclass
class Reservation:
    """A free port that nobody else is promised until `release`, or until this process ends."""

    port: int
    _promise: socket.socket | None = field(default=None, repr=False)

    def release(self) -> None:
        if self._promise is not None:
            self._promise.close()


def reserved(preferred: int) -> Reservation:
    """`preferred`, or another free port where somebody listens there or was promised it."""
    for wanted in (preferred, 0, 0, 0):
        with suppress(OSError):
            port = _bind(wanted)
            return Reservation(port, _promise(port))
    raise Unavailable(f"No port is free on {HOST}.")


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        _bind(port)
    except OSError:
        return False
    return True


def require_free(port: int) -> None:
    """Raises Unavailable with another port to try."""
    try:
        _bind(port)
    except OSError as error:
        raise Unavailable(
            f"Port {port} on {HOST} is not free ({error.strerror}). Choose another one, for example: "
            f"appointment360 up --port {port + 1}"
        ) from error


def _bind(port: int) -> int:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        candidate.bind((HOST, port))
        return int(candidate.getsockname()[1])


def _promise(port: int) -> socket.socket | None:
    """A name that only one socket of the machine can have; the kernel takes it back when its holder dies.

    Linux alone has such names; elsewhere two that start in the same seconds may still meet.
    """
    if sys.platform != "linux":
        return None
    promise = socket.socket(socket.AF_UNIX)
    try:
        promise.bind(f"\0appointment360/port/{port}")
    except OSError:
        promise.close()
        raise
    return promise
