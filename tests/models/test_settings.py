from pathlib import Path

import pytest

from models import settings
from models.errors import InvalidInput


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are read once per process; here, anew at each call."""
    monkeypatch.setattr(settings, "settings", settings.settings.__wrapped__)


def test_the_home_is_chosen_by_the_environment_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_HOME", "~/chosen")
    assert settings.home() == Path.home() / "chosen"
    monkeypatch.delenv("APPOINTMENT360_HOME")
    assert settings.home().name == "appointment360"
    assert settings.home().is_absolute()


def test_memory_is_given_with_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_DUCKDB_MEMORY", "1.5GB")
    assert settings.settings().duckdb_memory == 1_500_000_000
    monkeypatch.setenv("APPOINTMENT360_DUCKDB_MEMORY", "plenty")
    with pytest.raises(InvalidInput, match="APPOINTMENT360_DUCKDB_MEMORY is “plenty”: could not parse"):
        settings.settings()
