"""Databases that let anybody in: found by asking them with a password that is wrong."""

import secrets

import psycopg
from psycopg import conninfo

from models.database import libpq_url

PATIENCE = 5  # seconds
OLDEST = 160_000  # the version of PostgreSQL from which on a session knows how it signed in


def is_open(url: str) -> bool:
    """Whether whoever reaches the server is let in (`trust` in its pg_hba.conf). False where it does not answer."""
    wrong = conninfo.make_conninfo(libpq_url(url), password=secrets.token_hex(16), connect_timeout=PATIENCE)
    try:
        with psycopg.connect(wrong, autocommit=True) as session:
            if session.info.server_version < OLDEST:
                return True
            # Who comes by a socket's file or with a certificate needs no password, and is known nevertheless.
            return session.execute("SELECT system_user IS NULL").fetchone() == (True,)
    except psycopg.Error:
        return False
