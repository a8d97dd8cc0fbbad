"""`appointment360 tokens`: what programs show in place of a person's sign-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import local, output
from deploy.cli_options import Home, Json
from models.permissions import OPERATOR, SCOPES

if TYPE_CHECKING:
    from models.tokens import Listed

EVERYTHING = "everything"  # in the column of scopes
LONGEST_NUMBER = 9  # digits

group = typer.Typer(help="Tokens, with which programs use the API in a person's name.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="Whose token it is.")]


@group.command()
def create(
    email: Email,
    name: Annotated[str, typer.Option(help="What it is for; the person's list shows it.")] = "Command line",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="What it may do of what the person may. Repeatable; --scope list tells all of them.",
        ),
    ] = None,
    days: Annotated[str, typer.Option(metavar="NUMBER", help="How long it works; “none” until it is revoked.")] = "90",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make a token, which is printed only this once."""
    wanted = _days(days)
    if scope and "list" in scope:
        _list_scopes()
        return
    with local.connected():
        from models import tokens, users

        person = users.person(email, by=OPERATOR)
        token_id, token = tokens.create_for(person.email, name, scopes=scope, days=wanted, by=OPERATOR)
        [made] = [one for one in tokens.listed_of(person.email, by=OPERATOR) if one.id == token_id]
    if output.is_json():
        output.answer({"token": token, "email": person.email} | _described(made))
        return
    output.say(f"Token {made.id} of {person.email}: {_lasts(made)}, may do {_scopes(made)}.")
    output.say(token, style="bold")
    output.note("It is shown only this once. Send it as `Authorization: Bearer …`.")


@group.command("list")
def everything(email: Email, as_json: Json = False, home: Home = None) -> None:
    """List a person's tokens, the newest first, also those that work no more."""
    with local.connected():
        from models import tokens, users

        person = users.person(email, by=OPERATOR)
        found = tokens.listed_of(person.email, by=OPERATOR)
    if output.is_json():
        output.answer({"email": person.email, "tokens": [_described(one) for one in found]})
        return
    if not found:
        output.say(f"{person.email} has no token.")
        return
    headers = ["id", "name", "ends", "may", "until", "last used", "from", "works"]
    rows = [
        (
            one.id, one.name, f"…{one.ending}", _scopes(one), one.expires_at, one.last_used_at,
            one.last_address, one.works,
        )
        for one in found
    ]  # fmt: skip
    output.table(
        headers, rows, numbers=["id", "ends", "until", "last used", "works"], cut=["may"], spare=["from", "ends"]
    )


@group.command()
def revoke(
    email: Email,
    token_id: Annotated[int, typer.Argument(metavar="ID", help="Its number in the list.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """End a token: it works no more from now on."""
    with local.connected():
        from models import tokens, users

        person = users.person(email, by=OPERATOR)
        tokens.revoke_of(person.email, token_id, by=OPERATOR)
    output.answer_or_say(
        {"id": token_id, "email": person.email, "works": False}, f"Token {token_id} of {person.email} works no more."
    )


def _list_scopes() -> None:
    if output.is_json():
        output.answer({"scopes": [{"scope": scope, "words": words} for scope, words in SCOPES.items()]})
        return
    output.table(["scope", "lets a program"], list(SCOPES.items()))


def _described(one: Listed) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "ending": one.ending,
        "scopes": None if one.scopes is None else list(one.scopes),
        "created_at": one.created_at.isoformat(),
        "expires_at": one.expires_at and one.expires_at.isoformat(),
        "last_used_at": one.last_used_at and one.last_used_at.isoformat(),
        "last_address": one.last_address,
        "works": one.works,
    }


def _scopes(one: Listed) -> str:
    return EVERYTHING if one.scopes is None else ", ".join(one.scopes)


def _lasts(one: Listed) -> str:
    return f"works until {output.shown(one.expires_at)}" if one.expires_at else "works until it is revoked"


def _days(given: str) -> int | None:
    if given == "none":
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_NUMBER):
        raise typer.BadParameter(f"--days is “{given[:30]}”: give a whole number, or “none” for no end.")
    return int(given)
