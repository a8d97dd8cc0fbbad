"""`appointment360 audit`: who did what, on what, from where, when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import local, output
from deploy.cli_options import Home, Json
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.audit_log import Line

group = typer.Typer(help="The audit log: who did what, on what, from where, when.", no_args_is_help=True)


@group.callback()
def everything() -> None:
    """The audit log: who did what, on what, from where, when."""


@group.command("list")
def lines(
    who: Annotated[str | None, typer.Option(help="A user's e-mail; operator; nobody (failed sign-ins).")] = None,
    event: Annotated[list[str] | None, typer.Option(help="What happened, as the log words it. Repeatable.")] = None,
    about: Annotated[str | None, typer.Option(help="“import”, “import 17”, “user ann@example.com”.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="From this day on, or moment, in UTC: 2026-11-30.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Up to this day or moment, included.")] = None,
    words: Annotated[str | None, typer.Option(help="Words that stand in the line.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many of the latest lines.")] = 50,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List lines, newest first."""
    asked = {"who": who, "about": about, "since": since, "until": until, "q": words}
    with local.connected():
        from models import audit_log

        pairs = [(key, value) for key, value in asked.items() if value] + [("event", one) for one in event or []]
        wanted = audit_log.parse(pairs)
        if wanted.is_turned:
            raise typer.BadParameter(f"--since {wanted.since} is after --until {wanted.until}: no day is in between.")
        found, more = audit_log.page(wanted, size=limit, by=OPERATOR)
    if output.is_json():
        output.answer({"lines": [_described(line) for line in found], "more": more})
        return
    rows = [(line.at, line.who, line.label, line.subject, line.address, _told(line)) for line in found]
    headers = ["when", "who", "what happened", "on what", "from", "details"]
    output.table(headers, rows, numbers=["when"], cut=["details"], spare=["from", "details"])
    if more:
        output.note(f"Older lines were left out: --limit shows more than {limit:,}.")


def _described(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "at": line.at.isoformat(),
        "who": line.who,
        "event": line.event,
        "subject": line.subject,
        "from": line.address,
        "before": line.before,
        "after": line.after,
        "more": line.more,
    }


def _told(line: Line) -> str:
    names = {**line.before, **line.after}
    changes = [
        f"{name}: {' → '.join(output.shown(part[name]) for part in (line.before, line.after) if name in part)}"
        for name in names
    ]
    return "; ".join([*changes, *(f"{name}: {output.shown(value)}" for name, value in line.more.items())])
