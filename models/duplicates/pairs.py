"""The queue of pairs that are perhaps the same contact, the surest first, and what people decide of them.

A pair of which a contact is gone is closed: it is in no list, and comes back should the contact be restored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from models import audit
from models.audit import Event
from models.contacts.history import person
from models.contacts.table import Contact
from models.database import reading, writing
from models.duplicates.runs import require_reviewing
from models.duplicates.tables import Decision, DuplicateDecision, DuplicatePair
from models.errors import InvalidInput, NotFound
from models.permissions import Actor

LARGEST = 2**63 - 1
LEAST_WEIGHT = 0.0  # bits: what is below is not kept
_left, _right = aliased(Contact), aliased(Contact)


@dataclass(frozen=True)
class Reason:
    """`title` is what was compared, `found` how alike it is in words, `bits` what that weighs: 10 make it a thousand
    times as likely that both are the same, -10 a thousand times less."""

    of: str
    title: str
    found: str
    bits: float


@dataclass(frozen=True)
class Pair:
    """`weight` is in bits; `changed` are those of both whose contact changed since they were compared. Of a pair that
    is decided, and no longer among those found, weight and reasons are missing."""

    left_id: int
    right_id: int
    left_label: str
    right_label: str
    weight: float | None
    probability: float | None
    reasons: tuple[Reason, ...]
    changed: tuple[int, ...]
    cluster_id: int | None
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None

    @property
    def ids(self) -> tuple[int, int]:
        return self.left_id, self.right_id


@dataclass(frozen=True)
class Wanted:
    """Open pairs, or those with this decision; of a weight of at least so many bits; of this contact alone."""

    decision: Decision | None = None
    least: float = LEAST_WEIGHT
    contact_id: int | None = None


def page(wanted: Wanted, *, size: int = 50, offset: int = 0, by: Actor) -> list[Pair]:
    """The surest first; decided ones, the newest decision first. Raises NotAllowed."""
    require_reviewing(by)
    newest = DuplicateDecision.decided_at.desc() if wanted.decision else DuplicatePair.weight.desc()
    listed = _wanted(_selected(wanted), wanted).order_by(newest, _left.id, _right.id)
    with reading() as session:
        return [_pair(row) for row in session.execute(listed.limit(size).offset(offset))]


def count(wanted: Wanted, *, by: Actor) -> int:
    """Raises NotAllowed."""
    require_reviewing(by)
    with reading() as session:
        counted = _wanted(_joined(select(func.count()), wanted), wanted)
        return session.scalar(counted) or 0


def get(left_id: int, right_id: int, *, by: Actor) -> Pair:
    """Whatever was decided of it. Raises NotAllowed, NotFound (also where a contact of it is gone)."""
    require_reviewing(by)
    first, second = _ordered(left_id, right_id)
    with reading() as session:
        for wanted in (Wanted(), Wanted(Decision.NOT_SAME)):  # found, or only decided
            there = _selected(wanted).where(_left.id == first, _right.id == second)
            if (row := session.execute(there).one_or_none()) is not None:
                return _pair(row)
    raise NotFound(f"Contacts {left_id} and {right_id} are no pair of possible duplicates, or one of them is gone.")


def cluster(left_id: int, right_id: int, *, most: int, by: Actor) -> list[int]:
    """The ids of all that were found to be the same as these two, at most so many of them, those two first.

    Raises NotAllowed, NotFound.
    """
    pair = get(left_id, right_id, by=by)
    with reading() as session:
        members = _wanted(_selected(Wanted()), Wanted()).where(DuplicatePair.cluster_id == pair.cluster_id)
        rows = session.execute(members.order_by(DuplicatePair.weight.desc()).limit(most * most)).all()
    ids = dict.fromkeys([*pair.ids, *(one for row in rows for one in (row.left_id, row.right_id))])
    return list(ids)[:most]


def decide(left_id: int, right_id: int, decision: Decision, *, by: Actor) -> None:
    """Not the same: no run finds the pair again. Later: it waits at a place of its own. Of any two contacts that are
    there. Raises NotAllowed, NotFound, InvalidInput (one and the same)."""
    require_reviewing(by)
    first, second = _ordered(left_id, right_id)
    with writing(by) as session:
        _require_there(session, first, second)
        before = session.get(DuplicateDecision, (first, second), with_for_update=True)
        was = before.decision if before else None
        values = {"decision": decision.value, "decided_by": by.doer_id, "decided_at": func.now()}
        noted = insert(DuplicateDecision).values(left_id=first, right_id=second, **values)
        session.execute(noted.on_conflict_do_update(index_elements=["left_id", "right_id"], set_=values))
        _note(session, first, second, was, decision.value, by)


def withdraw(left_id: int, right_id: int, *, by: Actor) -> None:
    """The pair is open again; where the newest run left it out as decided, the next one finds it.

    Raises NotAllowed, NotFound (nothing was decided).
    """
    require_reviewing(by)
    first, second = _ordered(left_id, right_id)
    with writing(by) as session:
        found = session.get(DuplicateDecision, (first, second), with_for_update=True)
        if found is None:
            raise NotFound(f"Nothing was decided of contacts {left_id} and {right_id}.")
        was = found.decision
        session.delete(found)
        _note(session, first, second, was, None, by)


def _ordered(one: int, other: int) -> tuple[int, int]:
    if one == other:
        raise InvalidInput("Name two contacts: one alone is no pair.")
    first, second = min(one, other), max(one, other)
    if first < 1 or second > LARGEST:
        raise NotFound(f"There is no contact {first if first < 1 else second}.")
    return first, second


def _require_there(session: Session, *ids: int) -> None:
    there = set(session.scalars(select(Contact.id).where(Contact.id.in_(ids))))
    for one in ids:
        if one not in there:
            raise NotFound(f"There is no contact {one}.")


def _note(session: Session, first: int, second: int, was: str | None, now: str | None, by: Actor) -> None:
    subject = f"contacts {first} and {second}"
    audit.write(session, Event.DUPLICATE_DECIDED, subject, by=by, was=was or "open", now=now or "open")


def _joined(chosen: Select[Any], wanted: Wanted) -> Select[Any]:
    decided = and_(
        DuplicateDecision.left_id == DuplicatePair.left_id, DuplicateDecision.right_id == DuplicatePair.right_id
    )
    if wanted.decision is None:
        chosen = chosen.select_from(DuplicatePair).outerjoin(DuplicateDecision, decided)
        ids = DuplicatePair.__table__.c
    else:
        chosen = chosen.select_from(DuplicateDecision).outerjoin(DuplicatePair, decided)
        ids = DuplicateDecision.__table__.c
    return chosen.join(_left, _left.id == ids.left_id).join(_right, _right.id == ids.right_id)


def _selected(wanted: Wanted) -> Select[Any]:
    found = DuplicatePair
    columns = [
        _left.id.label("left_id"),
        _right.id.label("right_id"),
        _label(_left).label("left_label"),
        _label(_right).label("right_label"),
        (_left.updated_at != found.left_seen).label("left_changed"),
        (_right.updated_at != found.right_seen).label("right_changed"),
        *(getattr(found, name) for name in ("weight", "probability", "reasons", "cluster_id")),
        DuplicateDecision.decision,
        DuplicateDecision.decided_at,
        person(DuplicateDecision.__table__.c.decided_by).label("decided_by"),
    ]
    return _joined(select(*columns), wanted)


def _wanted(chosen: Select[Any], wanted: Wanted) -> Select[Any]:
    decision = DuplicateDecision.decision
    chosen = chosen.where(decision.is_(None) if wanted.decision is None else decision == wanted.decision)
    if wanted.least > LEAST_WEIGHT:
        chosen = chosen.where(DuplicatePair.weight >= wanted.least)
    if wanted.contact_id is not None:
        chosen = chosen.where(or_(_left.id == wanted.contact_id, _right.id == wanted.contact_id))
    return chosen


def _label(contact: Any) -> ColumnElement[str]:
    name = func.nullif(func.concat_ws(" ", contact.first_name, contact.last_name), "")
    return func.coalesce(name, contact.company, contact.email)


def _pair(row: Any) -> Pair:
    changed = [one for one, moved in ((row.left_id, row.left_changed), (row.right_id, row.right_changed)) if moved]
    return Pair(
        left_id=row.left_id,
        right_id=row.right_id,
        left_label=row.left_label or f"Contact {row.left_id}",
        right_label=row.right_label or f"Contact {row.right_id}",
        weight=row.weight,
        probability=row.probability,
        reasons=tuple(_reasons(row.reasons or [])),
        changed=tuple(changed),
        cluster_id=row.cluster_id,
        decision=row.decision,
        decided_by=row.decided_by if row.decision else None,
        decided_at=row.decided_at,
    )


def _reasons(stored: Sequence[dict[str, Any]]) -> list[Reason]:
    """What says most first; what one of both lacks says nothing."""
    known = [Reason(**one) for one in stored if one["found"]]
    return sorted(known, key=lambda one: -abs(one.bits))
