"""Whether an error means that the database is away: whoever meets it has done nothing wrong, and is to come again."""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

KINDS = (DBAPIError, NoConnectionFree)  # one of these it is then
SENTENCE = "The database does not answer. Nothing was changed: try again in a moment."
AGAIN = 5  # seconds, after which it is worth trying again
# SQLSTATE classes: connections, the server's shutdown, too many connections.
AWAY = ("08", "57P", "533")


def is_away(error: BaseException) -> bool:
    if isinstance(error, NoConnectionFree):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)  # None: it was the connection that failed, not a statement
    return error.connection_invalidated or state is None or state.startswith(AWAY)
