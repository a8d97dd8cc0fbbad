"""What only databases themselves can tell: that they let anybody in, or do not let us in."""

import re
import secrets

import psycopg
from psycopg import conninfo

from models.database import libpq_url

PATIENCE = 5  # seconds
# libpq's words and the server's, and what to do about them. Neither is shown: a host may be half of a password.
REASONS: dict[str, tuple[str, str]] = {
    r"password authentication failed|no password supplied": (
        "has another password than its server, or names a role that is not there", "give the role's there (ALTER ROLE)",
    ),
    r'role ".*" does not exist': ("names a role that is not there", "make it (CREATE ROLE)"),
    r'database ".*" does not exist': ("names a database that is not there", "make it (createdb)"),
    r"no pg_hba.conf entry": ("leads to a server that does not let this host in", "let its pg_hba.conf do so"),
    r"authentication failed": ("is not let in by its server", "look at the server's log and its pg_hba.conf"),
    r"permission denied for database": ("names a role that may not enter the database", "GRANT CONNECT to it"),
    r"[Cc]onnection refused|No such file or directory": (
        "leads to where no server listens", "start PostgreSQL, or name its host and port",
    ),
    r"translate host name|resolve|[Nn]ame or service not known": (
        "names a host that is not known here", "write the host as others reach it",
    ),
    r"timeout expired|timed out|[Uu]nreachable|No route": (
        "leads to a server that does not answer within {patience} s", "name its host and port, or open the way there",
    ),
    r"SSL|certificate|[Tt][Ll][Ss]": (
        "leads to a server that cannot show what sslmode asks for",
        "give it a certificate, and name its authority in sslrootcert",
    ),
    r"too many|remaining connection slots": ("leads to a server that has no connection left", "raise max_connections"),
    r"starting up|shutting down|recovery": ("leads to a server that is not ready", "wait for it, or look at its log"),
}  # fmt: skip
OTHERWISE = ("cannot be connected to", "try its address with psql, which says more")
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


def refusal(url: str) -> tuple[str, str] | None:
    """Why the server does not let us in with this address, and what to do; None where it does."""
    patient = conninfo.make_conninfo(libpq_url(url), connect_timeout=PATIENCE)
    try:
        with psycopg.connect(patient, autocommit=True) as session:
            session.execute("SELECT")
    except psycopg.Error as error:
        said = str(error)
        wrong, way_out = next((found for words, found in REASONS.items() if re.search(words, said)), OTHERWISE)
        return wrong.format(patience=PATIENCE), way_out
    return None
