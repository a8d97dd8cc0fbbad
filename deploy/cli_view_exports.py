"""`appointment360 views schedule`, `schedules`, `unschedule`, `pause` and `run`: exports of a view by schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from deploy import local, output
from deploy.cli_options import AsUser, Home, Json, actor
from models.errors import Conflict, NotFound

if TYPE_CHECKING:
    from models.permissions import Actor
    from models.view_exports import Schedule

Name = Annotated[str, typer.Argument(metavar="NAME", help="The view's name, in any capitals.")]
Number = Annotated[int | None, typer.Option("--id", min=1, help="Which, where the view has several schedules.")]


def schedule(
    name: Name,
    every: Annotated[
        str, typer.Option(metavar="WORD|CRON", help="hour, day, weekday, week, month, or a cron: “30 7 * * 1-5”.")
    ],
    to: Annotated[str, typer.Option("--to", metavar="PLACE", help="A folder, or s3://BUCKET/PREFIX.")],
    file_format: Annotated[Literal["csv", "xlsx", "parquet", "jsonl"], typer.Option("--format")] = "csv",
    file_name: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="With {view}, {date}, {time} in it; without a moment it is replaced."),
    ] = None,
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="Europe/Berlin, or UTC.")] = "UTC",
    mails: Annotated[Literal["always", "failure"], typer.Option(help="When its owner is mailed.")] = "always",
    as_user: AsUser = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Export a view by schedule, with the rights and credits of who sets it up.

    Places are below the folders and s3:// prefixes that
    APPOINTMENT360_EXPORT_ROOTS names. It runs beside `up`.
    """
    with local.connected():
        from models import view_exports, views

        by = actor(as_user)
        hourly = every.strip().lower() == "hour"
        pattern = file_name or ("{view} {date} {time}" if hourly else view_exports.NAME)
        wanted = view_exports.Wanted(every, to, file_format, pattern, time_zone, mails)
        number = view_exports.schedule(views.find(name, by=by).id, wanted, by=by)
        found = next(one for one in view_exports.listed(by=by) if one.id == number)
    said = f"“{found.view}” is exported to {found.wanted.place}. {found.sentence}; next {output.shown(found.next_at)}."
    output.answer_or_say(_described(found), said)


def schedules(as_user: AsUser = None, as_json: Json = False, home: Home = None) -> None:
    """List the exports of views by schedule, with how each went last."""
    with local.connected():
        from models import view_exports

        found = view_exports.listed(by=actor(as_user))
    if output.is_json():
        output.answer({"schedules": [_described(one) for one in found]})
        return
    if not found:
        output.say("No view is exported by schedule: views schedule sets one up.")
        return
    rows = [(str(one.id), one.view, one.sentence, one.wanted.place, _state(one)) for one in found]
    output.table(["id", "view", "when", "place", "last"], rows, numbers=["id"], cut=["place", "last"], spare=["place"])


def unschedule(
    name: Name, number: Number = None, as_user: AsUser = None, as_json: Json = False, home: Home = None
) -> None:
    """End a schedule; its files and receipts stay."""
    with local.connected():
        from models import view_exports

        by = actor(as_user)
        found = _one(name, number, by)
        view_exports.unschedule(found.id, by=by)
    answer = {"schedule_id": found.id, "view": found.view, "ended": True}
    output.answer_or_say(answer, f"“{found.view}” is exported to {found.wanted.place} no more.")


def pause(
    name: Name,
    off: Annotated[bool, typer.Option("--off", help="Let it go on, with its next moment.")] = False,
    number: Number = None,
    as_user: AsUser = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Let a schedule rest; --off lets it go on."""
    with local.connected():
        from models import view_exports

        by = actor(as_user)
        found = _one(name, number, by)
        view_exports.pause(found.id, not off, by=by)
        found = next(one for one in view_exports.listed(by=by) if one.id == found.id)
    goes_on = f"goes on: next {output.shown(found.next_at)}."
    output.answer_or_say(_described(found), f"“{found.view}” {goes_on if found.active else 'rests.'}")


def run(name: Name, number: Number = None, as_user: AsUser = None, as_json: Json = False, home: Home = None) -> None:
    """Export a view by its schedule once now, beside its moments."""
    with local.connected():
        from pipelines import export_views

        by = actor(as_user)
        found = _one(name, number, by)
        done = export_views.run_now(found.id, by=by)
    answer = {"schedule_id": found.id, "view": found.view, "state": done.state, "file": done.file_name}
    waits = "waits for another process, and comes within a minute"
    output.answer_or_say(answer, f"“{found.view}” {f'is in {done.file_name}' if done.file_name else waits}.")


def _one(name: str, number: int | None, by: Actor) -> Schedule:
    """Raises NotFound, Conflict where it is not clear which is meant."""
    from models import view_exports, views

    every = view_exports.listed(by=by)
    found = [one for one in every if views.key_of(one.view) == views.key_of(name) and number in (None, one.id)]
    if not found:
        views.find(name, by=by)  # with a guess, where there is no such view
        raise NotFound(f"The view “{name}” has no such schedule: views schedules lists those that there are.")
    if len(found) > 1:
        ids = " or ".join(f"--id {one.id}" for one in found)
        raise Conflict(f"The view “{found[0].view}” has {len(found)} schedules: say which with {ids}.")
    return found[0]


def _state(one: Schedule) -> str:
    if one.rests:
        return "its view is deleted"
    if not one.active:
        return "rests"
    if one.last is None:
        return "–"
    return f"failed: {one.last.error}" if one.last.error else f"done {output.shown(one.last.finished_at)}"


def _described(one: Schedule) -> dict[str, Any]:
    wanted = one.wanted
    last = one.last and {
        "due": one.last.due_at.isoformat(),
        "state": one.last.state,
        "file": one.last.file_name,
        "error": one.last.error,
    }
    return {
        "schedule_id": one.id,
        "view": one.view,
        "owner": one.owner,
        "cron": wanted.every,
        "time_zone": wanted.time_zone,
        "when": one.sentence,
        "place": wanted.place,
        "format": wanted.format,
        "file_name": wanted.file_name,
        "mails": wanted.mails,
        "active": one.active and not one.rests,
        "next": one.next_at.isoformat(),
        "last": last,
    }
