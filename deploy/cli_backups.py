"""`appointment360 backup | backups | drill | restore`: copies of everything, proven by restoring them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from deploy import cli_recovery, local, output
from deploy.cli_options import Home, Json, Yes
from models.permissions import OPERATOR

group = typer.Typer(help="Back up everything; `key new` makes the key.", invoke_without_command=True)
key_group = typer.Typer(help="The key that opens the backups.", no_args_is_help=True)
group.add_typer(key_group, name="key")
KeyFile = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The key's file, if it is another one.")]


@group.callback()
def backup(
    context: typer.Context,
    no_drill: Annotated[bool, typer.Option("--no-drill", help="Do not restore and compare it afterwards.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Back up everything, and prove that by a drill: restored into a database of its own, and compared.

    It goes to APPOINTMENT360_BACKUP_TO, a folder or s3://BUCKET/PREFIX; else to the home's folder “backups”.
    """
    if context.invoked_subcommand is not None:
        return
    with local.connected():
        from pipelines import back_up, backup_key

        new = backup_key.wanted()[1]
        if new:
            output.note(f"The backups' key was made: {backup_key.path()}. {backup_key.LOSING_IT}")
        with output.progress() as progress:
            made = back_up.make(by=OPERATOR, say=_told(progress), drilled=None if not no_drill else False)
    answer = {"backup_id": made.id, "bytes": made.bytes, "proven": made.proven}
    size = output.bytes_shown(made.bytes or 0)
    rows = output.counted(made.rows or 0, "row")
    where = f"in {made.place} as {made.name}"
    output.answer_or_say(answer, f"Backup {made.id} is {made.standing}: {rows}, {size}, {where}.")
    for one in made.differences or []:
        output.note(one)


@key_group.callback()
def key_everything() -> None:
    """The key that opens the backups."""


@key_group.command("new")
def key_new(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to; else the home's backup.key.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make a key. Whoever has its file opens the backups; without it nobody does."""
    from pipelines import backup_key

    local.prepared_home()
    key, path = backup_key.make(file and file.expanduser().absolute())
    output.answer_or_say({"path": str(path), "key": key.name}, f"The key is in {path}. {backup_key.LOSING_IT}")


class _Unsaid(typer.BadParameter):
    """An option that is missing: no value is invalid."""

    def format_message(self) -> str:
        return self.message


def listed(as_json: Json = False, home: Home = None) -> None:
    """List the backups, newest first."""
    with local.connected():
        from models import backup_alerts, backups

        found = backups.listed(by=OPERATOR)
        alerts = backup_alerts.health(by=OPERATOR).alerts
        steps = backups.at_work(by=OPERATOR)
    if output.is_json():
        output.answer({"backups": [backups.numbers(one) for one in found], "alerts": alerts})
        return
    rows = {
        "backup": [one.id for one in found],
        "when": [one.created_at for one in found],
        "state": [one.shown(steps) for one in found],
        "size": [_size(one.bytes) for one in found],
        "rows": [one.rows for one in found],
        "restore": [_seconds(one.drill_seconds) for one in found],
        "name": [one.name for one in found],
    }
    if len({one.place for one in found}) > 1:
        rows["place"] = [one.place for one in found]
    if any(one.fault for one in found):
        rows["why"] = [one.fault for one in found]
    words = [one for one in ("name", "why", "place") if one in rows]
    output.table(
        list(rows), list(zip(*rows.values(), strict=True)), numbers=["backup", "when", "size", "rows", "restore"],
        cut=words, spare=words,
    )  # fmt: skip
    for one in alerts:
        output.say(one)
    if not found:
        output.note("To make one: appointment360 backup")


def drill(
    backup_id: Annotated[int | None, typer.Argument(metavar="[ID]", help="A backup's number; else the last.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Prove a backup: restore it into a database of its own, compare, and drop that again."""
    with local.connected():
        from models import backups
        from pipelines import drill as drills

        chosen = backup_id if backup_id is not None else backups.newest_done(by=OPERATOR).id
        with output.progress() as progress:
            found = drills.run(chosen, by=OPERATOR, say=_told(progress))
    matches = not found.differences
    answer = {"backup_id": chosen, "matches": matches, "tables": found.tables, "rows": found.rows,
              "seconds": round(found.seconds, 1)}  # fmt: skip
    what = f"{output.counted(found.tables, 'table')}, {output.counted(found.rows, 'row')}"
    verdict = "is proven" if matches else "differs"
    output.answer_or_say(answer, f"Backup {chosen} {verdict}: {what}, restored in {found.seconds:.1f} s.")
    for one in found.differences:
        output.note(one)
    if not matches:
        raise typer.Exit(1)


def restore(
    into: Annotated[
        str,
        typer.Option(
            "--into",
            metavar="URL",
            help="An empty database: postgresql://user@host/name; “-” reads it from stdin. With --at a folder.",
        ),
    ],
    backup: Annotated[str | None, typer.Argument(metavar="[ID]", help="A backup's number, or its name.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Not a backup, but this server as it was at that time.")
    ] = None,
    place: Annotated[
        str | None,
        typer.Option("--from", metavar="PLACE", help="Of a name, or of --at: the folder or s3:// prefix."),
    ] = None,
    files: Annotated[
        Path | None, typer.Option("--files", metavar="DIR", help="A new folder for the uploads and exports.")
    ] = None,
    key: KeyFile = None,
    yes: Yes = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Restore a backup into an empty database, and compare it with what was backed up.

    The stored files go to --files, in the layout of a home; without it they are left out.

    With --at the embedded server is restored to a moment into a new home, the folder --into, from its archived log:
    APPOINTMENT360_POINT_IN_TIME=true archives it.
    """
    if (backup is None) == (at is None):
        raise typer.BadParameter("Name the backup to restore, or a moment with --at.")
    if at is not None:
        if files is not None:
            raise typer.BadParameter("--files goes with a backup: bases hold the database alone.")
        cli_recovery.restore_to(at, Path(into), place, key)
        return
    assert backup is not None
    if not yes and not (output.asks() and output.confirmed(f"Restore backup {backup} into that database?")):
        raise _Unsaid("Nothing was restored: say --yes.")
    if into == "-":  # others see what a command line says
        into = sys.stdin.readline().strip()
    target = files.expanduser().absolute() if files else None
    if backup.isdecimal():
        with local.connected():
            _restored(int(backup), None, into, target, key)
    elif place is None:
        raise typer.BadParameter("A backup's name takes --from PLACE, where it lies.")
    else:
        local.prepared_home()
        _restored(None, (backup, place), into, target, key)


def _restored(
    backup_id: int | None, named: tuple[str, str] | None, into: str, files: Path | None, key: Path | None
) -> None:
    from pipelines import restore_backup

    with output.progress() as progress:
        say = _told(progress, restore="Restoring it")
        if named is None:
            assert backup_id is not None
            found = restore_backup.run(backup_id, into, files=files, key_file=key, by=OPERATOR, say=say)
        else:
            found = restore_backup.run_named(*named, into, files=files, key_file=key, say=say)
    answer = {"backup_id": backup_id, "name": found.name, "matches": not found.differences, "tables": found.tables,
              "rows": found.rows, "files": found.files, "seconds": round(found.seconds, 1),
              "differences": found.differences, "roles_left_out": found.without}  # fmt: skip
    same = "the same as was backed up" if not found.differences else "not the same as was backed up"
    what = f"{output.counted(found.tables, 'table')}, {output.counted(found.rows, 'row')}"
    output.answer_or_say(answer, f"{found.name} is restored in {found.seconds:.1f} s: {what}, {same}.")
    if found.files:
        where = f"In {files}" if files else "Left out, which --files DIR takes"
        output.note(f"{where}: {output.counted(found.files, 'stored file')}.")
    if found.without:
        output.note(f"Left out, as the server has no such roles: grants and ownership of {', '.join(found.without)}.")
    for one in found.differences:
        output.note(one)
    if found.differences:
        raise typer.Exit(1)


def _told(progress: output.Progress, **other: str) -> Callable[[str], None]:
    """What is called with the name of each step: it is told in words, which `other` may have others for."""
    from models import backups

    words = backups.STEPS | other
    return lambda step: progress(words[step], 0, None)


def _size(number: int | None) -> str | None:
    return None if number is None else output.bytes_shown(number)


def _seconds(number: float | None) -> str | None:
    return None if number is None else f"{number:.1f} s"
