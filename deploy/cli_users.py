"""`appointment360 users`: who may sign in, in which role, with which limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from deploy import cli_credits, local, output, running
from deploy.cli_options import Home, Json, names
from models.permissions import OPERATOR, Role

if TYPE_CHECKING:
    from models.users import Person, Status

LONGEST_NUMBER = 19  # digits; the operation says which of them are too large

group = typer.Typer(help="Who may sign in, see what, take out how much.", no_args_is_help=True)
group.command("grant")(cli_credits.grant)
group.command("credits")(cli_credits.ledger)

Email = Annotated[str, typer.Argument(metavar="EMAIL")]
Name = Annotated[str | None, typer.Option(help="The name shown to others.")]
Limit = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="Contacts a month that may be exported; “none” for no limit.")
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="A,B", help="Fields and groups of them that may be seen; “all”, “none”; “list” tells their names."
    ),
]


@group.command()
def add(
    email: Email,
    name: Name = None,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.ANALYST,
    limit: Limit = None,
    columns: Columns = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Invite a person, who chooses a password by the link. Without a mail server the link is printed, to hand over."""
    wanted = _limit(limit)
    with _connected():
        from models import users

        allowed = _columns(columns)
        with _way_back(email):
            invited = users.invite(
                email=email,
                name=name or email.partition("@")[0],
                role=role,
                download_limit=users.DEFAULT_DOWNLOAD_LIMIT if limit is None else wanted,
                column_allowed=allowed,
                by=OPERATOR,
            )
        person = users.person(invited.user.email, by=OPERATOR)
        problem = _delivered(person)
    output.answer_or_say(
        _described(person) | {"link": invited.link}, f"{person.email} is invited as {person.role.label.lower()}."
    )
    _say_link(person, invited.link, problem)


@group.command("list")
def everyone(
    search: Annotated[str, typer.Option(metavar="TEXT", help="A part of the name or the e-mail.")] = "",
    status: Annotated[str | None, typer.Option(metavar="active|invited|deactivated", help="Only these.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List everybody."""
    with _connected():
        from models import users

        found = users.everyone(by=OPERATOR, search=search, status=_status(status))
    if output.is_json():
        output.answer({"users": [_described(one) for one in found]})
        return
    if not found:
        output.say("Nobody matches." if search or status else "There is nobody yet: users add invites somebody.")
        return
    rows = [
        (
            one.email, one.name, one.role, "none" if one.download_limit is None else one.download_limit,
            _seen(one), one.status,
        )
        for one in found
    ]  # fmt: skip
    headers = ["e-mail", "name", "role", "limit", "columns", "status"]
    output.table(headers, rows, numbers=["limit", "role", "status"], spare=["columns", "limit"])


@group.command("set")
def change(
    email: Email,
    name: Name = None,
    role: Annotated[Role | None, typer.Option(help="What the person may do.", show_default=False)] = None,
    limit: Limit = None,
    columns: Columns = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Whether the person may sign in.")] = None,
    remove_second_factor: Annotated[
        bool, typer.Option("--remove-second-factor", help="For who lost it; signs the person out, and tells them.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Change a person; what is not given stays."""
    changed = any(value is not None for value in (name, role, limit, columns, active))
    if not changed and not remove_second_factor:
        raise typer.BadParameter(
            "Nothing to change: give --name, --role, --limit, --columns, --active, --inactive or "
            "--remove-second-factor."
        )
    wanted = _limit(limit)
    with _connected():
        from models import second_factors, users

        changes = users.Changes(
            name=name,
            role=role,
            download_limit=wanted,
            unlimited=limit is not None and wanted is None,
            column_allowed=_columns(columns),
            every_column=columns == "all",
            is_active=active,
        )
        if remove_second_factor:
            second_factors.reset(email, by=OPERATOR)
        if changed:
            users.change(email, changes, by=OPERATOR)
        person = users.person(email, by=OPERATOR)
        _delivered(person)
    _show(person)


@group.command()
def deactivate(email: Email, as_json: Json = False, home: Home = None) -> None:
    """Keep a person from signing in, from now on; what they did stays."""
    with _connected():
        from models import users

        user = users.deactivate(email, by=OPERATOR)
        person = users.person(user.email, by=OPERATOR)
    _show(person)


@group.command()
def link(email: Email, as_json: Json = False, home: Home = None) -> None:
    """Send a new link to choose a password: an invitation, or a reset. Those before work no more."""
    with _connected():
        from models import users

        made = users.new_link(email, by=OPERATOR)
        person = users.person(email, by=OPERATOR)
        problem = _delivered(person)
    if output.is_json():
        output.answer(_described(person) | {"link": made})
    _say_link(person, made, problem)


@contextmanager
def _connected() -> Iterator[None]:
    """With links that lead to where `up` of this home runs, when it does."""
    with local.connected():
        from models.settings import settings

        recorded, facts = running.read(local.home() / "running.json")
        address = urlsplit(str(facts.get("address", "")))
        if address.port and any(running.is_alive(one) for one in recorded):
            settings().port = address.port
        yield


def _delivered(person: Person) -> str | None:
    """Send what waits; returns why the person's message could not be sent."""
    from models import mails

    mails.deliver()
    return mails.problem(person.id)


def _say_link(person: Person, link: str | None, problem: str | None) -> None:
    if link:
        output.say(f"Link: {link}", style="bold")
        lasts = "7 days" if person.status == "invited" else "1 hour"
        output.note(f"It works once, for {lasts}, and is shown only this once. Hand it to the person yourself.")
    elif problem:
        output.note(f"The link could not be mailed yet ({problem}). It is tried again while Appointment360 runs.")
    else:
        output.say(f"A link was mailed to {person.email}.")


def _show(person: Person) -> None:
    limit = "no limit" if person.download_limit is None else f"{person.download_limit:,} contacts a month"
    output.answer_or_say(
        _described(person),
        f"{person.email}: {person.name}, {person.role.value}, {limit}, columns {_seen(person)}, {person.status.value}.",
    )


def _seen(person: Person) -> str:
    return "all" if person.column_allowed is None else ", ".join(person.column_allowed) or "none"


@contextmanager
def _way_back(email: str) -> Iterator[None]:
    """Says how a deactivated account is had again."""
    from models import users
    from models.errors import Conflict

    try:
        yield
    except Conflict as error:
        person = users.person(email, by=OPERATOR)
        if person.status != users.Status.DEACTIVATED:
            raise
        command = f"appointment360 users set {person.email} --active"
        raise Conflict(f"{person.email} has an account that is deactivated. Reactivate it: {command}") from error


def _described(person: Person) -> dict[str, Any]:
    return {
        "email": person.email,
        "name": person.name,
        "role": person.role,
        "status": person.status,
        "download_limit": person.download_limit,
        "column_allowed": person.column_allowed,
        "second_factor": person.second_factor,
        "is_active": person.status != "deactivated",
    }


def _limit(given: str | None) -> int | None:
    if given is None or given == "none":
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_NUMBER):
        raise typer.BadParameter(f"--limit is “{given[:LONGEST_NUMBER]}”: give a whole number, or “none” for no limit.")
    return int(given)


def _status(given: str | None) -> Status | None:
    from models.users import Status

    if given is None:
        return None
    if given not in list(Status):
        raise typer.BadParameter(f"--status is “{given}”: give {', '.join(Status)}.")
    return Status(given)


def _columns(listed: str | None) -> tuple[str, ...] | None:
    if listed is None or listed == "all":
        return None
    if listed == "none":
        return ()
    if listed == "list":
        from models import users
        from models.errors import InvalidInput

        raise InvalidInput(f"--columns takes names with commas between them. {users.known_columns()}")
    if not listed.strip():
        raise typer.BadParameter("--columns is empty: name fields or groups, or leave it out.")
    if not all(name.strip() for name in listed.split(",")):
        raise typer.BadParameter(f"--columns is “{listed}”, where a name is empty: name fields or groups.")
    return tuple(names(listed) or ())
