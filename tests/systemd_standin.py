"""In place of systemd: the socket that a service of Type=notify tells."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LONGEST = 120.0  # seconds until something must have been told


@dataclass
class Manager:
    socket: socket.socket
    environment: dict[str, str]

    def told(self) -> list[str]:
        """The lines of the next message."""
        return self.socket.recv(4096).decode().split("\n")

    def until(self, line: str) -> list[str]:
        """The first lines of the messages up to the one that begins like that, with all of its own."""
        before = []
        while line not in (lines := self.told()):
            before.append(lines[0])
        return [*before, *lines]


@contextmanager
def listening(folder: Path) -> Iterator[Manager]:
    address = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(address))
        made.settimeout(LONGEST)
        yield Manager(made, {"NOTIFY_SOCKET": str(address)})
