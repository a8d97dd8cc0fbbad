"""Whether requests can be served: the database answers, and its schema is the one this code knows."""

from models import database, migrations
from models.errors import Unavailable

WITHIN = 3  # seconds


def require() -> None:
    """Raises Unavailable."""
    database.ping()
    if not migrations.is_current(database.engine()):
        raise Unavailable("The database's schema is not the one this program needs: run `appointment360 up`.")
