"""The bases and pieces of the log as they were last seen in their places: what others removed or changed there.
pipelines/look_at_recovery.py looks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from models import audit, database, recovery, recovery_pieces
from models.audit import Event
from models.backup_places import SHOWN
from models.database import RECOVERY_LOCK, reading, writing
from models.permissions import OPERATOR
from models.recovery import RecoveryBase, State
from models.recovery_pieces import RecoveryPiece


@dataclass(frozen=True)
class Expected:
    """What should lie in one place."""

    bases: list[RecoveryBase] = field(default_factory=list)
    pieces: list[RecoveryPiece] = field(default_factory=list)


def expected() -> dict[str, Expected]:
    """By place."""
    found: dict[str, Expected] = {}
    with reading() as session:
        for base in session.scalars(select(RecoveryBase).where(RecoveryBase.state == State.DONE)):
            found.setdefault(base.place, Expected()).bases.append(base)
        for piece in session.scalars(select(RecoveryPiece)):
            found.setdefault(piece.place, Expected()).pieces.append(piece)
    return found


def to_read() -> Expected:
    """What the last moments are restored from: the newest base, those it builds on and the log since; and what was
    found damaged, which may have been put back."""
    newest = recovery.newest()
    chain = recovery.chain(newest) if newest else []
    damaged = RecoveryBase.damaged_since.is_not(None) & (RecoveryBase.state == State.DONE)
    wanted: ColumnElement[bool] = RecoveryPiece.damaged_since.is_not(None)
    if newest is not None and newest.start_wal:
        wanted |= (RecoveryPiece.system == newest.system) & recovery_pieces.from_on(newest.start_wal)
    with reading() as session:
        pieces = session.scalars(select(RecoveryPiece).where(wanted).order_by(RecoveryPiece.segment))
        return Expected([*chain, *session.scalars(select(RecoveryBase).where(damaged))], list(pieces))


def seen(bases: Mapping[int, bool], pieces: Mapping[tuple[str, str], bool]) -> None:
    """Note of each whether a listing has it, of its size."""
    _note("gone_since", bases, pieces)


def was_read(bases: Mapping[int, bool], pieces: Mapping[tuple[str, str], bool]) -> None:
    """Note of each whether its content is what was written."""
    _note("damaged_since", bases, pieces)


def _note(column: str, bases: Mapping[int, bool], pieces: Mapping[tuple[str, str], bool]) -> None:
    """With a line in the audit log where something is missed for the first time. What changed while retention is at
    work, or is removed by now, is left for the next time."""
    with writing(OPERATOR) as session:
        if 1 in database.claims(session, RECOVERY_LOCK):
            return
        changed: list[RecoveryBase | RecoveryPiece] = []
        for number, is_well in bases.items():
            base = session.get(RecoveryBase, number, with_for_update=True)
            if base is not None and base.state == State.DONE and (getattr(base, column) is None) != is_well:
                changed.append(base)
        known = {(one.system, one.segment): one for one in session.scalars(select(RecoveryPiece))} if pieces else {}
        for key, is_well in pieces.items():
            piece = known.get(key)
            if piece is not None and (getattr(piece, column) is None) != is_well:
                changed.append(piece)
        new = [_name(one) for one in changed if getattr(one, column) is None]
        for one in changed:
            setattr(one, column, func.clock_timestamp() if getattr(one, column) is None else None)
        if new:
            audit.write(session, Event.RECOVERY_MISSED, "archived log", by=OPERATOR, names=new[:SHOWN], missed=len(new))


def wrong(session: Session) -> dict[str, str]:
    """The kind of each fault -> its sentence, with the way out. For models/backup_alerts.py."""
    if not recovery.wanted():
        return {}
    found = {}
    done = session.scalars(
        select(RecoveryBase).where(RecoveryBase.state == State.DONE).order_by(RecoveryBase.id.desc())
    )
    if lost := [one for one in done if not one.is_there]:
        found["base gone"] = (
            f"Somebody removed or changed what moments are restored from in {lost[0].place}: {_named(lost)}. Put it "
            "back, or back up, which makes another base."
        )
    wanted = select(RecoveryPiece).where(recovery_pieces.missed()).order_by(func.substr(RecoveryPiece.segment, 9))
    if holes := _needed(list(session.scalars(wanted))):
        found["log gone"] = (
            f"Somebody removed or changed the archived log in {holes[0].place}: {_named(holes)}. No moment between "
            f"{_first(holes):%d %B, %H:%M} UTC and the next base can be restored: put it back, or back up, which makes "
            "one."
        )
    return found


def _needed(pieces: list[RecoveryPiece]) -> list[RecoveryPiece]:
    """Those that a base needs: others wait for retention, or for the end of their lock."""
    first = {system: recovery.first_needed(system) for system in {one.system for one in pieces}}
    return [one for one in pieces if one.segment[8:] >= (first[one.system] or "")[8:]]


def _named(missed: list[RecoveryBase] | list[RecoveryPiece]) -> str:
    more = f" and {len(missed) - SHOWN:,} more" if len(missed) > SHOWN else ""
    return ", ".join(_name(one) for one in missed[:SHOWN]) + more


def _name(one: RecoveryBase | RecoveryPiece) -> str:
    return one.name if isinstance(one, RecoveryBase) else one.segment


def _first(holes: Iterable[RecoveryPiece]) -> datetime:
    return min(one.archived_at for one in holes)
