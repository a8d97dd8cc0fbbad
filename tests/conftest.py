"""Real parts for tests: a throwaway Postgres from the wheel, and a fresh migrated database for each test."""

import atexit
import gc
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from deploy.embedded_postgres import Server, start_or_join
from models import database, garbage, kernel_locks, migrations, passwords
from models.permissions import OPERATOR, Actor

SHARED_DATA = Path(os.environ.get("APPOINTMENT360_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
# Files of tests that take about a minute or more, the longest first.
LONGEST = (
    "test_import_corpora", "test_killed", "test_secrets_unseen", "test_left_alone", "test_wrong_file",
    "test_import_orders", "test_account_life", "test_cli_imports", "test_main_path", "test_matching", "test_up",
    "test_imports_in_a_browser", "test_import_contacts", "test_schemathesis", "test_access", "test_export_contacts",
    "test_hidden_values", "test_people_path", "test_parts", "test_imports_screen", "test_import_drift",
    "test_in_a_browser", "test_contact_in_a_browser",
)  # fmt: skip
MEMORY_DISK = Path("/dev/shm")
MEMORY_DISK_ROOM = 8 * 2**30  # free bytes: four processes have a server each, and a test of a million rows takes 2 GB
KILLED_AFTER = 600.0  # seconds, in which a server that begins has taken its lock
_numbers = count(1)

gc.disable()  # until all is collected: what is loaded until then stays, and nobody need look through it
atexit.register(garbage.leave_be)
for _wait in ("connect", "read", "write", "pool"):  # httpx gives up after 5 s, and the machine may be busy
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _wait, 60.0)


def pytest_configure() -> None:
    """A shell that starts the tests in the background lets them ignore Ctrl-C, and so would whatever they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val: object) -> str | None:
    """The processes that share the tests must give them the same names, but the bytes of an archive, and how many they
    are, differ by the moment it was made."""
    if isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable()):
        return "bytes"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A file belongs to one of the processes: what takes longest begins first, or the others wait for it at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    if SHARED_DATA.is_dir():
        return
    needing = [item for item in items if item.get_closest_marker("shared_data")]
    if needing:
        items[:] = [item for item in items if item not in set(needing)]
        config.hook.pytest_deselected(items=needing)
        config.stash[_DESELECTED] = len(needing)


_DESELECTED = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of the processes that share the tests each collects all of them; the one that reports collects none."""
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["deselected"] = session.config.stash.get(_DESELECTED, 0)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_DESELECTED] = getattr(node, "workeroutput", {}).get("deselected", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if number := config.stash.get(_DESELECTED, 0):
        terminalreporter.write_line(f"{number} tests were deselected: they read corpora that are not on this machine.")


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> None:
    """A password's hash takes 0.3 s on purpose; what it costs stands in the hash itself, so servers read these, too."""
    passwords.ROUNDS = 4


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return SHARED_DATA


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the database's system user can reach; pytest's own are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="appointment360-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def cheap_disk() -> Path | None:
    """Where files cost least: each test's database are 760 of them, made and removed. While ext4 remembers what was
    removed it looks for a free inode past all of that, and a database costs half a second of CPU instead of 25 ms."""
    if not MEMORY_DISK.is_dir() or not os.access(MEMORY_DISK, os.W_OK):
        return None
    disk = os.statvfs(MEMORY_DISK)
    runs_programs = not disk.f_flag & os.ST_NOEXEC  # the server's may be copied beside its data
    room = min(disk.f_bavail * disk.f_frsize, psutil.virtual_memory().available)
    return MEMORY_DISK if runs_programs and room > MEMORY_DISK_ROOM else None


def _forget_killed_runs() -> None:
    """What a killed run left on the memory disk would keep its memory until the machine starts again."""
    for folder in MEMORY_DISK.glob("appointment360-*"):
        with suppress(OSError):  # another process removes it just now
            lock = folder / "postgres" / "server.lock"
            old = time.time() - lock.stat().st_mtime > KILLED_AFTER
            if old and (taken := kernel_locks.taken_if_free(lock)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(taken)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    _forget_killed_runs()
    folder = Path(tempfile.mkdtemp(prefix="appointment360-", dir=cheap_disk()))
    folder.chmod(0o755)
    tuning = {"fsync": "off", "shared_buffers": "256MB", "max_wal_size": "512MB"}
    server = start_or_join(folder, tuning=tuning)
    yield server
    server.release()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated(postgres: Server) -> str:
    """The name of a migrated database that tests copy."""
    postgres.ensure_database("migrated")
    migrations.upgrade(postgres.url("migrated"))
    return "migrated"


@pytest.fixture
def db(postgres: Server, migrated: str) -> Iterator[str]:
    """The URL of a fresh, empty, migrated database, bound as this process's own."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        # Copied as files it costs a third of what it costs written through the log, and its removal, too.
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated}" STRATEGY FILE_COPY')
    database.bind(postgres.url(name))
    yield postgres.url(name)
    database.engine().dispose()
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def operator() -> Actor:
    return OPERATOR
