"""A database with a replica that really follows it, by streaming."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo

from deploy import postgres_programs, postgres_settings
from deploy.embedded_postgres import Server, start_or_join
from models import machine
from models.database import libpq_url
from tests.conftest import cheap_disk
from tests.waiting import free_port, until

FOLLOWED = {
    "fsync": "off",
    "shared_buffers": "64MB",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_standby_streaming_delay": "100ms",  # after which what the log removes ends a question that needs it
}


@dataclass
class Replica:
    """Of the whole server `of`, on a port of its own."""

    of: Server
    folder: Path
    port: int

    def __post_init__(self) -> None:
        self.pgdata = self.folder / "pgdata"
        self.user = postgres_programs.server_user(self.of.home / "postgres" / "pgdata")
        self.programs = postgres_programs.server_programs(self.of.home, self.user)

    def make(self) -> None:
        parts: dict[str, Any] = dict(conninfo.conninfo_to_dict(self.of.url("postgres", "")))
        address = conninfo.make_conninfo("", **(parts | {"dbname": None}))
        copying = ["-d", address, "-D", str(self.pgdata), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        assert self._run("pg_basebackup", *copying) == 0, self.words()
        settings = postgres_settings.tuned(machine.machine_memory()) | FOLLOWED
        settings |= {"port": str(self.port), "unix_socket_directories": ""}
        (self.folder / "settings.conf").write_text(postgres_settings.settings_file(settings))

    def start(self) -> None:
        assert self._run("pg_ctl", "start", "-D", self.pgdata, "-l", self.folder / "server.log") == 0, self.words()

    def kill(self) -> None:
        """As when its power fails."""
        number = int((self.pgdata / "postmaster.pid").read_text().splitlines()[0])
        os.kill(number, signal.SIGKILL)
        until("it is gone", lambda: not Path(f"/proc/{number}").exists())
        until("all of it is gone", lambda: not processes(self.pgdata))

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-D", self.pgdata, "-m", "immediate")

    def url(self, of_database: str) -> str:
        """The replica's address of the database that has this one."""
        parts: dict[str, Any] = dict(conninfo.conninfo_to_dict(libpq_url(of_database)))
        return self.of.url(str(parts["dbname"])).replace(f":{self.of.port}/", f":{self.port}/")

    def asked(self, statement: str) -> Any:
        """The one value that the replica answers."""
        with psycopg.connect(libpq_url(self.url(self.of.url("postgres"))), autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return row and row[0]

    def caught_up(self) -> None:
        """Wait until it has applied all that was written so far."""
        with psycopg.connect(self.of.url("postgres", ""), autocommit=True) as connection:
            [place] = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone() or [None]
        until("it came so far", lambda: self.asked(f"SELECT pg_last_wal_replay_lsn() >= '{place}'"))

    def words(self) -> str:
        return "\n".join(one.read_text()[-2000:] for one in self.folder.glob("*.log"))

    def _run(self, program: str, *arguments: str | Path) -> int:
        command = [self.programs / program, *arguments]
        return postgres_programs.run(command, output=self.folder / "command.log", user=self.user)


def processes(pgdata: Path) -> list[int]:
    """Those that still use the files of a server."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (one / "cwd").readlink() == pgdata:
                found.append(int(one.name))
    return found


@contextmanager
def standing_still(pgdata: Path) -> Iterator[None]:
    """A server as when its machine does: whoever connects is let wait, and whatever is sent arrives."""
    numbers = processes(pgdata)
    assert len(numbers) > 1
    for one in numbers:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in numbers:
            os.kill(one, signal.SIGCONT)


@contextmanager
def followed_server() -> Iterator[tuple[Server, Replica]]:
    """A server whose log tells enough, and its replica."""
    folder = Path(tempfile.mkdtemp(prefix="appointment360-", dir=cheap_disk()))
    folder.chmod(0o755)
    server = start_or_join(folder / "home", tuning=FOLLOWED)
    beside = folder / "replica"
    beside.mkdir()
    replica = Replica(server, beside, free_port())
    try:
        if replica.user is not None:
            os.chown(beside, replica.user.uid, replica.user.gid)
        replica.make()
        replica.start()
        yield server, replica
    finally:
        replica.stop()
        server.release()
        shutil.rmtree(folder, ignore_errors=True)
