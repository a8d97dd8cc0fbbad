"""kill -9 of whatever works on an import, at thirty moments: nothing is lost, nothing is doubled, nothing hangs."""

import csv
import shutil
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from models import database, import_phases, imports
from models.import_phases import Phase
from models.imports import Keep, MatchRule, State
from models.permissions import OPERATOR
from pipelines import import_contacts
from tests import killing
from tests.killing import STEPS, Machine
from tests.pipelines.importing import NUMBERS, sql

MOMENTS, IMPORTS, SEED = 30, 15, 20261126
ROWS = 1_500  # of each file
FIRST = 100_000  # numbers of one width, so that nothing stands out about a file


@pytest.fixture
def machine(open_folder: Path) -> Iterator[Machine]:
    with killing.machine(open_folder) as made:
        yield made


def file_of(folder: Path, number: int) -> Path:
    """Half of the rows are contacts of the file before it with another title; some are refused, some come twice."""
    path = folder / f"file{number}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["First Name", "Last Name", "Email", "Company", "Title", "Industry", "# Employees", "Our note"])
        for n in range(FIRST + number * ROWS // 2, FIRST + number * ROWS // 2 + ROWS):
            mail = f"no address {n}" if n % 50 == 7 else f"p{n}@example.com"
            said = [f"Company {n % 30}", f"Title {(n + number) % 7}", f"I{n % 5}", n % 900, f"note {n}"]
            row = [f"P{n}", f"L{n % 97}", mail, *said]
            writer.writerows([row, row] if n % 40 == 3 else [row])
    return path


def left_behind() -> dict[str, Any]:
    """Every row that imports leave, without numbers and moments that a second run would give otherwise: a server that
    was killed leaves out some numbers of its sequences, also of imports, which are known by their files."""
    given = "'id', 'created_at', 'updated_at', 'industry_id', 'created_by', 'import_id'"
    replaced = "'version_id', 'replaced_at', 'replaced_by', 'replaced_import'"
    industry = "(SELECT name FROM industries i WHERE i.id = t.industry_id)"
    counted = f"file_name, state, wanted, error, {', '.join(NUMBERS)}, changed_fields"

    def file(column: str = "import_id") -> str:
        return f"(SELECT file_name FROM imports f WHERE f.id = t.{column}) AS {column}"

    def listed(columns: str, table: str) -> list[tuple[Any, ...]]:
        return sql(f"SELECT {columns} FROM {table} t ORDER BY {', '.join(map(str, range(1, columns.count(',') + 2)))}")

    return {
        "contacts": sql(
            f"SELECT {file()}, import_line, to_jsonb(t) - ARRAY[{given}], {industry} FROM contacts t ORDER BY 1, 2"
        ),
        "history": sql(
            f"""SELECT {file("replaced_import")}, {file()}, import_line,
                to_jsonb(t) - ARRAY[{given}, {replaced}], {industry} FROM contact_history t ORDER BY 1, 2, 3"""
        ),
        "rejects": sql(
            f"SELECT {file()}, line, kind, header, value, reason, cells FROM import_rejects t ORDER BY 1, 2"
        ),
        "notes": listed(f"{file()}, header, reason, count, first_line, example", "import_notes"),
        "checks": listed(f"{file()}, name, field, success, failing", "check_results"),
        "imports": sql(f"SELECT {counted} FROM imports ORDER BY 1"),
        "audit": sql(
            """SELECT file_name, event, count(*) FROM audit_log JOIN imports i ON subject = 'import ' || i.id
            GROUP BY 1, 2 ORDER BY 1, 2"""
        ),
        "staging": sql("SELECT tablename FROM pg_tables WHERE schemaname = 'staging'"),
    }


def undisturbed(on: Machine, files: list[Path]) -> dict[str, Any]:
    """What they leave when nobody is killed, and how long each step takes then."""
    database.bind(on.server.url("undisturbed"))
    taken = dict.fromkeys(STEPS, 0.0)
    for file in files:
        import_id = import_contacts.create(file, match=MatchRule.AUTO, keep=Keep.THEIRS, by=OPERATOR)
        for step, until in zip(STEPS, [State.OPENED, State.STAGED, State.PLANNED, State.COMMITTED], strict=True):
            started = time.monotonic()
            found = import_contacts.run(import_id, until=until, by=OPERATOR)
            taken[step] += time.monotonic() - started
        assert all(number > 0 for number in (found.created, found.duplicates, found.rejected))
    on.usual = {step: seconds / len(files) for step, seconds in taken.items()}
    left = left_behind()
    database.bind(on.url)
    shutil.rmtree(on.home / "imports")  # the other database's imports have the same numbers
    return left


@pytest.mark.timeout(1200)
def test_killed_at_thirty_moments_the_database_is_as_if_nobody_was(machine: Machine, tmp_path: Path) -> None:
    files = [file_of(tmp_path, number) for number in range(IMPORTS)]
    expected = undisturbed(machine, files)
    moments = killing.kills(MOMENTS, IMPORTS, seed=SEED)
    brought_in = [killing.bring_in(machine, *one) for one in zip(files, moments, strict=True)]
    assert len(machine.done) == MOMENTS
    found = left_behind()
    for table, rows in expected.items():
        differing = [pair for pair in zip_longest(found[table], rows) if pair[0] != pair[1]]
        assert not differing, f"{len(differing)} rows of {table}, the first: {differing[0]}"
    for import_id in brought_in:
        assert import_phases.phase(imports.listed(import_id, by=OPERATOR)) is Phase.DONE
