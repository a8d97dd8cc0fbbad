"""Taking stock: what the disks, the home's folders and the database's tables hold."""

import os
from pathlib import Path

from sqlalchemy import func, literal, select, table, text, union_all
from sqlalchemy.orm import Session

from models import disks, stored_files
from models.database import reading
from models.exports import Export
from models.house.shapes import DiskSpace, FolderSize, TableSize
from models.import_parts import ImportPart
from models.settings import home

PATIENCE = "10s"
COUNTED = 10_000_000  # bytes of a table, up to which its rows are counted

# Tables of other schemas, such as those of staged imports, are many: they stand together. The size of one that somebody
# has to themselves, which would wait for them, is what the server noted last.
_TABLES = """
    WITH held AS MATERIALIZED (
        SELECT relation FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
    SELECT CASE WHEN classes.relnamespace = 'public'::regnamespace THEN classes.relname
            ELSE classes.relnamespace::regnamespace::text END AS name,
        sum(CASE WHEN classes.oid IN (SELECT relation FROM held)
            THEN classes.relpages * current_setting('block_size')::bigint
            ELSE pg_total_relation_size(classes.oid) END)::bigint AS bytes,
        -- What was never vacuumed has a planner's estimate of none, whatever is in it.
        sum(coalesce(nullif(counted.n_live_tup, 0), greatest(classes.reltuples, 0)))::bigint AS rows,
        sum(coalesce(counted.n_dead_tup, 0))::bigint AS dead,
        bool_and(classes.relnamespace = 'public'::regnamespace AND classes.oid NOT IN (SELECT relation FROM held))
            AS at_hand
    FROM pg_class AS classes LEFT JOIN pg_stat_all_tables AS counted ON counted.relid = classes.oid
    WHERE classes.relkind IN ('r', 'm') AND classes.relpersistence <> 't'
        AND classes.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    GROUP BY 1 ORDER BY 2 DESC"""


def disk_space() -> list[DiskSpace]:
    """Of this machine, now."""
    return [
        DiskSpace(folder=one.folder, holds=one.holds, total=one.total, free=one.free, is_low=one.is_low)
        for one in disks.all_here()
    ]


def tables(session: Session) -> list[TableSize]:
    """The largest first. Raises SQLAlchemy's OperationalError where it had to wait for somebody all the same."""
    session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
    found = session.execute(text(_TABLES)).all()
    counted = _counted(session, [one.name for one in found if one.at_hand and one.bytes <= COUNTED])
    return [
        TableSize(
            name=one.name, bytes=one.bytes, rows=counted.get(one.name, one.rows), dead=one.dead,
            counted=one.name in counted,
        )
        for one in found
    ]  # fmt: skip


def _counted(session: Session, names: list[str]) -> dict[str, int]:
    """Table of the schema public -> its rows."""
    asked = [select(literal(name), func.count()).select_from(table(name, schema="public")) for name in names]
    return {row[0]: row[1] for row in session.execute(union_all(*asked))} if asked else {}


def database_bytes(session: Session) -> int:
    return int(session.scalars(text("SELECT pg_database_size(current_database())")).one())


def folders(notes: list[str]) -> list[FolderSize]:
    """Those of the home, the largest first; what may not be read is noted."""
    if not home().is_dir():  # before the first file is stored, beside a database of one's own
        return []
    found = [_size(one, notes) for one in sorted(home().iterdir()) if one.is_dir() and not one.is_symlink()]
    return sorted(found, key=lambda one: -one.bytes)


def shared() -> list[FolderSize]:
    """Uploads and exports in the store that all hosts share, by what the database names there."""
    if not stored_files.are_shared():
        return []
    root = stored_files.root()
    of_exports = select(func.coalesce(func.sum(Export.bytes), 0), func.count()).where(
        Export.path.startswith(f"{root}/")
    )
    of_imports = select(func.coalesce(func.sum(ImportPart.bytes), 0), func.count(ImportPart.import_id.distinct()))
    with reading() as session:
        found = {
            stored_files.IMPORTS: session.execute(of_imports.where(ImportPart.stored_as.is_not(None))).one(),
            stored_files.EXPORTS: session.execute(of_exports.where(Export.path.startswith(f"{root}/"))).one(),
        }
    return [FolderSize(name=f"{root}/{kind}", bytes=int(row[0]), files=int(row[1])) for kind, row in found.items()]


def _size(folder: Path, notes: list[str]) -> FolderSize:
    total = files = 0
    closed: list[OSError] = []
    for place, _, names in os.walk(folder, onerror=closed.append):
        for name in names:
            try:
                total += Path(place, name).lstat().st_size
            except OSError:  # it is gone by now
                continue
            files += 1
    if any(isinstance(error, PermissionError) for error in closed):
        notes.append(f"Not all of {folder} may be read: it holds more than is said here.")
    return FolderSize(name=folder.name, bytes=total, files=files)
