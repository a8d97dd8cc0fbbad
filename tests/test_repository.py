"""What the repository says of itself is true."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from models.contacts.table import FIELDS, Contact
from models.database import (
    AUDIT_LOCK,
    BACKUPS_LOCK,
    BROWSING_LOCK,
    CHECKS_LOCK,
    CREDITS_LOCK,
    DISKS_LOCK,
    DUPLICATES_LOCK,
    EXPORTS_LOCK,
    FLOW_MAILS_LOCK,
    FLOW_RUNS_LOCK,
    FLOWS_LOCK,
    IMPORTS_LOCK,
    INSTANCES_LOCK,
    MIGRATIONS_LOCK,
    PAYMENTS_LOCK,
    RECOVERY_LOCK,
    VIEW_RUNS_LOCK,
    WATCHING_LOCK,
    Base,
)
from models.fields import Group

ROOT = Path(__file__).parents[1]


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def test_the_lock_and_the_constraints_are_the_same() -> None:
    found = subprocess.run([sys.executable, ".ci/lock", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_the_lock_holds_no_address() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_each_package_of_the_lock_has_its_hashes() -> None:
    packages = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    hashed = re.compile(r"[\w.-]+==\S+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+")
    assert len(packages) > 100
    assert [one for one in packages if not hashed.fullmatch(one)] == []


def test_migrations_make_the_declared_tables(db: str) -> None:
    engine = create_engine(db)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert differences == []


def test_the_top_level_is_the_house() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert top <= {
        "models", "data_checks", "pipelines", "dashboard", "deploy", "tests", ".streamlit", ".ci", ".gitignore",
        ".dockerignore",
        "pyproject.toml", "requirements.lock", "README.md", "CHANGELOG.md", "LICENSE",
    }  # fmt: skip


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "manager", "services"])
def test_no_module_has_a_name_without_a_subject(word: str) -> None:
    assert not [path for path in tracked("*.py") if path.stem == word or word in path.parts]


def test_streamlit_runs_no_script_past_the_sign_in() -> None:
    assert not (ROOT / "dashboard" / "pages").exists()


def test_the_grids_own_download_is_off() -> None:
    """It would take contacts out past permission, credits, receipt and audit log."""
    settings = tomllib.loads((ROOT / "dashboard" / ".streamlit" / "config.toml").read_text())
    assert settings["client"]["disableDataExport"] is True


def test_the_trigger_keeps_every_column_of_contacts(db: str) -> None:
    with psycopg.connect(db.replace("+psycopg", "")) as connection:
        listed = connection.execute("SELECT prosrc FROM pg_proc WHERE proname = 'keep_contact_versions'").fetchone()
    assert listed is not None
    missing = [column.name for column in Contact.__table__.columns if f"old_rows.{column.name}" not in listed[0]]
    assert missing == []


def test_no_field_has_the_name_of_a_group() -> None:
    assert not {group.value for group in Group} & set(FIELDS)


def test_every_class_of_locks_has_its_own_number() -> None:
    locks = {
        MIGRATIONS_LOCK, IMPORTS_LOCK, EXPORTS_LOCK, BROWSING_LOCK, AUDIT_LOCK, CREDITS_LOCK, VIEW_RUNS_LOCK,
        WATCHING_LOCK, DUPLICATES_LOCK, INSTANCES_LOCK, PAYMENTS_LOCK, FLOW_RUNS_LOCK, FLOWS_LOCK, FLOW_MAILS_LOCK,
        BACKUPS_LOCK, DISKS_LOCK, RECOVERY_LOCK,
    CHECKS_LOCK,
    }  # fmt: skip
    assert len(locks) == 18
