"""What an instance of the web tells systemd, by the program that the unit runs."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from deploy.embedded_postgres import Server
from deploy.parts import web_command
from tests.dashboard.conftest import ROOT, Site, server_environment
from tests.dashboard.test_draining import status
from tests.systemd_standin import Manager, listening
from tests.waiting import free_port


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with listening(tmp_path) as made:
        yield made


@contextmanager
def instance(url: str, manager: Manager, folder: Path, **more: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    port = free_port()
    environment = server_environment(url, APPOINTMENT360_HOME=str(folder), **manager.environment, **more)
    command = web_command("127.0.0.1", port, proxies="", grace=20)
    process = subprocess.Popen(command, env=environment, cwd=ROOT)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def test_an_instance_says_that_it_serves_that_it_turns_and_that_it_ends(
    site: Site, manager: Manager, tmp_path: Path
) -> None:
    with instance(site.url, manager, tmp_path) as (address, process):
        manager.until("READY=1")
        assert status(address) == 200
        assert manager.told() == ["WATCHDOG=1"]
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        assert manager.told() == ["WATCHDOG=1"]
        process.send_signal(signal.SIGTERM)
        assert manager.until("STOPPING=1")[-1] == f"EXTEND_TIMEOUT_USEC={(20 + 15) * 1_000_000}"
        assert process.wait(60) in (0, -signal.SIGTERM)


def test_one_that_drains_says_how_long(site: Site, manager: Manager, tmp_path: Path) -> None:
    draining = {"APPOINTMENT360_WEB_DRAIN_SECONDS": "500", "APPOINTMENT360_WEB_GRACE_SECONDS": "20"}
    with instance(site.url, manager, tmp_path, **draining) as (address, process):
        manager.until("READY=1")
        process.send_signal(signal.SIGTERM)
        assert manager.until("STOPPING=1")[-1] == f"EXTEND_TIMEOUT_USEC={(500 + 20 + 15) * 1_000_000}"
        assert status(address) == 503, "it serves on"


def test_one_says_that_it_serves_once_its_database_is_there(
    postgres: Server, migrated: str, manager: Manager, tmp_path: Path
) -> None:
    with (
        psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as server,
        instance(postgres.url("later"), manager, tmp_path) as (_, process),
    ):
        assert "READY=1" not in manager.until("STATUS=Waiting: The database does not answer.")
        assert process.poll() is None
        server.execute(f'CREATE DATABASE later TEMPLATE "{migrated}" STRATEGY FILE_COPY')
        manager.until("READY=1")
        server.execute("DROP DATABASE later WITH (FORCE)")
