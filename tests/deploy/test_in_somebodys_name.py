"""Commands with `--as` have that person's rights, and there are no others than those looked at."""

import click
import typer

from deploy.cli import app

# What a command does in somebody's name: see test_cli_imports.py and tests/dashboard/test_hidden_columns.py.
IN_SOMEBODYS_NAME = {"export"}


def test_every_command_in_somebodys_name_is_looked_at() -> None:
    found = set(named(typer.main.get_command(app)))
    assert found == IN_SOMEBODYS_NAME, "Test its rights and its hidden columns, then add it to IN_SOMEBODYS_NAME"


def named(command: click.Command, path: str = "") -> list[str]:
    listed = [path] if any("--as" in parameter.opts for parameter in command.params) else []
    for name, one in getattr(command, "commands", {}).items():
        listed += named(one, f"{path} {name}".strip())
    return listed
