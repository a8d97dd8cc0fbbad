"""Commands with `--as` have that person's rights, and there are no others than those looked at."""

from pathlib import Path

import click
import typer

from deploy.cli import app
from models.permissions import Role
from tests import people
from tests.deploy.command_line import Cli

# What a command does in somebody's name: see test_cli_imports.py, test_cli_views.py, tests/models/test_views.py and
# tests/dashboard/test_hidden_columns.py.
IN_SOMEBODYS_NAME = {
    "difference",
    "export",
    *(
        f"views {name}"
        for name in (
            "delete",
            "list",
            "pause",
            "rename",
            "restore",
            "run",
            "save",
            "schedule",
            "schedules",
            "share",
            "show",
            "undo",
            "unschedule",
        )
    ),
}


def test_every_command_in_somebodys_name_is_looked_at() -> None:
    found = set(named(typer.main.get_command(app)))
    assert found == IN_SOMEBODYS_NAME, "Test its rights and its hidden columns, then add it to IN_SOMEBODYS_NAME"


def test_the_log_says_that_it_was_the_operator(cli: Cli, tmp_path: Path) -> None:
    people.person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    cli.sql("INSERT INTO contacts (email) VALUES ('x@example.com')")
    made = cli("export", tmp_path / "x.csv", "--as", "ann@example.com", "--json").object
    [line] = cli("audit", "list", "--about", f"export {made['export_id']}", "--who", "operator", "--json").object[
        "lines"
    ]
    assert (line["who"], line["from"], line["event"]) == ("operator", "command line", "export made")
    assert line["more"]["in_name_of"] == "ann@example.com"
    assert cli("audit", "list", "--who", "ann@example.com", "--event", "export made", "--json").object["lines"] == []
    assert cli.sql("SELECT DISTINCT created_by FROM credit_entries") == [(None,)]
    assert cli.sql("SELECT u.email FROM exports e JOIN users u ON u.id = e.created_by") == [("ann@example.com",)]


def test_nothing_is_done_in_the_name_of_who_may_not_sign_in(cli: Cli, tmp_path: Path) -> None:
    cli("users", "add", "ann@example.com")
    file = tmp_path / "x.csv"
    invited = cli("export", file, "--as", "ann@example.com", "--json")
    assert (invited.code, "ann@example.com is invited and has chosen no password" in invited.object["error"]) == (
        1,
        True,
    )
    cli("users", "deactivate", "ann@example.com")
    closed = cli("export", file, "--as", "ann@example.com", "--json")
    assert (closed.code, "ann@example.com is deactivated" in closed.object["error"]) == (1, True)
    assert not file.exists()


def named(command: click.Command, path: str = "") -> list[str]:
    listed = [path] if any("--as" in parameter.opts for parameter in command.params) else []
    for name, one in getattr(command, "commands", {}).items():
        listed += named(one, f"{path} {name}".strip())
    return listed
