"""Versions of the schema: programs of two versions run on one database, while one replaces the other."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from models import database, migrations
from models.database import MIGRATIONS_LOCK, libpq_url, writing
from models.errors import Conflict, Unavailable
from models.permissions import OPERATOR
from tests.table_locks import until_waited_for

VERSIONS = migrations.FOLDER / "versions"
# What makes statements of the version before fail. The names are those of https://squawkhq.com/docs/rules.
CONTRACTS = {
    "adding-not-nullable-field", "adding-required-field", "ban-drop-column", "ban-drop-table", "changing-column-type",
    "renaming-column", "renaming-table",
}  # fmt: skip


def contracting(*files: Path) -> list[str]:
    """What in these files takes something away from programs that run on the schema before."""
    command = [Path(sys.executable).parent / "squawk", "--pg-version", "17.0", "--reporter", "json", *files]
    told = subprocess.run(command, capture_output=True, text=True)
    found = json.loads(told.stdout)
    return [
        f"{Path(one['file']).name}:{one['line'] + 1} {one['rule_name']}"
        for one in found
        if one["rule_name"] in CONTRACTS
    ]


def declared() -> dict[str, str]:
    """Version -> the oldest one whose program runs on it, of those under the rule."""
    files = {file.name.partition("_")[0]: file.read_text() for file in VERSIONS.glob("[0-9]*_*.py")}
    said = {version: re.search(r'^serves_from = "(\d{4})"$', source, re.M) for version, source in files.items()}
    missing = [version for version, found in said.items() if version > migrations.RULED and found is None]
    assert not missing, f"say in it which is the oldest program that runs on it: {missing}"
    return {version: found[1] for version, found in sorted(said.items()) if found is not None}


def test_each_version_serves_the_program_before_it() -> None:
    before, serves = migrations.RULED, migrations.RULED
    for version, oldest in declared().items():
        assert serves <= oldest <= before, f"{version}: from {oldest}"
        if oldest == serves:
            assert contracting(*VERSIONS.glob(f"{version}_*.sql")) == [], "it contracts: raise serves_from"
        before, serves = version, oldest


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE imports DROP COLUMN notes", "ban-drop-column"),
        ("ALTER TABLE imports RENAME COLUMN notes TO remarks", "renaming-column"),
        ("ALTER TABLE imports RENAME TO loads", "renaming-table"),
        ("ALTER TABLE imports ALTER COLUMN id TYPE text", "changing-column-type"),
        ("ALTER TABLE imports ADD COLUMN mood text NOT NULL", "adding-required-field"),
        ("ALTER TABLE imports ALTER COLUMN notes SET NOT NULL", "adding-not-nullable-field"),
        ("DROP TABLE imports", "ban-drop-table"),
    ],
)
def test_what_contracts_is_found(tmp_path: Path, statement: str, rule: str) -> None:
    (tmp_path / "9999_less.sql").write_text(f"{statement};\n")
    assert contracting(tmp_path / "9999_less.sql") == [f"9999_less.sql:1 {rule}"]


def test_what_expands_is_let_through() -> None:
    assert contracting(VERSIONS / "0024_shared_files.sql") == []


def later(version: str, comment: str | None) -> None:
    """As a program that came after this one would leave the database."""
    with writing(OPERATOR) as session:
        session.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))
        session.execute(text(f"COMMENT ON TABLE alembic_version IS {'NULL' if comment is None else repr(comment)}"))


def test_a_database_of_a_newer_program_is_left_alone_with_the_way_out(db: str) -> None:
    later("9999", None)
    with pytest.raises(Conflict, match=f"the schema 9999, and this program knows those up to {migrations.newest()}"):
        migrations.upgrade(db)
    assert not migrations.fits(database.engine())


def test_a_newer_schema_that_serves_this_program_is_left_alone_and_used(db: str) -> None:
    later("9999", f"{migrations.SERVES}{migrations.newest()}")
    assert migrations.fits(database.engine())
    migrations.upgrade(db)
    assert migrations.stored(database.engine()) == "9999"


@pytest.mark.parametrize("comment", [f"{migrations.SERVES}9998", migrations.SERVES, "Serves nobody", "about 0001"])
def test_a_newer_schema_that_serves_later_programs_only_is_not_used(db: str, comment: str) -> None:
    later("9999", comment)
    assert not migrations.fits(database.engine())
    with pytest.raises(Conflict):
        migrations.upgrade(db)


@pytest.fixture
def tomorrow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """What runs here is the next version of the program, whose schema serves those from today's on: its number."""
    today = migrations.newest()
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "FOLDER", folder)
    template = (folder / "versions" / "0024_shared_files.py").read_text()
    version = template.replace('"0024"', '"9999"').replace('"0023"', f'"{today}"')
    (folder / "versions" / "9999_tomorrow.py").write_text(f'{version}\n\nserves_from = "{today}"\n')
    (folder / "versions" / "9999_tomorrow.sql").write_text("ALTER TABLE imports ADD COLUMN of_tomorrow TEXT;\n")
    return today


def test_an_upgrade_says_on_the_database_whom_it_serves(
    db: str, tomorrow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not migrations.fits(database.engine()), "it is an older one"
    migrations.upgrade(db)
    assert migrations.stored(database.engine()) == "9999"
    monkeypatch.undo()
    assert migrations.newest() == tomorrow
    assert migrations.fits(database.engine())


def test_a_table_in_use_keeps_nobody_waiting_for_long(db: str, tomorrow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade queues for a table that somebody reads for long; whoever asks for it then queues behind the upgrade,
    which therefore steps back."""
    monkeypatch.setattr(migrations, "LOCK_PATIENCE", "200ms")
    monkeypatch.setattr(migrations, "PAUSE", 0.2)
    monkeypatch.setattr(migrations, "TABLES_WITHIN", 1.0)
    with psycopg.connect(libpq_url(db)) as reading, psycopg.connect(libpq_url(db), autocommit=True) as other:
        reading.execute("SELECT count(*) FROM imports")  # and its transaction goes on
        with pytest.raises(Unavailable, match="Nothing was changed"):
            migrations.upgrade(db)
        monkeypatch.setattr(migrations, "TABLES_WITHIN", 60.0)
        upgrading = threading.Thread(target=migrations.upgrade, args=(db,))
        upgrading.start()
        other.execute("SET statement_timeout = '5s'")
        for _ in range(10):
            other.execute("SELECT count(*) FROM imports")
            time.sleep(0.05)
        reading.commit()
        upgrading.join()
    assert migrations.stored(database.engine()) == "9999"


def test_an_upgrade_and_who_wait_for_each_other_do_not_make_it_fail(
    db: str, tomorrow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_PATIENCE", "60s")
    monkeypatch.setattr(migrations, "PAUSE", 0.2)
    with ThreadPoolExecutor() as beside, psycopg.connect(libpq_url(db)) as other:
        other.execute("SELECT FROM imports")
        upgrading = beside.submit(migrations.upgrade, db)
        until_waited_for(db, "imports")
        other.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATIONS_LOCK])  # which the upgrade gives up
        other.commit()
        upgrading.result()
    assert migrations.stored(database.engine()) == "9999"
