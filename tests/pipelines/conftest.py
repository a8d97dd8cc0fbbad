"""One warm checker for all imports of this folder: each process that loads its library takes seconds to do so."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import settings
from tests.data_checks.conftest import started_checker


@pytest.fixture(scope="session")
def checked_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder with a warm checker."""
    home = tmp_path_factory.mktemp("home")
    process = started_checker(home)
    yield home
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture
def home(checked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process's home, without the files of any import."""
    monkeypatch.setenv("APPOINTMENT360_HOME", str(checked_home))
    settings.settings.cache_clear()
    yield checked_home
    shutil.rmtree(checked_home / "imports", ignore_errors=True)
    settings.settings.cache_clear()


@pytest.fixture
def base(db: str, home: Path) -> str:
    """The URL of an empty database into which this process can import."""
    return db
