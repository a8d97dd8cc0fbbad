"""How long imports take when whatever works on them is killed at thirty moments, beside the same files undisturbed."""

import time
from pathlib import Path

from tests import killed_imports, killing
from tests.bench.limits import Measured
from tests.killed_imports import IMPORTS, MOMENTS, ROWS, SEED


def measure(folder: Path) -> list[Measured]:
    """On a server of its own in `folder`. Undisturbed, the steps follow each other in one process; killed, each file
    comes in as a person does it: upload in pieces, plan, commit, and whatever is dead is started again."""
    files = killed_imports.files_in(folder)
    with killing.machine(folder) as machine:
        expected = killed_imports.undisturbed(machine, files)
        started = time.monotonic()
        for file, moments in zip(files, killing.kills(MOMENTS, IMPORTS, seed=SEED), strict=True):
            killing.bring_in(machine, file, moments)
        killed = time.monotonic() - started
        differing = killed_imports.differences(killed_imports.left_behind(), expected)
        calm = sum(machine.usual.values()) * IMPORTS
    return [
        Measured(f"{IMPORTS} files of {ROWS:,} rows, nobody killed", calm, "s"),
        Measured(f"the same files, {MOMENTS} kills", killed, "s"),
        Measured("for each kill, until all goes on", (killed - calm) / MOMENTS * 1000, "ms"),
        Measured("tables that differ in a row then", len(differing), "tables", 0),
    ]
