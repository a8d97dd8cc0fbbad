"""Server settings of the embedded PostgreSQL, computed from the machine it runs on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

MB = 1024 * 1024
ROOMY_SHARED_MEMORY = 1024 * MB


def tuned(memory: int) -> dict[str, str]:
    """Settings for a machine with `memory` bytes that also runs the web, Prefect and DuckDB."""
    return {
        "listen_addresses": "127.0.0.1",
        "max_connections": "200",
        "shared_buffers": _megabytes(memory // 8, at_least=128, at_most=1024),
        "effective_cache_size": _megabytes(memory // 2, at_least=256),
        "work_mem": "32MB",
        "maintenance_work_mem": _megabytes(memory // 32, at_least=256, at_most=512),
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        # Nobody follows this server by its log, so what a first load writes into a new file need not pass through it.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        # The wheel is built without lz4 and zstd, and pglz costs an import more time than the bytes it saves.
        "wal_compression": "off",
        "random_page_cost": "1.1",
        # Our statements are many and short; compiling them costs more than it saves.
        "jit": "off",
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.track": "top",
        "track_io_timing": "on",
        "log_min_duration_statement": "1s",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "idle_in_transaction_session_timeout": "10min",
        "dynamic_shared_memory_type": "posix" if _shared_memory_is_roomy() else "mmap",
    }


def archiving(program: Path, spool: Path) -> dict[str, str]:
    """Settings that let the server put the finished pieces of its log into the folder `spool`, by `program`."""
    return {
        "wal_level": "replica",
        "max_wal_senders": "4",
        "summarize_wal": "on",  # what changed since a base, for the next one
        "archive_mode": "on",
        "archive_command": f'/bin/sh "{in_command(program)}" "%p" "%f" "{in_command(spool)}"',
        "archive_timeout": "5min",  # what was written in the last minutes is lost with the machine
    }


def in_command(path: Path) -> str:
    """The path as it stands between double quotes in a command of the server, which puts values for %p and the like."""
    kept = str(path).replace("%", "%%")
    return "".join(f"\\{sign}" if sign in '\\"$`' else sign for sign in kept)


def settings_file(settings: Mapping[str, str]) -> str:
    """The text of a postgresql.conf; every value is quoted, which the server accepts for numbers and units too."""
    return "".join(f"{name} = '{_escaped(value)}'\n" for name, value in settings.items())


def _megabytes(size: int, *, at_least: int, at_most: int | None = None) -> str:
    whole = max(size // MB, at_least)
    return f"{whole if at_most is None else min(whole, at_most)}MB"


def _shared_memory_is_roomy() -> bool:
    """False in a container with Docker's 64 MB of /dev/shm, where parallel queries would fail on posix segments."""
    shared_memory = Path("/dev/shm")  # noqa: S108  only its size is asked for
    return not shared_memory.is_dir() or shutil.disk_usage(shared_memory).total >= ROOMY_SHARED_MEMORY


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
