"""`appointment360 restore --at`: the embedded server as it was at a moment, in a home of its own.

A base and the log after it are taken from the place, checked, and joined; a server starts there, reachable by nobody
but its own system user, applies the log up to the moment, and is compared and stopped. Only then the folder gets the
name under which `up` finds it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, sql

from deploy import postgres_programs, postgres_settings
from deploy.postgres_cluster import KEEPER, SUPERUSER
from deploy.postgres_programs import SystemUser
from models import machine
from models.errors import AppError, Conflict, Unavailable
from models.file_store import place
from models.postgres_wheel import environment
from models.settings import settings
from pipelines import backup_content, backup_key, postgres_runs, recovery_files
from pipelines.backup_key import Key

DATABASE = "appointment360"
PORT = 5432  # only the name of a socket in a folder of its own
LONGEST = 6 * 60 * 60  # seconds that applying the log may take
BESIDE = "recovering-"
STEPS = {  # in their order, in words
    "read": "Reading the bases and the log",
    "join": "Joining the bases",
    "apply": "Applying the log",
    "compare": "Checking every page, and counting",
}
TRUSTING = "local all all trust\n"  # in a folder that only the server's own user may enter
Say = Callable[[str], None]


@dataclass(frozen=True)
class Recovered:
    """`last_change` is when the last transaction in it was committed; None where the log held none after the base."""

    home: Path
    base: str
    pieces: int
    last_change: datetime | None
    tables: int
    rows: int
    contacts: int
    seconds: float


def run(moment: datetime | None, address: str, into: Path, *, key_file: Path | None, say: Say) -> Recovered:
    """Restore the server to the moment, or with None to the end of its log, from what is at `address`, into the empty
    folder `into`.

    Raises Conflict (the folder is not empty, no base is as old), Unfit (damaged, another key), NotFound, Unavailable.
    """
    began = time.monotonic()
    if into.exists() and any(into.iterdir()):
        raise Conflict(f"{into} holds files already: name a new folder.")
    user = postgres_programs.server_user(into / "postgres" / "pgdata")
    postgres_programs.make_directory(into, user)
    # An address that leads to a socket has a hundred signs at most, and the folder's path may be longer.
    with (
        tempfile.TemporaryDirectory(prefix=BESIDE, dir=into) as beside,
        tempfile.TemporaryDirectory(prefix=BESIDE) as sockets,
    ):
        work = Path(beside)
        server = _Server(work, Path(sockets), into, user)
        chain, pieces = _fetched(moment, address, work, key_file, say)
        say("join")
        server.join([work / one.name for one in chain])
        say("apply")
        with server.running(_target(moment), recovering=True) as connection:
            last_change = server.reach(connection)
            server.take_password(connection)
        say("compare")
        server.check_pages()
        with server.running({}):
            content = backup_content.read(server.address(DATABASE))
        server.finish(into)
    rows = sum(rows for rows, _ in content.tables.values())
    contacts = content.tables.get("public.contacts", (0, ""))[0]
    seconds = time.monotonic() - began
    return Recovered(into, chain[-1].name, pieces, last_change, len(content.tables), rows, contacts, seconds)


def _fetched(
    moment: datetime | None, address: str, work: Path, key_file: Path | None, say: Say
) -> tuple[list[recovery_files.BaseManifest], int]:
    say("read")
    scratch = work / "scratch"
    scratch.mkdir(mode=0o700)
    there = place(address)
    key: Key | None = backup_key.read(key_file) if recovery_files.keys_needed(there, scratch) else None
    chain = recovery_files.chain(there, moment, key, scratch, logs=lambda system: place(f"{address}/{system}"))
    for one in chain:
        recovery_files.unpack(there, one, key, work / one.name, scratch)
    log = place(f"{address}/{chain[-1].system}")
    return chain, recovery_files.fetch_log(log, chain[-1], key, work / "log", scratch)


def _target(moment: datetime | None) -> dict[str, str]:
    """It pauses there, so that it can be asked what it came to."""
    if moment is None:
        return {}
    return {"recovery_target_time": moment.isoformat(), "recovery_target_action": "pause"}


class _Server:
    """The server that is being restored, in the folder `work`, in which everything is its system user's."""

    def __init__(self, work: Path, sockets: Path, home: Path, user: SystemUser | None) -> None:
        self.work, self.sockets, self.user = work, sockets, user
        self.programs = postgres_programs.server_programs(home, user)
        self.directory = work / "postgres"
        self.pgdata = self.directory / "pgdata"
        self.log = self.directory / "server.log"
        self.spool = self.directory / "wal"
        self.keeper = self.directory / KEEPER.name
        self.password = secrets.token_urlsafe(24)

    def join(self, bases: list[Path]) -> None:
        """Make one whole server of the bases, each held against its own checksums. Raises Unavailable."""
        self.directory.mkdir(mode=0o755)
        for one in bases:
            self._execute("pg_verifybackup", "--quiet", one, what="A base is damaged")
        if len(bases) == 1:
            bases[0].rename(self.pgdata)
        else:
            self._execute("pg_combinebackup", *bases, "-o", self.pgdata, what="The bases could not be joined")
        self.pgdata.chmod(0o700)
        (self.directory / "pg_hba.conf").write_text(TRUSTING)
        self.spool.mkdir(mode=0o700)
        shutil.copyfile(KEEPER, self.keeper)
        if self.user is not None:
            for path in (self.sockets, self.work, *self.work.rglob("*")):
                os.chown(path, self.user.uid, self.user.gid, follow_symlinks=False)

    @contextmanager
    def running(self, target: dict[str, str], *, recovering: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """Start it, and stop it at the end; recovering it applies the log up to the target. Raises Unavailable."""
        settings = postgres_settings.tuned(machine.machine_memory()) | {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.sockets),
            "hba_file": str(self.directory / "pg_hba.conf"),
            # The new timeline begins here: its history and first pieces are part of its log. Recovery goes by
            # wal_level and max_wal_senders as the server had them.
            **postgres_settings.archiving(self.keeper, self.spool),
            "restore_command": f'cp "{postgres_settings.in_command(self.work / "log")}/%f" "%p"',
        }
        settings |= target
        if recovering:
            (self.pgdata / "recovery.signal").touch()
        (self.directory / "settings.conf").write_text(postgres_settings.settings_file(settings))
        self._pg_ctl("start", "-t", str(LONGEST), "-l", str(self.log))
        try:
            with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
                yield connection
        finally:
            self._pg_ctl("stop", "-m", "fast", "-t", "600")

    def reach(self, connection: psycopg.Connection[Any]) -> datetime | None:
        """Wait until the log is applied up to the target, and end the recovery there; when the last change before it
        was. Raises Conflict where the log ends before, Unavailable."""
        asked = """SELECT CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() ELSE 'over' END,
            pg_last_xact_replay_timestamp()"""
        until = time.monotonic() + LONGEST
        try:
            while time.monotonic() < until:
                state, last = connection.execute(asked).fetchone() or ("", None)
                if state in ("paused", "over"):
                    connection.execute("SELECT pg_promote()" if state == "paused" else "SELECT")
                    return last if last is None else last.astimezone(UTC)
                time.sleep(0.1)
        except psycopg.OperationalError as error:
            raise self._failed() from error
        raise Unavailable(f"Applying the log took more than {LONGEST // 3600} hours: {self._last_words()}")

    def take_password(self, connection: psycopg.Connection[Any]) -> None:
        """Give it a password of its own: the old one is in a file of the old home."""
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(SUPERUSER), sql.Literal(self.password))
        )

    def check_pages(self) -> None:
        """Hold every page against its checksum. Raises Unavailable."""
        self._execute("pg_checksums", "--check", "-D", self.pgdata, what="A page of the restored server is damaged")

    def address(self, database: str) -> str:
        return conninfo.make_conninfo("", host=str(self.sockets), port=PORT, user=SUPERUSER, dbname=database)

    def finish(self, home: Path) -> None:
        """Leave what `up` looks for in the home, in one step."""
        password = self.directory / "password"
        password.touch(mode=0o600)
        password.write_text(self.password)
        if self.user is not None:
            os.chown(password, self.user.uid, self.user.gid)
        (self.directory / "pg_hba.conf").unlink()
        for cut_short in self.spool.glob("*.partial"):  # of the timeline that was left, whose log goes on in its place
            cut_short.unlink()
        if not settings().point_in_time:
            shutil.rmtree(self.spool)
            self.keeper.unlink()
        self.directory.rename(home / "postgres")

    def _failed(self) -> AppError:
        words = self._last_words()
        if "recovery ended before configured recovery target was reached" not in words:
            return Unavailable(f"The restored server did not start: {words}")
        reached = next((one for one in reversed(words.splitlines()) if "last completed transaction" in one), "")
        until = reached.partition("at log time ")[2]
        upto = f" The last change in it is of {until}." if until else ""
        return Conflict(f"The archived log ends before that moment.{upto} Name an earlier one, or “--at latest”.")

    def _last_words(self) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
        except FileNotFoundError:
            return "its log is empty."

    def _pg_ctl(self, *arguments: str) -> None:
        command: list[Path | str] = [self.programs / "pg_ctl", arguments[0], "-D", self.pgdata, *arguments[1:]]
        code = postgres_programs.run(command, output=self.work / "command.log", user=self.user)
        if code and arguments[0] == "start":
            raise self._failed()

    def _execute(self, program: str, *arguments: Path | str, what: str) -> None:
        command = [str(one) for one in (self.programs / program, *arguments)]
        postgres_runs.execute(command, environment(), what)
