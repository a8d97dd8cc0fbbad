"""`backup`, `backups`, `drill` and `restore` as processes of their own, and what a person can meet there."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from deploy.embedded_postgres import Server
from models import backups
from models.contacts import records
from models.database import libpq_url
from models.permissions import OPERATOR
from tests.deploy.command_line import Cli, on_a_terminal, without_colours


@pytest.fixture
def empty(postgres: Server) -> Iterator[str]:
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored TEMPLATE template0")
        yield postgres.url("restored", driver="")
        connection.execute("DROP DATABASE restored WITH (FORCE)")


@pytest.fixture
def plain(postgres: Server, db: str) -> Iterator[str]:
    """The test's database as a role that owns it and may make no other."""
    with psycopg.connect(libpq_url(db), autocommit=True) as connection:
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'plain' IN ROLE postgres")
        yield db.replace(f"postgres:{db.split(':')[2].split('@')[0]}@", "plain:plain@")
        connection.execute("DROP ROLE plain")


def test_one_is_made_proven_listed_and_restored(cli: Cli, empty: str) -> None:
    records.create({"first_name": "Ada", "email": "ada@example.com"}, by=OPERATOR)
    made = cli("backup", "--no-drill", "--json")
    assert made.code == 0, made.err
    assert made.object.keys() == {"backup_id", "bytes", "proven"}
    assert made.object["proven"] is False
    assert made.err.splitlines()[-3:] == [backups.STEPS[step] for step in ("dump", "pack", "store")]
    number = made.object["backup_id"]

    proven = cli("drill", "--json").object
    assert (proven["backup_id"], proven["matches"]) == (number, True)
    assert proven.keys() == {"backup_id", "matches", "tables", "rows", "seconds"}

    [listed] = cli("backups", "--json").object["backups"]
    assert (listed["backup_id"], listed["state"], listed["rows"]) == (number, "proven", proven["rows"])
    printed = without_colours(on_a_terminal(cli, ["backups"], "", columns=80))
    assert max(len(line) for line in printed.splitlines()) <= 80
    assert "proven" in printed

    refused = cli("restore", number, "--into", empty)
    assert (refused.code, "Invalid value" in refused.err, "say --yes" in refused.err) == (2, False, True)
    restored = cli("restore", number, "--into", "-", "--yes", "--json", given=f"{empty}\n")
    assert restored.code == 0, restored.err
    assert (restored.object["matches"], restored.object["rows"]) == (True, proven["rows"])
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT email FROM contacts").fetchall() == [("ada@example.com",)]
    again = cli("restore", number, "--into", empty, "--yes", "--json")
    assert again.code == 1
    assert "already: name an empty one" in again.object["error"]


def test_what_goes_wrong_is_a_sentence(cli: Cli, plain: str) -> None:
    assert "There is no backup yet" in cli("drill", "--json").object["error"]
    assert cli("restore", "7", "--into", cli.url, "--yes", "--json").object["error"].startswith("There is no backup 7")
    nowhere = replace(cli, more={"APPOINTMENT360_BACKUP_TO": "/sys/backups"})("backup", "--json")
    assert nowhere.code == 1
    assert "There is no folder /sys/backups" in nowhere.object["error"]

    made = replace(cli, url=plain)("backup", "--json")
    assert made.code == 1
    assert "The program's role needs CREATEDB." in made.object["error"]
    assert "The program's role needs CREATEDB." in cli("backups").out.splitlines()[1]
    *_, listed = cli("backups", "--json").object["backups"][:1]
    assert (listed["state"], listed["bytes"] > 0) == ("failed", True)

    key = cli.home / "backup.key"
    key.rename(cli.home / "old.key")
    assert f"There is no key {key}" in cli("drill", "--json").object["error"]
    assert cli("backup", "key", "new", "--json").object["path"] == str(key)
    assert "opens with another key than" in cli("drill", "--json").object["error"]
    other = cli("restore", listed["backup_id"], "--into", cli.url, "--key", cli.home / "old.key", "--yes", "--json")
    assert "already: name an empty one" in other.object["error"]
    assert cli("backup", "key", "new", "--json").object["error"].startswith(f"{key} is there already")


def test_a_moment_of_a_server_that_is_not_ours_is_refused(cli: Cli) -> None:
    told = cli("restore", "--at", "2026-11-27 14:30", "--into", cli.home / "then", "--json")
    assert told.code == 1
    assert "deploy/RECOVERY.md" in told.object["error"]
    assert cli("restore", "--at", "noon", "--into", cli.home / "then", "--json").code == 2
    assert cli("restore", "--into", cli.home / "then", "--json").code == 2
