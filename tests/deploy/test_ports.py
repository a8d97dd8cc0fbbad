"""Ports: which are free, and which are promised to somebody who binds them seconds later."""

import socket
import subprocess
import sys

import pytest

from deploy import ports
from models.errors import Unavailable


def listening() -> socket.socket:
    taken = socket.create_server((ports.HOST, 0))
    taken.listen()
    return taken


def test_a_port_where_somebody_listens_is_passed_over() -> None:
    with listening() as taken:
        port = taken.getsockname()[1]
        assert not ports.is_free(port)
        with pytest.raises(Unavailable, match=rf"Port {port} .* is not free .* up --port {port + 1}$"):
            ports.require_free(port)
        reservation = ports.reserved(port)
        assert reservation.port != port
        reservation.release()
    assert ports.is_free(port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the names that hold a promise")
def test_a_port_is_promised_once_until_it_is_released() -> None:
    with listening() as free:
        port = free.getsockname()[1]
    first, second = ports.reserved(port), ports.reserved(port)
    assert first.port == port != second.port
    elsewhere = f"from deploy import ports; print(ports.reserved({port}).port)"
    assert int(subprocess.check_output([sys.executable, "-c", elsewhere])) != port
    first.release()
    again = ports.reserved(port)
    assert again.port == port
    again.release()
    second.release()
