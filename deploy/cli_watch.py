"""`appointment360 watch`: folders and S3 prefixes whose new files become imports by schedule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import local, output
from deploy.cli_imports import Keeping, Match
from deploy.cli_options import Home, Json, Yes
from models.errors import Unavailable
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.watched_files import Seen
    from models.watched_folders import Folder, Watching

group = typer.Typer(help="Watch folders and S3 prefixes, and import what comes into them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or its number in the list.")]
Schedule = Annotated[
    str | None,
    typer.Option(metavar="CRON", help="hour, day, weekday, week, month, or five fields of cron: “*/5 * * * *”."),
]
Pattern = Annotated[str | None, typer.Option("--pattern", metavar="PATTERN", help="Of file names, such as “*.csv”.")]
Zone = Annotated[str | None, typer.Option("--time-zone", metavar="ZONE", help="Of the schedule: Europe/Berlin.")]
ByMapping = Annotated[
    str | None,
    typer.Option("--mapping", metavar="NAME", help="Map by this mapping; “remembered”: as the last such file."),
]
Commits = Annotated[
    bool | None,
    typer.Option("--commit/--plan", help="Write what the plan says, or stop at the plan.", show_default="--plan"),
]
Mail = Annotated[str | None, typer.Option(metavar="EMAIL", help="Who gets the outcomes; “none” for nobody.")]


@group.command("list")
def everything(as_json: Json = False, home: Home = None) -> None:
    """The watched folders."""
    with local.connected():
        from models import watched_folders

        found = watched_folders.listed(by=OPERATOR)
    if output.is_json():
        output.answer({"folders": [_described(one) for one in found]})
        return
    if not found:
        output.say("No folder is watched. Watch one: appointment360 watch add NAME PLACE")
        return
    headers = ["id", "name", "place", "looked at", "files", "state"]
    rows = [(one.id, one.watching.name, one.watching.address, one.looked_at, one.files, _state(one)) for one in found]
    output.table(headers, rows, numbers=["id", "looked at", "files"], cut=["place"])


@group.command()
def show(name: Name, as_json: Json = False, home: Home = None) -> None:
    """One watched folder, and its last files with what became of them."""
    with local.connected():
        from models import watched_files, watched_folders

        found = watched_folders.named(name, by=OPERATOR)
        files = watched_files.of_folder(found.id, by=OPERATOR)
    _show(found, files)


@group.command()
def add(
    name: Name,
    place: Annotated[str, typer.Argument(metavar="PLACE", help="A folder, or s3://BUCKET/PREFIX.")],
    schedule: Schedule = "*/5 * * * *",
    pattern: Pattern = None,
    time_zone: Zone = None,
    by_mapping: ByMapping = None,
    match: Annotated[Match | None, typer.Option(help="What makes a row an existing contact.")] = None,
    keep: Annotated[Keeping | None, typer.Option(help="Whose value stays where both have one.")] = None,
    commits: Commits = None,
    mail: Mail = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Watch a folder. Each file is imported once by its content, also when it is renamed.

    A file that is still growing waits for the next look. With --commit a file is written where its columns are known
    from a mapping or an earlier import; else it waits for you, as it does without.
    """
    with local.connected():
        from models import watched_folders

        begun = watched_folders.Watching(name, _place(place), schedule or "")
        folder_id = watched_folders.add(
            _changed(begun, schedule, pattern, time_zone, by_mapping, match, keep, commits, mail), by=OPERATOR
        )
        found = watched_folders.get(folder_id, by=OPERATOR)
    output.answer_or_say(_described(found), f"“{found.watching.name}” is watched: {found.schedule}.")


@group.command("set")
def change(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="What it is called from now on.")] = None,
    place: Annotated[
        str | None, typer.Option("--place", metavar="PLACE", help="A folder, or s3://BUCKET/PREFIX.")
    ] = None,
    schedule: Schedule = None,
    pattern: Pattern = None,
    time_zone: Zone = None,
    by_mapping: ByMapping = None,
    match: Annotated[Match | None, typer.Option(help="What makes a row an existing contact.")] = None,
    keep: Annotated[Keeping | None, typer.Option(help="Whose value stays where both have one.")] = None,
    commits: Commits = None,
    mail: Mail = None,
    active: Annotated[
        bool | None, typer.Option("--active/--paused", help="Go on, or pause.", show_default=False)
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Watch it otherwise from now on, with the operator's rights."""
    with local.connected():
        from models import watched_folders

        found = watched_folders.named(name, by=OPERATOR)
        now = found.watching
        wanted = replace(now, name=new_name or now.name, address=_place(place) if place else now.address)
        wanted = _changed(wanted, schedule, pattern, time_zone, by_mapping, match, keep, commits, mail)
        if wanted != now:
            watched_folders.change(found.id, wanted, by=OPERATOR)
        if active is not None:
            watched_folders.activate(found.id, active, by=OPERATOR)
        found = watched_folders.get(found.id, by=OPERATOR)
    output.answer_or_say(_described(found), f"“{found.watching.name}”: {_state(found)}, {found.schedule}.")


@group.command()
def remove(name: Name, yes: Yes = False, as_json: Json = False, home: Home = None) -> None:
    """Watch it no more. What came of it stays."""
    with local.connected():
        from models import watched_folders

        found = watched_folders.named(name, by=OPERATOR)
        called = f"“{found.watching.name}”"
        if output.asks() and not yes and not output.confirmed(f"Stop watching {called} ({found.watching.address})?"):
            output.say("Nothing was changed.")
            return
        watched_folders.remove(found.id, by=OPERATOR)
    output.answer_or_say({"folder_id": found.id, "removed": True}, f"{called} is watched no more.")


@group.command()
def look(name: Name, as_json: Json = False, home: Home = None) -> None:
    """Look at it now. The imports of new files are carried out by `up`, or with `imports resume ID`."""
    with local.connected():
        from models import watched_folders
        from pipelines import watch_folders

        found = watched_folders.named(name, by=OPERATOR)
        looked = watch_folders.look(found.id)
        if looked is None:
            raise Unavailable(f"Another process is looking at “{found.watching.name}” just now.")
        if looked.error:
            raise Unavailable(looked.error)
    numbers = {"known": looked.known, "growing": looked.growing, "failed": looked.failed}
    told = ", ".join(f"{number:,} {word}" for word, number in numbers.items())
    new = f"New imports: {', '.join(map(str, looked.imports))}" if looked.imports else "Nothing new"
    output.answer_or_say({"folder_id": found.id, "imports": looked.imports, **numbers}, f"{new} ({told}).")
    if looked.growing:
        output.note("A file counts as growing until a second look finds it as the first did: look again.")


def _changed(
    begun: Watching,
    schedule: str | None,
    pattern: str | None,
    time_zone: str | None,
    by_mapping: str | None,
    match: str | None,
    keep: str | None,
    commits: bool | None,
    mail: str | None,
) -> Watching:
    """With what was given in place of what was."""
    from models import mappings

    mapping_id = begun.mapping_id
    if by_mapping:
        mapping_id = None if by_mapping == "remembered" else mappings.named(by_mapping, by=OPERATOR).id
    given = {name: value for name, value in (("match", match), ("keep", keep)) if value}
    return replace(
        begun,
        schedule=schedule or begun.schedule,
        pattern=pattern or begun.pattern,
        time_zone=time_zone or begun.time_zone,
        mapping_id=mapping_id,
        rules={**begun.rules, **given},
        commits=begun.commits if commits is None else commits,
        mail_to=begun.mail_to if mail is None else (None if mail == "none" else mail),
    )


def _place(text: str) -> str:
    """A folder may be named from where one stands."""
    return text if "://" in text else str(Path(text).expanduser().absolute())


def _state(one: Folder) -> str:
    if not one.is_active:
        return "paused"
    return one.error or ("commits by itself" if one.watching.commits else "stops at the plan")


def _show(found: Folder, files: list[Seen]) -> None:
    if output.is_json():
        output.answer(_described(found) | {"seen": [_file(one) for one in files]})
        return
    now = found.watching
    output.say(f"Watched folder {found.id}: {now.name}", style="bold")
    output.say(f"{now.address}, files called {now.pattern}. {found.schedule}. {_state(found).capitalize()}.")
    output.say(f"Mapped by: {found.mapping or 'what is remembered for the columns'}. Mails: {now.mail_to or 'none'}.")
    rows = [
        (one.import_id, one.seen_at, one.name, one.outcome, one.created, one.updated, one.rejected) for one in files
    ]
    headers = ["import", "seen", "file", "outcome", "created", "updated", "rejected"]
    if rows:
        output.table(headers, rows, numbers={*headers} - {"file", "outcome"}, cut=["file"], spare=["seen"])
    for one in files:
        if one.error:
            output.say(f"{one.name}: {one.error}")


def _described(one: Folder) -> dict[str, Any]:
    now = one.watching
    return {
        "folder_id": one.id,
        "name": now.name,
        "place": now.address,
        "pattern": now.pattern,
        "schedule": now.schedule,
        "time_zone": now.time_zone,
        "mapping": one.mapping,
        "rules": dict(now.rules),
        "commits": now.commits,
        "mail": now.mail_to,
        "owner": one.owner or OPERATOR.name,
        "active": one.is_active,
        "next_look": one.next_look.isoformat(),
        "looked_at": one.looked_at and one.looked_at.isoformat(),
        "error": one.error,
        "files": one.files,
    }


def _file(one: Seen) -> dict[str, Any]:
    names = ("name", "size", "import_id", "outcome", "error", "created", "updated", "rejected")
    return {name: getattr(one, name) for name in names} | {"seen_at": one.seen_at.isoformat()}
