"""The database of a process that somebody else started."""

from models import database
from models.errors import Unavailable
from models.settings import settings


def bind_database() -> None:
    """Make DATABASE_URL this process's database, if it has none yet. Raises Unavailable where it is not set."""
    if database.Database.engine is not None:
        return
    url = settings().database_url
    if url is None:
        raise Unavailable("DATABASE_URL is not set: flows need the database. `appointment360 up` sets it.")
    database.bind(url.get_secret_value())
