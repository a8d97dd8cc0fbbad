"""What a container asks itself: of its own address, whatever the environment says of the way to others."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy import healthy


@contextmanager
def answering(words: bytes) -> Iterator[str]:
    """The address of what says that to one who asks."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(words)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/healthz"
        thread.join(5)  # nobody came where that failed


def test_a_proxy_for_others_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as address:
        assert healthy.fault(address) is None


def test_what_speaks_no_http_is_not_healthy() -> None:
    with answering(b"something else\r\n") as address:
        assert (healthy.fault(address) or "").startswith(f"{address} does not answer: ")
