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
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="WHEN",
        help="As contacts were: 2026-11-01 (its end), 2026-11-01T14:30 (UTC), import:7 (after it), before:7.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def conditions(where: list[str] | None, as_of: str | None) -> list[str]:
    """The options --where and --as-of in the one filter syntax."""
    return [*(where or []), *([] if as_of is None else [f"as_of={as_of}"])]


def names(listed: str | None) -> list[str] | None:
    """The names in "a,b", without blanks; None where the option was not given."""
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
