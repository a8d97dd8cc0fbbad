"""An S3 that checks signatures, in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import free_port


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
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
        log.close()
