"""`appointment360 users`: who may sign in, in which role, with which limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import cli_credits, local, output
from deploy.cli_options import Home, Json, names
from models.permissions import OPERATOR, Role

if TYPE_CHECKING:
    from models.users import User

group = typer.Typer(help="Who may sign in, see what, take out how much.", no_args_is_help=True)
group.command("grant")(cli_credits.grant)
group.command("credits")(cli_credits.ledger)

Email = Annotated[str, typer.Argument(metavar="EMAIL")]
Name = Annotated[str | None, typer.Option(help="The name shown to others.")]
Limit = Annotated[int | None, typer.Option(min=0, help="Contacts a month that may be exported.")]
Columns = Annotated[
    str | None, typer.Option(metavar="A,B", help="Fields and groups of fields that may be seen; “all” for every one.")
]


@group.command()
def add(
    email: Email,
    name: Name = None,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.ANALYST,
    limit: Limit = None,
    columns: Columns = None,
    password: Annotated[str | None, typer.Option(help="Without it one is generated, and printed once.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Add a person."""
    with local.connected():
        from models import users

        user, chosen = users.add(
            email=email,
            name=name or email.partition("@")[0],
            role=role,
            password=password,
            download_limit=users.DEFAULT_DOWNLOAD_LIMIT if limit is None else limit,
            column_allowed=_columns(columns),
            by=OPERATOR,
        )
    if output.is_json():
        output.answer(_described(user) | {"password": None if password else chosen})
        return
    output.say(f"{user.email} may sign in as {Role(user.role).label.lower()}.")
    if not password:
        _say_once(chosen)


@group.command("list")
def everyone(as_json: Json = False, home: Home = None) -> None:
    """List everybody."""
    with local.connected():
        from models import users

        found = users.everyone(by=OPERATOR)
    if output.is_json():
        output.answer({"users": [_described(user) for user in found]})
        return
    rows = [
        (one.email, one.name, one.role, one.download_limit, one.column_allowed or "all", one.is_active) for one in found
    ]
    output.table(["e-mail", "name", "role", "limit", "columns", "active"], rows, numbers=["limit", "role", "active"])


@group.command("set")
def change(
    email: Email,
    name: Name = None,
    role: Annotated[Role | None, typer.Option(help="What the person may do.", show_default=False)] = None,
    limit: Limit = None,
    columns: Columns = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Whether the person may sign in.")] = None,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Generate a password, print it once, and end the person's sign-ins.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Change a person; what is not given stays."""
    changed = any(value is not None for value in (name, role, limit, columns, active))
    if not changed and not new_password:
        raise typer.BadParameter(
            "Nothing to change: give --name, --role, --limit, --columns, --active, --inactive or --new-password."
        )
    with local.connected():
        from models import users

        changes = users.Changes(
            name=name,
            role=role,
            download_limit=limit,
            column_allowed=_columns(columns),
            every_column=columns == "all",
            is_active=active,
        )
        user = users.change(email, changes, by=OPERATOR) if changed else users.find(email, by=OPERATOR)
        password = users.set_password(email, None, by=OPERATOR) if new_password else None
    _show(user, password)


@group.command()
def deactivate(email: Email, as_json: Json = False, home: Home = None) -> None:
    """Keep a person from signing in; what they did stays."""
    with local.connected():
        from models import users

        user = users.deactivate(email, by=OPERATOR)
    _show(user)


def _show(user: User, password: str | None = None) -> None:
    state = "active" if user.is_active else "deactivated"
    limit = f"{user.download_limit:,} contacts a month"
    columns = output.shown(user.column_allowed) if user.column_allowed is not None else "all"
    output.answer_or_say(
        _described(user) | ({"password": password} if password else {}),
        f"{user.email}: {user.name}, {user.role}, {limit}, columns {columns}, {state}.",
    )
    if password and not output.is_json():
        _say_once(password)


def _say_once(password: str) -> None:
    output.say(f"Password: {password}", style="bold")
    output.note("It is shown only this once.")


def _described(user: User) -> dict[str, Any]:
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "download_limit": user.download_limit,
        "column_allowed": user.column_allowed,
        "is_active": user.is_active,
    }


def _columns(listed: str | None) -> tuple[str, ...] | None:
    chosen = names(listed)
    return None if chosen is None or listed == "all" else tuple(chosen)
