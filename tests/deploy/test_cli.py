"""The command line as a person and as a program meet it: real processes, a real database."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest
from typer.main import get_command

from deploy import cli as command_line
from deploy import cli_imports
from models.database import libpq_url
from models.imports import Keep, MatchRule
from tests.deploy.command_line import COMMAND, PROJECT, Cli

HEAVY = ("prefect", "great_expectations", "streamlit", "pandas", "duckdb", "alembic", "numpy")


@pytest.fixture
def three(cli: Cli) -> Cli:
    cli.sql(
        """INSERT INTO contacts (first_name, email, country, employees, annual_revenue) VALUES
           ('Ann', 'ann@example.com', 'Germany', 10, 1500000.50), ('Bob', 'bob@example.com', 'Germany', 20, 2),
           ('Cid', 'cid@example.com', NULL, 30, 2)"""
    )
    return cli


def test_count_of_all_and_of_a_filter(three: Cli) -> None:
    assert three("count", "--json").object == {"count": 3}
    assert three("count", "--where", "employees.gte=20", "--where", "country=Germany", "--json").object == {"count": 1}
    assert three("count").out == "3\n", "in a pipe it is the number alone"


def test_count_by_a_field(three: Cli) -> None:
    countries = [{"value": "Germany", "count": 2}, {"value": None, "count": 1}]
    assert three("count", "--by", "country", "--json").object == {"count": 3, "by": countries}
    money = [{"value": 2, "count": 2}, {"value": 1500000.5, "count": 1}]
    assert three("count", "--by", "annual_revenue", "--json").object == {"count": 3, "by": money}
    assert three("count", "--by", "country").out.splitlines()[:2] == ["country  contacts", "Germany         2"]


def test_a_wrong_filter_is_a_failed_operation(cli: Cli) -> None:
    ended = cli("count", "--where", "shoe=42", "--json")
    assert ended.code == 1
    assert ended.object["error"].startswith("There is no field “shoe” to filter by.")
    assert "There is no field “shoe”" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "wrong",
    [["count", "--nope"], ["nope"], ["import"], ["imports", "show", "x"], ["users", "add", "a@b.co", "--role", "king"],
     ["import", "x.csv", "--map", "email"], ["imports"], ["users", "set", "a@b.co"]],
)  # fmt: skip
def test_wrong_usage(cli: Cli, wrong: list[str]) -> None:
    ended = cli(*wrong, "--json")
    assert ended.code == 2
    assert list(ended.object) == ["error"]
    assert ended.object["error"] in ended.err


def test_without_json_an_error_leaves_stdout_alone(cli: Cli) -> None:
    ended = cli("count", "--nope")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: No such option: --nope")


def test_home_stands_before_or_after_the_command(cli: Cli, open_folder: Path) -> None:
    cli.sql("DROP TABLE contacts CASCADE")
    for name, arguments in {"one": ["--home", "{}", "count"], "two": ["count", "--home", "{}"]}.items():
        home = open_folder / name
        cli(*(one.format(home) for one in arguments))
        assert (home / "logs" / "errors.log").is_file()


def test_the_unexpected_is_logged_and_has_a_reference(cli: Cli) -> None:
    cli.sql("DROP TABLE contacts CASCADE")
    ended = cli("count", "--json")
    assert ended.code == 1
    sentence = ended.object["error"]
    log = cli.home / "logs" / "errors.log"
    assert sentence.startswith("Something unexpected went wrong (reference ")
    assert sentence.endswith(f"Details are in {log}.")
    assert "Traceback" not in ended.err
    reference = sentence.split("reference ")[1][:6]
    assert f"reference {reference}: count\nTraceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_database_that_does_not_answer(cli: Cli) -> None:
    ended = Cli("postgresql://nobody:hidden-word@127.0.0.1:1/none", cli.home)("count", "--json")
    assert ended.code == 1
    assert ended.object["error"].startswith("The database of DATABASE_URL cannot be used: ")
    assert "hidden-word" not in ended.out + ended.err


def test_no_database_address(cli: Cli) -> None:
    ended = Cli("what is this", cli.home)("count", "--json")
    assert ended.code == 1
    assert (
        "DATABASE_URL is not right: write it as postgresql://user:password@host:5432/database" in ended.object["error"]
    )
    assert "what is this" not in ended.object["error"], "it may hold a password"


@pytest.fixture
def waiting(cli: Cli) -> Iterator["subprocess.Popen[str]"]:
    """A command that waits for a lock which this test holds."""
    with psycopg.connect(libpq_url(cli.url)) as connection:
        connection.execute("LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE")
        process = cli.start("count", "--json")
        while not cli.sql("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        yield process
    process.kill()
    process.communicate()


def test_interrupted(waiting: "subprocess.Popen[str]") -> None:
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate()
    assert waiting.returncode == 130
    assert json.loads(out)["error"].startswith("Interrupted.")
    assert "Traceback" not in err


def test_terminated(waiting: "subprocess.Popen[str]") -> None:
    waiting.send_signal(signal.SIGTERM)
    out, err = waiting.communicate()
    assert (waiting.returncode, out) == (143, "")
    assert "Traceback" not in err


def test_a_reader_that_has_seen_enough(three: Cli) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m deploy.cli count --by email | true"],
        cwd=PROJECT, env=three.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""


def test_the_embedded_server_lives_as_long_as_the_command(open_folder: Path) -> None:
    cli = Cli("", open_folder / "home")
    environment = {name: value for name, value in cli.environment.items() if name != "DATABASE_URL"}
    for made in (True, False):
        done = subprocess.run(
            [*COMMAND, "count", "--json"], cwd=PROJECT, env=environment, capture_output=True, text=True
        )
        assert (f"There was no database in {cli.home}: a new one is made." in " ".join(done.stderr.split())) is made
        assert json.loads(done.stdout) == {"count": 0}, done.stderr
        assert not (cli.home / "postgres" / "pgdata" / "postmaster.pid").exists()


def test_a_command_imports_only_what_it_needs(cli: Cli) -> None:
    code = f"""
import sys
from deploy import cli
assert cli.run(["count"]) == 0
sys.exit(" ".join(name for name in {HEAVY!r} if name in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=cli.environment, capture_output=True, text=True
    )
    assert done.stderr == "\n", "these were imported for a mere count"


def test_help_needs_no_database_code() -> None:
    code = "import sys; from deploy import cli; assert cli.run(['--help']) == 0; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True).returncode == 0


def test_the_options_offer_what_the_model_knows() -> None:
    assert get_args(cli_imports.Match) == tuple(MatchRule)
    assert get_args(cli_imports.Keeping) == tuple(Keep)


def test_options_are_written_small() -> None:
    """An option without a name of its own is called as its metavar is, where that is its parameter in capitals."""

    def options(command: Any) -> Iterator[str]:
        yield from (name for parameter in command.params for name in parameter.opts if name.startswith("-"))
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)

    named = set(options(get_command(command_line.app)))
    assert {"--pattern", "--place", "--job"} <= named
    assert {name for name in named if name != name.lower()} == set()


def test_commands_are_listed_by_their_names(cli: Cli) -> None:
    _, _, listed = cli("--help").out.partition("Commands:\n")
    names = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2:3] != " "]
    assert len(names) > 20
    assert names == sorted(names)
