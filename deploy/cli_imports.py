"""`appointment360 import` and `imports`: a file on its way in, read as a plan before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from deploy import cli_drift, import_report, local, output
from deploy.cli_options import Home, Json, Yes
from models.errors import Conflict, InvalidInput
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.imports import Import, Listed, State

QUESTION = "Write this to the contacts?"
LISTED = 50  # of the latest imports

group = typer.Typer(help="Look at imports, undo them, go on with them.", no_args_is_help=True)

ImportId = Annotated[int, typer.Argument(metavar="ID", min=1)]
# models.imports has these as enums; they stand here as well, because reading them there costs the --help half a second.
Match = Literal["auto", "email", "external", "linkedin", "none"]
Changing = Literal["updated", "created", "unchanged"]
Keeping = Literal["theirs", "ours", "newer", "never"]


def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV, TSV, XLSX, XLS, ODS, Parquet, JSON lines; .gz .zst .zip.")
    ],
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=HEADER", help="Read FIELD from this header; FIELD= from none."),
    ] = None,
    skipped: Annotated[
        list[str] | None,
        typer.Option(
            "--skip",
            metavar="HEADER",
            help="Leave this column out; what no field takes is else kept in extra. It stays in the stored file.",
        ),
    ] = None,
    by_mapping: Annotated[
        str | None,
        typer.Option("--mapping", metavar="NAME", help="Map as this mapping says: see `appointment360 mappings`."),
    ] = None,
    match: Annotated[
        Match | None,
        typer.Option(help="What makes a row an existing contact.", show_default="auto, or as remembered"),
    ] = None,
    keep: Annotated[
        Keeping | None,
        typer.Option(
            help="Whose value stays where file and contact differ: the file's (theirs), ours (only blanks are filled), "
            "that of the newer one, or never the file's (no blank is filled either).",
            show_default="theirs, or as remembered",
        ),
    ] = None,
    keep_field: Annotated[
        list[str] | None,
        typer.Option("--keep-field", metavar="FIELD=POLICY", help="Another policy for one field. Repeatable."),
    ] = None,
    dated_by: Annotated[
        str | None,
        typer.Option(
            "--dated-by",
            metavar="HEADER",
            help="When a row was changed, for “newer”; “” takes the moment of the file, as where no header says so.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, show the plan, and write nothing.")] = False,
    yes: Yes = False,
    accepted: Annotated[
        str | None,
        typer.Option(
            "--accept-drift",
            metavar="REASON",
            help="Commit also what stands out beside earlier imports, for this reason; it is kept.",
        ),
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Import a file, after showing you what that would do.

    A file with the columns of an earlier one is mapped as that one was; --map, --skip, --match and --keep still count.
    """
    mapping = _mapping(mapped or [])
    keeping = [_field_policy(pair) for pair in keep_field or []]
    with local.connected():
        from models import mappings
        from models.contacts import policies
        from models.imports import Keep, MatchRule, Recall, State
        from pipelines import import_contacts

        kept = [(name, Keep(policy)) for name, policy in keeping]
        wanted = mappings.named(by_mapping, by=OPERATOR).id if by_mapping else None
        rules = {"match": match, "keep": keep, "keep_fields": keep_field, "dated_by": dated_by}
        fixed = tuple(name for name, given in rules.items() if given is not None)
        with output.progress() as progress:
            import_id = import_contacts.create(
                file.expanduser().absolute(), mapping=mapping, left_out=skipped or [],
                match=MatchRule(match or "auto"), keep=Keep(keep or "theirs"),
                keep_fields=policies.fields_named(kept), dated_by=dated_by, recall=Recall(wanted, fixed), by=OPERATOR,
            )  # fmt: skip
            with _resumable(import_id), _forgotten_where_refused(import_id):
                found = import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR, progress=progress)
        if found.state == State.PLANNED:
            import_report.show_plan(found)
            if not dry_run and (yes or (output.asks() and output.confirmed(QUESTION))):
                cli_drift.accept_what_stands_out(import_id, accepted)
                found = _committed(import_id)
        _show_outcome(found)


@group.command("list")
def latest(as_json: Json = False, home: Home = None) -> None:
    """The latest imports, newest first."""
    with local.connected():
        from models import imports

        listed, _ = imports.page(number=1, size=LISTED, by=OPERATOR)
        found = [one.import_ for one in listed]
        if output.is_json():
            output.answer({"imports": [imports.numbers(one) | {"file_name": one.file_name} for one in found]})
            return
        stands = [_stands(one) for one in listed]
    headers = ["id", "when", "file", "state", "created", "updated", "rejected"]  # what 80 columns hold unwrapped
    rows = [
        (str(one.id), one.created_at, one.file_name, state, *_happened(one))
        for one, state in zip(found, stands, strict=True)
    ]
    output.table(headers, rows, numbers={*headers} - {"file"}, cut=["file"])


@group.command()
def show(import_id: ImportId, as_json: Json = False, home: Home = None) -> None:
    """One import: its numbers, changes, warnings and checks."""
    with local.connected():
        from models import imports

        found = imports.get(import_id, by=OPERATOR)
        if output.is_json():
            output.answer(imports.numbers(found) | cli_drift.told(import_id))
        else:
            import_report.show_plan(found)
            import_report.show_outcome(found)


@group.command()
def rejects(
    import_id: ImportId,
    target: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write a CSV file to mend and import again.")
    ] = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="The rows that mean the contact of another row of the file, instead.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """The refused rows, each with its reason.

    With line, column, value, and the cells as they came. Without -o: a table on a terminal, the CSV itself in a pipe.
    """
    kind = "duplicate" if duplicates else "rejected"
    with local.connected():
        from models import import_rejects, imports
        from pipelines import import_contacts

        imports.get(import_id, by=OPERATOR)
        if target is not None:
            path = target.expanduser().absolute()
            number = import_contacts.write_rejects(import_id, path, by=OPERATOR, kind=kind)
            found = {"import_id": import_id, kind: number, "path": str(path)}
            output.answer_or_say(found, f"{number:,} {kind} rows in {path}")
        elif output.is_json():
            listed = [_reject(one) for one in import_rejects.rows(import_id, by=OPERATOR, kind=kind)]
            output.answer({"import_id": import_id, "rejects": listed})
        elif sys.stdout.isatty():
            import_report.show_rejects(import_rejects.rows(import_id, by=OPERATOR, kind=kind), kind)
        else:
            import_contacts.write_rejects(import_id, sys.stdout, by=OPERATOR, kind=kind)


group.command()(cli_drift.accept)


@group.command()
def changes(
    import_id: ImportId,
    changing: Annotated[
        str | None, typer.Option("--field", metavar="F", help="Only the rows that change this field, or extra.")
    ] = None,
    kind: Annotated[Changing, typer.Option(help="Which number of the plan to look behind.")] = "updated",
    first: Annotated[int, typer.Option("--first", metavar="N", min=1, help="Show so many rows on a terminal.")] = 50,
    target: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write all of them to a CSV file.")
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """The rows behind the numbers of a plan: line, contact, old and new value.

    Of a committed import: what it wrote. Without -o: a table on a terminal, the CSV itself in a pipe.
    """
    with local.connected():
        from models import import_changes, imports
        from pipelines import import_rejects

        which = import_changes.Kind(kind)
        if target is not None:
            path = target.expanduser().absolute()
            number = import_rejects.write_changes(import_id, path, kind=which, changing=changing, by=OPERATOR)
            found = {"import_id": import_id, "kind": kind, "field": changing, "lines": number, "path": str(path)}
            output.answer_or_say(found, f"{output.counted(number, 'line')} in {path}")
        elif output.is_json():
            rows = import_changes.rows(import_id, kind=which, changing=changing, by=OPERATOR)
            output.answer({"import_id": import_id, "kind": kind, "rows": [_change(one) for one in rows]})
        elif sys.stdout.isatty():
            listed, total = import_changes.page(import_id, kind=which, changing=changing, size=first, by=OPERATOR)
            asked = (f" --field {changing}" if changing else "") + (f" --kind {kind}" if kind != "updated" else "")
            import_report.show_changes(import_id, listed, total, options=asked)
            if imports.get(import_id, by=OPERATOR).state == imports.State.PLANNED:
                output.note("Old is what the contacts hold now. A plan that they have left behind is not committed.")
        else:
            import_rejects.write_changes(import_id, sys.stdout, kind=which, changing=changing, by=OPERATOR)


@group.command()
def moved(
    import_id: ImportId,
    first: Annotated[int, typer.Option("--first", metavar="N", min=1, help="Show so many rows on a terminal.")] = 50,
    target: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write all of them to a CSV file.")
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """The rows of which the plan held no longer, since contacts changed.

    With what the plan said, and what it would say now. `imports resume` goes on with a new plan.
    """
    with local.connected():
        from models import import_changes
        from pipelines import import_rejects

        if target is not None:
            path = target.expanduser().absolute()
            number = import_rejects.write_moved(import_id, path, by=OPERATOR)
            found = {"import_id": import_id, "lines": number, "path": str(path)}
            output.answer_or_say(found, f"{output.counted(number, 'line')} in {path}")
        elif not output.is_json() and not sys.stdout.isatty():
            import_rejects.write_moved(import_id, sys.stdout, by=OPERATOR)
        else:
            listed, total = import_changes.moved(import_id, after=-1, size=first, by=OPERATOR)
            if output.is_json():
                output.answer({"import_id": import_id, "moved": total, "rows": [_moved(one) for one in listed]})
            else:
                import_report.show_moved(import_id, listed, total)


@group.command()
def undo(import_id: ImportId, yes: Yes = False, as_json: Json = False, home: Home = None) -> None:
    """Take an import back.

    What it created is removed, what it updated is restored; what somebody changed since is kept, value by value.
    """
    with local.connected():
        from models import imports
        from pipelines import import_contacts

        found = imports.get(import_id, by=OPERATOR)
        if output.asks() and not yes:
            what = f"{found.file_name}, {found.created:,} created, {found.updated:,} updated"
            if not output.confirmed(f"Take import {import_id} back ({what})?"):
                output.say("Nothing was changed.")
                return
        done = import_contacts.undo(import_id, by=OPERATOR)
    output.answer_or_say(
        {"import_id": import_id, **done},
        f"Import {import_id} is taken back: {done['removed']:,} contacts removed, {done['restored']:,} restored, "
        f"{done['kept']:,} kept because they were changed since.",
    )
    import_report.after_undo(import_id, done["kept"], again="redo")


@group.command()
def redo(import_id: ImportId, yes: Yes = False, as_json: Json = False, home: Home = None) -> None:
    """Undo the undo of an import.

    What the undo removed comes back, what it restored is changed again; what somebody changed since is kept.
    """
    with local.connected():
        from models import imports
        from pipelines import import_contacts

        found = imports.get(import_id, by=OPERATOR)
        if output.asks() and not yes and not output.confirmed(f"Bring import {import_id} back ({found.file_name})?"):
            output.say("Nothing was changed.")
            return
        done = import_contacts.redo(import_id, by=OPERATOR)
    output.answer_or_say(
        {"import_id": import_id, **done},
        f"Import {import_id} is brought back: {done['returned']:,} contacts are here again, {done['restored']:,} "
        f"changed again, {done['kept']:,} kept because they were changed since.",
    )
    import_report.after_undo(import_id, done["kept"], again="undo")


@group.command()
def kept(
    import_id: ImportId,
    target: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write a CSV file.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """The contacts that the last undo, or redo, left as they were.

    With the fields, who changed them when, and what they would have gone back to. Without -o: a table on a terminal,
    the CSV itself in a pipe.
    """
    with local.connected():
        from models import import_kept, imports
        from pipelines import import_contacts

        imports.get(import_id, by=OPERATOR)
        if target is not None:
            path = target.expanduser().absolute()
            lines = import_contacts.write_kept(import_id, path, by=OPERATOR)
            told = {"import_id": import_id, "lines": lines, "path": str(path)}
            output.answer_or_say(told, f"{output.counted(lines, 'line')} in {path}")
        elif output.is_json():
            listed = [import_report.kept(one) for one in import_kept.rows(import_id, by=OPERATOR)]
            output.answer({"import_id": import_id, "kept": listed})
        elif sys.stdout.isatty():
            import_report.show_kept(import_id)
        else:
            import_contacts.write_kept(import_id, sys.stdout, by=OPERATOR)


@group.command()
def cancel(import_id: ImportId, yes: Yes = False, as_json: Json = False, home: Home = None) -> None:
    """Cancel an import that is not committed; one that runs is stopped.

    Nothing of it is written and its file is removed; its line in the list stays.
    """
    with local.connected():
        from models import import_orders, imports

        found = imports.get(import_id, by=OPERATOR)
        if output.asks() and not yes and not output.confirmed(f"Cancel import {import_id} ({found.file_name})?"):
            output.say("Nothing was changed.")
            return
        import_orders.cancel(import_id, by=OPERATOR)
        cleared = imports.get(import_id, by=OPERATOR).state == imports.State.CANCELLED
    said = "is cancelled" if cleared else "is being stopped, which takes some seconds"
    answer = {"import_id": import_id, "state": "cancelled" if cleared else "stopping"}
    output.answer_or_say(answer, f"Import {import_id} {said}: nothing of it is written.")


@group.command()
def resume(import_id: ImportId, yes: Yes = False, as_json: Json = False, home: Home = None) -> None:
    """Go on with an import where it stopped, and commit it.

    On a terminal it shows the plan and asks first.
    """
    with local.connected():
        from models import imports
        from models.imports import State

        state = imports.get(import_id, by=OPERATOR).state
        if state in (State.COMMITTED, State.UNDONE, State.CANCELLED):
            again = f" To bring it back: appointment360 imports redo {import_id}" if state == State.UNDONE else ""
            raise Conflict(f"Import {import_id} is {state} already: there is nothing to go on with.{again}")
        if output.asks() and not yes:
            found = _run(import_id, until=State.PLANNED)
            import_report.show_plan(found)
            if not output.confirmed(QUESTION):
                _show_outcome(found)
                return
            cli_drift.accept_what_stands_out(import_id, None)
        _show_outcome(_committed(import_id))


def _committed(import_id: int) -> Import:
    from models.imports import State

    return _run(import_id, until=State.COMMITTED)


def _run(import_id: int, *, until: State) -> Import:
    from pipelines import import_contacts

    with output.progress() as progress, _resumable(import_id):
        return import_contacts.run(import_id, until=until, by=OPERATOR, progress=progress)


def _show_outcome(found: Import) -> None:
    from models import imports

    if output.is_json():
        output.answer(imports.numbers(found))
    else:
        import_report.show_outcome(found)


def _stands(listed: Listed) -> str:
    """Its state, or what is more than that: that it runs, waits for a process, or lost it in the middle."""
    from models import import_phases
    from models.import_phases import Phase

    phase = import_phases.phase(listed)
    told = (Phase.UPLOADING, Phase.WAITING, Phase.RUNNING, Phase.STOPPING, Phase.STOPPED)
    return phase if phase in told else listed.import_.state


def _happened(found: Import) -> tuple[int | None, ...]:
    """Created, updated and rejected; of what is only planned, or was cancelled, nothing."""
    from models.imports import State

    if found.state not in (State.COMMITTED, State.UNDONE):
        return None, None, None
    return found.created, found.updated, found.rejected


@contextmanager
def _resumable(import_id: int) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        output.note(f"Import {import_id} goes on where it stopped with: appointment360 imports resume {import_id}")
        raise


@contextmanager
def _forgotten_where_refused(import_id: int) -> Iterator[None]:
    """An option that does not fit the file ends the import with it: nobody could go on with one that was never read."""
    from models import import_orders, imports

    try:
        yield
    except InvalidInput:
        if imports.get(import_id, by=OPERATOR).state == imports.State.NEW:
            import_orders.cancel(import_id, by=OPERATOR)
        raise


def _mapping(pairs: list[str]) -> dict[str, str]:
    """{field: header}; an empty header leaves the field unmapped."""
    mapping = {}
    for pair in pairs:
        field, equals, header = pair.partition("=")
        if not equals or not field.strip():
            raise typer.BadParameter(f"“{pair}” is no mapping: write FIELD=HEADER, for example email=Mail.")
        if field.strip() in mapping:
            raise typer.BadParameter(f"{field.strip()} is mapped twice.")
        mapping[field.strip()] = header
    return mapping


def _field_policy(pair: str) -> tuple[str, str]:
    name, equals, policy = (part.strip() for part in pair.partition("="))
    known = get_args(Keeping)
    if not equals or not name or policy not in known:
        raise typer.BadParameter(
            f"“{pair}” is no policy of a field: write FIELD=POLICY, for example title=ours. Policies are: "
            f"{', '.join(known)}."
        )
    return name, policy


def _reject(one: Any) -> dict[str, Any]:
    found = {"line": one.line, "column": one.header, "value": one.value, "reason": one.reason, "cells": one.cells}
    return found | {"contacts": one.contacts, "other_line": one.other_line}


def _change(one: Any) -> dict[str, Any]:
    values = [{"field": value.name, "old": value.old, "new": value.new} for value in one.values]
    return {"line": one.line, "contact": one.contact, "name": one.name, "values": values}


def _moved(one: Any) -> dict[str, Any]:
    from models import import_changes

    differs = [{"field": name or None, "said": was, "now": now} for name, was, now in import_changes.told(one)]
    return {"line": one.line, "name": one.name, "contact": one.now.contact or one.was.contact, "differs": differs}
