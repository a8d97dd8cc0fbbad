"""Restoring the embedded server to a moment: its log archived by the server itself, bases, and the command."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from deploy import embedded_postgres, local
from deploy import recovery as restoring
from deploy.embedded_postgres import Server
from models import backup_alerts, backups, database, file_store, migrations, recovery, settings
from models.contacts import records
from models.errors import AppError, Conflict
from models.permissions import OPERATOR
from models.recovery import RecoveryBase
from pipelines import archive_wal, back_up, backup_key, base_backups, drill, look_at_recovery, wal_files
from pipelines.backup_manifest import Unfit
from tests.deploy.command_line import COMMAND, PROJECT
from tests.pipelines import s3

SEGMENT = 16 * 1024 * 1024
QUICK = {"fsync": "off", "shared_buffers": "64MB", "max_wal_size": "64MB"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """An own server whose log is archived, and its home."""
    home = Path(tempfile.mkdtemp(prefix="appointment360-"))
    home.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPOINTMENT360_HOME", str(home))
        patch.setenv("APPOINTMENT360_POINT_IN_TIME", "true")
        patch.delenv("DATABASE_URL", raising=False)
        settings.settings.cache_clear()
        server = embedded_postgres.start_or_join(home, tuning=QUICK)
        server.ensure_database(local.DATABASE)
        migrations.upgrade(server.url(local.DATABASE))
        database.bind(server.url(local.DATABASE))
        yield server
        database.engine().dispose()
        server.release()
        shutil.rmtree(home, ignore_errors=True)
    settings.settings.cache_clear()


@pytest.fixture(autouse=True)
def bound(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_HOME", str(server.home))
    monkeypatch.setenv("APPOINTMENT360_POINT_IN_TIME", "true")
    settings.settings.cache_clear()
    database.bind(server.url(local.DATABASE))


@pytest.fixture
def new_home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="appointment360-"))
    folder.chmod(0o755)
    yield folder / "as it was"
    shutil.rmtree(folder, ignore_errors=True)


def test_a_moment_is_restored_from_a_base_its_changes_and_the_log(
    server: Server, new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever server of their own a person's shell means."""
    written("before")
    full = base_backups.make()
    written("between")
    changes = base_backups.make()
    assert full is not None
    assert changes is not None
    assert (full.parent, changes.parent) == (None, full.id)
    written("just before")
    moment = now(server)
    written("after")

    with monkeypatch.context() as shell:
        for name, value in {"PGHOSTADDR": "127.0.0.2", "PGPORT": "1", "PGSSLMODE": "require", "PGUSER": "me"}.items():
            shell.setenv(name, value)
        done = restore("--at", moment.isoformat(), "--into", new_home)

    assert done["base"] == changes.name
    assert done["contacts"] == 3
    assert datetime.fromisoformat(done["last_change"]) <= moment
    assert sorted(names_in(new_home)) == ["before", "between", "just before"]
    assert [path.name for path in new_home.iterdir() if path.name.startswith("recovering")] == []


def test_a_killed_archiving_costs_nothing(server: Server) -> None:
    """Killed before the file has its name, and after that before the piece is deleted here."""
    for moment in ("put", "unlink"):
        written(f"killed at {moment}")
        kill_shipping_at(moment, server)
        left = sorted(path.name for path in recovery.spool().iterdir())
        assert left
        archive_wal.ship_all()
        for segment in left:
            assert is_archived(segment)
        assert backup_alerts.health(by=OPERATOR).alerts == []
        assert list(recovery.spool().iterdir()) == []


def test_another_piece_of_the_same_name_is_refused_and_told(server: Server) -> None:
    archive_wal.ship_all()
    there = log_folder()
    newest = max(path.name for path in there.iterdir())
    segment = wal_files.segment_of(newest)
    again = recovery.spool() / segment
    key = backup_key.read()
    content = wal_files.read((there / newest).read_bytes(), segment, recovery.system(), key)
    again.write_bytes(content)
    assert archive_wal.ship() == 1  # the same once more, as after a crash
    again.write_bytes(content[:-1] + b"!")
    with pytest.raises(Conflict, match="another piece of the log"):
        archive_wal.ship()
    assert "another piece of the log" in " ".join(backup_alerts.health(by=OPERATOR).alerts)
    assert again.exists()
    again.unlink()
    archive_wal.ship_all()
    assert backup_alerts.health(by=OPERATOR).alerts == []


def test_what_lies_there_is_counted_and_for_nobody_else_to_read(server: Server) -> None:
    if recovery.newest() is None:
        base_backups.make()
    archive_wal.ship_all()
    folders = [server.home / "backups", log_folder().parent, log_folder()]
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    assert [path for path in (*folders, *files) if path.stat().st_mode & 0o077] == []
    # Manifests, and the server's notes of where a base begins, are too small to count.
    # What a killed process left is there until the next one brings that piece.
    small = (".manifest", ".backup", file_store.PART)
    there = sum(path.stat().st_size for path in files if not any(part in path.name for part in small))
    assert backup_alerts.health(by=OPERATOR).bytes == there


def test_what_is_damaged_missing_or_of_another_key_is_refused(server: Server, new_home: Path) -> None:
    if recovery.newest() is None:
        base_backups.make()
    archive_wal.ship_all()
    copy = server.home / "copy"
    shutil.copytree(server.home / "backups", copy)
    system, key = recovery.system(), backup_key.read()
    [piece, *_] = sorted(path for path in (copy / "wal" / system).iterdir() if len(path.name.partition(".")[0]) == 24)[
        -1:
    ]
    whole, segment = piece.read_bytes(), wal_files.segment_of(piece.name)
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        with pytest.raises(Unfit):
            wal_files.read(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], segment, system, key)
    piece.write_bytes(whole[:-1] + bytes([whole[-1] ^ 4]))
    told = ended("--at", "latest", "--into", new_home, "--from", copy)
    assert told.returncode == 1
    assert f"{segment} of the log is refused" in told.stderr
    assert not list(new_home.iterdir())
    piece.write_bytes(whole)

    def refused(why: str, moment: datetime | None = None, key_file: Path | None = None) -> None:
        with pytest.raises(AppError, match=why):
            restoring.run(moment, str(copy / "wal"), new_home, key_file=key_file, say=lambda step: None)

    backup_key.make(server.home / "other.key")
    refused("opens with another key", key_file=server.home / "other.key")
    refused("No base is that old", datetime(2020, 1, 1, tzinfo=UTC))
    refused("The archived log ends before that moment", now(server) + timedelta(days=1))
    base = recovery.newest()
    assert base is not None
    [archive] = copy.glob(f"wal/{base.name}.tar*")
    archive.write_bytes(archive.read_bytes()[:-1000])
    refused("cut short")
    shutil.rmtree(copy)


def test_retention_keeps_the_log_that_a_base_needs(server: Server) -> None:
    base = recovery.newest() or base_backups.make()
    assert base is not None
    archive_wal.ship_all()
    old = log_folder() / wal_files.file_name("0" * 7 + "1" + "0" * 16, backup_key.read())
    old.write_bytes(b"from before the first base")
    with psycopg.connect(server.url(driver="")) as connection:
        (first,) = connection.execute("SELECT min(start_wal) FROM recovery_bases WHERE state = 'done'").fetchone()
    base_backups.retain()
    assert not old.exists()
    assert is_archived(first)


def test_what_others_removed_or_changed_is_told_and_no_base_builds_on_it(server: Server) -> None:
    base_backups.make()
    written("whole")
    archive_wal.ship_all()
    base = recovery.newest()
    assert base is not None
    piece = max(path for path in log_folder().iterdir() if len(path.name.partition(".")[0]) == 24)
    [archive] = log_folder().parent.glob(f"{base.name}.tar*")
    looked_through()
    assert backup_alerts.look() == []
    for path, told in ((piece, f"the archived log in {log_folder()}: {wal_files.segment_of(piece.name)}"),
                       (archive, f"restored from in {log_folder().parent}: {base.name}")):  # fmt: skip
        whole = path.read_bytes()
        for damage in (path.unlink, lambda path=path, whole=whole: path.write_bytes(whole[:-1])):
            damage()
            look_at_recovery.look()  # by a listing
            assert told in " ".join(backup_alerts.look())
            path.write_bytes(whole)
            look_at_recovery.look()
            assert backup_alerts.look() == []
        flipped = bytes([whole[len(whole) // 2] ^ 1])
        path.write_bytes(whole[: len(whole) // 2] + flipped + whole[len(whole) // 2 + 1 :])
        look_at_recovery.look()
        assert backup_alerts.look() == []
        looked_through()  # with a drill
        assert told in " ".join(backup_alerts.look())
        look_at_recovery.look()
        assert told in " ".join(backup_alerts.look())
        path.write_bytes(whole)
        looked_through()
        assert backup_alerts.look() == []

    kept = {path: path.read_bytes() for path in (archive, piece)}
    for path in kept:
        path.unlink()
    look_at_recovery.look()
    assert backup_alerts.health(by=OPERATOR).moments is None
    new = base_backups.make()
    assert new is not None
    assert new.parent != base.id
    archive_wal.ship_all()
    moments = backup_alerts.health(by=OPERATOR).moments
    newest = recovery.newest()
    assert newest is not None
    assert moments is not None
    assert (newest.id, moments[0]) == (new.id, newest.finished_at)
    for path, whole in kept.items():
        path.write_bytes(whole)
    look_at_recovery.look()
    assert backup_alerts.look() == []


def test_with_a_drill_the_log_is_read_through_and_the_next_base_builds_on_what_is_whole(server: Server) -> None:
    base_backups.make()
    base = recovery.newest()
    assert base is not None
    [archive] = log_folder().parent.glob(f"{base.name}.tar*")
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-1] + bytes([whole[-1] ^ 8]))
    made = back_up.make(by=OPERATOR, drilled=True)
    assert made.proven
    assert base.name in " ".join(backup_alerts.look())
    newest = recovery.newest()
    assert newest is not None
    assert newest.id > base.id
    assert newest.parent != base.id
    archive.write_bytes(whole)
    drill.run(made.id, by=OPERATOR)
    assert base.name not in " ".join(backup_alerts.look())


def test_a_folder_that_is_not_there_holds_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    base = base_backups.make()
    assert base is not None
    archive_wal.ship_all()
    place = log_folder().parent
    away = place.rename(place.with_name("away"))
    look_at_recovery.look()
    told = " ".join(backup_alerts.look())
    assert base.name in told
    assert f"There is no folder {place}" in told
    with monkeypatch.context() as off:
        off.setenv("APPOINTMENT360_POINT_IN_TIME", "false")
        settings.settings.cache_clear()
        assert "There is no folder" not in " ".join(backup_alerts.look())
    settings.settings.cache_clear()
    away.rename(place)
    look_at_recovery.look()
    assert "There is no folder" not in " ".join(backup_alerts.look())


def test_retention_waits_for_the_lock_of_a_piece(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with versions would hide it, and keep it all the same."""
    with s3.serving() as endpoint:
        s3.use(endpoint, monkeypatch)
        monkeypatch.setenv("APPOINTMENT360_BACKUP_TO", "s3://locked")
        monkeypatch.setenv("APPOINTMENT360_BACKUP_LOCK_DAYS", "30")
        settings.settings.cache_clear()
        s3.client(endpoint).create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        archive_wal.ship_all()
        with psycopg.connect(server.url(driver=""), autocommit=True) as connection:
            connection.execute("UPDATE recovery_bases SET state = 'removed', removed_at = now() WHERE state = 'done'")
            before = names_at(endpoint)
            assert before
            base_backups.make()
            base = recovery.newest()
            assert base is not None
            assert base.start_wal is not None
            old = {name for name in before if name[8:24] < base.start_wal[8:]}
            assert old
            assert old <= set(names_at(endpoint))
            s3.client(endpoint).delete_object(Bucket="locked", Key=f"wal/{recovery.system()}/{max(old)}")
            look_at_recovery.look()
            assert "archived log" not in " ".join(backup_alerts.look())  # no base needs it
            connection.execute("UPDATE recovery_pieces SET locked_until = now() WHERE place LIKE 's3:%'")
            base_backups.retain()
            assert not old & set(names_at(endpoint))
            connection.execute("UPDATE recovery_bases SET state = 'removed' WHERE place LIKE 's3:%'")
            connection.execute("DELETE FROM recovery_pieces WHERE place LIKE 's3:%'")


def test_the_first_base_is_missed_only_after_it_was_due(server: Server) -> None:
    archive_wal.ship_all()
    with psycopg.connect(server.url(driver=""), autocommit=True) as connection:
        connection.execute("UPDATE recovery_bases SET state = 'removed', removed_at = now() WHERE state = 'done'")
        assert backup_alerts.look() == []
        connection.execute("UPDATE recovery_pieces SET archived_at = archived_at - interval '3 hours'")
    assert "No moment can be restored yet" in " ".join(backup_alerts.look())


def test_what_is_locked_keeps_what_it_builds_on(server: Server) -> None:
    """Its parent's lock ends before its own."""
    with psycopg.connect(server.url(driver=""), autocommit=True) as connection:
        connection.execute("UPDATE recovery_bases SET state = 'removed', removed_at = now() WHERE state = 'done'")
        connection.execute(
            """INSERT INTO recovery_bases
                (id, name, place, system, parent, state, created_at, finished_at, locked_until)
            SELECT 9000 + n, 'base ' || n, CASE n WHEN 5 THEN '/elsewhere' ELSE %s END, '7',
                CASE n WHEN 2 THEN 9001 END, 'done',
                now() - (40 - n) * interval '1 day', now() - (40 - n) * interval '1 day',
                CASE n WHEN 2 THEN now() + interval '1 day' END
            FROM generate_series(1, 5) n""",
            [recovery.place()],
        )
        assert [one.id for one in recovery.to_remove()] == [9003]
        connection.execute("UPDATE recovery_bases SET gone_since = now() WHERE id = 9004")
        assert [one.id for one in recovery.to_remove()] == []  # the one before stands for what others removed
        connection.execute("DELETE FROM recovery_bases WHERE id > 9000")


def test_which_bases_a_moment_needs() -> None:
    day = datetime(2026, 11, 1, tzinfo=UTC)
    full, changes, next_full, newest = (
        RecoveryBase(id=number, parent=parent, created_at=day + timedelta(days=number))
        for number, parent in ((1, None), (2, 1), (3, None), (4, 3))
    )
    every = [full, changes, next_full, newest]
    assert recovery.needed(every, day) == {1, 2, 3, 4}
    assert recovery.needed(every, newest.created_at - timedelta(hours=1)) == {3, 4}
    assert recovery.needed(every, next_full.created_at - timedelta(hours=1)) == {1, 2, 3, 4}
    assert recovery.needed(every, day + timedelta(days=300)) == {3, 4}
    next_full.finished_at = next_full.created_at + timedelta(hours=5)
    assert recovery.needed(every, next_full.created_at + timedelta(hours=1)) == {1, 2, 3, 4}


def test_what_came_after_a_restore_is_restored_and_what_it_left_behind_is_not(
    server: Server, new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both homes have one place for their log."""
    place = backups.place()
    assert base_backups.make() is not None
    written("kept")
    moment = now(server)
    written("left behind")
    left_behind = base_backups.make()
    assert left_behind is not None
    archive_wal.ship_all()
    key = backup_key.path()
    restore("--at", moment.isoformat(), "--into", new_home)
    monkeypatch.setenv("APPOINTMENT360_HOME", str(new_home))
    monkeypatch.setenv("APPOINTMENT360_BACKUP_TO", place)
    monkeypatch.setenv("APPOINTMENT360_BACKUP_KEY", str(key))
    settings.settings.cache_clear()
    restored = embedded_postgres.start_or_join(new_home, tuning=QUICK)
    try:
        database.bind(restored.url(local.DATABASE))
        written("after the restore")
        again = now(restored)
        written("later still")
        archive_wal.ship_all()
    finally:
        restored.release()
    third = new_home.with_name("third")
    assert restore("--at", again.isoformat(), "--into", third)["base"] != left_behind.name
    names = names_in(third)
    assert {"kept", "after the restore"} <= set(names)
    assert not {"left behind", "later still"} & set(names)


def looked_through() -> None:
    look_at_recovery.look()
    look_at_recovery.read_through()


def names_at(endpoint: str) -> list[str]:
    found = s3.client(endpoint).list_objects_v2(Bucket="locked", Prefix=f"wal/{recovery.system()}/")
    return [one["Key"].rpartition("/")[2] for one in found.get("Contents", ())]


def written(name: str) -> None:
    records.create({"first_name": name, "email": f"{name.replace(' ', '.')}@example.com"}, by=OPERATOR)


def now(server: Server) -> datetime:
    with psycopg.connect(server.url(driver="")) as connection:
        (moment,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
    assert isinstance(moment, datetime)
    return moment


def ended(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "restore", *map(str, arguments), "--json"]
    return subprocess.run(command, cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=False)


def restore(*arguments: object) -> dict:
    done = ended(*arguments)
    log = settings.home() / "logs" / "errors.log"
    assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
    return json.loads(done.stdout)


def names_in(home: Path) -> list[str]:
    """By starting the restored server as `up` would."""
    restored = embedded_postgres.start_or_join(home, tuning=QUICK)
    try:
        with psycopg.connect(restored.url(driver="")) as connection:
            return [name for (name,) in connection.execute("SELECT first_name FROM contacts").fetchall()]
    finally:
        restored.release()


def log_folder() -> Path:
    return Path(recovery.log_place(recovery.place(), recovery.system()))


def is_archived(segment: str) -> bool:
    path = log_folder() / wal_files.file_name(segment, backup_key.read())
    return len(wal_files.read(path.read_bytes(), segment, recovery.system(), backup_key.read())) == SEGMENT


def kill_shipping_at(moment: str, server: Server) -> None:
    """Let a process of its own archive what waits, and kill it when it comes there."""
    code = f"""
import pathlib, time
from models import database
from models import file_store
from pipelines import archive_wal
def wait(*given, **more):
    print("there", flush=True)
    time.sleep(60)
if {moment!r} == "put":
    file_store._to_disk = wait
else:
    pathlib.Path.unlink = lambda path, whole=pathlib.Path.unlink, **more: (
        wait() if path.parent.name == "wal" and len(path.name) == 24 else whole(path, **more)
    )
database.bind({server.url(local.DATABASE)!r})
archive_wal.ship_all()
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=PROJECT, env=os.environ)
    assert child.stdout is not None
    assert child.stdout.readline() == b"there\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
