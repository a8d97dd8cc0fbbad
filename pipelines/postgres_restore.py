"""pg_restore of an unpacked backup into an empty database, whatever roles its server has."""

import re
import subprocess
from pathlib import Path

import psycopg

from models import postgres_tools
from models.database import libpq_url
from models.errors import Conflict, Unavailable
from pipelines import postgres_runs
from pipelines.backup_manifest import Manifest

JOBS = 2
# Indexes are most of a restore, and are built in memory with enough of it.
FASTER = "-c maintenance_work_mem=256MB -c synchronous_commit=off"
# Only superusers may make it, and it holds nothing of the database's: the report that reads it makes it where it may.
NOT_RESTORED = re.compile(r"^\d+; .* (?:EXTENSION -|COMMENT - EXTENSION) pg_stat_statements ")
# pg_restore begins each of its sessions with it, and servers before 17 do not know it. They say so in their own
# language; the program quotes the statement in the same write, so that its other processes cannot come between.
TOO_NEW = re.compile(
    r"could not execute query: [^\n]*transaction_timeout[^\n]*\nCommand was: SET transaction_timeout = 0;\n*"
)
TIMEOUT_FROM = 17  # the version that knows it
REACHED_ITS_END = "errors ignored on restore: "
NOT_EMPTY = """SELECT count(*) FILTER (WHERE c.relkind = 'r'), count(*)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname NOT LIKE 'pg\\_%'
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')"""


def shown(url: str) -> str:
    """The address without its password."""
    return postgres_tools.connection(url)[0]


def require_empty(url: str) -> None:
    """Raises Conflict, Unavailable."""
    try:
        with psycopg.connect(libpq_url(url)) as connection:
            tables, number = connection.execute(NOT_EMPTY).fetchone() or (0, 0)
    except psycopg.Error as error:
        raise Unavailable(f"The database to restore into cannot be used: {str(error).strip()}") from error
    if number:
        what = f"{tables:,} tables" if tables > 1 else "a table" if tables else "views or sequences"
        raise Conflict(
            f"The database to restore into holds {what} already: name an empty one, which `createdb NAME` makes."
        )


def restore(dump: Path, url: str, manifest: Manifest) -> list[str]:
    """Restore, and the roles that are not there, whose ownership and grants are left out. Raises Unavailable."""
    with psycopg.connect(libpq_url(url)) as connection:
        version = connection.info.server_version // 10_000
        asked = """SELECT rolname, pg_has_role(rolname, 'MEMBER') FROM pg_roles WHERE rolname = ANY(%s)"""
        usable = {name for name, member in connection.execute(asked, [manifest.roles]) if member}
    if version < manifest.server:
        raise Unavailable(
            f"The backup is of PostgreSQL {manifest.server}, and the database to restore into of {version}: take a "
            "newer server."
        )
    missing = [role for role in manifest.roles if role not in usable]
    program = postgres_tools.program("pg_restore", url=url, server=version)
    address, environment = postgres_tools.connection(url)
    environment["PGOPTIONS"] = FASTER
    without = ["--no-owner", "--no-privileges"] if missing else []
    wanted = dump.with_name(f"{dump.name}.list")
    wanted.write_text(_wanted(program, dump, environment))
    goes_on = version < TIMEOUT_FROM
    options = [f"-j{JOBS}", *without, *([] if goes_on else ["--exit-on-error"]), "-L", str(wanted)]
    postgres_runs.execute(
        [str(program), "-d", address, *options, str(dump)], environment, "The backup could not be restored",
        faults=faults if goes_on else str,
    )  # fmt: skip
    return missing


def faults(said: str) -> str | None:
    """What a pg_restore said that goes on after errors, without those of TOO_NEW; None where there is no other one."""
    left, number = TOO_NEW.subn("\n", said)
    # Each error has that word of the program's once, the last one, which ends it early, too.
    return None if REACHED_ITS_END in left and left.count("error: ") == number else left.replace("error: \n", "\n")


def _wanted(program: Path, dump: Path, environment: dict[str, str]) -> str:
    """The table of contents, as pg_restore takes it. Raises Unavailable."""
    listed = subprocess.run(
        [str(program), "-l", str(dump)], env=environment, check=False, capture_output=True, text=True
    )
    if listed.returncode:
        raise Unavailable(f"The backup could not be read: {listed.stderr.strip()[:500]}")
    return "".join(line for line in listed.stdout.splitlines(keepends=True) if not NOT_RESTORED.match(line))
