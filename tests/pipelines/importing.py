"""Runs whole imports on a real database, and reads back what they left."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from models import database, import_acceptances, import_rejects, imports
from models.imports import Import, Keep, MatchRule, State
from models.permissions import OPERATOR
from pipelines import import_contacts

Row = dict[str, Any]
NUMBERS = ("rows", "created", "updated", "unchanged", "duplicates", "rejected")


def created(
    path: Path,
    *,
    match: MatchRule = MatchRule.AUTO,
    keep: Keep = Keep.THEIRS,
    keep_fields: Mapping[str, Keep] | None = None,
    dated_by: str | None = None,
    left_out: Sequence[str] = (),
    **mapping: str,
) -> int:
    """A new import of the file; `mapping` is field=header."""
    return import_contacts.create(
        path, mapping=mapping, left_out=left_out, match=match, keep=keep, keep_fields=keep_fields, dated_by=dated_by,
        by=OPERATOR,
    )  # fmt: skip


def imported(path: Path, *, until: State = State.COMMITTED, accepting: str | None = None, **how: Any) -> Import:
    """The import of the file, run up to `until`; its numbers add up. What stands out is accepted for that reason."""
    import_id = created(path, **how)
    if accepting:
        import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR)
        import_acceptances.accept(import_id, accepting, by=OPERATOR)
    found = import_contacts.run(import_id, until=until, by=OPERATOR)
    assert found.state == until
    assert found.rows == found.created + found.updated + found.unchanged + found.duplicates + found.rejected
    return found


def numbers(found: Import) -> tuple[int, ...]:
    """rows, created, updated, unchanged, duplicates, rejected."""
    return tuple(imports.numbers(found)[name] for name in NUMBERS)  # type: ignore[misc]  # these are whole numbers


def written(folder: Path, rows: Sequence[Row] | str, name: str = "people.csv") -> Path:
    """A CSV file of those rows (their keys together are the header), or of that text."""
    path = folder / name
    if isinstance(rows, str):
        path.write_text(rows, encoding="utf-8", newline="")
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def sql(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows that a statement of the test's own gives."""
    url = database.libpq_url(database.Database.url or "")
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def contacts(order: str = "import_id, import_line, id") -> list[Row]:
    """Every contact with its values that are not NULL, industry and owner by name; without ids and times."""
    found = sql(
        f"""SELECT to_jsonb(c) - ARRAY['id', 'created_at', 'updated_at', 'industry_id', 'owner_id']
            || jsonb_build_object(
            'industry', (SELECT name FROM industries WHERE id = c.industry_id),
            'owner', (SELECT email FROM users WHERE id = c.owner_id)) FROM contacts c ORDER BY {order}"""
    )
    return [{name: value for name, value in row.items() if value is not None} for (row,) in found]


def contact(order: str = "import_id, import_line, id") -> Row:
    """The only contact, without the columns that say where it came from."""
    [found] = contacts(order)
    return {name: value for name, value in found.items() if name not in ("import_id", "import_line")}


def rejected(import_id: int, kind: str = "rejected") -> list[tuple[int, str | None, str | None, str, list[str | None]]]:
    """(line, header, value, reason, cells) of the rows that did not come in."""
    found = import_rejects.rows(import_id, by=OPERATOR, kind=kind)
    return [(one.line, one.header, one.value, one.reason, one.cells) for one in found]


def noted(import_id: int) -> dict[str, tuple[int, int, str | None]]:
    """Header -> (values that went to extra, first line, example)."""
    return {one.header: (one.count, one.first_line, one.example) for one in imports.notes(import_id, by=OPERATOR)}


def base() -> str:
    """Everything that an import leaves in the database, as one text without ids and times of the clock."""
    state = {
        "contacts": contacts("import_line, email, first_name, id"),
        "history": sql("SELECT replaced_how, email, first_name, title FROM contact_history ORDER BY 1, 2, 3, 4"),
        "industries": sql("SELECT name FROM industries ORDER BY name"),
        "rejects": sql("SELECT kind, line, header, value, reason, cells FROM import_rejects ORDER BY line, kind"),
        "notes": sql("SELECT header, reason, count, first_line, example FROM import_notes ORDER BY header"),
        "imports": sql(f"SELECT state, {', '.join(NUMBERS)}, changed_fields FROM imports ORDER BY id"),
        "checks": sql("SELECT name, field, success, failing FROM check_results ORDER BY 1, 2"),
        "staging": sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'"),
    }
    return json.dumps(state, default=str, ensure_ascii=False, indent=1)
