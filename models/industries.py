"""Industries: the few hundred names that contacts refer to. Names are unique without regard to capitals.

No row is ever removed: old versions of contacts refer to it. One that is out of use, deactivated or merged into
another, stays on the contacts that have it, and forms no longer offer it. Names that files and people give mean what
the view `industry_meanings` says: also a former name means its industry, and that of a merged one the other.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CursorResult,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Select,
    Text,
    Update,
    column,
    exists,
    func,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit
from models.audit import Event
from models.contacts import values
from models.contacts.table import FIELDS, Contact
from models.database import Base, reading, writing
from models.errors import Conflict, InvalidInput, NotFound
from models.permissions import Actor, Permission, hidden_column, require, visible

FIELD = FIELDS["industry"]
_contacts = Contact.__table__
# Names only: its own module needs this one.
_versions = table(
    "contact_history", column("id"), column("industry_id"), column("replaced_at", DateTime(timezone=True))
)


class Industry(Base):
    __tablename__ = "industries"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    # Where its contacts went, how many, and when (also those that came later, and were sent after the others):
    # contact_history has their old versions under the same moments.
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("industries.id"))
    merged_at: Mapped[list[datetime] | None] = mapped_column(ARRAY(DateTime(timezone=True)))
    merged_contacts: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (Index("industries_name", func.lower(text("name")), unique=True),)


class FormerName(Base):
    """What an industry was called before it was renamed; of several that were called so, the last."""

    __tablename__ = "industry_former_names"

    name: Mapped[str] = mapped_column(Text, primary_key=True)  # in Postgres's small letters
    industry_id: Mapped[int] = mapped_column(ForeignKey("industries.id"))


MEANINGS = table("industry_meanings", column("key", Text), column("id", Integer), column("name", Text))


class NameTaken(Conflict):
    """Another industry has the name; `other_id` is its."""

    def __init__(self, sentence: str, *, other_id: int) -> None:
        self.other_id = other_id
        super().__init__(sentence, field="name")


@dataclass(frozen=True)
class Unmerged:
    """Contacts that have their old industry again, and those kept because they were changed or deleted since."""

    restored: int
    kept: int


def listed(*, by: Actor, with_inactive: bool) -> list[tuple[Industry, int]]:
    """By name, each with the number of its contacts. Raises NotAllowed, also where the column is hidden: what imports
    bring in it stands here."""
    require(by, Permission.CONTACTS_READ)
    _require_seen(by)
    wanted: Select[Any] = select(Industry).order_by(func.lower(Industry.name), Industry.id)
    if not with_inactive:
        wanted = wanted.where(Industry.is_active)
    counted = select(_contacts.c.industry_id, func.count().label("number")).group_by(_contacts.c.industry_id)
    counts = counted.where(_contacts.c.industry_id.is_not(None)).subquery()
    wanted = wanted.outerjoin(counts, counts.c.industry_id == Industry.id)
    wanted = wanted.add_columns(func.coalesce(counts.c.number, 0))
    with reading() as session:
        found = [(row[0], row[1]) for row in session.execute(wanted)]
        session.expunge_all()
    return found


def out_of_use(*, by: Actor) -> set[str]:
    """The names that are not to be offered. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    _require_seen(by)
    with reading() as session:
        return set(session.scalars(select(Industry.name).where(Industry.is_active.is_(False))))


def contacts_without(*, by: Actor) -> int:
    """How many contacts have no industry. Raises NotAllowed, also where the column is hidden."""
    require(by, Permission.CONTACTS_READ)
    _require_seen(by)
    without = select(func.count()).select_from(_contacts).where(_contacts.c.industry_id.is_(None))
    with reading() as session:
        return session.scalar(without) or 0


def create(name: str, *, by: Actor) -> Industry:
    """Raises NotAllowed, InvalidInput, NameTaken."""
    require(by, Permission.INDUSTRIES_MANAGE)
    _require_seen(by)
    made = Industry(name=clean_name(name))
    with _named(made.name, "choose another name"), writing(by) as session:
        session.add(made)
        session.flush()
        session.refresh(made)
        _plans_look_again(session)
        audit.write(session, Event.INDUSTRY_CREATED, _subject(made.id), by=by, after={"name": made.name})
        session.flush()
        session.expunge(made)
    return made


def rename(industry_id: int, name: str, *, by: Actor) -> Industry:
    """Every contact of it shows the new name. Imports and forms that give the old one mean it still, until another
    industry is called so; a filter by the old name, in a stored address, finds nothing any more.

    Raises NotAllowed, NotFound, InvalidInput, NameTaken.
    """
    require(by, Permission.INDUSTRIES_MANAGE)
    _require_seen(by)
    wanted = clean_name(name)
    with _named(wanted, "choose another name, or merge the two"), writing(by) as session:
        [found] = _locked(session, [industry_id])
        if found.name == wanted:
            session.expunge(found)
            return found
        before, found.name = found.name, wanted
        session.flush()
        _keep_former(session, before, industry_id)
        _plans_look_again(session)
        names = {"before": {"name": before}, "after": {"name": wanted}}
        audit.write(session, Event.INDUSTRY_RENAMED, _subject(industry_id), by=by, **names)
        session.flush()
        session.expunge(found)
    return found


def merge(source_id: int, into_id: int, *, by: Actor) -> int:
    """Give the source's contacts the other industry, and take the source out of use; returns how many moved.

    Its name means the other one from then on. One that came into use again may have contacts again, and so may one that
    the undo of an import puts back: those can be sent after the others, to the same industry. `unmerge` takes it all
    back.

    Raises NotAllowed, NotFound, InvalidInput, Conflict, Unavailable (an import is writing).
    """
    require(by, Permission.INDUSTRIES_MANAGE)
    _require_seen(by)
    if source_id == into_id:
        raise InvalidInput("Choose two different industries to merge.", field="into")
    with _moving_contacts(by) as session:
        source, into = _locked(session, [source_id, into_id])
        if not into.is_active:
            raise Conflict(f"“{into.name}” is not in use: activate it first, or merge into another industry.")
        _require_whole(session, source, unless_into=into.id)
        _require_whole(session, into)
        moved = _moved(session, update(Contact).where(_contacts.c.industry_id == source.id), into.id)
        source.is_active, source.merged_into = False, into.id
        source.merged_at = [*(source.merged_at or []), session.scalars(select(func.now())).one()]
        source.merged_contacts = (source.merged_contacts or 0) + moved
        names = {"name": source.name, "into": into.name, "into_id": into.id}
        audit.write(session, Event.INDUSTRIES_MERGED, _subject(source.id), by=by, contacts=moved, **names)
    return moved


def unmerge(industry_id: int, *, by: Actor) -> Unmerged:
    """Take a merge back: the industry is in use again, and so it is on every contact that still has what the merge
    gave it. Raises NotAllowed, NotFound, Conflict, Unavailable (an import is writing).
    """
    require(by, Permission.INDUSTRIES_MANAGE)
    _require_seen(by)
    with _moving_contacts(by) as session:
        [source] = _locked(session, [industry_id])
        if source.merged_into is None:
            raise Conflict(f"“{source.name}” was not merged into another industry: there is nothing to take back.")
        into = session.get_one(Industry, source.merged_into)
        if into.merged_into is not None:
            raise Conflict(f"“{into.name}” was merged into another industry in its turn: take that merge back first.")
        restored = _moved(session, _of_merge(source), source.id)
        kept = (source.merged_contacts or 0) - restored
        source.is_active = True
        source.merged_into = source.merged_at = source.merged_contacts = None
        names = {"name": source.name, "from": into.name}
        counts = {"contacts": restored, "kept": kept}
        audit.write(session, Event.INDUSTRIES_UNMERGED, _subject(source.id), by=by, **names, **counts)
    return Unmerged(restored, kept)


def deactivate(industry_id: int, *, by: Actor) -> None:
    """It stays on its contacts, and is offered no more. Raises NotAllowed, NotFound."""
    _set_active(industry_id, False, Event.INDUSTRY_DEACTIVATED, by)


def activate(industry_id: int, *, by: Actor) -> None:
    """Offer it again; what a merge moved away stays there until it is taken back. Raises NotAllowed, NotFound."""
    _set_active(industry_id, True, Event.INDUSTRY_ACTIVATED, by)


def clean_name(name: str) -> str:
    """As it is stored, by the same rules as in imports. Raises InvalidInput."""
    cleaned = values.parse(FIELD, name.encode(errors="replace").decode())
    if cleaned is None:
        said = f"“{name.strip()[:40]}” stands for nothing" if name.strip() else "an industry needs a name"
        raise InvalidInput(f"{FIELD.title}: {said}: write a word that says what its companies do.", field="name")
    return str(cleaned)


def _require_whole(session: Session, industry: Industry, *, unless_into: int | None = None) -> None:
    """Its contacts are in no other industry by a merge, which could be taken back no more after another one."""
    if industry.merged_into not in (None, unless_into):
        other = session.get_one(Industry, industry.merged_into)
        raise Conflict(f"“{industry.name}” was merged into “{other.name}”: take that merge back first.")


def _require_seen(by: Actor) -> None:
    if not visible([FIELD.name], {FIELD.name: FIELD.group.value}, by):
        raise hidden_column(FIELD.title, FIELD.name)


@contextmanager
def _named(name: str, way_out: str) -> Iterator[None]:
    """Names the industry that has the name already."""
    try:
        yield
    except IntegrityError as error:
        with reading() as session:
            other = session.scalar(select(Industry).where(func.lower(Industry.name) == func.lower(name)))
        if other is None:
            raise Conflict(f"Another industry was called “{name}” just then: try again.", field="name") from error
        use = "" if other.is_active else ", which is not in use"
        sentence = f"There is an industry “{other.name}” already{use}: {way_out}."
        raise NameTaken(sentence, other_id=other.id) from error


@contextmanager
def _moving_contacts(by: Actor) -> Iterator[Session]:
    from models.contacts.editing import editing  # it knows industries itself

    with editing(by) as session:
        yield session


def _locked(session: Session, ids: Sequence[int]) -> list[Industry]:
    """The industries in the order of `ids`, locked in one order: two who merge wait for each other."""
    wanted = select(Industry).where(Industry.id.in_(ids)).order_by(Industry.id).with_for_update()
    found = {one.id: one for one in session.scalars(wanted)}
    if missing := [one for one in ids if one not in found]:
        raise NotFound(f"There is no industry {missing[0]}.")
    return [found[one] for one in ids]


def _moved(session: Session, contacts: Update, into_id: int) -> int:
    statement = contacts.values(industry_id=into_id, updated_at=func.now())
    done = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(done, CursorResult)
    return done.rowcount


def _of_merge(source: Industry) -> Update:
    """The contacts that the merge gave another industry, and that have it still."""
    old = _versions.c
    moments = old.replaced_at.in_(source.merged_at or [])
    taken = exists().where(old.id == _contacts.c.id, moments, old.industry_id == source.id)
    return update(Contact).where(_contacts.c.industry_id == source.merged_into, taken)


def _set_active(industry_id: int, active: bool, event: Event, by: Actor) -> None:
    require(by, Permission.INDUSTRIES_MANAGE)
    _require_seen(by)
    with writing(by) as session:
        [found] = _locked(session, [industry_id])
        if found.is_active == active:
            return
        found.is_active = active
        _plans_look_again(session)
        audit.write(session, event, _subject(industry_id), by=by, name=found.name)


def _keep_former(session: Session, name: str, industry_id: int) -> None:
    kept = insert(FormerName).values(name=func.lower(name), industry_id=industry_id)
    session.execute(kept.on_conflict_do_update(index_elements=["name"], set_={"industry_id": industry_id}))


def _plans_look_again(session: Session) -> None:
    """What names mean has changed: a plan of an import made before must look again before it is carried out."""
    session.execute(text("SELECT nextval('contacts_clock')"))


def _subject(industry_id: int) -> str:
    return f"industry {industry_id}"
