"""An S3 that checks signatures, in a process of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import free_port, until


@contextmanager
def serving(folder: Path, port: int | None = None, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Yields its address on this machine; the keys are those of tests/pipelines/s3.py. What is in the folder already is
    in it."""
    port = port or free_port()
    environment = {**os.environ, "NANIO_ACCESS_KEY": "key", "NANIO_SECRET_KEY": "secret"}
    command = [str(Path(sys.executable).with_name("nanio")), "serve", "--host", host, "--port", str(port)]
    log = (folder / "log").open("ab")
    data = folder / "data"
    data.mkdir(exist_ok=True)
    server = subprocess.Popen([*command, "--data-dir", str(data)], env=environment, stdout=log, stderr=log)
    try:
        until("nanio listens", lambda: _listens(server, port), lambda: (folder / "log").read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
        log.close()


def _listens(server: "subprocess.Popen[bytes]", port: int) -> bool:
    assert server.poll() is None, "nanio has ended"
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
