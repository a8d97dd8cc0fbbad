"""A backup and its drill against plain pg_dump and pg_restore of the same database, with as many jobs."""

import shutil
import subprocess
import time
from pathlib import Path

import psycopg

from deploy.embedded_postgres import Server
from pipelines.back_up import JOBS
from tests.bench.limits import Measured
from tests.bench.processes import command

RATIO = 130  # per cent of the baseline


def measured(home: Path, server: Server) -> list[Measured]:
    """Each side includes the start of its programs."""
    plain = _plain(server, home / "plain")
    began = time.perf_counter()
    made = command(home, "backup", "--no-drill")
    backed_up = time.perf_counter() - began
    drilled = command(home, "drill")
    if not drilled.answer["matches"]:
        raise RuntimeError(f"The drill found differences: {drilled.answer}")
    ours = backed_up + drilled.seconds
    return [
        Measured("pg_dump -Fd", plain[0], "s"),
        Measured("pg_restore of it", plain[1], "s"),
        Measured(f"backup, encrypted, {made.answer['bytes'] // 1_000_000:,} MB", backed_up, "s"),
        Measured(f"drill: read, restore and compare {drilled.answer['rows']:,} rows", drilled.seconds, "s"),
        Measured("backup and drill, of the baseline", ours / sum(plain) * 100, "%", RATIO),
    ]


def _plain(server: Server, dump: Path) -> tuple[float, float]:
    """Seconds that pg_dump and pg_restore take."""
    began = time.perf_counter()
    jobs = f"-j{JOBS}"
    url, target = server.url(driver=""), server.url("plain_restore", driver="")
    subprocess.run([server.tool("pg_dump"), "-d", url, "-Fd", jobs, "-f", dump], check=True)
    dumped = time.perf_counter() - began
    server.ensure_database("plain_restore")
    began = time.perf_counter()
    subprocess.run([server.tool("pg_restore"), "-d", target, jobs, dump], check=True)
    restored = time.perf_counter() - began
    with psycopg.connect(server.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute("DROP DATABASE plain_restore WITH (FORCE)")
    shutil.rmtree(dump)
    return dumped, restored
