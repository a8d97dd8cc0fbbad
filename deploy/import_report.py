"""How an import looks on a terminal: its plan before, its numbers after, its refused rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from deploy import cli_drift, output
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.import_kept import Kept, Since
    from models.imports import Import

MOST_LINES = 20
WORTH_A_SPEED = 1000  # rows: with fewer it is the start that takes the time


def show_plan(found: Import) -> None:
    """The numbers, the changes per field, the warnings, and the checks that failed; nothing with --json."""
    if output.is_json():
        return
    output.say(f"Import {found.id}: {found.file_name}", style="bold")
    names = ("rows", "created", "updated", "unchanged", "duplicates", "rejected")
    output.table(names, [[getattr(found, name) for name in names]], numbers=names)
    for note in (found.opened or {}).get("notes", ()):
        output.say(note)
    if found.opened and not found.rows:
        output.say("The file has a header and no rows.")
    _show_mapping(found)
    _show_policies(found)
    if found.changed_fields:
        changes = sorted(found.changed_fields.items(), key=lambda item: -item[1])
        _show_list("Values that change", ["field", "values"], changes, numbers=["values"])
        output.note(f"Old and new, row by row: appointment360 imports changes {found.id} [--field F] [-o FILE]")
    if found.moved:
        rows = output.counted(found.moved, "row")
        output.say(f"This plan differs from the one before in {rows}: appointment360 imports moved {found.id}")
    _show_warnings(found)
    _show_failed_checks(found)
    cli_drift.show(found.id)


def show_outcome(found: Import) -> None:
    """One sentence on how the import stands, and what can be done with it."""
    from models.imports import State

    after = f"To take it back: appointment360 imports undo {found.id}"
    match found.state:
        case State.COMMITTED:
            speed = f", {found.rows / found.seconds:,.0f} rows/s" if found.rows >= WORTH_A_SPEED else ""
            duplicates = output.counted(found.duplicates, "duplicate")
            output.say(
                f"Done in {found.seconds:.1f} s{speed}: {found.created:,} created, {found.updated:,} updated, "
                f"{found.unchanged:,} unchanged, {duplicates}, {found.rejected:,} rejected.",
                style="green",
            )
        case State.UNDONE:
            output.say("It was taken back.")
            after = f"To bring it back: appointment360 imports redo {found.id}"
            if (found.undone or {}).get("kept"):
                output.note(f"What was kept, and why: appointment360 imports kept {found.id}")
        case State.CANCELLED:
            output.say("It was cancelled, and nothing of it is written.")
            after = ""
        case State.FAILED:
            output.say(f"It failed: {found.error}", style="red")
            after = ""
        case State.PLANNED:
            output.say("Nothing is written yet.")
            after = cli_drift.way_to_commit(found.id)
        case _:
            output.say(f"It stopped after the step “{found.state}”.")
            after = f"To go on: appointment360 imports resume {found.id}"
    if after:
        output.note(after)
    if found.state == State.CANCELLED:  # its rows are gone
        return
    if found.rejected:
        output.note(f"The rejected rows: appointment360 imports rejects {found.id} -o rejects.csv")
    if found.duplicates:
        output.note(f"The duplicates: appointment360 imports rejects {found.id} --duplicates")


def after_undo(import_id: int, kept: int, *, again: str) -> None:
    """Where to read what an undo, or the undo of one, kept, and how to take it back."""
    if kept:
        output.note(f"What was kept, and why: appointment360 imports kept {import_id}")
    output.note(f"To take that back: appointment360 imports {again} {import_id}")


def kept(one: Kept) -> dict[str, Any]:
    """A contact that was left as it was, as programs read it."""
    fields = [
        {"field": field.name, "stayed": stayed, "would_be": would_be, **_since(field.since)}
        for field in one.fields
        for stayed, would_be in [field.texts()]
    ]
    return {"contact": one.contact_id, "name": one.label, "why": one.why, "fields": fields, "rest": one.rest} | (
        {} if fields else _since(one.since)
    )


def _since(since: Since) -> dict[str, Any]:
    return {"by": since.by_name, "at": since.at.isoformat(), "import": since.import_id}


def show_kept(import_id: int) -> None:
    """The first of them as a table."""
    from models import import_kept

    listed, total = import_kept.page(import_id, number=1, size=MOST_LINES, by=OPERATOR)
    if not total:
        output.say("Nothing was kept.")
        return
    lines = [
        (str(one.contact_id), one.label, title, stayed, would_be, since.words, since.at)
        for one in listed
        for title, stayed, would_be, since in [(field.title, *field.texts(), field.since) for field in one.fields]
        or [(import_kept.WORDS[one.why], None, None, one.since)]
    ]
    headers = ["contact", "name", "field", "stayed", "would be", "changed by", "when"]
    output.table(headers, lines, numbers=["contact"], cut=["name", "stayed", "would be", "changed by"], spare=["when"])
    if total > len(listed):
        output.say(f"… and {total - len(listed):,} more contacts: -o FILE has all of them.")


def show_rejects(rows: Iterable[Any], kind: str) -> None:
    listed = [(str(one.line), one.header, one.value, one.reason) for one in rows]
    if not listed:
        output.say(f"No {kind} rows.")
        return
    output.table(["line", "column", "value", "reason"], listed, numbers=["line"])


def show_changes(import_id: int, listed: Sequence[Any], total: int, *, options: str = "") -> None:
    """A line for each value that changes; for rows that change nothing or are new, one for each. `options` are those
    of the command that asked, which what it names for all of them has, too."""
    if not listed:
        output.say("No such rows.")
        return
    if any(one.values for one in listed):
        lines = [
            (_id(one.line), one.name, value.name, _value(value.old), _value(value.new))
            for one in listed
            for value in one.values
        ]
        output.table(["line", "name", "field", "old", "new"], lines, numbers=["line"], cut=["name", "old", "new"])
    else:
        rows = [(_id(one.line), _id(one.contact), one.name) for one in listed]
        output.table(["line", "contact", "name"], rows, numbers=["line", "contact"], cut=["name"])
    _note_more(f"changes {import_id}{options}", len(listed), total)


def show_moved(import_id: int, listed: Sequence[Any], total: int) -> None:
    from models import import_changes

    if not listed:
        output.say("Every row of the plan still holds, or a new plan took its place.")
        return
    lines = [
        (_id(one.line), one.name, name or "row", was, now)
        for one in listed
        for name, was, now in import_changes.told(one)
    ]
    headers = ["line", "name", "field", "the plan said", "it would say now"]
    output.table(headers, lines, numbers=["line"], cut=["name", *headers[3:]])
    _note_more(f"moved {import_id}", len(listed), total)


def _note_more(command: str, shown: int, total: int) -> None:
    if shown < total:
        output.note(f"{shown:,} of {total:,} rows. All: appointment360 imports {command} -o FILE")


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one}" for name, one in value.items())
    return value


def _show_mapping(found: Import) -> None:
    """Whose mapping it is, which fields are read from a header of another name, and which headers no field takes or
    nothing does."""
    from models import import_drafts, mapping_contents, mapping_memory
    from models.contacts.table import FIELDS

    if found.recalled:
        rules = mapping_memory.rules_sentence(mapping_contents.rules(import_drafts.stored(found)))
        output.say(f"{mapping_memory.sentence(found.recalled)} {rules}")

    def is_told(name: str, header: str) -> bool:
        return name not in FIELDS or header.strip().lower() not in (name, FIELDS[name].label.lower())

    read = [f"{name} from “{header}”" for name, header in (found.mapping or {}).items() if is_told(name, header)]
    if read:
        output.say(f"Read: {', '.join(read)}. Change it with --map FIELD=HEADER.")
    if leftover := (found.opened or {}).get("leftover"):
        output.say(f"Kept in extra: {_listed(leftover)}. Leave one out with --skip HEADER.")
    if found.left_out:
        output.say(f"Left out: {_listed(found.left_out)}. They stay in the stored file, and in that of rejected rows.")


def _show_policies(found: Import) -> None:
    """Whose value wins, where that is not simply the file's."""
    from models.contacts import policies

    words = {
        "theirs": "the file's value wins", "ours": "only blanks are filled", "newer": "the newer value wins",
        "never": "ours stay as they are",
    }  # fmt: skip
    said = [words[found.keep]] if found.keep != "theirs" or found.keep_fields else []
    said += [f"{name}: {words[keep]}" for name, keep in found.keep_fields.items()]
    if said:
        output.say(f"Where both differ: {'; '.join(said)}.")
    if "newer" in (found.keep, *found.keep_fields.values()):
        moment = policies.of(found).moment
        by = f"“{found.dated_by}” of its row, or the file of {output.shown(moment)}," if found.dated_by else (
            f"the file of {output.shown(moment)}"
        )  # fmt: skip
        output.say(f"A row wins where {by} is newer than the contact's last change; else it only fills blanks.")


def _listed(headers: list[str]) -> str:
    more = f" and {len(headers) - MOST_LINES:,} more" if len(headers) > MOST_LINES else ""
    return ", ".join(headers[:MOST_LINES]) + more


def _show_warnings(found: Import) -> None:
    from models import imports

    rows = [(one.header, one.reason, one.count, one.example) for one in imports.notes(found.id, by=OPERATOR)]
    headers = ["header", "what", "values", "example"]
    _show_list("Warnings (these rows come in, the values as said)", headers, rows, ["values"])


def _show_failed_checks(found: Import) -> None:
    from models import check_results
    from models.database import reading

    with reading() as session:
        verdicts = check_results.of_import(session, found.id)
    rows = [(one.name, one.field, one.failing) for one in verdicts if not one.success]
    _show_list("Checks that failed", ["rule", "field", "rows"], rows, ["rows"])
    if verdicts and not rows:
        output.say(f"All {len(verdicts)} checks passed.")
    tolerated = [(one.name, one.field, one.failing) for one in verdicts if one.is_tolerated]
    _show_list("Values that checks tolerate", ["rule", "field", "rows"], tolerated, ["rows"])


def _show_list(title: str, headers: list[str], rows: list[Any], numbers: Iterable[str]) -> None:
    if not rows:
        return
    output.say(f"{title}:", style="bold")
    output.table(headers, rows[:MOST_LINES], numbers=numbers)
    if len(rows) > MOST_LINES:
        output.say(f"… and {len(rows) - MOST_LINES:,} more")
