"""`appointment360 difference`: what became of a view between two moments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy import local, output
from deploy.cli_options import AsUser, Home, Json, View, Where, actor, chosen

if TYPE_CHECKING:
    from collections.abc import Iterator


def difference(
    since: Annotated[
        str,
        typer.Option(
            "--from", metavar="WHEN", help="2026-11-01 (its end), 2026-11-01T14:30 (UTC), import:7, before:7."
        ),
    ],
    until: Annotated[str, typer.Option("--to", metavar="WHEN", help="The same, or now.")] = "now",
    where: Where = None,
    view: View = None,
    file: Annotated[
        Path | None, typer.Option("-o", metavar="FILE.csv", help="Write what differs, before and after, as CSV.")
    ] = None,
    as_user: AsUser = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Count the contacts that came into a view, left it, or changed in it between two moments."""
    with local.connected():
        from models.contacts import difference as compared
        from models.contacts import difference_file

        moments = (compared.moment(written, f"--{name}") for written, name in ((since, "from"), (until, "to")))
        by = actor(as_user)
        wanted, _ = chosen(where, view, as_of=None, by=by)
        asked = compared.Asked(wanted, *moments)
        found = compared.numbers(asked, by=by)
        if file:
            _write(file.expanduser(), difference_file.as_csv(asked, by=by))
    numbers = {"came": found.came, "left": found.left, "changed": found.changed}
    if output.is_json():
        output.answer(numbers)
        return
    output.say(f"{asked.sentence}:")
    words = {"came": "came into it", "left": "left it", "changed": "changed in it"}
    output.say(", ".join(f"{number:,} {words[name]}" for name, number in numbers.items()) + ".")
    if file:
        output.say(f"Written to {file}.")


def _write(file: Path, lines: Iterator[str]) -> None:
    """Whole or not at all: under another name first. Raises InvalidInput where it cannot be written."""
    from models.errors import InvalidInput

    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as out:
            out.writelines(lines)
        part.replace(file)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
