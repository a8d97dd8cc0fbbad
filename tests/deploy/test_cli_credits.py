"""A person's credits at the command line, the commands as processes of their own."""

from models.permissions import Role
from tests import people
from tests.deploy.command_line import Cli

CONTACTS = "INSERT INTO contacts (email) SELECT n || '@example.com' FROM generate_series(1, 8) n"


def test_an_export_in_a_persons_name_costs_that_persons_credits(cli: Cli) -> None:
    people.person(email="ann@example.com", name="Ann", role=Role.ANALYST, download_limit=5)
    cli.sql(CONTACTS)
    file = str(cli.home.parent / "a.csv")
    ended = cli("export", file, "--as", "ann@example.com", "--json")
    assert ended.code == 1
    assert ended.object["error"].startswith("This would take 8 credits; you have 5 until 1 ")
    granted = cli("users", "grant", "ann@example.com", "4", "--note", "for the fair", "--json").object
    assert (granted["granted"], granted["left"], granted["lasting"]) == (4, 5, 4)
    assert cli("export", file, "--as", "ann@example.com", "--json").object["credits"] == 8
    assert cli("export", file, "--as", "ann@example.com", "--json").object["credits"] == 0
    assert cli("export", file, "--json").object["credits"] == 8  # the operator's rows

    found = cli("users", "credits", "ann@example.com", "--json").object
    assert (found["email"], found["limit"], found["used"], found["left"], found["lasting"]) == (
        "ann@example.com", 5, 8, 0, 1
    )  # fmt: skip
    lines = [(line["kind"], line["amount"], line["balance"], line["note"]) for line in found["entries"]]
    assert lines == [
        ("reserved", -3, 1, None), ("reserved", -5, 0, None), ("grant", 4, 4, "for the fair"), ("allowance", 5, 5, None)
    ]  # fmt: skip
    assert {line["by"] for line in found["entries"]} == {"operator"}
    assert [line["what"] for line in found["entries"]] == ["taken", "taken", "granted", "allowance"]
    said = cli("users", "credits", "ann@example.com").out
    assert "for the fair" in said
    assert "ann@example.com used 8 credits this month, and has 1: none left until 1 " in said


def test_a_grant_is_taken_back(cli: Cli) -> None:
    cli("users", "add", "ann@example.com")
    cli("users", "grant", "ann@example.com", "1000000000")
    taken = cli("users", "grant", "ann@example.com", "999999990", "--take-back", "--note", "a slip", "--json").object
    assert (taken["taken_back"], taken["lasting"]) == (999_999_990, 10)
    too_many = cli("users", "grant", "ann@example.com", "11", "--take-back", "--json")
    assert (too_many.code, "take back at most 10." in too_many.object["error"]) == (1, True)
    said = cli("users", "grant", "ann@example.com", "10", "--take-back").out
    assert said.startswith("10 credits were taken back from ann@example.com, who has 100 until 1 ")


def test_what_cannot_be_granted_is_said(cli: Cli) -> None:
    cli("users", "add", "ann@example.com")
    nobody = cli("users", "grant", "bob@example.com", "5", "--json")
    assert (nobody.code, nobody.object) == (1, {"error": "There is no user with the e-mail bob@example.com."})
    assert cli("users", "grant", "ann@example.com", "0", "--json").code == 1
    assert cli("users", "grant", "ann@example.com", "many", "--json").code == 2
    assert (
        cli("users", "credits", "ann@example.com")
        .out.splitlines()[-1]
        .startswith("ann@example.com used 0 credits this month, and has 100 until 1 ")
    )
