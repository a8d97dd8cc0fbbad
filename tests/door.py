"""A server that goes away and comes back, without being touched: a door before it, which is shut for as long as it is
away. Who is within is put out, who comes is refused, as when a machine is gone."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import make_url

BLOCK = 65_536  # bytes


class Door:
    """`port` stays the same one, however often it is shut."""

    def __init__(self, host: str, port: int) -> None:
        self._to, self.port = (host, port), 0
        self._within: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = int(self._listener.getsockname()[1])
        self._begin(self._let_in, self._listener)

    def shut(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # else whoever waits in accept would let one more in
        self._threads[0].join()  # who lets in: whoever came last is within by then
        for one in list(self._within):
            _hang_up(one)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _let_in(self, listener: socket.socket) -> None:
        with listener, suppress(OSError):
            while True:
                outer, _ = listener.accept()
                self._within.add(outer)
                self._begin(self._lead, outer)

    def _lead(self, outer: socket.socket) -> None:
        with outer, socket.create_connection(self._to) as inner:
            back = threading.Thread(target=_pass_on, args=[inner, outer])
            back.start()
            _pass_on(outer, inner)
            back.join()
            self._within.discard(outer)

    def _begin(self, work: Callable[..., None], *given: socket.socket) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(BLOCK):
            other.sendall(data)
    for end in (one, other):
        _hang_up(end)


def _hang_up(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def door_before(url: str) -> Iterator[tuple[Door, str]]:
    """The door before a database, and its address through it."""
    through = make_url(url)
    door = Door(through.host or "127.0.0.1", through.port or 5432)
    try:
        yield door, through.set(host="127.0.0.1", port=door.port).render_as_string(hide_password=False)
    finally:
        with suppress(OSError):
            door.shut()
