"""What the repository says of itself is true."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from models.database import Base

ROOT = Path(__file__).parents[1]


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def test_the_lock_and_the_constraints_are_the_same() -> None:
    found = subprocess.run([sys.executable, ".ci/lock", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_the_lock_holds_no_address() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()


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
        "pyproject.toml", "requirements.lock", "README.md", "CHANGELOG.md", "LICENSE",
    }  # fmt: skip


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "manager", "services"])
def test_no_module_has_a_name_without_a_subject(word: str) -> None:
    assert not [path for path in tracked("*.py") if path.stem == word or word in path.parts]


def test_streamlit_runs_no_script_past_the_sign_in() -> None:
    assert not (ROOT / "dashboard" / "pages").exists()
