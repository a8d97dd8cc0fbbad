"""`appointment360 secrets new`: every secret that production needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy import local, new_secrets, output
from deploy.cli_options import Home, Json

group = typer.Typer(help="The secrets that production needs.", no_args_is_help=True)

OF_THE_SERVER = (
    "POSTGRES_PASSWORD is no setting: give it to the role of DATABASE_URL (ALTER ROLE), or to Postgres's image."
)


@group.callback()
def everything() -> None:
    """The secrets that production needs."""


@group.command()
def new(
    into: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a file for each; one that is there is kept.")
    ] = None,
    database: Annotated[
        str, typer.Option(metavar="URL", help="The database's address, without a password.")
    ] = new_secrets.DATABASE,
    no_admin: Annotated[
        bool, typer.Option("--no-admin", help="No first password: the first administrator has one.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make them at random, and print them as lines for an env file.

    With --into the secrets stand in files that only this system user can
    read, as Docker's secrets and systemd's credentials take them; the lines
    then name the files.
    """
    if into is None:
        made = new_secrets.fresh(database, admin=not no_admin)
        if output.is_json():
            output.answer(made)
            return
        print(*new_secrets.lines(made), sep="\n")  # whole: what is shown to people is wrapped
        output.note(OF_THE_SERVER)
        output.note("The backups' key is a file: `appointment360 backup key new FILE` makes it.")
        return
    written = new_secrets.write(into.expanduser().absolute(), database, admin=not no_admin)
    if output.is_json():
        exposed = [str(one) for one in written.exposed]
        output.answer({"folder": str(into), "made": written.made, "kept": written.kept, "exposed": exposed})
        return
    print(*new_secrets.file_lines(written), sep="\n")
    output.note(OF_THE_SERVER)
    if written.kept:
        output.note(f"Kept as they are: {', '.join(written.kept)}.")
    for one in written.exposed:
        output.note(
            f"Other system users of this machine can read {one}: chmod {'700' if one.is_dir() else '600'} {one}."
        )
    if new_secrets.BACKUP_KEY in written.made:
        from pipelines import backup_key

        output.note(f"{written.files[new_secrets.BACKUP_KEY]} opens the backups. {backup_key.LOSING_IT}")


@group.command()
def seal(as_json: Json = False, home: Home = None) -> None:
    """Seal people's second factors with APPOINTMENT360_SECRET_KEY.

    Once every part has it: what lay open before, and what the key before
    sealed, which APPOINTMENT360_OLD_SECRET_KEY names until then.
    """
    with local.connected():
        from models import sealing, second_factors

        sealing.require_key()
        done, closed = second_factors.seal()
    output.answer_or_say({"sealed": done, "closed": closed}, f"{output.counted(done, 'second factor')} sealed anew.")
    if closed:
        output.note(f"{output.counted(closed, 'second factor')} cannot be opened: they were sealed with another key.")
