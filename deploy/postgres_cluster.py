"""The files and processes of one embedded PostgreSQL server: created, started, found ready, stopped."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from deploy import postgres_programs, postgres_settings
from deploy.postgres_programs import EmbeddedPostgresError
from models import disk_space, kernel_locks, machine
from models.postgres_wheel import PACKAGE
from models.settings import settings

HOST = "127.0.0.1"
SUPERUSER = "postgres"
START_LIMIT = 15 * 60.0  # crash recovery of max_wal_size takes minutes on a slow disk
STOP_LIMIT = 5 * 60.0
ORPHANS_AFTER = 2.0
PORT_ATTEMPTS = 5
LOG_LIMIT = 10_000_000
KEEPER = Path(__file__).with_name("keep_wal.sh")


class Cluster:
    """The files of one server. Whoever changes something holds start_lock; the methods trust in that."""

    user: postgres_programs.SystemUser | None

    def __init__(self, home: Path) -> None:
        self.home = home
        self.directory = home / "postgres"
        self.pgdata = self.directory / "pgdata"
        self.pid_file = self.pgdata / "postmaster.pid"
        self.password_file = self.directory / "password"
        self.settings = self.directory / "settings.conf"
        self.spool = self.directory / "wal"
        self.server_log = self.directory / "server.log"
        self.command_log = self.directory / "command.log"
        self.start_lock = self.directory / "start.lock"
        self.users_lock = self.directory / "users.lock"
        self.server_lock = self.directory / "server.lock"

    def create_directory(self) -> None:
        self.user = postgres_programs.server_user(self.pgdata)
        postgres_programs.make_directory(self.directory, self.user)

    def password(self) -> str:
        if not self.password_file.exists():
            if self.pgdata.exists():
                raise EmbeddedPostgresError(
                    f"{self.password_file} is missing, and without it nobody can sign in to the server in "
                    f"{self.pgdata}. Put the file back from a copy of {self.home}."
                )
            fresh = self.password_file.with_suffix(".new")
            fresh.touch(mode=0o600)
            with fresh.open("w") as file:
                file.write(secrets.token_urlsafe(24))
                file.flush()
                os.fsync(file.fileno())
            self._hand_over(fresh)  # initdb reads it
            fresh.replace(self.password_file)
        return self.password_file.read_text()

    def bring_up(self, tuning: Mapping[str, str], preferred_port: int) -> tuple[int, bool]:
        """The port of the ready server, and whether it ran before."""
        launches = 0
        for waited in _polls(START_LIMIT):
            lock = kernel_locks.taken_if_free(self.server_lock)
            if lock is not None:
                try:
                    self._check_launch(launches)
                    self._launch(lock, tuning, _free_port(preferred_port))
                finally:
                    os.close(lock)
                launches += 1
            elif (port := self.ready_port()) is not None:
                return port, launches == 0
            elif launches == 0 and waited > ORPHANS_AFTER:
                self._end_orphans()
        raise self._failure(f"accepts no connections after {START_LIMIT / 60:.0f} minutes", self.server_log)

    def ready_port(self) -> int | None:
        """The port on which the server accepts connections; None while it is down, starting or recovering."""
        lines = self._pid_lines()
        if len(lines) < 8 or lines[7].strip() != "ready" or not _process_exists(int(lines[0])):
            return None
        port = int(lines[3])
        return port if postgres_programs.accepts_connections(HOST, port) else None

    def stop(self) -> None:
        self.user = postgres_programs.server_user(self.pgdata)
        told = False
        for waited in _polls(STOP_LIMIT):
            lock = kernel_locks.taken_if_free(self.server_lock)
            if lock is not None:
                os.close(lock)
                return
            # Before a server that just starts has written its status, the number in the file is not its own.
            if not told and len(self._pid_lines()) >= 8:
                told = self._pg("pg_ctl", "stop", "-W", "-m", "fast", "-D", self.pgdata) == 0
            elif waited > ORPHANS_AFTER:
                self._end_orphans()
        raise self._failure(f"has not stopped after {STOP_LIMIT / 60:.0f} minutes", self.server_log)

    def _check_launch(self, launches: int) -> None:
        """After a launch that died, allow another one only where somebody else took the port in between."""
        if launches and (launches >= PORT_ATTEMPTS or "could not bind" not in _tail(self.server_log)):
            raise self._failure("did not start", self.server_log)

    def _launch(self, lock: int, tuning: Mapping[str, str], port: int) -> None:
        if not self.pgdata.exists():
            self._initialise(lock)
        self._check_version()
        own = {"port": str(port), "unix_socket_directories": ""}
        tuned = {**postgres_settings.tuned(machine.machine_memory()), **self._archiving(), **tuning, **own}
        self.settings.write_text(postgres_settings.settings_file(tuned))
        self.settings.chmod(0o644)
        self._disarm_pid_file()
        if self.server_log.exists() and self.server_log.stat().st_size > LOG_LIMIT:
            self.server_log.replace(self.server_log.with_suffix(".old.log"))
        self.server_log.touch(mode=0o600)
        self._hand_over(self.server_log)
        if self._pg("pg_ctl", "start", "-W", "-D", self.pgdata, "-l", self.server_log, inherit=lock) != 0:
            raise self._failure("did not start", self.command_log)

    def _archiving(self) -> dict[str, str]:
        """The program lies beside the data: its system user may not reach this module."""
        if not settings().point_in_time:
            return {}
        self.spool.mkdir(mode=0o700, exist_ok=True)
        self._hand_over(self.spool)
        program = self.directory / KEEPER.name
        shutil.copyfile(KEEPER, program)
        program.chmod(0o755)
        return postgres_settings.archiving(program, self.spool)

    def _initialise(self, lock: int) -> None:
        """Make the cluster aside and rename it, so that a killed initdb leaves nothing that looks like a cluster."""
        for leftover in self.directory.glob("pgdata.new-*"):
            shutil.rmtree(leftover)
        fresh = Path(tempfile.mkdtemp(prefix="pgdata.new-", dir=self.directory))
        self._hand_over(fresh)
        # The builtin locale sorts and folds the same on every machine; the C library's changes with its version.
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sign_in = ["--auth=scram-sha-256", f"--username={SUPERUSER}", f"--pwfile={self.password_file}"]
        if self._pg("initdb", "-D", fresh, *locale, *sign_in, inherit=lock) != 0:
            raise self._failure("could not be created", self.command_log)
        with (fresh / "postgresql.conf").open("a") as configuration:
            configuration.write(f"include = '../{self.settings.name}'\n")
        fresh.rename(self.pgdata)
        _sync_directory(self.directory)

    def _check_version(self) -> None:
        try:
            stored = (self.pgdata / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise EmbeddedPostgresError(
                f"{self.pgdata} is no PostgreSQL cluster: its PG_VERSION is missing. Move the directory away to begin "
                f"anew, or restore it from a backup."
            ) from None
        ours = postgres_programs.version().partition(".")[0]
        if stored != ours:
            raise EmbeddedPostgresError(
                f"The data in {self.pgdata} belongs to PostgreSQL {stored}, but PostgreSQL {ours} is installed. "
                f"Install {PACKAGE} {stored} again, make a backup with it, and restore that into a "
                f"new home."
            )

    def _disarm_pid_file(self) -> None:
        """Make a dead server's postmaster.pid harmless.

        The server refuses to start while the process it names exists, even where that is another program by now. Our
        own number passes, because we are the grandparent of the server that starts. The other lines stay: they let the
        server find out by its shared memory segment that one which pg_ctl started by hand is still using the data.
        """
        lines = self._pid_lines()
        if len(lines) < 7:  # cut off by a full disk, the server would not accept it at all
            self.pid_file.unlink(missing_ok=True)
        else:
            self.pid_file.write_text("\n".join([str(os.getpid()), *lines[1:7]]) + "\n")

    def _end_orphans(self) -> None:
        """Kill what a killed postmaster left running; a long query would otherwise keep the data busy to its end."""
        import psutil  # slow to import, and needed after a crash only

        processes = psutil.process_iter(["pid", "name", "cwd"])
        own = [p for p in processes if p.info["cwd"] == str(self.pgdata) and p.info["name"].startswith("postgres")]
        postmaster = self._pid_lines()[:1]
        if postmaster and postmaster[0] not in {str(process.pid) for process in own}:
            for process in own:
                with suppress(psutil.NoSuchProcess):
                    process.kill()

    def _pid_lines(self) -> list[str]:
        """What postmaster.pid holds: process, directory, start, port, socket, host, memory segment, status."""
        try:
            return self.pid_file.read_text().splitlines()
        except FileNotFoundError:
            return []

    def _pg(self, program: str, *arguments: str | Path, inherit: int | None = None) -> int:
        programs = postgres_programs.server_programs(self.home, self.user)
        command: list[str | Path] = [programs / program, *arguments]
        return postgres_programs.run(command, output=self.command_log, user=self.user, inherit=inherit)

    def _hand_over(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid)

    def _failure(self, what: str, log: Path) -> EmbeddedPostgresError:
        has_room, free = disk_space.has_room(self.directory, 0), disk_space.free(self.directory)
        scarce = "" if has_room else f" Only {disk_space.shown(free)} are free on its disk."
        return EmbeddedPostgresError(
            f"The embedded PostgreSQL at {self.home} {what}.{scarce} {log} ends with:\n{_tail(log)}"
        )


def _polls(limit: float) -> Iterator[float]:
    """Seconds waited so far, at growing intervals, until `limit`."""
    begin = time.monotonic()
    pause = 0.01
    while (waited := time.monotonic() - begin) < limit or waited == 0.0:
        yield 0.0 if pause == 0.01 else waited
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def _free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            return int(candidate.getsockname()[1])
    raise EmbeddedPostgresError(f"No port is free on {HOST} for the embedded PostgreSQL.")


def _process_exists(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tail(log: Path, lines: int = 8) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(the log does not exist)"
