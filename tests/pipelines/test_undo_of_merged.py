"""An import is taken back whose contacts were merged with others since: nobody's own contact goes with it."""

from pathlib import Path

import pytest

from models import settings
from models.contacts import merging, records
from models.imports import MatchRule
from models.permissions import OPERATOR
from pipelines import import_contacts, import_steps
from tests.pipelines.importing import Row, created, sql, written

ANN: Row = {"First Name": "Ann", "Last Name": "Lee", "Email": "ann@x.com", "Title": "VP"}


@pytest.fixture(autouse=True)
def home(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_HOME", str(tmp_path / "home"))
    settings.settings.cache_clear()


def imported(folder: Path, *rows: Row) -> tuple[int, list[int]]:
    """The import, each of whose rows makes a contact, without the quality check; and their numbers."""
    import_id = created(written(folder, list(rows)), match=MatchRule.NONE)
    for step in (import_steps.open_file, import_steps.stage, import_steps.plan, import_steps.commit):
        step(import_id, None, OPERATOR)
    return import_id, [one for (one,) in sql("SELECT id FROM contacts WHERE import_id = %s ORDER BY id", import_id)]


def by_hand(**values: str) -> int:
    return records.create({"first_name": "Ann", "last_name": "Lee", "email": "ann@x.com"} | values, by=OPERATOR)


def merge(survivor: int, *others: int) -> int:
    versions = {one: records.get(one, by=OPERATOR).version for one in (survivor, *others)}
    return merging.merge(survivor, versions, {}, by=OPERATOR)


def undo(import_id: int) -> tuple[int, ...]:
    return tuple(import_contacts.undo(import_id, by=OPERATOR).values())


def ids() -> list[int]:
    return [one for (one,) in sql("SELECT id FROM contacts ORDER BY id")]


def test_one_that_holds_another_by_way_of_a_third_stays(tmp_path: Path) -> None:
    mine = by_hand(title="VP")
    import_id, [one, two] = imported(tmp_path, ANN, ANN)
    merge(two, mine)
    merge(one, two)
    assert undo(import_id) == (0, 0, 2)
    assert ids() == [one]


def test_duplicates_of_the_import_itself_go_although_they_were_merged(tmp_path: Path) -> None:
    import_id, [one, two] = imported(tmp_path, ANN, ANN)
    merge(one, two)
    assert undo(import_id) == (1, 0, 1)
    assert ids() == []
