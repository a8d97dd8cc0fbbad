"""Mappings under a name: saved, shared, changed and forgotten by people.

A person's last import of each kind of file is remembered without one; see mapping_memory. What a mapping holds is in
mapping_contents.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from models import audit, import_drafts, imports
from models.accounts import User
from models.audit import Event
from models.database import by_id, named_once, reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.import_drafts import Chosen
from models.imports import Import
from models.mapping_contents import RememberedMapping, fill, restored, seen_by, signature, stored
from models.permissions import Actor, Permission, require

LONGEST_NAME = 80


@dataclass(frozen=True)
class Listed:
    """A mapping with what stands elsewhere. `is_own` of who asked; `owner` is a name, None for the command line."""

    id: int
    name: str | None
    is_own: bool
    is_shared: bool
    owner: str | None
    headers: list[str]
    chosen: Chosen
    file_name: str
    changed_at: datetime
    used_at: datetime | None
    imports: int

    @property
    def title(self) -> str:
        """What it is called; one without a name by its last file."""
        return self.name or f"last of {self.file_name}"


@dataclass(frozen=True)
class Use:
    """An import that was mapped by it."""

    import_id: int
    file_name: str
    state: str
    at: datetime


def listed(*, by: Actor) -> list[Listed]:
    """One's own, those that are shared, and what was remembered of others' imports without a name; the last used
    first. Raises NotAllowed."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        return _read(session, seen_by(by), by)


def get(mapping_id: int, *, by: Actor) -> Listed:
    """Raises NotAllowed, NotFound (also where somebody else keeps it for themselves)."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        found = _read(session, seen_by(by) & (RememberedMapping.id == mapping_id), by) if mapping_id < 2**31 else []
    if not found:
        raise NotFound(f"There is no mapping {mapping_id}, or its owner does not share it.")
    return found[0]


def named(name: str, *, by: Actor) -> Listed:
    """The one of that name or number; among equal names one's own. Raises NotAllowed, NotFound with those there are."""
    require(by, Permission.IMPORTS_RUN)
    wanted = name.strip()
    with reading() as session:
        found = _read(session, seen_by(by), by)
    if wanted.isascii() and wanted.isdecimal():
        same = [one for one in found if one.id == int(wanted)]
    else:
        same = [one for one in found if one.name and one.name.lower() == wanted.lower()]
    if same:
        return min(same, key=lambda one: not one.is_own)
    there = ", ".join(sorted(f"“{one.name}”" for one in found if one.name)) or "none"
    raise NotFound(f"There is no mapping “{wanted}”. Mappings with a name: {there}.")


def uses(mapping_id: int, *, most: int = 20, by: Actor) -> list[Use]:
    """The newest imports that have it. Raises NotAllowed, NotFound."""
    get(mapping_id, by=by)
    wanted = select(Import.id, Import.file_name, Import.state, Import.created_at).where(Import.mapping_id == mapping_id)
    with reading() as session:
        return [Use(*row) for row in session.execute(wanted.order_by(Import.id.desc()).limit(most))]


def save(import_id: int, chosen: Chosen, name: str, *, shared: bool = False, replacing: bool = False, by: Actor) -> int:
    """Keep what is chosen for the import's columns under a name; returns its id.

    `replacing` puts it in the place of one's own mapping of that name. What is remembered without a name, and says the
    same, gets the name. Raises NotAllowed, NotFound, InvalidInput,
    Conflict where the name is taken.
    """
    imports.require_importing(by)
    wanted = _clean(name)
    found = imports.get(import_id, by=by)
    headers = (found.opened or {}).get("headers")
    if not headers:
        raise Conflict(f"The file of import {import_id} is not read yet: there is no mapping to save.")
    chosen = import_drafts.checked(chosen, headers)
    own = _called(wanted, RememberedMapping.owner_id.is_not_distinct_from(by.id))
    with _one_name(wanted), writing(by) as session:
        before = session.scalar(select(RememberedMapping).where(own).with_for_update())
        if before and not replacing:
            raise Conflict(
                f"You have a mapping “{before.name}” already: choose another name, or replace it.", field="name"
            )
        kept = before or _nameless(session, headers, chosen, by) or RememberedMapping(owner_id=by.id)
        kept.name = before.name if before else wanted
        kept.is_shared = shared
        was = _told(before) if before else None
        fill(kept, headers, chosen, found.file_name)
        session.add(kept)
        session.flush()
        imports.record(session, import_id, mapping_id=kept.id)
        audit.write(session, Event.MAPPING_SAVED, _subject(kept), by=by, before=was, after=_told(kept))
        return kept.id


def rename(mapping_id: int, name: str, *, by: Actor) -> None:
    """Give it another name, or a first one. Raises NotAllowed, NotFound, InvalidInput, Conflict."""
    imports.require_importing(by)
    wanted = _clean(name)
    with _one_name(wanted), writing(by) as session:
        kept = _own(session, mapping_id, by)
        was, subject = kept.name, _subject(kept)
        kept.name = wanted
        session.flush()
        audit.write(
            session, Event.MAPPING_CHANGED, subject, by=by, before={"name": was}, after={"name": wanted},
        )  # fmt: skip


def share(mapping_id: int, shared: bool, *, by: Actor) -> None:
    """Let everybody who imports use it, or keep it for its owner. Raises NotAllowed, NotFound, Conflict."""
    imports.require_importing(by)
    name = get(mapping_id, by=by).title
    with _one_name(name), writing(by) as session:
        kept = _own(session, mapping_id, by)
        if kept.name is None:
            raise Conflict("Give it a name first: what others are to find has one.")
        before, kept.is_shared = kept.is_shared, shared
        session.flush()
        audit.write(
            session, Event.MAPPING_CHANGED, _subject(kept), by=by, before={"shared": before}, after={"shared": shared},
        )  # fmt: skip


def change(mapping_id: int, chosen: Chosen, *, by: Actor) -> None:
    """Set what is read from where for the files to come; imports that have it stay as they are. Raises NotAllowed,
    NotFound, InvalidInput."""
    imports.require_importing(by)
    with writing(by) as session:
        kept = _own(session, mapping_id, by)
        before = _told(kept)
        fill(kept, kept.headers, import_drafts.checked(chosen, kept.headers), kept.file_name)
        audit.write(session, Event.MAPPING_CHANGED, _subject(kept), by=by, before=before, after=_told(kept))


def remove(mapping_id: int, *, by: Actor) -> None:
    """Forget it; imports that have it stay as they are. Raises NotAllowed, NotFound, Conflict (a watched folder has it,
    whose files would all wait from then on)."""
    imports.require_importing(by)
    with writing(by) as session:
        kept = _own(session, mapping_id, by)
        if folder := _folder_with(session, mapping_id):
            raise Conflict(f"The watched folder “{folder}” maps its files by it: give that another mapping first.")
        audit.write(session, Event.MAPPING_DELETED, _subject(kept), by=by, before=_told(kept))
        session.delete(kept)


def _read(session: Session, which: ColumnElement[bool], by: Actor) -> list[Listed]:
    kept = RememberedMapping
    number = select(func.count()).where(Import.mapping_id == kept.id).correlate(kept).scalar_subquery()
    wanted = select(kept, User.name, number).outerjoin(User, User.id == kept.owner_id).where(which)
    order = func.coalesce(kept.used_at, kept.changed_at).desc(), kept.id.desc()
    return [
        Listed(
            one.id, one.name, one.owner_id == by.id, one.is_shared, owner, one.headers, restored(one.chosen),
            one.file_name, one.changed_at, one.used_at, used,
        )
        for one, owner, used in session.execute(wanted.order_by(*order))
    ]  # fmt: skip


def _folder_with(session: Session, mapping_id: int) -> str | None:
    """The name of a watched folder that has it."""
    from models.watched_folders import WatchedFolder  # that reads mappings itself

    there = WatchedFolder.mapping_id == mapping_id, WatchedFolder.removed_at.is_(None)
    return session.scalar(select(WatchedFolder.name).where(*there).order_by(WatchedFolder.name).limit(1))


def _nameless(session: Session, headers: Sequence[str], chosen: Chosen, by: Actor) -> RememberedMapping | None:
    """The person's last one for these headers, where it says just this."""
    kept = RememberedMapping
    own = kept.owner_id.is_not_distinct_from(by.id), kept.name.is_(None), kept.signature == signature(headers)
    found = session.scalar(select(kept).where(*own).with_for_update())
    return found if found and (found.headers, found.chosen) == (list(headers), stored(chosen)) else None


def _own(session: Session, mapping_id: int, by: Actor) -> RememberedMapping:
    """To be changed: one's own, or anybody's by who looks after others. Raises NotFound, NotAllowed."""
    found = by_id(session, RememberedMapping, mapping_id, locked=True)
    if found is None or not (found.owner_id == by.id or found.is_shared or found.name is None):
        raise NotFound(f"There is no mapping {mapping_id}, or its owner does not share it.")
    if found.owner_id != by.id and not by.may(Permission.OTHERS_OVERSEE):
        raise NotAllowed("It is somebody else's: save it under a name of your own, and change that.")
    return found


def _clean(name: str) -> str:
    wanted = " ".join(name.split())
    if not wanted or len(wanted) > LONGEST_NAME or not wanted.isprintable():
        raise InvalidInput(f"Give it a name of at most {LONGEST_NAME} letters.", field="name")
    if wanted.isascii() and wanted.isdecimal():
        raise InvalidInput(f"“{wanted}” would be taken for a number: put a letter into the name.", field="name")
    return wanted


def _called(name: str, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = func.lower(RememberedMapping.name) == func.lower(name)
    for one in more:
        condition &= one
    return condition


def _one_name(name: str) -> AbstractContextManager[None]:
    return named_once(
        {
            "mappings_name": f"You have a mapping “{name}” already: choose another name.",
            "mappings_shared_name": f"Somebody shares a mapping “{name}” already: choose another name.",
        }
    )


def _subject(kept: RememberedMapping) -> str:
    return f"mapping {kept.name or kept.id}"


def _told(kept: RememberedMapping) -> dict[str, Any]:
    return {"name": kept.name, "shared": kept.is_shared, **kept.chosen}
