"""`appointment360 users` as real processes, on a real database."""

import email
import os
from email.policy import default
from typing import Any

import pyotp
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from deploy import running
from models import account_links, second_factors, sign_ins
from models.permissions import Role
from tests import people
from tests.deploy.command_line import Cli, on_a_terminal, without_colours
from tests.people import PASSWORD
from tests.waiting import free_port


def test_invited_with_a_link_to_hand_over(cli: Cli) -> None:
    added = cli("users", "add", "Ann@Example.com", "--role", "manager", "--limit", "7", "--json").object
    link = added.pop("link")
    assert added == {
        "email": "ann@example.com", "name": "Ann", "role": "manager", "status": "invited", "download_limit": 7,
        "column_allowed": None, "second_factor": False, "is_active": True,
    }  # fmt: skip
    assert cli("users", "list", "--json").object == {"users": [added]}
    account_links.accept(link.partition("?link=")[2], PASSWORD, address=None)
    assert cli("users", "list", "--status", "active", "--json").object["users"][0]["status"] == "active"
    assert cli("users", "list", "--status", "invited", "--json").object == {"users": []}
    assert cli("users", "list", "--search", "nobody", "--json").object == {"users": []}


def test_the_message_lies_in_the_outbox(cli: Cli) -> None:
    said = cli("users", "add", "ann@example.com").out.splitlines()
    assert said[0] == "ann@example.com is invited as analyst."
    assert said[1].startswith("Link: http://127.0.0.1:8360/?link=")
    [file] = (cli.home / "outbox").glob("*.eml")
    message = email.message_from_bytes(file.read_bytes(), policy=default)
    assert message["To"] == "ann <ann@example.com>"
    token = message.get_content().partition("?link=")[2].split()[0]
    assert account_links.look(token).name == "ann"


def test_added_twice(cli: Cli) -> None:
    cli("users", "add", "ann@example.com")
    ended = cli("users", "add", "ANN@example.com", "--json")
    assert (ended.code, ended.object) == (1, {"error": "There is a user with the e-mail ann@example.com already."})


def test_a_deactivated_person_is_not_added_anew(cli: Cli) -> None:
    cli("users", "add", "ann@example.com")
    cli("users", "deactivate", "ann@example.com")
    ended = cli("users", "add", "ann@example.com", "--json")
    assert (ended.code, ended.object["error"]) == (
        1,
        "ann@example.com has an account that is deactivated. "
        "Reactivate it: appointment360 users set ann@example.com --active",
    )


def test_what_may_be_seen_is_named_as_people_know_it(cli: Cli) -> None:
    assert cli("users", "list").out == "There is nobody yet: users add invites somebody.\n"
    said = cli("users", "add", "ann@example.com", "--columns", "none")
    assert "It works once, for 7 days, and is shown only this once." in said.err
    assert "none" in cli("users", "list").out.splitlines()[1]
    assert cli("users", "list", "--search", "zzz").out == "Nobody matches.\n"
    changed = cli("users", "set", "ann@example.com", "--columns", "Reach,First Name", "--json").object
    assert changed["column_allowed"] == ["reach", "first_name"]
    listed = cli("users", "set", "ann@example.com", "--columns", "list", "--json")
    assert "Groups are: person, reach, " in listed.object["error"]
    assert " Fields are: first_name, " in listed.object["error"]
    boss = cli("users", "add", "bob@example.com", "--role", "boss")
    assert boss.code == 2
    assert "'boss' is not one of" in boss.err
    assert "Value error" not in boss.err


def test_changed_and_deactivated(cli: Cli) -> None:
    cli("users", "add", "root@example.com", "--role", "admin")
    cli("users", "add", "ann@example.com", "--columns", "person, email")
    changed = cli("users", "set", "ann@example.com", "--role", "manager", "--columns", "all", "--limit", "none")
    assert changed.out == "ann@example.com: ann, manager, no limit, columns all, invited.\n"
    assert cli("users", "deactivate", "ann@example.com", "--json").object["is_active"] is False
    assert cli("users", "set", "ann@example.com", "--active", "--json").object["is_active"] is True
    last = cli("users", "deactivate", "root@example.com", "--json")
    assert (last.code, "last active administrator" in last.object["error"]) == (1, True)


def test_a_new_link_ends_the_one_before(cli: Cli) -> None:
    first = cli("users", "add", "ann@example.com", "--json").object["link"]
    second = cli("users", "link", "ann@example.com", "--json").object["link"]
    with pytest.raises(account_links.LinkRefused):
        account_links.look(first.partition("?link=")[2])
    account_links.accept(second.partition("?link=")[2], PASSWORD, address=None)
    third = cli("users", "link", "ann@example.com").out.partition("?link=")[2].strip()
    assert account_links.look(third).purpose == account_links.Purpose.RESET


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["add", "a@b.co", "--limit", "many"], "--limit is “many”"),
        (["add", "a@b.co", "--limit", "9" * 5000], "give a whole number"),
        (["list", "--status", "asleep"], "--status is “asleep”"),
        (["add", "a@b.co", "--password", "x"], "No such option"),
        (["set", "a@b.co"], "Nothing to change"),
        (["add", "a@b.co", "--columns", ""], "--columns is empty: name fields or groups, or leave it out."),
        (["add", "a@b.co", "--columns", "person,,email"], "--columns is “person,,email”, where a name is empty"),
    ],
)
def test_what_means_nothing_is_a_usage_error(cli: Cli, arguments: list[str], hint: str) -> None:
    ended = cli("users", *arguments, "--json")
    assert ended.code == 2
    assert hint in ended.object["error"]


class _Inbox:
    def __init__(self) -> None:
        self.recipients: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.recipients += envelope.rcpt_tos
        return "250 OK"


@pytest.fixture
def smtp_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Where the commands of this test look for a mail server."""
    port = free_port()
    monkeypatch.setenv("APPOINTMENT360_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("APPOINTMENT360_SMTP_PORT", str(port))
    monkeypatch.setenv("APPOINTMENT360_SMTP_SECURITY", "none")
    return port


def test_with_a_mail_server_the_link_is_mailed_and_not_printed(cli: Cli, smtp_port: int) -> None:
    inbox = _Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=smtp_port)
    controller.start()
    try:
        said = cli("users", "add", "ann@example.com")
    finally:
        controller.stop()
    assert said.out.splitlines()[1:] == ["A link was mailed to ann@example.com."]
    assert inbox.recipients == ["ann@example.com"]


def test_a_mail_server_that_is_down_is_told_and_loses_nothing(cli: Cli, smtp_port: int) -> None:
    said = cli("users", "add", "ann@example.com")
    assert said.code == 0
    assert "The link could not be mailed yet" in said.err
    assert cli("users", "link", "ann@example.com", "--json").object["link"] is None
    assert cli.sql("SELECT kind, attempts FROM mails WHERE sent_at IS NULL") == [("invitation", 1)]


def test_no_word_is_broken_in_a_narrow_terminal(cli: Cli) -> None:
    email = "annabella.example@example.com"
    cli("users", "add", email, "--name", "Annabella Example", "--columns", "person,reach,finance")
    cli("users", "grant", email, "1000000", "--note", "for the spring fair of the whole company")
    for command, column in (
        (["users", "list"], "columns"),
        (["users", "credits", email], "by"),
        (["audit", "list"], "from"),
    ):
        printed = without_colours(on_a_terminal(cli, command, "", columns=80)).replace("\r", "")
        assert [line for line in printed.splitlines() if len(line) > 80] == []
        assert email in printed
        assert column in printed.partition("Left out, as the terminal is narrow: ")[2].split(".")[0].split(", ")
        wide = without_colours(on_a_terminal(cli, command, "", columns=200))
        assert (column in wide, "Left out" in wide) == (True, False)
    assert "operator" in printed


def test_a_lost_second_factor_is_removed_at_the_machine(cli: Cli) -> None:
    ann = people.person(email="ann@example.com", name="Ann", role=Role.ADMIN)  # the only one, so nobody else can help
    begun = second_factors.begin(by=ann.actor())
    second_factors.confirm(pyotp.TOTP(begun.secret).now(), by=ann.actor())
    assert cli("users", "list", "--json").object["users"][0]["second_factor"] is True
    said = cli("users", "set", "ann@example.com", "--remove-second-factor")
    assert said.out == "ann@example.com: Ann, admin, 100 contacts a month, columns all, active.\n"
    assert cli("users", "list", "--json").object["users"][0]["second_factor"] is False
    assert sign_ins.check_password(ann.email, people.PASSWORD, address=None).needs is None
    assert [file.name for file in (cli.home / "outbox").glob("*second-factor-removed.eml")]
    again = cli("users", "set", "ann@example.com", "--remove-second-factor", "--json")
    assert (again.code, again.object) == (1, {"error": "Ann has no second factor."})


def test_the_link_leads_to_where_up_runs(cli: Cli) -> None:
    cli.home.mkdir(mode=0o755)
    this = running.identified(running.SUPERVISOR, os.getpid())
    assert this is not None
    running.record(cli.home / "running.json", [this], {"address": "http://127.0.0.1:9123"})
    assert cli("users", "add", "ann@example.com", "--json").object["link"].startswith("http://127.0.0.1:9123/?link=")
