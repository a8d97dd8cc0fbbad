"""Backups of a real Postgres, into a folder and an S3 that checks signatures: made, proven, refused, restored."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import conninfo
from sqlalchemy import make_url

from deploy.embedded_postgres import Server
from models import backup_alerts, backups, database, flow_runs, flow_schedules, jobs, postgres_tools, settings, users
from models.backup_retention import Generations, Kept, superfluous
from models.contacts import records
from models.database import libpq_url
from models.errors import AppError, Conflict, NotFound, Unavailable
from models.flow_runs import Run, RunState
from models.flow_schedules import Entry
from models.permissions import OPERATOR, Role
from pipelines import (
    back_up,
    backup_archive,
    backup_content,
    backup_key,
    drill,
    look_at_backups,
    restore_backup,
)
from pipelines.backup_manifest import MANIFEST, Unfit, archive_name
from pipelines.heart import Cancelled
from tests.people import person
from tests.pipelines import nanio, s3

ROOT = Path(__file__).parents[2]
MOMENTS = st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2027, 1, 1))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("APPOINTMENT360_HOME", str(tmp_path))
    settings.settings.cache_clear()
    yield tmp_path
    settings.settings.cache_clear()


@pytest.fixture
def filled(db: str, home: Path) -> str:
    """A database with a contact, a person who can sign in, and a stored file."""
    person(email="ann@example.com", name="Ann", role=Role.ADMIN)
    records.create({"first_name": "Ada", "email": "ada@example.com"}, by=OPERATOR)
    upload = home / "imports" / "1" / "upload"
    upload.mkdir(parents=True)
    (upload / "leads.csv").write_text("Email\nada@example.com\n" * 500)
    return db


@pytest.fixture
def empty(postgres: Server) -> Iterator[str]:
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored TEMPLATE template0")
        yield postgres.url("restored", driver="")
        connection.execute("DROP DATABASE restored WITH (FORCE)")


def folder(home: Path) -> Path:
    return home / "backups"


def test_a_backup_is_proven_by_its_drill_and_restored_with_its_files(filled: str, home: Path, empty: str) -> None:
    made = back_up.make(by=OPERATOR)
    assert made.proven
    assert made.files == 1
    assert made.drill_seconds is not None
    assert not list((home / "backup-work").iterdir())
    assert {oct(path.stat().st_mode & 0o777) for path in folder(home).iterdir()} == {"0o600"}
    assert folder(home).stat().st_mode & 0o777 == 0o700
    assert b"ada@example.com" not in b"".join(path.read_bytes() for path in folder(home).iterdir())

    found = restore_backup.run(made.id, empty, files=home / "again", by=OPERATOR)

    assert found.differences == []
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT email FROM contacts").fetchall() == [("ada@example.com",)]
    restored = home / "again" / "imports" / "1" / "upload" / "leads.csv"
    assert restored.read_bytes() == (home / "imports" / "1" / "upload" / "leads.csv").read_bytes()
    with pytest.raises(Conflict, match=r"holds \d\d tables already"):
        restore_backup.run(made.id, empty, by=OPERATOR)


def test_a_drill_leaves_the_statistics_of_statements_alone(filled: str, home: Path, postgres: Server) -> None:
    counted = "SELECT count(*) FROM pg_stat_statements WHERE dbid NOT IN (SELECT oid FROM pg_database)"
    with psycopg.connect(libpq_url(filled), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
        assert back_up.make(by=OPERATOR).proven
        assert connection.execute(counted).fetchone() == (0,)


def test_a_superusers_backup_is_restored_by_a_role_that_is_none(filled: str, home: Path, postgres: Server) -> None:
    """What an embedded server's has, and only superusers may make, is left out."""
    server = postgres.url("postgres", driver="")
    with psycopg.connect(libpq_url(filled), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    made = back_up.make(by=OPERATOR, drilled=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE ROLE modest LOGIN PASSWORD 'modest'")
        connection.execute("CREATE DATABASE restored OWNER modest TEMPLATE template0")
        try:
            into = conninfo.make_conninfo(server, user="modest", password="modest", dbname="restored")
            assert restore_backup.run(made.id, into, by=OPERATOR).differences == []
        finally:
            connection.execute("DROP DATABASE restored WITH (FORCE)")
            connection.execute("DROP ROLE modest")


def test_a_drills_database_is_dropped_while_the_server_tidies_up_in_it(db: str, postgres: Server) -> None:
    """By a role that may not end an autovacuum's process."""
    server, left = postgres.url("postgres", driver=""), f"{drill.PREFIX}2147483647"
    with psycopg.connect(server, autocommit=True) as connection:

        def found(query: str) -> bool:
            return connection.execute(f"{query} AND datname = %s", [left]).fetchone() is not None

        connection.execute("CREATE ROLE modest LOGIN PASSWORD 'modest'")
        connection.execute(f"CREATE DATABASE {left} OWNER modest TEMPLATE template0")
        connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            with psycopg.connect(conninfo.make_conninfo(server, dbname=left), autocommit=True) as filling:
                slow = "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
                filling.execute(f"CREATE TABLE rows WITH ({slow}) AS SELECT n FROM generate_series(1, 100000) n")
                filling.execute("DELETE FROM rows")
            deadline = time.monotonic() + 60
            while not found("SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            database.bind(make_url(db).set(username="modest", password="modest").render_as_string(hide_password=False))
            drill.drop_left()
            assert not found("SELECT FROM pg_database WHERE true")
        finally:
            database.bind(db)
            connection.execute("ALTER SYSTEM RESET autovacuum_naptime")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"DROP DATABASE IF EXISTS {left} WITH (FORCE)")
            connection.execute("DROP ROLE modest")


def test_it_is_restored_by_its_name_where_no_database_knows_of_it(
    filled: str, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into an address whose password a variable says."""
    made = back_up.make(by=OPERATOR, drilled=False)
    with pytest.raises(NotFound, match="There is no folder /nowhere"):
        restore_backup.run_named(made.name, "/nowhere", empty)
    parts = urlsplit(empty)
    monkeypatch.setenv("PGPASSWORD", unquote(parts.password or ""))
    without = empty.replace(f":{parts.password}@", "@")
    assert restore_backup.run_named(made.name, made.place, without).differences == []


def test_a_drill_that_cannot_be_done_keeps_nothing_else_from_its_turn(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPOINTMENT360_BACKUPS_NEWEST", "1")
    for name in ("DAYS", "WEEKS", "MONTHS", "YEARS"):
        monkeypatch.setenv(f"APPOINTMENT360_BACKUPS_{name}", "0")
    settings.settings.cache_clear()
    back_up.make(by=OPERATOR, drilled=True)
    old = back_up.make(by=OPERATOR, drilled=False)

    def refuse(*_: object, **__: object) -> None:
        raise Unavailable("There may be no other database here.")

    with monkeypatch.context() as broken:
        broken.setattr(drill, "prove", refuse)
        with pytest.raises(Unavailable, match="no other database"):
            back_up.make(by=OPERATOR, drilled=True)
    assert old.name not in [one.name for one in backups.listed(by=OPERATOR) if one.state == backups.State.DONE]


def test_what_somebody_asked_for_is_a_run_among_the_jobs(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = back_up.make(by=OPERATOR, drilled=True)
    run = newest_run()
    assert (run.subject, run.state, run.counts["proven"]) == (f"backup {made.id}", RunState.DONE, True)
    assert (run.counts["rows"], run.counts["restore_seconds"] > 0) == (made.rows, True)

    ann = users.find("ann@example.com", by=OPERATOR).actor()
    backups.ask_drill(made.id, by=ann)
    assert back_up.carry_out(made.id) == "proven"
    run = newest_run()
    assert (run.subject, run.state, run.asker) == (f"drill of backup {made.id}", RunState.DONE, "Ann")
    assert run.seconds > 0

    with backups.claimed(made.id):  # by another process, whose run it is
        assert "in the hands of another process" in back_up.carry_out(made.id)
    assert back_up.carry_out(made.id) == "it is over"
    assert newest_run().id == run.id

    monkeypatch.setenv("APPOINTMENT360_BACKUP_TO", "/sys/backups")
    settings.settings.cache_clear()
    with pytest.raises(NotFound):
        back_up.make(by=OPERATOR)
    run = newest_run()
    assert run.state is RunState.FAILED
    assert "There is no folder /sys/backups" in (run.error or "")


def test_one_that_is_cancelled_leaves_nothing_and_says_so(filled: str, home: Path) -> None:
    def stop_at(wanted: str) -> Callable[[str], None]:
        def say(step: str) -> None:
            if step == wanted:
                jobs.cancel(newest_run().id, by=OPERATOR)
                while True:
                    time.sleep(0.05)

        return say

    flow_schedules.write([Entry(backups.FLOW, "0 2 * * *", "UTC", "Makes another one.")])
    with pytest.raises(Cancelled):
        back_up.make(by=OPERATOR, say=stop_at("store"))
    [stopped] = backups.listed(by=OPERATOR)
    assert (stopped.state, stopped.error) == ("failed", "Somebody stopped it.")
    assert newest_run().state is RunState.CANCELLED
    assert not list(folder(home).iterdir())

    made = back_up.make(by=OPERATOR, drilled=True)
    backups.ask_drill(made.id, by=OPERATOR)
    with pytest.raises(Cancelled):
        drill.run(made.id, by=OPERATOR, say=stop_at("restore"))
    stopped = backups.get(made.id, by=OPERATOR)
    assert (stopped.proven, stopped.drill_asked_at) == (True, None)
    jobs.retry(newest_run().id, by=OPERATOR)
    assert backups.get(made.id, by=OPERATOR).drill_asked_at is not None


def test_what_was_proven_stays_so_where_a_drill_cannot_be_done(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = back_up.make(by=OPERATOR, drilled=True)
    with backups.claimed(made.id), pytest.raises(backups.Held):
        drill.run(made.id, by=OPERATOR)
    assert backups.get(made.id, by=OPERATOR).proven
    backup_key.path().rename(backup_key.path().with_name("mislaid"))
    backups.ask_drill(made.id, by=OPERATOR)
    with pytest.raises(AppError, match="There is no key"):
        back_up.carry_out(made.id)
    found = backups.get(made.id, by=OPERATOR)
    assert (found.proven, found.drill_asked_at) == (True, None)  # or the sweep would try it every minute
    assert "There is no key" in (found.differences or [""])[0]


def test_one_that_becomes_whole_while_the_sweep_looks_stays(
    filled: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = back_up.make(by=OPERATOR, drilled=False)
    monkeypatch.setattr(backups, "interrupted", lambda: [made])
    back_up.clear_interrupted()
    look_at_backups.look()
    assert backups.get(made.id, by=OPERATOR).standing == "unproven"


def test_one_that_was_taken_for_dead_does_not_count(filled: str, home: Path) -> None:
    """Such as after the server went away, and its lock with it."""

    def say(step: str) -> None:
        if step == "store":
            [running] = backups.listed(by=OPERATOR)
            backups.fail(running.id, "Its process ended before it was whole.")

    with pytest.raises(Conflict, match="Make another one"):
        back_up.make(by=OPERATOR, say=say)
    assert backups.listed(by=OPERATOR)[0].state == "failed"
    assert not list(folder(home).iterdir())


def test_what_fails_leaves_no_archive(filled: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise Unavailable("The place went away.")

    monkeypatch.setattr(back_up.backup_store, "locked", refuse)  # asked when both lie in their place
    with pytest.raises(Unavailable):
        back_up.make(by=OPERATOR)
    assert not list(folder(home).iterdir())


def test_the_sweep_leaves_a_restore_its_folder(filled: str, home: Path, empty: str) -> None:
    made = back_up.make(by=OPERATOR, drilled=False)

    def sweep(step: str) -> None:
        back_up.clear_interrupted()

    assert restore_backup.run_named(made.name, made.place, empty, say=sweep).differences == []
    assert not list((home / "backup-work").iterdir())


def test_retention_waits_for_who_restores_it(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = back_up.make(by=OPERATOR, drilled=False)
    monkeypatch.setattr(backups, "to_remove", lambda: [old])
    with backups.claimed(old.id):
        assert back_up.retain() == []
    assert back_up.retain() == [old.name]


def test_a_dump_may_take_longer_than_a_transaction_may_idle(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "pg_dump"
    program = postgres_tools.program("pg_dump", url=filled, server=18)
    slow.write_text(f'#!/bin/sh\nsleep 1\nexec {program} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setattr(postgres_tools, "program", lambda *_, **__: str(slow))
    with psycopg.connect(libpq_url(filled), autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '500ms'")
    assert back_up.make(by=OPERATOR, drilled=False).rows


def test_a_drill_notices_rows_that_swapped_a_value(filled: str) -> None:
    records.create({"first_name": "Bea", "email": "bea@example.com"}, by=OPERATOR)
    before = backup_content.read(libpq_url(filled))
    with psycopg.connect(libpq_url(filled)) as connection:
        connection.execute("ALTER TABLE contacts DISABLE TRIGGER USER")
        connection.execute("UPDATE contacts c SET first_name = o.first_name FROM contacts o WHERE o.id <> c.id")
        connection.execute("ALTER TABLE contacts ENABLE TRIGGER USER")
    told = backup_content.differences(before, backup_content.read(libpq_url(filled)))
    assert told == ["Values in the table public.contacts are others."]


def test_the_comparison_names_what_is_missing(filled: str) -> None:
    before = backup_content.read(libpq_url(filled))
    with psycopg.connect(libpq_url(filled)) as connection:
        connection.execute("DROP INDEX backups_state")
        connection.execute("ALTER TABLE backups DROP CONSTRAINT backups_pkey")
        connection.execute("GRANT SELECT ON contacts TO PUBLIC")
        connection.execute("DELETE FROM account_links")
    told = " ".join(backup_content.differences(before, backup_content.read(libpq_url(filled))))
    assert "public.account_links has 0 rows instead of" in told
    assert "constraints are missing, such as public.backups: backups_pkey" in told
    assert "indexes are missing" in told
    assert "other grants than before, such as public.contacts: SELECT to everybody" in told


def test_a_bit_flipped_anywhere_is_noticed(filled: str, home: Path) -> None:
    made = back_up.make(by=OPERATOR, drilled=False)
    archive = folder(home) / archive_name(made.name, made.key)
    manifest = folder(home) / (made.name + MANIFEST)
    for path, flips in ((archive, 60), (manifest, 60)):
        whole = path.read_bytes()
        for number in range(flips):
            place = number * (len(whole) - 1) // (flips - 1)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << number % 8]) + whole[place + 1 :])
            with pytest.raises(Unfit):
                read(made, home)
        path.write_bytes(whole)
    read(made, home)


def test_a_backup_without_a_key_notices_flipped_bits_too(
    filled: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPOINTMENT360_BACKUP_ENCRYPTION", "none")
    settings.settings.cache_clear()
    made = back_up.make(by=OPERATOR)
    assert made.proven
    assert made.key is None
    assert not backup_key.path().exists()
    archive = folder(home) / archive_name(made.name, None)
    whole = archive.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 30)):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(Unfit):
            read(made, home)


def test_what_is_cut_short_foreign_unfinished_or_of_another_key_is_refused(filled: str, home: Path) -> None:
    made = back_up.make(by=OPERATOR, drilled=False)
    other = back_up.make(by=OPERATOR, drilled=False)
    archive, manifest = folder(home) / archive_name(made.name, made.key), folder(home) / (made.name + MANIFEST)
    whole, told = archive.read_bytes(), manifest.read_bytes()

    archive.write_bytes(whole[:-100])
    refused(made, home, "cut short")
    foreign = (folder(home) / archive_name(other.name, other.key)).read_bytes()
    archive.write_bytes(foreign[: len(whole)].ljust(len(whole)))
    refused(made, home, "damaged, or that of another")
    archive.write_bytes(whole)
    manifest.write_bytes(told[:-40])
    refused(made, home, "cut short, or something else")
    manifest.write_bytes(b'{"some": "thing"}')
    refused(made, home, "no manifest of a backup of Appointment360")
    manifest.write_bytes((folder(home) / (other.name + MANIFEST)).read_bytes())
    refused(made, home, f"its manifest is that of {other.name}")
    manifest.unlink()
    refused(made, home, "never finished")
    manifest.write_bytes(told)
    backup_key.path().rename(home / "old.key")
    backup_key.make()
    refused(made, home, "opens with another key")


def test_another_key_or_none_says_nothing_of_a_backup(filled: str, home: Path) -> None:
    made = back_up.make(by=OPERATOR, drilled=False)
    run = newest_run().id
    backup_key.path().rename(home / "old.key")
    for why in ("There is no key", "opens with another key than"):
        with pytest.raises(AppError, match=why):
            drill.run(made.id, by=OPERATOR)
        found = backups.get(made.id, by=OPERATOR)
        assert (found.standing, found.differences, newest_run().id) == ("unproven", None, run)
        if why == "There is no key":
            backup_key.make()
    backups.ask_drill(made.id, by=OPERATOR)
    with pytest.raises(drill.OtherKey):
        back_up.carry_out(made.id)
    found = backups.get(made.id, by=OPERATOR)
    assert (found.standing, found.drill_asked_at) == ("unproven", None)
    assert "opens with another key than" in (found.differences or [""])[0]  # for who asked on the screen
    assert backup_alerts.look() == []

    backups.drilled(made.id, backups.Drill.DIFFERS, seconds=1.0, differences=["Rows are missing."], by=OPERATOR)
    backups.not_drilled(made.id, "The disk is full.", by=OPERATOR)
    assert backups.get(made.id, by=OPERATOR).differences == ["Rows are missing."]


def test_a_killed_backup_counts_for_nothing_and_leaves_nothing(filled: str, home: Path, postgres: Server) -> None:
    """Killed in each of its steps; the next one is whole."""
    for step in ("dump", "pack", "store", "between", "read", "restore", "compare"):
        backup_id = backups.ask(by=OPERATOR)
        kill_at(step, backup_id, filled, home)
        back_up.clear_interrupted()
        after = backups.get(backup_id, by=OPERATOR)
        made_before = step in ("read", "restore", "compare")
        assert after.state == ("done" if made_before else "failed")
        assert not after.proven
        there = {path.name for path in folder(home).iterdir()}
        assert bool(after.name + MANIFEST in there) is made_before
        assert not [name for name in there if after.name in name] or made_before
        assert not list((home / "backup-work").iterdir())
        with psycopg.connect(postgres.url("postgres", driver="")) as connection:
            left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'appointment360_drill_%'"
            assert connection.execute(left).fetchone() == (0,)
    assert back_up.make(by=OPERATOR).proven


def test_into_an_s3_that_checks_signatures(
    filled: str, home: Path, empty: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nanio.serving(tmp_path_factory.mktemp("nanio")) as endpoint:
        s3.use(endpoint, monkeypatch)
        monkeypatch.setenv("APPOINTMENT360_BACKUP_TO", "s3://backups/nightly")
        settings.settings.cache_clear()
        s3.client(endpoint).create_bucket(Bucket="backups")
        made = back_up.make(by=OPERATOR)
        assert made.proven
        assert restore_backup.run(made.id, empty, by=OPERATOR).differences == []
        keys = [one["Key"] for one in s3.client(endpoint).list_objects_v2(Bucket="backups")["Contents"]]
        assert sorted(keys) == sorted(f"nightly/{one}" for one in (archive_name(made.name, "k"), made.name + MANIFEST))
        monkeypatch.setenv("APPOINTMENT360_S3_SECRET_KEY", "another")
        settings.settings.cache_clear()
        with pytest.raises(AppError, match="refuses this program"):
            back_up.make(by=OPERATOR)


def test_a_bucket_with_object_lock_keeps_it(filled: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3.serving() as endpoint:
        s3.use(endpoint, monkeypatch)
        monkeypatch.setenv("APPOINTMENT360_BACKUP_TO", "s3://locked")
        monkeypatch.setenv("APPOINTMENT360_BACKUP_LOCK_DAYS", "30")
        settings.settings.cache_clear()
        client = s3.client(endpoint)
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        made = back_up.make(by=OPERATOR, drilled=False)
        assert made.locked_until is not None
        held = client.head_object(Bucket="locked", Key=made.name + MANIFEST)
        assert held["ObjectLockMode"] == "COMPLIANCE"


def test_no_backup_is_missing_before_one_was_due(filled: str) -> None:
    flow_schedules.write([Entry(backups.FLOW, "* * * * *", "UTC", "Makes another one.")])
    assert backup_alerts.look() == []
    with psycopg.connect(libpq_url(filled)) as connection:
        connection.execute("UPDATE flow_schedules SET since = since - interval '3 hours'")
    assert "A backup is missing: there is none, and one was due" in " ".join(backup_alerts.look())
    flow_schedules.write([Entry(backups.FLOW, "* * * * *", "UTC", "Makes one more.")])
    assert backup_alerts.look()
    flow_schedules.write([Entry(backups.FLOW, "*/2 * * * *", "UTC", "Makes another one.")])
    assert backup_alerts.look() == []


def test_who_makes_a_backup_ends_no_alert_of_the_server(filled: str) -> None:
    """A command may have other settings: the sweep alone judges."""
    with psycopg.connect(libpq_url(filled)) as connection:
        connection.execute("INSERT INTO backup_alerts (kind, sentence) VALUES ('base', 'No moment can be restored.')")
    steps: list[str] = []
    back_up.make(by=OPERATOR, say=steps.append)
    assert "base" not in steps  # where none is wanted
    with psycopg.connect(libpq_url(filled)) as connection:
        assert connection.execute("SELECT kind FROM backup_alerts").fetchall() == [("base",)]


def test_a_folder_or_a_key_that_is_named_has_to_be_there(
    filled: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is not attached, a name mistyped."""
    for name, value in (("BACKUP_TO", home / "disk" / "backups"), ("BACKUP_KEY", home / "bakcup.key")):
        with monkeypatch.context() as mistaken:
            mistaken.setenv(f"APPOINTMENT360_{name}", str(value))
            settings.settings.cache_clear()
            with pytest.raises(NotFound, match=f"There is no .* {value}, "):
                back_up.make(by=OPERATOR)
        assert not value.exists()
        settings.settings.cache_clear()
        assert name in (backups.listed(by=OPERATOR)[0].error or "")
    assert back_up.make(by=OPERATOR).proven


def test_alerts_are_mailed_once(filled: str, home: Path) -> None:
    made = back_up.make(by=OPERATOR)
    assert backup_alerts.look() == []
    backups.drilled(made.id, backups.Drill.DIFFERS, seconds=1.0, differences=["Rows are missing."], by=OPERATOR)
    for _ in range(2):
        assert backup_alerts.look() == [
            f"The drill of backup {made.id} failed, and it may be of no use: Rows are missing."
        ]
    assert mails(filled) == 1
    drill.run(made.id, by=OPERATOR)
    assert backup_alerts.look() == []
    assert backup_alerts.health(by=OPERATOR).proven_age is not None


def test_an_archive_that_others_removed_is_noticed(filled: str, home: Path) -> None:
    made, other = (back_up.make(by=OPERATOR, drilled=False) for _ in range(2))
    look_at_backups.look()
    assert not [one for one in backup_alerts.look() if "removed" in one]
    archive = folder(home) / archive_name(other.name, other.key)
    whole = archive.read_bytes()
    for damage in (lambda: archive.write_bytes(whole[:-1]), archive.unlink):
        damage()
        look_at_backups.look()
        assert backups.get(other.id, by=OPERATOR).standing == "gone"
        assert f"backup {other.id} cannot be restored" in " ".join(backup_alerts.look())
        assert backups.newest_done(by=OPERATOR).id == made.id
        archive.write_bytes(whole)
        look_at_backups.look()
        assert backups.get(other.id, by=OPERATOR).standing == "unproven"
        assert not [one for one in backup_alerts.look() if "removed" in one]
    with backups.claimed(other.id):  # retention removes it, and notes that after
        archive.unlink()
        look_at_backups.look()
    assert backups.get(other.id, by=OPERATOR).standing == "unproven"
    folder(home).rename(home / "elsewhere")
    look_at_backups.look()
    assert "cannot be looked at: There is no folder" in " ".join(backup_alerts.look())


def test_what_others_removed_stands_for_no_generation(filled: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last proven one stays, though a newer proven one was there."""
    monkeypatch.setenv("APPOINTMENT360_BACKUPS_NEWEST", "1")
    for period in ("DAYS", "WEEKS", "MONTHS", "YEARS"):
        monkeypatch.setenv(f"APPOINTMENT360_BACKUPS_{period}", "5")
    settings.settings.cache_clear()
    good, gone = back_up.make(by=OPERATOR, drilled=True), back_up.make(by=OPERATOR, drilled=False)
    backups.drilled(gone.id, backups.Drill.MATCHES, seconds=1.0, differences=[], by=OPERATOR)
    (folder(home) / archive_name(gone.name, gone.key)).unlink()
    look_at_backups.look()
    assert [one.id for one in backups.to_remove()] == []
    assert backups.get(good.id, by=OPERATOR).proven


def test_a_bucket_that_deletes_too_early_is_told(filled: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3.serving() as endpoint:
        s3.use(endpoint, monkeypatch)
        monkeypatch.setenv("APPOINTMENT360_BACKUP_TO", "s3://short/nightly")
        monkeypatch.setenv("APPOINTMENT360_BACKUP_LOCK_DAYS", "3")
        settings.settings.cache_clear()
        client = s3.client(endpoint)
        client.create_bucket(Bucket="short")
        rule = {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "nightly/"}, "Expiration": {"Days": 30}}
        client.put_bucket_lifecycle_configuration(Bucket="short", LifecycleConfiguration={"Rules": [rule]})
        made = back_up.make(by=OPERATOR, drilled=False)
        look_at_backups.look()
        told = " ".join(backup_alerts.look())
        assert "deletes what is 30 days old, and backups are to be kept for up to 1,098" in told
        assert f"Backup {made.id} is to be locked for 3 days, and its bucket has no Object Lock" in told
        client.delete_object(Bucket="short", Key=f"nightly/{made.name}{MANIFEST}")
        look_at_backups.look()  # it was asked within the hour
        assert backups.get(made.id, by=OPERATOR).standing == "unproven"
        with psycopg.connect(libpq_url(filled)) as connection:
            connection.execute("UPDATE backup_places SET looked_at = looked_at - interval '2 hours'")
        look_at_backups.look()
        assert backups.get(made.id, by=OPERATOR).standing == "gone"


def test_a_sequence_that_is_behind_is_noticed(filled: str) -> None:
    before = backup_content.read(libpq_url(filled))
    assert before.sequences["public.users_id_seq"] >= 1
    with psycopg.connect(libpq_url(filled)) as connection:
        connection.execute("SELECT setval('contacts_id_seq', nextval('contacts_id_seq') + 5)")
        connection.execute("SELECT setval('users_id_seq', 1, false)")
    [told] = backup_content.differences(before, backup_content.read(libpq_url(filled)))
    assert told.startswith("The sequence public.users_id_seq is behind: it gave")


def test_a_full_disk_is_a_sentence(filled: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    was = backup_archive._Hashed.__init__
    monkeypatch.setattr(backup_archive._Hashed, "__init__", lambda self, file: was(self, Full()))
    with pytest.raises(AppError, match="is full: make room"):
        back_up.make(by=OPERATOR)
    [failed] = backups.listed(by=OPERATOR)
    assert failed.standing == "failed"
    assert "is full" in (failed.error or "")
    assert not list((home / "backup-work").iterdir())


def test_what_no_generation_needs_is_removed(filled: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for period in ("NEWEST", "DAYS", "WEEKS", "MONTHS", "YEARS"):
        monkeypatch.setenv(f"APPOINTMENT360_BACKUPS_{period}", "1" if period == "NEWEST" else "0")
    settings.settings.cache_clear()
    proven, *others = [back_up.make(by=OPERATOR, drilled=number == 0) for number in range(3)]
    states = [backups.get(one.id, by=OPERATOR).state for one in (proven, *others)]
    assert states == ["done", "removed", "done"]  # the proven one, and the newest
    assert not [path for path in folder(home).iterdir() if others[0].name in path.name]


def test_generations_are_counted_in_each_place_and_for_each_key(
    filled: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is removed from a place that is not today's."""
    for period in ("NEWEST", "DAYS", "WEEKS", "MONTHS", "YEARS"):
        monkeypatch.setenv(f"APPOINTMENT360_BACKUPS_{period}", "1" if period == "NEWEST" else "0")
    settings.settings.cache_clear()

    def standing() -> list[str]:
        back_up.make(by=OPERATOR, drilled=False)
        return [one.state for one in reversed(backups.listed(by=OPERATOR, removed=True))]

    standing()
    with monkeypatch.context() as other:
        (home / "other").mkdir()
        other.setenv("APPOINTMENT360_BACKUP_TO", str(home / "other"))
        settings.settings.cache_clear()
        assert standing() == ["done", "done"]
    settings.settings.cache_clear()
    assert standing() == ["removed", "done", "done"]
    with monkeypatch.context() as other:
        other.setenv("APPOINTMENT360_BACKUP_KEY", str(home / "other.key"))
        settings.settings.cache_clear()
        backup_key.make()
        assert standing() == ["removed", "done", "done", "done"]
    settings.settings.cache_clear()
    assert standing() == ["removed", "done", "removed", "done", "done"]


@given(
    made=st.lists(st.tuples(MOMENTS, st.booleans()), min_size=1, max_size=60),
    sizes=st.tuples(*[st.integers(0, 4)] * 5),
)
def test_retention_never_takes_the_last_good_one(made: list[tuple], sizes: tuple[int, int, int, int, int]) -> None:
    listed = [Kept(number, moment, proven) for number, (moment, proven) in enumerate(made)]
    gone = set(superfluous(listed, Generations(*sizes)))
    left = [one for one in listed if one.id not in gone]
    newest = max(listed, key=lambda one: (one.made, one.id))
    proven = [one for one in listed if one.proven]
    assert newest in left
    assert not proven or max(proven, key=lambda one: (one.made, one.id)) in left
    assert len(left) <= max(1, sizes[0]) + 1 + sum(sizes[1:])
    days = {one.made.date() for one in listed}
    for day in sorted(days, reverse=True)[: sizes[1]]:
        of_day = [one for one in listed if one.made.date() == day]
        assert any(one in left and (one.proven or not any(o.proven for o in of_day)) for one in of_day)
    assert not superfluous(left, Generations(*sizes))


def newest_run() -> Run:
    found = flow_runs.last(backups.FLOW, by=OPERATOR)
    assert found is not None
    return found


def read(made: backups.Backup, home: Path) -> None:
    key = backup_key.read() if made.key else None
    with drill.unpacked(drill.place(made.place), made.name, key, say=lambda step: None):
        pass


def refused(made: backups.Backup, home: Path, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        read(made, home)


def mails(url: str) -> int:
    with psycopg.connect(libpq_url(url)) as connection:
        found = connection.execute("SELECT count(*) FROM mails WHERE kind = 'backup trouble'").fetchone()
    assert found is not None
    return int(found[0])


def kill_at(step: str, backup_id: int, url: str, home: Path) -> None:
    """Let a process of its own make the backup, and kill it, with what it started, when it comes to that step:
    “between” is when the archive lies in its place, and the manifest does not."""
    code = f"""
from pipelines.own_database import bind_database
from pipelines import back_up
import time
def say(step):
    print(step, flush=True)
    if step == {step!r}:
        time.sleep({0 if step == "pack" else 30})
def written(*given, whole=back_up.written):
    say("between")
    return whole(*given)
back_up.written = written
bind_database()
back_up.run({backup_id}, say=say)
"""
    environment = {**os.environ, "DATABASE_URL": url, "APPOINTMENT360_HOME": str(home), "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True, start_new_session=True
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == step:
            os.killpg(child.pid, signal.SIGKILL)
            break
    else:
        raise AssertionError(f"it never said {step}")
    child.wait()
    child.stdout.close()
    deadline = time.monotonic() + 20  # the server notices that its client is gone
    while backups.get(backup_id, by=OPERATOR).id not in {one.id for one in backups.interrupted()} and (
        backups.anybody_at_work() and time.monotonic() < deadline
    ):
        time.sleep(0.1)
