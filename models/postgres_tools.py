"""The PostgreSQL programs that speak to a server, such as pg_dump: the wheel's, or the system's."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from psycopg import conninfo

from models import postgres_wheel
from models.database import libpq_url
from models.errors import Unavailable

LOCAL = ("", "localhost", "127.0.0.1", "::1")


def program(name: str, *, url: str, server: int) -> Path:
    """The program for the server at `url`, of the major version `server`. The wheel's cannot speak TLS, so that for
    another host the system's goes first. Raises Unavailable."""
    host = str(conninfo.conninfo_to_dict(libpq_url(url)).get("host") or "")
    found = [one for one in (_of_wheel(name), _of_system(name)) if one is not None]
    if host not in LOCAL and not host.startswith("/"):
        found.reverse()
    fitting = [one for one in found if major(one) >= server]
    if not fitting:
        raise Unavailable(
            f"There is no {name} of PostgreSQL {server} or newer here: install that version's client programs "
            f"(postgresql-client-{server}), or the package {postgres_wheel.PACKAGE}."
        )
    return fitting[0]


def connection(url: str) -> tuple[str, dict[str, str]]:
    """What a program is given: the address without the password, which others could see in the list of processes, and
    the environment that holds it. What the address leaves open libpq's variables say, as they do for our own sessions;
    with an embedded server there are none of them."""
    parts: dict[str, Any] = dict(conninfo.conninfo_to_dict(libpq_url(url)))
    secret = parts.pop("password", None)
    environment = {name: value for name, value in os.environ.items() if name.startswith("PG")}
    environment |= postgres_wheel.environment() | ({"PGPASSWORD": secret} if secret else {})
    return conninfo.make_conninfo("", **parts), environment


@cache
def major(path: Path) -> int:
    """The program's major version; 0 where it does not run."""
    told = subprocess.run([str(path), "--version"], check=False, capture_output=True, text=True).stdout
    number = re.search(r"(\d+)", told)
    return int(number[1]) if number else 0


def _of_wheel(name: str) -> Path | None:
    installation = postgres_wheel.installation()
    path = installation and installation / "bin" / name
    return path if path and path.exists() else None


def _of_system(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None
