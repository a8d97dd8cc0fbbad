"""Saved views and the address: which one is open, whether it was changed since, and where a click on one leads."""

from typing import NoReturn

from dashboard import address, places, session
from dashboard.address import View
from models import view_changes, views
from models.permissions import Actor
from models.views import View as SavedView


def listed(*, by: Actor) -> list[SavedView]:
    """The person's own, then shared ones: read once in a run."""
    return session.once("views", lambda: views.listed(by=by))


def opened(saved: int | None, *, by: Actor) -> SavedView | None:
    """The view that an address names; None where the person does not see it, as with a colleague's link."""
    return next((one for one in listed(by=by) if one.id == saved), None)


def address_of(saved: SavedView) -> View:
    """What the view shows. Raises NotAllowed, InvalidInput where it cannot be used."""
    return View(saved.usable(), saved.sort, saved.columns or None, saved=saved.id)


def changed(view: View, saved: SavedView) -> bool:
    """Whether the address shows something else than the view, the page aside."""
    return saved.filters is None or (view.filters.query(), view.sort, view.columns) != (
        saved.filters.query(),
        saved.sort,
        saved.columns or None,
    )


def open_view(saved: SavedView, *, by: Actor) -> NoReturn:
    """Leave for its contacts; one that cannot be used is explained on the screen of views."""
    if saved.filters is None:
        places.go("views")
    view_changes.use(saved.id, by=by)
    places.go("contacts", address.query_params(address_of(saved)))
