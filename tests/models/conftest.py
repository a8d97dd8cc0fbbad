"""What tests of models share."""

import pytest

from models.contacts.mirror import Mirror


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each time that a mirror reads all contacts."""
    counted: list[int] = []
    load = Mirror._load

    def loading(*given: object) -> None:
        counted.append(1)
        load(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Mirror, "_load", loading)
    return counted
