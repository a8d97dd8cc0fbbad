"""What systemd is told by a service of Type=notify, as sd_notify(3) has it. Where no systemd asks, nothing is told."""

import logging
import os
import socket
from datetime import timedelta

SOCKET = "NOTIFY_SOCKET"
MARGIN = timedelta(seconds=15)  # beside what a service waits for, until its processes are gone

log = logging.getLogger(__name__)


def is_there() -> bool:
    return SOCKET in os.environ


def ready() -> None:
    """The start is over: whoever waits for it goes on, and the watchdog's time begins."""
    _tell("READY=1", "STATUS=")


def waiting(why: str) -> None:
    """The start goes on; `systemctl status` shows why."""
    _tell(f"STATUS=Waiting: {' '.join(why.split())}")


def alive() -> None:
    """To be said more often than the unit's WatchdogSec."""
    _tell("WATCHDOG=1")


def stopping(within: timedelta) -> None:
    """The end begun. Where it may take longer than the unit's TimeoutStopSec, systemd waits so long."""
    _tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={(within + MARGIN) // timedelta(microseconds=1)}")


def _tell(*lines: str) -> None:
    address = os.environ.get(SOCKET)
    if not address:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"  # an abstract one
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect(address)
            told.sendall("\n".join(lines).encode())
    except OSError as error:
        log.warning("systemd was not told %s: %s", lines[0], error.strerror)
