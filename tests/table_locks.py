"""Who waits for a table."""

import psycopg

from models.database import libpq_url
from tests.waiting import until


def until_waited_for(url: str, table: str) -> None:
    asked = "SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        until(f"somebody waits for {table}", lambda: connection.execute(asked, [table]).fetchone() is not None)
