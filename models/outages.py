"""Whether an error means that the database is away: whoever meets it has done nothing wrong, and is to come again."""

from collections.abc import Iterator

from psycopg import OperationalError as DriverOperationalError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

KINDS = (DBAPIError, NoConnectionFree)  # one of these it is then
# Not that nothing was changed: where the connection was lost with a commit under way, nobody knows.
SENTENCE = "The database does not answer. Try again in a moment."
AGAIN = 5  # seconds, after which it is worth trying again
# SQLSTATE classes: connections, the server's shutdown, too many connections.
AWAY = ("08", "57P", "533")


def is_away(error: BaseException) -> bool:
    if isinstance(error, NoConnectionFree):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # the server said nothing: the connection failed, or the driver refused a value
        return error.connection_invalidated or isinstance(error.orig, DriverOperationalError)
    return error.connection_invalidated or state.startswith(AWAY)


def is_lost(error: BaseException) -> bool:
    """Whether it is that some server is away, or the error follows from that: where in the program it was met says
    nothing then. Prefect's driver has errors of its own, which have the same states."""
    return any(
        is_away(one)
        or isinstance(one, ConnectionError)
        or (isinstance(one, DriverOperationalError) and one.sqlstate is None)
        or str(getattr(one, "sqlstate", None) or "").startswith(AWAY)
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
