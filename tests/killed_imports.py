"""Files whose imports are killed again and again, and what they leave, to be compared with an undisturbed run."""

import csv
import shutil
import time
from itertools import zip_longest
from pathlib import Path
from typing import Any

from models import database
from models.imports import Keep, MatchRule, State
from models.permissions import OPERATOR
from pipelines import import_contacts
from tests.killing import STEPS, Machine
from tests.pipelines.importing import NUMBERS, sql

MOMENTS, IMPORTS, SEED = 30, 15, 20261126
ROWS = 1_500  # of each file
FIRST = 100_000  # numbers of one width, so that nothing stands out about a file

Left = dict[str, list[tuple[Any, ...]]]


def files_in(folder: Path) -> list[Path]:
    return [file_of(folder, number) for number in range(IMPORTS)]


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


def left_behind() -> Left:
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


def undisturbed(on: Machine, files: list[Path]) -> Left:
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


def differences(found: Left, expected: Left) -> list[str]:
    """What differs, by table, with the first pair of rows."""
    told = []
    for table, rows in expected.items():
        differing = [pair for pair in zip_longest(found[table], rows) if pair[0] != pair[1]]
        if differing:
            told.append(f"{len(differing)} rows of {table}, the first: {differing[0]}")
    return told
