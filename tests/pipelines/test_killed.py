"""kill -9 of whatever works on an import, at thirty moments: nothing is lost, nothing is doubled, nothing hangs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models import import_phases, imports
from models.import_phases import Phase
from models.permissions import OPERATOR
from tests import killed_imports, killing
from tests.killed_imports import IMPORTS, MOMENTS, SEED
from tests.killing import Machine


@pytest.fixture
def machine(open_folder: Path) -> Iterator[Machine]:
    with killing.machine(open_folder) as made:
        yield made


@pytest.mark.timeout(1200)
def test_killed_at_thirty_moments_the_database_is_as_if_nobody_was(machine: Machine, tmp_path: Path) -> None:
    files = killed_imports.files_in(tmp_path)
    expected = killed_imports.undisturbed(machine, files)
    moments = killing.kills(MOMENTS, IMPORTS, seed=SEED)
    brought_in = [killing.bring_in(machine, *one) for one in zip(files, moments, strict=True)]
    assert len(machine.done) == MOMENTS
    assert killed_imports.differences(killed_imports.left_behind(), expected) == []
    for import_id in brought_in:
        assert import_phases.phase(imports.listed(import_id, by=OPERATOR)) is Phase.DONE
