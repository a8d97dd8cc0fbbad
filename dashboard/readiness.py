"""Whether requests can be served: the database answers, and its schema is the one this code knows."""

from typing import Literal

from models import database, disks, migrations
from models.errors import Unavailable

WITHIN = 3  # seconds


def require() -> None:
    """Raises Unavailable."""
    database.ping()
    if not migrations.is_current(database.engine()):
        raise Unavailable("The database's schema is not the one this program needs: run `appointment360 up`.")


def disk() -> Literal["ok", "low", "unknown"]:
    """How that of the stored files is; no database is asked."""
    try:
        return "low" if disks.of_the_home().is_low else "ok"
    except OSError:
        return "unknown"
