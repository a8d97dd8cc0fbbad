"""`appointment360 users grant` and `users credits`: how much a person may take out, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import local, output
from deploy.cli_options import Home, Json
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.credits import Balance, Entry

Email = Annotated[str, typer.Argument(metavar="EMAIL")]


def grant(
    email: Email,
    amount: Annotated[int, typer.Argument(metavar="AMOUNT", help="Credits; each takes one contact out.")],
    note: Annotated[str | None, typer.Option(help="What they are for, or why they are taken back.")] = None,
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Take so many back, of those that are left of what was granted.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Give a person download credits that last beyond the month, or take them back with --take-back."""
    with local.connected():
        from models import credits

        change = credits.take_back if take_back else credits.grant
        found = change(email, amount, note, by=OPERATOR)
    number = output.counted(amount, "credit")
    done = f"{number} were taken back from {email}, who has" if take_back else f"{email} was given {number}, and has"
    result = {"email": email, "taken_back" if take_back else "granted": amount}
    output.answer_or_say(result | _described(found), f"{done} {found.words}.")


def ledger(
    email: Email,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many of the latest lines.")] = 50,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Show a person's download credits and their ledger, latest first."""
    with local.connected():
        from models import credits, users

        user = users.find(email, by=OPERATOR)
        found = credits.balance(of=user.id, by=OPERATOR)
        lines = credits.entries(of=user.id, by=OPERATOR, limit=limit)
    if output.is_json():
        output.answer({"email": user.email} | _described(found) | {"entries": [_line(one) for one in lines]})
        return
    headers = ["when", "what", "credits", "left", "of", "export", "by", "note"]
    output.table(
        headers,
        [_row(one) for one in lines],
        numbers=["when", "credits", "left", "export"],
        cut=["note"],
        spare=["by", "of"],
    )
    output.say(f"{user.email} used {output.counted(found.used, 'credit')} this month, and has {found.words}.")


def _described(found: Balance) -> dict[str, Any]:
    return {
        "limit": found.limit,
        "used": found.used,
        "left": found.left,
        "lasting": found.lasting,
        "renews": found.renews.isoformat(),
    }


def _line(one: Entry) -> dict[str, Any]:
    entry = one.entry
    return {
        "at": entry.at.isoformat(),
        "month": entry.month and entry.month.isoformat(),
        "kind": entry.kind,
        "what": one.word,
        "amount": entry.amount,
        "balance": entry.balance,
        "export_id": entry.export_id,
        "by": one.by_name or OPERATOR.name,
        "note": entry.note,
    }


def _row(one: Entry) -> tuple[object, ...]:
    entry, pool = one.entry, f"{one.entry.month:%B %Y}" if one.entry.month else "lasting"
    by = one.by_name or OPERATOR.name
    return entry.at, one.word, entry.amount, entry.balance, pool, entry.export_id, by, entry.note
