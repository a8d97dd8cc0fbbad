"""An S3 of the tests: a real server on a port of its own, spoken to by boto3 over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from models import settings

BUCKET = "leads"


@contextmanager
def serving() -> Iterator[str]:
    """Yields its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def use(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process, and those that it starts, find their S3 there."""
    monkeypatch.setenv("APPOINTMENT360_S3_ENDPOINT", endpoint)
    monkeypatch.setenv("APPOINTMENT360_S3_REGION", "us-east-1")
    monkeypatch.setenv("APPOINTMENT360_S3_ACCESS_KEY", "key")
    monkeypatch.setenv("APPOINTMENT360_S3_SECRET_KEY", "secret")
    settings.settings.cache_clear()


def client(endpoint: str) -> Any:
    """Its other side, for what the tests themselves put there."""
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
