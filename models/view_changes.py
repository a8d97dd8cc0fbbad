"""Views are saved, changed, renamed, shared and deleted by their owner; shared ones by who looks after others as well.

Nothing is final: the last change can be put back, and a deleted view be brought back for DAYS_KEPT days.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import delete as remove
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import audit, views
from models import filters as filter_syntax
from models.accounts import clean_name
from models.audit import Event
from models.contacts import search
from models.contacts.table import FIELDS, FULL_NAME
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotFound
from models.filters import Filters, hidden_field
from models.permissions import OPERATOR, Actor, Permission, require
from models.views import BESIDE_FIELDS, SavedView, View

DAYS_KEPT = 30  # of a deleted view
LONGEST = 80  # characters of a name
MOST = 200  # views of one person


def save(
    name: str,
    *,
    filters: Filters,
    columns: Sequence[str] | None = None,
    sort: str = search.NEWEST_FIRST,
    shared: bool = False,
    by: Actor,
) -> View:
    """A new view. Without `columns` whoever opens it sees those of their own choice.

    Raises NotAllowed, InvalidInput, Conflict (the name is taken, or there are too many).
    """
    require(by, Permission.CONTACTS_READ)
    named = _named(name)
    contents = _checked(filters, columns, sort, by)
    made = SavedView(name=named, key=views.key_of(named), owner_id=by.id, shared=shared, **contents)
    with _unique(named, by), writing(by) as session:
        own = select(func.count()).select_from(SavedView).where(SavedView.owner_id.is_not_distinct_from(by.id))
        if (session.scalar(own.where(SavedView.deleted_at.is_(None))) or 0) >= MOST:
            raise Conflict(f"You have {MOST} views, the most that there can be: delete some first.")
        session.add(made)
        session.flush()
        audit.write(session, Event.VIEW_SAVED, subject(made), by=by, name=named, shared=shared, **_told(contents))
        return _seen(session, made, by)


def change(
    view_id: int,
    *,
    filters: Filters,
    columns: Sequence[str] | None = None,
    sort: str = search.NEWEST_FIRST,
    by: Actor,
) -> View:
    """Put these in place of what the view holds; that is kept for `put_back`. Raises NotAllowed, NotFound,
    InvalidInput."""
    require(by, Permission.CONTACTS_READ)
    contents = _checked(filters, columns, sort, by)
    with writing(by) as session:
        return _changed(session, _present(session, view_id, by), contents, by)


def put_back(view_id: int, *, by: Actor) -> View:
    """Take the last change back; a second time takes that back. Raises NotAllowed, NotFound, Conflict (no change)."""
    require(by, Permission.CONTACTS_READ)
    with writing(by) as session:
        found = _present(session, view_id, by)
        if found.previous is None:
            raise Conflict(f"The view “{found.name}” was not changed since it was saved: there is nothing to put back.")
        return _changed(session, found, found.previous, by)


def rename(view_id: int, name: str, *, by: Actor) -> View:
    """Raises NotAllowed, NotFound, InvalidInput, Conflict (the name is taken)."""
    require(by, Permission.CONTACTS_READ)
    named = _named(name)
    with _unique(named, by), writing(by) as session:
        found = _present(session, view_id, by)
        was, found.name, found.key = found.name, named, views.key_of(named)
        session.flush()
        if was != named:
            audit.write(session, Event.VIEW_RENAMED, subject(found), by=by, before={"name": was}, after={"name": named})
        return _seen(session, found, by)


def share(view_id: int, shared: bool = True, *, by: Actor) -> View:
    """Let everybody use it, or only its owner again. Raises NotAllowed, NotFound, Conflict (a shared view has the
    name)."""
    require(by, Permission.CONTACTS_READ)
    with writing(by) as session:
        found = _present(session, view_id, by)
        name, was = found.name, found.shared
        found.shared = shared
        with _unique(name, by):
            session.flush()
        if was != shared:
            event = Event.VIEW_SHARED if shared else Event.VIEW_UNSHARED
            audit.write(session, event, subject(found), by=by, name=name)
        return _seen(session, found, by)


def delete(view_id: int, *, by: Actor) -> None:
    """It can be brought back for DAYS_KEPT days; its schedules rest so long. Raises NotAllowed, NotFound."""
    require(by, Permission.CONTACTS_READ)
    with writing(by) as session:
        found = _present(session, view_id, by)
        found.deleted_at, found.deleted_by = func.now(), by.id
        audit.write(session, Event.VIEW_DELETED, subject(found), by=by, name=found.name, shared=found.shared)


def restore(view_id: int, *, by: Actor) -> View:
    """Bring a deleted view back; where its name was taken meanwhile it comes with a number behind it.

    Raises NotAllowed, NotFound (gone for good), Conflict (it is there).
    """
    require(by, Permission.CONTACTS_READ)
    with writing(by) as session:
        found = views.locked(session, view_id, by)
        if found.deleted_at is None:
            raise Conflict(f"The view “{found.name}” is there: it was brought back already.")
        found.name = _free_name(session, found)
        found.key, found.deleted_at, found.deleted_by = views.key_of(found.name), None, None
        with _unique(found.name, by):
            session.flush()
        audit.write(session, Event.VIEW_RESTORED, subject(found), by=by, name=found.name)
        return _seen(session, found, by)


def use(view_id: int, *, by: Actor) -> None:
    """Note that somebody opened it, counted or exported by it. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    reached = SavedView.owner_id.is_not_distinct_from(by.id) | SavedView.shared
    with writing(by) as session:
        session.execute(update(SavedView).where(SavedView.id == view_id, reached).values(used_at=func.now()))


def clear_deleted() -> None:
    """Remove for good what was deleted DAYS_KEPT days ago, with its schedules."""
    old = SavedView.deleted_at < func.now() - timedelta(days=DAYS_KEPT)
    with writing(OPERATOR) as session:
        session.execute(remove(SavedView).where(old))


def subject(view: SavedView) -> str:
    return f"view {view.id}"


def _named(name: str) -> str:
    named = clean_name(name)
    if not any(character.isalnum() for character in named):
        raise InvalidInput(
            f"The name “{named}” has neither a letter nor a digit: give one that can be read and typed.", field="name"
        )
    if len(named) > LONGEST:
        raise InvalidInput(f"The name has {len(named)} characters; {LONGEST} are the most. Shorten it.", field="name")
    return named


def _checked(filters: Filters, columns: Sequence[str] | None, sort: str, by: Actor) -> dict[str, Any]:
    """What a view holds beside its name. Raises InvalidInput, NotAllowed."""
    filter_syntax.parse_query(filters.query(), by=by)  # the filter may have been made by somebody who sees more
    order = search.ordered(sort, by=by)
    if columns is None:
        return {"query": filters.query(), "columns": None, "sort": order}
    if not columns:
        raise InvalidInput("A view needs at least one column.", field="columns")
    seen = views.columns_seen(columns, by=by)
    if missing := [name for name in columns if name not in seen]:
        if missing[0] in FIELDS:
            raise hidden_field(missing[0], "columns")
        known = [FULL_NAME, *views.columns_seen((*FIELDS, *BESIDE_FIELDS), by=by)]
        raise InvalidInput(f"There is no column “{missing[0]}”. Columns are: {', '.join(known)}.", field="columns")
    return {"query": filters.query(), "columns": list(dict.fromkeys(columns)), "sort": order}


def _present(session: Session, view_id: int, by: Actor) -> SavedView:
    found = views.locked(session, view_id, by)
    if found.deleted_at is not None:
        raise NotFound(f"The view “{found.name}” was deleted: bring it back first.")
    return found


def _changed(session: Session, found: SavedView, contents: dict[str, Any], by: Actor) -> View:
    was = {"query": found.query, "columns": found.columns, "sort": found.sort}
    if was != contents:
        found.previous, found.changed_at = was, func.now()
        found.query, found.columns, found.sort = contents["query"], contents["columns"], contents["sort"]
        session.flush()
        audit.write(
            session,
            Event.VIEW_CHANGED,
            subject(found),
            by=by,
            name=found.name,
            before=_told(was),
            after=_told(contents),
        )
    return _seen(session, found, by)


def _told(contents: dict[str, Any]) -> dict[str, Any]:
    return {
        "query": contents["query"],
        "columns": contents["columns"] or "each reader's own",
        "order": contents["sort"],
    }


def _seen(session: Session, found: SavedView, by: Actor) -> View:
    session.refresh(found)
    return views.as_seen(session, [found], by)[0]


def _free_name(session: Session, found: SavedView) -> str:
    rivals = SavedView.owner_id.is_not_distinct_from(found.owner_id)
    if found.shared:
        rivals = rivals | SavedView.shared
    taken = set(session.scalars(select(SavedView.key).where(rivals, SavedView.deleted_at.is_(None))))
    names = (found.name if number == 1 else f"{found.name[: LONGEST - 6]} ({number})" for number in range(1, 10_000))
    return next(name for name in names if views.key_of(name) not in taken)


@contextmanager
def _unique(name: str, by: Actor) -> Iterator[None]:
    """Says whose view has the name."""
    try:
        yield
    except IntegrityError as error:
        with reading() as session:
            same = select(SavedView).where(SavedView.key == views.key_of(name), SavedView.deleted_at.is_(None))
            own = session.scalar(same.where(SavedView.owner_id.is_not_distinct_from(by.id)).limit(1))
        whose = "You have a view" if own is not None else "There is a shared view"
        raise Conflict(f"{whose} “{name}” already: choose another name.", field="name") from error
