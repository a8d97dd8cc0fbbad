"""The rows behind an import's numbers: which contacts it creates, changes, leaves alone, with old and new values; and
those whose plan no longer held when it was to be committed. A page at a time, and as CSV files.

They are for who sees every column: which row means which contact, and whether anything differs, depends on all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, csv_lines, imports
from models.audit import Event
from models.contacts import history_retention, plan_rows, policies, staging
from models.contacts.mapping import field_named
from models.contacts.plan_rows import PlannedRow
from models.contacts.policies import EXTRA
from models.contacts.table import FIELDS
from models.database import Base, reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed
from models.imports import Import, State
from models.permissions import Actor

READ_AT_ONCE = 2_000  # rows, for a file


class Kind(StrEnum):
    """What becomes of rows: the numbers of a plan that have rows of contacts behind them."""

    UPDATED = "updated"
    CREATED = "created"
    UNCHANGED = "unchanged"


ACTIONS = {Kind.UPDATED: "update", Kind.CREATED: "create", Kind.UNCHANGED: "unchanged"}
HEADERS = ("Line", "Contact", "Name", "Field", "Old value", "New value")
MOVED_HEADERS = ("Line", "Name", "Field", "What the plan said", "What it would say now")


class ImportMove(Base):
    """A line of a plan that somebody looked at, and what was made of it since: actions, contacts, and the fields that
    would change with what the contact held (see staging.HELD)."""

    __tablename__ = "import_moves"

    import_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    line: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    was_action: Mapped[str | None] = mapped_column(Text)
    was_target: Mapped[int | None] = mapped_column(BigInteger)
    was_changes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    action: Mapped[str | None] = mapped_column(Text)
    target: Mapped[int | None] = mapped_column(BigInteger)
    changes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))


@dataclass(frozen=True)
class Said:
    """What a plan says of a row. `held` is, for each field that would change, what the contact holds: "" for nothing,
    the beginning of a long text."""

    action: str | None
    contact: int | None
    name: str | None
    held: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Moved:
    """A row of which the plan said `was`, and would say `now`; `brings` is what the row itself says of those fields."""

    line: int
    name: str | None
    was: Said
    now: Said
    brings: dict[str, Any]


def page(
    import_id: int,
    *,
    kind: Kind = Kind.UPDATED,
    changing: str | None = None,
    number: int = 1,
    size: int = 50,
    by: Actor,
) -> tuple[list[PlannedRow], int]:
    """The rows of page `number` (from 1) and how many there are: of the plan, and once it is committed of what was
    written. `changing` names a field, or "extra": only rows that change it, with that value alone.

    Raises NotAllowed (also for who does not see every column), NotFound, InvalidInput (no such field), Conflict (the
    import has none to show: it is not planned, or they left no trace).
    """
    found = _found(import_id, kind, changing, by)
    with reading() as session:
        name = _name(changing)
        return _read(session, found, kind, name, skip=(number - 1) * size, most=size), total(found, kind, name)


def rows(import_id: int, *, kind: Kind = Kind.UPDATED, changing: str | None = None, by: Actor) -> Iterator[PlannedRow]:
    """All of them, read as they are asked for. Raises like `page`."""
    found = _found(import_id, kind, changing, by)
    return _each(found, kind, _name(changing))


def as_csv(
    import_id: int, *, kind: Kind = Kind.UPDATED, changing: str | None = None, noted: bool = True, by: Actor
) -> Iterator[str]:
    """The lines of a CSV file: the header, then a line for each value that changes, or each row where none does.
    `noted`, that `by` took them is written to the audit log. Raises like `page`."""
    found = _found(import_id, kind, changing, by)
    name = _name(changing)
    if noted:
        of_field = {"field": name} if name else {}
        with writing(by) as session:
            audit.write(
                session, Event.IMPORT_ROWS_DOWNLOADED, f"import {import_id}", by=by, kind=str(kind),
                rows=total(found, kind, name), **of_field,
            )  # fmt: skip
    return _lines(_each(found, kind, name))


def total(found: Import, kind: Kind, name: str | None = None) -> int:
    """How many rows stand behind that number of the import."""
    if name is not None:
        return (found.changed_fields or {}).get(name, 0)
    return int(getattr(found, kind))


def moved(import_id: int, *, after: int = 0, size: int = 50, by: Actor) -> tuple[list[Moved], int]:
    """The rows behind the line `after` for which the plan that somebody looked at held no longer, and how many there
    are. Raises NotAllowed (also for who does not see every column), NotFound."""
    found = imports.get(import_id, by=by)
    _require_all(by)
    with reading() as session:
        return _moved(session, import_id, after, size), found.moved


def moved_as_csv(import_id: int, *, noted: bool = True, by: Actor) -> Iterator[str]:
    """The lines of a CSV file of all of them. Raises like `moved`."""
    found = imports.get(import_id, by=by)
    _require_all(by)
    if noted:
        with writing(by) as session:
            audit.write(
                session, Event.IMPORT_ROWS_DOWNLOADED, f"import {import_id}", by=by, kind="moved", rows=found.moved
            )
    return _moved_lines(import_id)


def told(one: Moved) -> list[tuple[str, str, str]]:
    """(field, what the plan said, what it would say now) in words, for each field that differs; the field is "" for
    what becomes of the row itself."""
    was, now = one.was, one.now
    lines = []
    if (was.action, was.contact) != (now.action, now.contact):
        lines.append(("", action_words(was), action_words(now)))
    same = was.contact == now.contact
    for name in dict.fromkeys([*was.held, *now.held]):
        if was.held.get(name) != now.held.get(name) or not same:
            brings = _text(one.brings.get(name))
            lines.append((name, _would(was, name, brings), _would(now, name, brings)))
    return lines


def action_words(said: Said) -> str:
    """What becomes of the row, as “update 12, Ann Lee”."""
    if said.action is None:
        return "nothing"
    whom = f" {said.contact}" if said.contact is not None else ""
    return f"{said.action}{whom}" + (f", {said.name}" if whom and said.name else "")


def _would(said: Said, name: str, brings: str) -> str:
    if name not in said.held:
        return "no change"
    return f"{said.held[name] or '–'} → {brings or '–'}"


def _found(import_id: int, kind: Kind, changing: str | None, by: Actor) -> Import:
    found = imports.get(import_id, by=by)
    _require_all(by)
    _name(changing)
    if found.state not in (State.PLANNED, State.COMMITTED, State.UNDONE):
        ended = found.state in (State.CANCELLED, State.FAILED)
        why = "its plan is gone" if ended else "there are no rows to see before its plan is made"
        raise Conflict(f"Import {import_id} is {found.state}: {why}.")
    if found.state != State.PLANNED and kind is Kind.UNCHANGED and found.unchanged:
        raise Conflict("Rows that changed nothing are known until the commit only: they left no trace.")
    if found.state != State.PLANNED and found.written is None and total(found, kind):
        raise Conflict(f"Import {import_id} was committed by an older version, which did not keep where its rows are.")
    if found.state != State.PLANNED and kind is Kind.UPDATED and found.updated:
        with reading() as session:
            history_retention.require_known(session, f"What import {import_id} changed", found.finished_at)
    return found


def _require_all(by: Actor) -> None:
    if not imports.sees_all(by):
        raise NotAllowed(
            "The rows behind an import's numbers are for those who see every column: what becomes of a row depends on "
            "all of them."
        )


def _name(changing: str | None) -> str | None:
    """Raises InvalidInput."""
    if changing is None:
        return None
    if changing.strip().lower() == EXTRA:
        return EXTRA
    name = field_named(changing)
    if name not in FIELDS:
        raise InvalidInput("A full name is kept as its parts: ask for first_name or last_name.", field="changing")
    return name


def _read(session: Session, found: Import, kind: Kind, name: str | None, *, skip: int, most: int) -> list[PlannedRow]:
    if found.state == State.PLANNED:
        return plan_rows.page(session, found.id, policies.of(found), name or ACTIONS[kind], skip=skip, most=most)
    written = found.written or {}
    if kind is Kind.CREATED:
        return plan_rows.created(session, found.id, written["contacts"], skip=skip, most=most) if found.created else []
    if kind is Kind.UNCHANGED or not found.updated:
        return []
    names = [name] if name else list(found.changed_fields or {})
    by_field = name is not None
    return plan_rows.replaced(session, found.id, written["versions"], names, by_field=by_field, skip=skip, most=most)


def _each(found: Import, kind: Kind, name: str | None) -> Iterator[PlannedRow]:
    for skip in range(0, total(found, kind, name), READ_AT_ONCE):
        with reading() as session:
            listed = _read(session, found, kind, name, skip=skip, most=READ_AT_ONCE)
        yield from listed


def _lines(listed: Iterator[PlannedRow]) -> Iterator[str]:
    yield csv_lines.line(HEADERS)
    for row in listed:
        account = (_text(row.line), _text(row.contact), row.name or "")
        for value in row.values or (None,):
            cells = (_title(value.name), _text(value.old), _text(value.new)) if value else ("", "", "")
            yield csv_lines.line([*account, *cells])


def _moved(session: Session, import_id: int, after: int, most: int) -> list[Moved]:
    found = plan_rows.moved(session, import_id, after=after, most=most)
    held = {row["line"]: (_held(row["was_changes"]), _held(row["changes"])) for row in found}
    names = sorted({name for both in held.values() for some in both for name in some})
    staged = staging.column_names(session, import_id)
    brings = plan_rows.brought(session, import_id, [name for name in names if name in staged], list(held))
    return [
        Moved(
            row["line"],
            row["staged_name"],
            Said(row["was_action"], row["was_target"], row["was_name"], held[row["line"]][0]),
            Said(row["action"], row["target"], row["name"], held[row["line"]][1]),
            brings.get(row["line"], {}),
        )
        for row in found
    ]


def _held(changes: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for one in changes or ():
        name, _, value = one.partition("=")
        found[name] = value[: staging.LONGEST_HELD + 1]  # without the hash behind a long one
    return found


def _moved_lines(import_id: int) -> Iterator[str]:
    yield csv_lines.line(MOVED_HEADERS)
    after = -1
    while True:
        with reading() as session:
            listed = _moved(session, import_id, after, READ_AT_ONCE)
        if not listed:
            return
        after = listed[-1].line
        for one in listed:
            for name, was, now in told(one):
                yield csv_lines.line([str(one.line), one.name or "", _title(name) if name else "", was, now])


def _title(name: str) -> str:
    return "Extra" if name == EXTRA else FIELDS[name].label


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{name}: {one}" for name, one in value.items())
        case date():
            return value.isoformat()
    return str(value)
