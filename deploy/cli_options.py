"""Options that every command has. They may stand before the command's name or after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy import local

if TYPE_CHECKING:
    from models import views
    from models.filters import Filters
    from models.permissions import Actor


def _use_home(directory: Path | None) -> Path | None:
    if directory is not None:
        local.use_home(directory)
    return directory


Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="The data directory; APPOINTMENT360_HOME sets it, too.",
        callback=_use_home,
        is_eager=True,
        show_default=False,
    ),
]
# Read from the arguments before they are parsed, so that usage errors are JSON as well; here it is declared for --help.
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="FILTER", help="FIELD=VALUE, FIELD.OP=VALUE or q=WORDS. Repeatable."),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="WHEN",
        help="As contacts were: 2026-11-01 (its end), 2026-11-01T14:30 (UTC), import:7 (after it), before:7.",
    ),
]
View = Annotated[
    str | None,
    typer.Option("--view", metavar="NAME", help="A saved view, in any capitals; --where narrows it further."),
]
AsUser = Annotated[str | None, typer.Option("--as", metavar="EMAIL", help="With this person's rights and credits.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def conditions(where: list[str] | None, as_of: str | None) -> list[str]:
    """The options --where and --as-of in the one filter syntax."""
    return [*(where or []), *([] if as_of is None else [f"as_of={as_of}"])]


def names(listed: str | None) -> list[str] | None:
    """The names in "a,b", without blanks; None where the option was not given."""
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]


def actor(email: str | None) -> Actor:
    """The operator, or a person in whose name the operator acts. Raises NotAllowed, NotFound."""
    from models import users
    from models.errors import NotAllowed
    from models.permissions import OPERATOR

    if email is None:
        return OPERATOR
    user = users.find(email, by=OPERATOR)
    if not user.is_active:
        raise NotAllowed(f"{user.email} is deactivated, so nothing can be done in that name.")
    if user.password_hash is None:
        raise NotAllowed(
            f"{user.email} is invited and has chosen no password yet, so nothing can be done in that name. "
            f"A new invitation: appointment360 users link {user.email}."
        )
    return replace(user.actor("command line"), in_name_of=user.email)


def chosen(
    where: list[str] | None, view: str | None, *, as_of: str | None = None, by: Actor
) -> tuple[Filters, views.View | None]:
    """What `--where`, `--as-of` and `--view` ask together, and the view. Raises NotFound, NotAllowed, InvalidInput."""
    from models import filters, narrowing, view_changes, views

    asked = filters.parse(conditions(where, as_of), by=by)
    if view is None:
        return asked, None
    found = views.find(view, by=by)
    both = narrowing.narrowed(found.usable(), asked)
    view_changes.use(found.id, by=by)
    return both, found
