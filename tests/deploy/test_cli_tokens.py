"""`appointment360 tokens` as real processes, on a real database."""

import pytest

from models import tokens, users
from models.permissions import OPERATOR, SCOPES, Permission, Role
from tests import people
from tests.deploy.command_line import Cli, on_a_terminal, without_colours


@pytest.fixture
def ann(db: str) -> users.User:
    return people.person(email="ann@example.com", name="Ann", role=Role.MANAGER)


def test_a_token_is_made_listed_and_revoked(cli: Cli, ann: users.User) -> None:
    wanted = ("--name", "Nightly", "--scope", "contacts.read", "--scope", "contacts.export", "--days", "30")
    made = cli("tokens", "create", "ANN@example.com", *wanted, "--json").object
    token = made.pop("token")
    assert (made["email"], made["name"], made["scopes"], made["works"]) == (
        "ann@example.com", "Nightly", ["contacts.read", "contacts.export"], True
    )  # fmt: skip
    by = tokens.actor_of(token, address=None)
    assert by is not None
    assert (by.id, by.may(Permission.CONTACTS_EXPORT), by.may(Permission.CONTACTS_EDIT)) == (ann.id, True, False)
    listed = cli("tokens", "list", "ann@example.com", "--json")
    assert [one["id"] for one in listed.object["tokens"]] == [made["id"]]
    assert listed.object["tokens"][0]["last_used_at"] is not None
    assert token not in listed.out
    revoked = cli("tokens", "revoke", "ann@example.com", str(made["id"]), "--json").object
    assert revoked == {"id": made["id"], "email": "ann@example.com", "works": False}
    assert tokens.actor_of(token, address=None) is None
    again = cli("tokens", "revoke", "ann@example.com", str(made["id"]), "--json")
    assert (again.code, again.object) == (1, {"error": f"ann@example.com has no token {made['id']} that works."})


def test_people_read_sentences(cli: Cli, ann: users.User) -> None:
    assert cli("tokens", "list", "ann@example.com").out == "ann@example.com has no token.\n"
    said = cli("tokens", "create", "ann@example.com", "--days", "none")
    first, token = said.out.splitlines()
    assert first == "Token 1 of ann@example.com: works until it is revoked, may do everything."
    assert tokens.actor_of(token, address=None) is not None
    assert "It is shown only this once." in said.err
    told = without_colours(on_a_terminal(cli, ["tokens", "list", "ann@example.com"], "", columns=80))
    assert max(len(line.rstrip()) for line in told.splitlines()) <= 80
    assert "Command" in told
    assert cli("tokens", "revoke", "ann@example.com", "1").out == "Token 1 of ann@example.com works no more.\n"


def test_scopes_are_told(cli: Cli) -> None:
    listed = cli("tokens", "create", "ann@example.com", "--scope", "list", "--json").object
    assert {one["scope"]: one["words"] for one in listed["scopes"]} == SCOPES
    assert "see contacts" in cli("tokens", "create", "ann@example.com", "--scope", "list").out


def test_what_cannot_be_is_said(cli: Cli, ann: users.User) -> None:
    nobody = cli("tokens", "create", "bob@example.com", "--json")
    assert (nobody.code, nobody.object) == (1, {"error": "There is no user with the e-mail bob@example.com."})
    wrong = cli("tokens", "create", "ann@example.com", "--scope", "contacts", "--json")
    assert (wrong.code, "There is no scope “contacts”. Scopes are: " in wrong.object["error"]) == (1, True)
    users.deactivate(ann.email, by=OPERATOR)
    closed = cli("tokens", "create", "ann@example.com", "--json")
    assert (closed.code, "is deactivated" in closed.object["error"]) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["create", "ann@example.com", "--days", "soon"], "--days is “soon”"),
        (["create", "ann@example.com", "--days", "9" * 5000], "give a whole number"),
        (["revoke", "ann@example.com", "x"], "'x' is not a valid int"),
    ],
)
def test_what_means_nothing_is_a_usage_error(cli: Cli, arguments: list[str], hint: str) -> None:
    ended = cli("tokens", *arguments, "--json")
    assert ended.code == 2
    assert hint in ended.object["error"]
