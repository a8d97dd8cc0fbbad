"""`appointment360 views`: names for a filter with its columns and its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import cli_view_exports, local, output
from deploy.cli_options import AsUser, Home, Json, View, Where, actor, chosen, names

if TYPE_CHECKING:
    from models import views
    from models.permissions import Actor

group = typer.Typer(help="Saved views: names for a filter with its columns and its order.", no_args_is_help=True)
group.command("schedule")(cli_view_exports.schedule)
group.command("schedules")(cli_view_exports.schedules)
group.command("unschedule")(cli_view_exports.unschedule)
group.command("pause")(cli_view_exports.pause)
group.command("run")(cli_view_exports.run)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The view's name, in any capitals.")]


@group.callback()
def everything() -> None:
    """Saved views: names for a filter with its columns and its order."""


@group.command("list")
def everyone(
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that can be brought back, instead.")] = False,
    as_user: AsUser = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List one's own views, then shared ones, with their counts."""
    with local.connected():
        from models import views

        by = actor(as_user)
        found = views.deleted(by=by) if deleted else views.listed(by=by)
        numbers = _counted(found, by)
    if output.is_json():
        output.answer({"views": [_described(one, number) for one, number in zip(found, numbers, strict=True)]})
        return
    if not found:
        output.say("No deleted view can be brought back." if deleted else "There are no views yet: views save.")
        return
    rows = [
        (one.name, _whose(one), number, _words(one), one.deleted_at if deleted else one.used_at)
        for one, number in zip(found, numbers, strict=True)
    ]
    when = "deleted" if deleted else "last used"
    output.table(
        ["view", "whose", "contacts", "filter", when], rows, numbers=["contacts", when], cut=["filter"], spare=[when]
    )


@group.command()
def show(name: Name, as_user: AsUser = None, as_json: Json = False, home: Home = None) -> None:
    """Show one view: its filter, columns, order and count."""
    with local.connected():
        from models import views

        by = actor(as_user)
        found = views.find(name, by=by)
        [number] = _counted([found], by)
    if output.is_json():
        output.answer(_described(found, number))
        return
    rows = [
        ("view", found.name),
        ("whose", _whose(found)),
        ("filter", _words(found)),
        ("as written", found.query),
        ("columns", list(found.columns) if found.columns is not None else "each reader's own"),
        ("order", found.sort),
        ("contacts", number),
        ("changed", found.changed_at),
        ("last used", found.used_at),
    ]
    output.table(["", found.name], rows[1:])


@group.command()
def save(
    name: Name,
    where: Where = None,
    view: View = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B", help="These columns, in this order; else each reader's own.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Ordered by this field; -FIELD from the highest.")
    ] = None,
    shared: Annotated[bool, typer.Option("--shared", help="For everybody, as far as they may see contacts.")] = False,
    as_user: AsUser = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Save a filter under a name; where you have a view of that name, change it. --view begins with another's."""
    with local.connected():
        from models import view_changes, views
        from models.contacts.search import NEWEST_FIRST
        from models.errors import NotFound

        by = actor(as_user)
        wanted, origin = chosen(where, view, by=by)
        shown = names(columns)
        if shown is None and origin is not None and origin.columns is not None:
            shown = list(origin.columns)
        sort = order or (origin.sort if origin else NEWEST_FIRST)
        try:
            present = views.find(name, by=by)
        except NotFound:
            present = None
        if present is not None and present.mine:
            found = view_changes.change(present.id, filters=wanted, columns=shown, sort=sort, by=by)
            found = view_changes.share(found.id, by=by) if shared and not found.shared else found
        else:
            found = view_changes.save(name, filters=wanted, columns=shown, sort=sort, shared=shared, by=by)
        [number] = _counted([found], by)
    done = "is changed" if present is not None and present.mine else "is saved"
    told = output.counted(number or 0, "contact")
    output.answer_or_say(_described(found, number), f"“{found.name}” {done}: {told}, {_words(found)}.")


@group.command()
def rename(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    as_user: AsUser = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Give a view another name."""
    with local.connected():
        from models import view_changes, views

        by = actor(as_user)
        found = view_changes.rename(views.find(name, by=by).id, new, by=by)
    output.answer_or_say(_described(found), f"The view is called “{found.name}” now.")


@group.command()
def share(
    name: Name,
    off: Annotated[bool, typer.Option("--off", help="No longer: only its owner uses it again.")] = False,
    as_user: AsUser = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Share a view with everybody, or end that with --off."""
    with local.connected():
        from models import view_changes, views

        by = actor(as_user)
        found = view_changes.share(views.find(name, by=by).id, not off, by=by)
    said = "is shared: everybody uses it as far as they may see contacts." if found.shared else "is its owner's alone."
    output.answer_or_say(_described(found), f"“{found.name}” {said}")


@group.command("undo")
def put_back(name: Name, as_user: AsUser = None, as_json: Json = False, home: Home = None) -> None:
    """Take the last change of a view back; a second time takes that back."""
    with local.connected():
        from models import view_changes, views

        by = actor(as_user)
        found = view_changes.put_back(views.find(name, by=by).id, by=by)
    output.answer_or_say(_described(found), f"“{found.name}” is as it was before: {_words(found)}.")


@group.command()
def delete(name: Name, as_user: AsUser = None, as_json: Json = False, home: Home = None) -> None:
    """Delete a view. For 30 days `views restore` brings it back."""
    with local.connected():
        from models import view_changes, views

        by = actor(as_user)
        found = views.find(name, by=by)
        view_changes.delete(found.id, by=by)
    said = f"“{found.name}” is deleted. For {view_changes.DAYS_KEPT} days views restore brings it back."
    output.answer_or_say({"id": found.id, "name": found.name, "deleted": True}, said)


@group.command()
def restore(name: Name, as_user: AsUser = None, as_json: Json = False, home: Home = None) -> None:
    """Bring a deleted view back, the last one of that name."""
    with local.connected():
        from models import view_changes, views
        from models.errors import NotFound

        by = actor(as_user)
        same = [one for one in views.deleted(by=by) if views.key_of(one.name) == views.key_of(name)]
        if not same:
            raise NotFound(f"No deleted view is called “{name}”: views list --deleted shows those that there are.")
        found = view_changes.restore(same[0].id, by=by)
    output.answer_or_say(_described(found), f"“{found.name}” is back.")


def _counted(found: Sequence[views.View], by: Actor) -> list[int | None]:
    from models import views

    numbers = iter(views.counts([one.filters for one in found if one.filters is not None], by=by))
    return [None if one.filters is None else next(numbers) for one in found]


def _words(view: views.View) -> str:
    return view.filters.sentence() if view.filters is not None else f"cannot be used: {view.problem}"


def _whose(view: views.View) -> str:
    if view.mine:
        return "own, shared" if view.shared else "own"
    return view.owner


def _described(view: views.View, number: int | None = None) -> dict[str, Any]:
    counted = {} if number is None else {"count": number}
    return {
        "id": view.id,
        "name": view.name,
        "shared": view.shared,
        "mine": view.mine,
        "owner": view.owner,
        "filter": view.query,
        "sentence": view.filters.sentence() if view.filters is not None else None,
        "columns": None if view.columns is None else list(view.columns),
        "order": view.sort,
        "problem": view.problem,
        "last_used": view.used_at,
    } | counted
