"""`appointment360 settings`: what is set, where it comes from, and whether production starts with it."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy import output
from deploy.cli_options import Home, Json

group = typer.Typer(help="What is set, and whether production starts with it.", no_args_is_help=True)


@group.command()
def show(
    everything: Annotated[bool, typer.Option("--all", help="Also those that have their default.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List settings with where they come from; secrets are not shown."""
    from models import settings
    from models.secret_files import is_secret

    now = settings.settings()
    listed = []
    for name, field in settings.Settings.model_fields.items():
        value, source = getattr(now, name), settings.origin(name)
        told = None if value is None else "(a secret)" if is_secret(field) else str(value)
        if everything or source != "default":
            listed.append({"setting": settings.variable(name), "value": told, "from": source})
    if output.is_json():
        output.answer({"settings": listed})
    elif listed:
        rows = [(one["setting"].removeprefix(settings.PREFIX), one["value"], one["from"]) for one in listed]
        output.table(["setting", "value", "from"], rows, cut=["value", "from"])
        others = [
            name
            for name in map(settings.variable, settings.Settings.model_fields)
            if not name.startswith(settings.PREFIX)
        ]
        output.note(f"{settings.PREFIX} stands before each name but {' and '.join(others)}.")
    else:
        output.say("Nothing is set: everything has its default. --all shows it.")
    _tell_unknown()


@group.command()
def check(
    alone: Annotated[bool, typer.Option("--up", help="For `up`, which makes itself what its parts share.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Say all that production would not start with, without starting.

    It asks the databases, too, and one that does not let it in is a
    fault, and so is a secret's file that others can read. The exit code is 1 where there is something, whatever the
    environment is now. It also says what would be lost by what
    production starts with.
    """
    from models import production, settings

    found = settings.unreadable()
    settings.leave_out(found)
    now, unread = settings.settings(), {one.variable for one in found}
    more = production.every_fault(now, alone=alone) + production.unanswered(now) + production.exposed(now)
    found, environment = [*found, *(one for one in more if one.variable not in unread)], now.environment
    losses = list(production.losses(now))
    if output.is_json():
        output.answer({
            "environment": environment, "faults": [one.told for one in found], "losses": [one.told for one in losses],
        })  # fmt: skip
    else:
        for fault in [*found, *losses]:
            output.say(f"- {fault.sentence}")
    _tell_unknown()
    output.say(_conclusion(len(found), environment))
    if found:
        raise typer.Exit(1)


def _conclusion(number: int, environment: str) -> str:
    from models.production import PRODUCTION
    from models.settings import variable

    if number:
        return f"{output.counted(number, 'fault')} to mend before production starts with these settings."
    if environment == PRODUCTION:
        return "Production starts with these settings."
    return f"Production would start with these settings; {variable('environment')} is {environment}."


def _tell_unknown() -> None:
    from models.settings import unknown

    for sentence in unknown():
        output.note(sentence)
