"""`appointment360 migrate` and `appointment360 run ...`: the parts, one by one, for systemd and containers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from deploy import output
from deploy.cli_options import Home, Json
from deploy.ports import HOST
from models.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterator

group = typer.Typer(
    name="run",
    help="Run one part of it in the foreground, on a database of DATABASE_URL.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Host = Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is every one of this machine.")]


def migrate(as_json: Json = False, home: Home = None) -> None:
    """Bring the database to the schema of this program.

    Prefect's database is made, too. Safe to run twice at once, and
    again. Where there is nobody yet and APPOINTMENT360_ADMIN_PASSWORD
    is set, the first administrator is made."""
    from deploy import parts
    from models import migrations

    done = parts.migrate()
    if output.is_json():
        output.answer({"schema": done.schema, "administrator": done.administrator})
        return
    if done.schema == migrations.newest():
        output.say(f"The database has the schema {done.schema}, which this program needs.")
    else:
        output.say(f"The database has the schema {done.schema} of a newer version, on which this program can run.")
    if done.administrator:
        output.say(f"The first administrator was made: {done.administrator}")


@group.command()
def web(
    host: Host = HOST,
    port: Annotated[int, typer.Option(help="The port to listen at.", min=1, max=65535)] = 8360,
    home: Home = None,
) -> None:
    """One instance of the web.

    Several serve the same people behind a proxy that sends a browser
    back to its own instance. It does not migrate: `appointment360
    migrate` does. SIGTERM lets it answer what it was asked."""
    from deploy import parts

    with _refused("web"):
        parts.web(host, port)


@group.command()
def prefect(
    host: Host = HOST,
    port: Annotated[int, typer.Option(help="The port to listen at.", min=1, max=65535)] = 4200,
    home: Home = None,
) -> None:
    """Prefect's server, which hands out the flows. One is enough."""
    from deploy import parts

    with _refused("prefect"):
        parts.prefect(host, port)


@group.command()
def worker(
    limit: Annotated[int, typer.Option(help="So many flows run at a time.", min=1)] = 4,
    home: Home = None,
) -> None:
    """Takes flows from the pool, and does what no flow does.

    As many as you like, on as many machines. SIGTERM drains it: it
    takes nothing new and waits for what runs, at most
    APPOINTMENT360_DRAIN_SECONDS; a second one ends it at once."""
    from deploy import parts

    with _refused("supervisor"):
        parts.worker(limit)


@contextmanager
def _refused(part: str) -> Iterator[None]:
    """Where machines read the log, what keeps a part from starting is a line of it, too."""
    import logging

    from models import logs

    try:
        yield
    except AppError as error:
        if not logs.is_json():
            raise
        logs.begin(part)
        logging.getLogger(__name__).critical("%s", error.sentence)
        raise typer.Exit(1) from error
