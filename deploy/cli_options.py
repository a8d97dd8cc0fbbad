"""Options that every command has. They may stand before the command's name or after it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy import local


def _use_home(directory: Path | None) -> Path | None:
    if directory is not None:
        local.use_home(directory)
    return directory


Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="The data directory; APPOINTMENT360_HOME sets it, too.",
        callback=_use_home,
        is_eager=True,
        show_default=False,
    ),
]
# Read from the arguments before they are parsed, so that usage errors are JSON as well; here it is declared for --help.
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="FILTER", help="FIELD=VALUE, FIELD.OP=VALUE or q=WORDS. Repeatable."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def names(listed: str | None) -> list[str] | None:
    """The names in "a,b", without blanks; None where the option was not given."""
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
