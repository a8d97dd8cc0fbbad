from pathlib import Path

import pytest

from tests.deploy.command_line import Cli


@pytest.fixture
def cli(db: str, open_folder: Path) -> Cli:
    """Runs commands on a fresh database, in a fresh home."""
    return Cli(db, open_folder / "home")
