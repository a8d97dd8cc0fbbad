"""Saved views: a name for a filter with its columns and its order, of one person or shared with everybody.

What others made is seen as far as one may see contacts: hidden columns are left out, and a view that filters by one
cannot be used, nor read. A view whose filter can no longer be read stays, and says why. What changes views is in
view_changes.py.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ARRAY, Boolean, DateTime, Identity, Index, Integer, Select, Text, func, or_, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import filters as filter_syntax
from models.accounts import User
from models.contacts import search
from models.contacts.table import DERIVED, FULL_NAME
from models.database import Base, by_id, reading
from models.errors import AppError, InvalidInput, NotAllowed, NotFound, TooSlow
from models.filters import Filters, visible_fields
from models.permissions import OPERATOR, Actor, Permission, require

FORMER = "somebody who left"
BESIDE_FIELDS = ("created_at", "updated_at")  # columns that everybody may see


class SavedView(Base):
    """`key` is the name as it is compared; `owner_id` NULL is the operator, `columns` NULL the reader's own choice.
    `previous` holds filter, columns and order from before the last change."""

    __tablename__ = "views"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[int | None]
    shared: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    query: Mapped[str] = mapped_column(Text)
    columns: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    sort: Mapped[str] = mapped_column(Text)
    previous: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    deleted_by: Mapped[int | None]

    __table_args__ = (
        Index(
            "views_own",
            "owner_id",
            "key",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("views_shared", "key", unique=True, postgresql_where=text("shared AND deleted_at IS NULL")),
    )


@dataclass(frozen=True)
class View:
    """A view as one person sees it. `problem` says why it cannot be used, and then `filters` is None; `query` is None
    where the person may not read it. `columns` None is the reader's own choice."""

    id: int
    name: str
    shared: bool
    mine: bool
    owner: str
    editable: bool
    filters: Filters | None
    query: str | None
    columns: tuple[str, ...] | None
    sort: str
    problem: str | None
    hidden: bool
    """It filters by a column that the person may not see."""
    changed_at: datetime
    used_at: datetime | None
    deleted_at: datetime | None
    put_back_to: str | None
    """The filter, in words, from before the last change, where there is one that the person may read."""

    def usable(self) -> Filters:
        """Its filter. Raises NotAllowed, InvalidInput with the reason."""
        if self.filters is not None:
            return self.filters
        sentence = f"The view “{self.name}” cannot be used: {self.problem}"
        raise NotAllowed(sentence) if self.hidden else InvalidInput(sentence)

    def export_columns(self) -> list[str] | None:
        """The columns as exports take them, None for all. Raises NotAllowed where none of them may be seen."""
        if self.columns is None:
            return None
        if not self.columns:
            raise NotAllowed(f"You may see none of the columns of the view “{self.name}”: choose others.")
        parts = (DERIVED[name].parts if name in DERIVED else (name,) for name in self.columns)
        return list(dict.fromkeys(part for one in parts for part in one))


def listed(*, by: Actor) -> list[View]:
    """The person's own views by name, then those that others share. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    return _read(_reachable(by).where(SavedView.deleted_at.is_(None)), by)


def deleted(*, by: Actor) -> list[View]:
    """Those that the person may bring back, the last deleted first. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    found = _read(_reachable(by).where(SavedView.deleted_at.is_not(None)), by)
    return sorted((one for one in found if one.editable), key=lambda one: str(one.deleted_at), reverse=True)


def get(view_id: int, *, by: Actor) -> View:
    """One's own view, or a shared one. Raises NotAllowed, NotFound."""
    require(by, Permission.CONTACTS_READ)
    found = _read(_reachable(by).where(SavedView.id == view_id, SavedView.deleted_at.is_(None)), by)
    if not found:
        raise NotFound(f"There is no view {view_id}, or it is not yours.")
    return found[0]


def find(name: str, *, by: Actor) -> View:
    """By its name in any capitals: one's own first, then a shared one. Raises NotAllowed, NotFound with a guess."""
    require(by, Permission.CONTACTS_READ)
    found = listed(by=by)
    if (same := next((one for one in found if key_of(one.name) == key_of(name)), None)) is not None:
        return same
    raise NotFound(f"There is no view “{name.strip()[:80]}”.{_meant(name, found)}")


def counts(asked: Sequence[Filters], *, by: Actor) -> list[int | None]:
    """How many contacts match each of them. None where counting takes longer than people wait, and of a moment that
    there is no more: one such view does not keep the others from their numbers. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    now = _all_or_none([one for one in asked if not one.as_of], by)
    return [_all_or_none([one], by)[0] if one.as_of else now.pop(0) for one in asked]


def columns_seen(columns: Iterable[str], *, by: Actor) -> list[str]:
    """Those of the columns of a table of contacts that the person may see."""
    fields = set(visible_fields(by))
    return [
        name
        for name in columns
        if name in fields
        or name in BESIDE_FIELDS
        or (name == FULL_NAME and fields.issuperset(DERIVED[FULL_NAME].parts))
    ]


def as_seen(session: Session, stored: Sequence[SavedView], by: Actor) -> list[View]:
    owners = {one.owner_id for one in stored}
    named = session.execute(select(User.id, User.name).where(User.id.in_(owners)))
    names: dict[int | None, str] = {None: OPERATOR.name} | {row.id: row.name for row in named}
    return [_as_seen(one, names.get(one.owner_id, FORMER), by) for one in stored]


def editable(view: SavedView, by: Actor) -> bool:
    """Its owner may change it, and who looks after what others did a shared one."""
    return view.owner_id == by.id or (view.shared and by.may(Permission.OTHERS_OVERSEE))


def key_of(name: str) -> str:
    """A name as it is compared."""
    return unicodedata.normalize("NFKC", " ".join(name.split())).casefold()


def _all_or_none(asked: Sequence[Filters], by: Actor) -> list[int | None]:
    try:
        return list(search.counts(asked, by=by)) if asked else []
    except (TooSlow, InvalidInput, NotFound):
        return [None] * len(asked)


def _reachable(by: Actor) -> Select[SavedView]:
    own = SavedView.owner_id.is_not_distinct_from(by.id)
    return select(SavedView).where(or_(own, SavedView.shared)).order_by(own.desc(), SavedView.key, SavedView.id)


def _read(wanted: Select[SavedView], by: Actor) -> list[View]:
    with reading() as session:
        return as_seen(session, session.scalars(wanted).all(), by)


def _as_seen(stored: SavedView, owner: str, by: Actor) -> View:
    filters, error = _parsed(stored.query, by)
    # Whoever sees every column may read what cannot be parsed, to mend it; for others it may hold hidden values.
    readable = filters is not None or by.columns is None
    return View(
        id=stored.id,
        name=stored.name,
        shared=stored.shared,
        mine=stored.owner_id == by.id,
        owner=owner,
        editable=editable(stored, by),
        filters=filters,
        query=stored.query if readable else None,
        columns=None if stored.columns is None else tuple(columns_seen(stored.columns, by=by)),
        sort=_order_seen(stored.sort, by),
        problem=error.sentence if error else None,
        hidden=isinstance(error, NotAllowed),
        changed_at=stored.changed_at,
        used_at=stored.used_at,
        deleted_at=stored.deleted_at,
        put_back_to=_previous(stored, by),
    )


def _parsed(query: str, by: Actor) -> tuple[Filters | None, AppError | None]:
    try:
        return filter_syntax.parse_query(query, by=by), None
    except AppError as error:
        return None, error


def _previous(stored: SavedView, by: Actor) -> str | None:
    if stored.previous is None:
        return None
    filters, _ = _parsed(stored.previous["query"], by)
    return filters.sentence() if filters is not None else None


def _order_seen(sort: str, by: Actor) -> str:
    """An order by a hidden column would tell of its values; by one that is gone there is none."""
    try:
        return search.ordered(sort, by=by)
    except AppError:
        return search.NEWEST_FIRST


def _meant(name: str, found: Sequence[View]) -> str:
    if not found:
        return " There are no views yet: save one on the contacts screen, or with appointment360 views save."
    keys = {key_of(one.name): one.name for one in found}
    if close := get_close_matches(key_of(name), keys, n=1):
        return f" Did you mean “{keys[close[0]]}”?"
    names = [one.name for one in found]
    rest = f" and {len(names) - 20:,} more" if len(names) > 20 else ""
    return f" Views are: {', '.join(names[:20])}{rest}."


def locked(session: Session, view_id: int, by: Actor) -> SavedView:
    """The view that `by` may change, deleted ones included. Raises NotFound, NotAllowed."""
    found = by_id(session, SavedView, view_id, locked=True)
    if found is None or not (found.owner_id == by.id or found.shared):
        raise NotFound(f"There is no view {view_id}, or it is not yours.")
    if not editable(found, by):
        raise NotAllowed(
            f"The view “{found.name}” is somebody else's: its owner and administrators change it. "
            "Save it under a name of your own."
        )
    return found
