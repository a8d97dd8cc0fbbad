"""The rows behind the numbers of a plan, and where they no longer hold; once it is committed, what history keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, RowMapping, Table, select, text
from sqlalchemy.orm import Session

from models import import_places
from models.contacts import staging
from models.contacts.history import ContactVersion, FieldChange, readable
from models.contacts.policies import ABOUT_ADDRESS, EXTRA, Policies
from models.contacts.table import FIELDS, Contact
from models.fields import Kind
from models.import_places import Of

_NAMED = "coalesce(nullif(concat_ws(' ', {0}.first_name, {0}.last_name), ''), {0}.company, {0}.email)"


@dataclass(frozen=True)
class PlannedRow:
    """A line of the file (None where nobody knows it any more), the contact that it means, who that is, and what
    changes of it: fields by name, and "extra"."""

    line: int | None
    contact: int | None
    name: str | None
    values: tuple[FieldChange, ...] = ()


def prepare(session: Session, import_id: int) -> None:
    """Make what pages of the plan are read by, when it is made: indexes on the lines, and where what stands."""
    rows, plan = (f"{table.partition('.')[2]}_line" for table in (_rows(import_id), _plan(import_id)))
    # The rows stay as they were staged, and others are reading them just now: an index that is there is not made anew.
    session.execute(text(f"CREATE INDEX IF NOT EXISTS {rows} ON {_rows(import_id)} (line)"))
    session.execute(text(f"DROP INDEX IF EXISTS {staging.SCHEMA}.{plan}"))
    session.execute(text(f"CREATE INDEX {plan} ON {_plan(import_id)} (line)"))
    block = f"line / {import_places.BLOCK} AS block"
    import_places.replace(
        session,
        import_id,
        Of.PLAN,
        f"""SELECT action AS what, {block}, count(*) AS number FROM {_plan(import_id)} GROUP BY 1, 2
        UNION ALL
        SELECT {staging.NAME}, {block}, count(*) FROM {_plan(import_id)}, unnest(changes) AS change GROUP BY 1, 2""",
    )


def changed_values(
    session: Session, import_id: int, policies: Policies, names: Sequence[str], *, most: int
) -> dict[str, list[tuple[Any, Any]]]:
    """By name, up to `most` pairs of what contacts hold and what the plan puts in its place, from the first lines.

    `names` are fields, or "extra". Nothing where the staging tables are gone.
    """
    if not names or not staging.exists(session, import_id):
        return {}
    chosen = {name: [row.line for row in _lines(session, import_id, name, skip=0, most=most)] for name in names}
    lines = sorted({line for found in chosen.values() for line in found})
    pairs = _pairs(session, import_id, policies, names, lines)
    return {name: [pairs[line][name] for line in found if line in pairs] for name, found in chosen.items() if found}


def page(session: Session, import_id: int, policies: Policies, what: str, *, skip: int, most: int) -> list[PlannedRow]:
    """Rows of the plan for an action, or those that change a field, in the file's order; nothing where it is gone."""
    if not staging.exists(session, import_id):
        return []
    rows = _lines(session, import_id, what, skip=skip, most=most)
    wanted = [what] if what in (*FIELDS, EXTRA) else None
    held = {row.line: wanted or [one.partition("=")[0] for one in row.changes or ()] for row in rows}
    names = sorted({name for some in held.values() for name in some})
    pairs = _pairs(session, import_id, policies, names, list(held))
    return [
        PlannedRow(
            row.line,
            row.target,
            row.contact_name or row.staged_name,
            tuple(FieldChange(name, *pairs[row.line][name]) for name in held[row.line] if row.line in pairs),
        )
        for row in rows
    ]


def _lines(session: Session, import_id: int, what: str, *, skip: int, most: int) -> Sequence[Row[Any]]:
    found = import_places.stretch(session, import_id, Of.PLAN, what, skip=skip, most=most)
    # Nothing is known of tables that live for minutes: the planner would read them whole.
    session.execute(text("SELECT set_config('enable_seqscan', 'off', true)"))
    return session.execute(
        text(
            f"""SELECT p.line, p.target, p.changes, {_NAMED.format("s")} AS staged_name,
                   {_NAMED.format("c")} AS contact_name
            FROM unnest(CAST(:blocks AS bigint[])) AS b
            CROSS JOIN LATERAL (
                SELECT * FROM {_plan(import_id)} p WHERE {import_places.within("b", "p.line")}
                  AND (p.action = :what
                       OR EXISTS (SELECT FROM unnest(p.changes) AS change WHERE {staging.NAME} = :what))
                ORDER BY p.line LIMIT :read
            ) p
            JOIN {_rows(import_id)} s ON s.line = p.line LEFT JOIN contacts c ON c.id = p.target
            ORDER BY p.line OFFSET :skip LIMIT :most"""
        ),
        {"blocks": found.blocks, "what": what, "skip": found.skip, "most": most, "read": found.skip + most},
    ).all()


def _pairs(
    session: Session, import_id: int, policies: Policies, names: Sequence[str], lines: Sequence[int]
) -> dict[int, dict[str, tuple[Any, Any]]]:
    """Line -> name -> (what the contact holds, what it holds afterwards); of extra only what differs."""
    if not names or not lines:
        return {}
    staged = staging.column_names(session, import_id)
    meant = "LEFT JOIN industry_meanings m ON m.key = lower(s.industry)" if "industry" in names else ""
    shown = ", ".join(
        f"{_before(name)} AS before_{name}, {_after(name, policies, name in staged)} AS after_{name}" for name in names
    )
    found = session.execute(
        text(
            f"""SELECT s.line, {shown} FROM {_rows(import_id)} s
            JOIN {_plan(import_id)} p USING (line) JOIN contacts c ON c.id = p.target
            LEFT JOIN industries i ON i.id = c.industry_id LEFT JOIN users u ON u.id = c.owner_id
            {meant} WHERE s.line = ANY(:lines)"""
        ),
        {"lines": list(lines)},
    ).mappings()
    return {
        row["line"]: {name: _differing(row[f"before_{name}"], row[f"after_{name}"]) for name in names} for row in found
    }


def _before(name: str) -> str:
    if name not in FIELDS:
        return f"c.{name}"
    return {Kind.INDUSTRY: "i.name", Kind.OWNER: "u.email"}.get(FIELDS[name].kind, f"c.{name}")


def _after(name: str, policies: Policies, is_staged: bool) -> str:
    """SQL for what the plan puts there, of a row that changes it."""
    if name == EXTRA:
        return policies.merged_extra("coalesce(c.extra, '{}')", "s.extra::jsonb", "c")
    if name in ABOUT_ADDRESS:
        return policies.value_about_address(name, f"s.{name}" if is_staged else None, "c")
    # What a former name, or that of a merged industry, comes to.
    return f"coalesce(m.name, s.{name})" if FIELDS[name].kind is Kind.INDUSTRY else f"s.{name}"


def _differing(before: Any, after: Any) -> tuple[Any, Any]:
    """Both; of extra only the entries that differ."""
    if not isinstance(before or after, dict):
        return before, after
    was, now = before or {}, after or {}
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    old, new = ({name: one[name] for name in names if name in one} or None for one in (was, now))
    return old, new


def note_moves(session: Session, import_id: int, was: str, now: str) -> int:
    """Write down where the plan in the table `was` and that in `now` differ, in place of what was; returns in how many
    lines."""
    session.execute(text("DELETE FROM import_moves WHERE import_id = :id"), {"id": import_id})
    moved = session.execute(
        text(
            f"""INSERT INTO import_moves
            SELECT :id, line, w.action, w.target, w.changes, n.action, n.target, n.changes
            FROM {was} w FULL JOIN {now} n USING (line)
            WHERE (w.action, w.target, w.rule, w.changes) IS DISTINCT FROM (n.action, n.target, n.rule, n.changes)"""
        ),
        {"id": import_id},
    )
    return int(moved.rowcount)  # type: ignore[attr-defined]  # as of every statement in text


def forget_moves(session: Session, import_id: int) -> None:
    session.execute(text("DELETE FROM import_moves WHERE import_id = :id"), {"id": import_id})


def last_numbers(session: Session) -> tuple[int, int]:
    """The numbers that a contact and a version of one were given last."""
    row = session.execute(
        text(
            """SELECT c.last_value - 1 + c.is_called::int AS contact, h.last_value - 1 + h.is_called::int AS version
            FROM contacts_id_seq c, contact_history_version_id_seq h"""
        )
    ).one()
    return row.contact, row.version


def settle(session: Session, import_id: int, before: tuple[int, int]) -> dict[str, list[int]]:
    """Once the plan is carried out, while nobody else can write contacts: what was written, as ranges of numbers, and
    where among the replaced versions which field changed."""
    contacts, versions = ([old + 1, new] for old, new in zip(before, last_numbers(session), strict=True))
    if versions[1] >= versions[0]:
        import_places.replace(
            session,
            import_id,
            Of.VERSIONS,
            f"""SELECT {staging.NAME} AS what, h.version_id / {import_places.BLOCK} AS block, count(*) AS number
            FROM {_plan(import_id)} p
            JOIN contact_history h ON h.id = p.target AND h.version_id BETWEEN {versions[0]} AND {versions[1]},
                 unnest(p.changes) AS change
            GROUP BY 1, 2""",
        )
    return {"contacts": contacts, "versions": versions}


def created(session: Session, import_id: int, numbers: Sequence[int], *, skip: int, most: int) -> list[PlannedRow]:
    """Contacts that a commit made, from the numbers that it gave them; those that are gone by now as they were last."""
    first = numbers[0] + skip
    rows = session.execute(
        text(
            f"""SELECT id, import_id, import_line, {_NAMED.format("c")} AS name FROM contacts c
            WHERE id BETWEEN :first AND :last
            UNION ALL
            SELECT * FROM (SELECT DISTINCT ON (id) id, import_id, import_line, {_NAMED.format("h")} AS name
                FROM contact_history h WHERE id BETWEEN :first AND :last ORDER BY id, version_id DESC) gone
            WHERE NOT EXISTS (SELECT FROM contacts there WHERE there.id = gone.id)
            ORDER BY id"""
        ),
        {"first": first, "last": min(first + most - 1, numbers[1])},
    )
    return [PlannedRow(row.import_line if row.import_id == import_id else None, row.id, row.name) for row in rows]


def replaced(
    session: Session,
    import_id: int,
    numbers: Sequence[int],
    names: Sequence[str],
    *,
    by_field: bool,
    skip: int,
    most: int,
) -> list[PlannedRow]:
    """What a commit changed of contacts in the fields `names`, from the versions that it replaced; `by_field` those
    that changed the one field alone."""
    chosen, given = _versions(session, import_id, numbers, names[0] if by_field else None, skip=skip, most=most)
    rows = session.execute(text(chosen), given).all()
    older = _states(session, ContactVersion, "version_id", names, [row.version_id for row in rows])
    newer = _states(session, ContactVersion, "version_id", names, [row.next for row in rows if row.next])
    now = _states(session, Contact.__table__, "id", names, [row.id for row in rows if not row.next])  # type: ignore[arg-type]
    listed = []
    for row in rows:
        was, after = older[row.version_id], newer.get(row.next) or now.get(row.id)
        changed = tuple(
            FieldChange(one, *_differing(was[one], after[one])) for one in names if after and was[one] != after[one]
        )
        if changed:
            line = after["import_line"] if after and after["import_id"] == import_id else None
            listed.append(PlannedRow(line, row.id, _name_of(after or was), changed))
    return listed


def _versions(
    session: Session, import_id: int, numbers: Sequence[int], name: str | None, *, skip: int, most: int
) -> tuple[str, dict[str, Any]]:
    """SELECT of (version_id, id, next), and its parameters: a page of the versions that a commit replaced, and the
    version of the same contact that came after, if that was replaced, too. With a field, those that differ in it."""
    following = """SELECT * FROM contact_history n WHERE n.id = h.id AND n.version_id > h.version_id
        ORDER BY n.version_id LIMIT 1"""
    if name is None:
        first = numbers[0] + skip
        return (
            f"""SELECT h.version_id, h.id, n.version_id AS next FROM contact_history h
            LEFT JOIN LATERAL ({following}) n ON true
            WHERE h.version_id BETWEEN :first AND :last ORDER BY h.version_id""",
            {"first": first, "last": min(first + most - 1, numbers[1])},
        )
    found = import_places.stretch(session, import_id, Of.VERSIONS, name, skip=skip, most=most)
    column = FIELDS[name].column if name in FIELDS else name
    return (
        f"""SELECT h.version_id, h.id, n.version_id AS next FROM unnest(CAST(:blocks AS bigint[])) AS b
        JOIN contact_history h ON {import_places.within("b", "h.version_id")} AND h.version_id BETWEEN :first AND :last
        LEFT JOIN LATERAL ({following}) n ON true
        LEFT JOIN contacts c ON c.id = h.id AND n.version_id IS NULL
        WHERE h.{column} IS DISTINCT FROM CASE WHEN n.version_id IS NULL THEN c.{column} ELSE n.{column} END
        ORDER BY h.version_id OFFSET :skip LIMIT :most""",
        {"blocks": found.blocks, "first": numbers[0], "last": numbers[1], "skip": found.skip, "most": most},
    )


def _states(
    session: Session, table: Table, key: str, names: Sequence[str], keys: Sequence[int]
) -> dict[int, RowMapping]:
    if not keys:
        return {}
    fields = [name for name in names if name in FIELDS]
    beside = ("first_name", "last_name", "company", "email")
    columns = [table.c[key].label("own_key"), table.c.import_id, table.c.import_line, table.c.extra]
    columns += [table.c[name].label(f"own_{name}") for name in beside]
    found = session.execute(select(*columns, *readable(table, fields)).where(table.c[key].in_(keys))).mappings()
    return {row["own_key"]: row for row in found}


def _name_of(state: RowMapping) -> str | None:
    full = " ".join(part for part in (state["own_first_name"], state["own_last_name"]) if part)
    return full or state["own_company"] or state["own_email"]


def moved(session: Session, import_id: int, *, after: int, most: int) -> list[RowMapping]:
    """The lines behind `after` whose plan is another by now, as import_moves has them, with the names of both contacts
    and of the row."""
    session.execute(text("SELECT set_config('enable_seqscan', 'off', true)"))
    here = staging.rows_exist(session, import_id)
    staged = f"LEFT JOIN {_rows(import_id)} s ON s.line = m.line" if here else ""
    return list(
        session.execute(
            text(
                f"""SELECT m.*, {_NAMED.format("w")} AS was_name, {_NAMED.format("c")} AS name,
                    {_NAMED.format("s") if here else "NULL"} AS staged_name
                FROM import_moves m {staged}
                LEFT JOIN contacts w ON w.id = m.was_target LEFT JOIN contacts c ON c.id = m.target
                WHERE m.import_id = :id AND m.line > :after ORDER BY m.line LIMIT :most"""
            ),
            {"id": import_id, "after": after, "most": most},
        ).mappings()
    )


def brought(session: Session, import_id: int, names: Sequence[str], lines: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Line -> field -> what the row says; nothing where the rows are gone."""
    if not names or not lines or not staging.rows_exist(session, import_id):
        return {}
    said = ", ".join(f"to_jsonb(s) ->> '{name}' AS {name}" for name in names)
    found = session.execute(
        text(f"SELECT s.line, {said} FROM {_rows(import_id)} s WHERE s.line = ANY(:lines)"), {"lines": list(lines)}
    ).mappings()
    return {row["line"]: {name: row[name] for name in names} for row in found}


def _rows(import_id: int) -> str:
    return f"{staging.SCHEMA}.{staging.rows_table(import_id)}"


def _plan(import_id: int) -> str:
    return f"{staging.SCHEMA}.{staging.plan_table(import_id)}"
