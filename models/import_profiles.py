"""What the rows of each import looked like, in a few numbers that outlive the rows: what later ones are compared with.

pipelines/import_profile.py makes them, data_checks/drift.py compares them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Index, Integer, Text, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import imports
from models.database import Base, reading
from models.import_acceptances import ImportAcceptance
from models.imports import Import, State
from models.permissions import Actor

# Field -> what is known of its column, all of it optional but the first two:
#   filled      rows of the file that have a value
#   sampled     values that the rest was read from
#   different   different ones among those
#   shape       [[where a bucket begins, values in it], ...]
#   values      [[value, how often], ...], all of them, of a field that has few
#   known       [[digest, how often], ...], of the commonest values
#   domains     [[domain, how often], ...] of e-mail addresses, the commonest; `free` counts those of free ones
#   holds       {other field: [rows with both, those where its value stands in this one's]}
Columns = dict[str, dict[str, Any]]

LONGEST = 200  # characters that are read of a value; longer ones are in one bucket
LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 25, 30, 40, 60, 100, LONGEST)  # where each bucket begins
FEW_VALUES = 40
COMPARED = 8  # imports, at most
ALIKE = 0.6  # of the headers of two files together both have: they come from one source


class ImportProfile(Base):
    __tablename__ = "import_profiles"

    import_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    headers: Mapped[list[str]] = mapped_column(ARRAY(Text))  # in small letters, in order: what a source is known by
    columns: Mapped[Columns] = mapped_column(JSONB)
    compared: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # see Compared

    __table_args__ = (Index("import_profiles_headers", "headers", postgresql_using="gin"),)


@dataclass(frozen=True)
class Profile:
    """An import as it is compared: its columns, and what its plan says of its rows."""

    import_id: int
    headers: tuple[str, ...]
    columns: Columns
    rows: int
    staged: int
    outcome: dict[str, int]  # created, updated, unchanged, duplicates, rejected
    reasons: dict[str, int] = field(default_factory=dict)  # why rows are rejected, in general words -> rows
    changed: dict[str, int] = field(default_factory=dict)  # field -> contacts in which the plan changes it
    leftover: tuple[str, ...] = ()  # headers that no field takes

    @property
    def known(self) -> int:
        """Rows that mean a contact which was there."""
        return self.outcome["updated"] + self.outcome["unchanged"]


@dataclass(frozen=True)
class Baseline:
    """The accepted imports that another one is compared with, newest first. `is_same`, that they come from its source:
    from files with the same, or nearly the same, headers."""

    profiles: tuple[Profile, ...]
    is_same: bool


@dataclass(frozen=True)
class Compared:
    """With which imports one was compared, or `why` it was not."""

    imports: tuple[int, ...] = ()
    is_same: bool = True
    why: str | None = None


def store(session: Session, import_id: int, headers: Sequence[str], columns: Columns) -> None:
    """Keep the profile, in place of one that was there, in the caller's transaction."""
    values = {"headers": list(signature(headers)), "columns": columns, "made_at": func.now()}
    kept = insert(ImportProfile).values(import_id=import_id, **values)
    session.execute(kept.on_conflict_do_update(index_elements=["import_id"], set_=values))


def signature(headers: Sequence[str]) -> tuple[str, ...]:
    """What files of one source share, in whatever order their columns come."""
    return tuple(sorted({" ".join(header.lower().split()) for header in headers}))


def of_import(session: Session, import_id: int) -> Profile | None:
    """None for an import of an older version, whose rows were never looked at."""
    row = session.execute(_profiled().where(Import.id == import_id)).one_or_none()
    return None if row is None else _profile(*row)


def baseline(session: Session, now: Profile) -> Baseline:
    """The accepted imports to compare `now` with: committed, not undone, and not accepted as an exception.

    Those with the same headers; where there are none, those with nearly the same; else the last ones of all.
    """
    accepted = [Import.state == State.COMMITTED, Import.id != now.import_id, ~_is_exception(), Import.rows > 0]
    same = _newest(session, *accepted, ImportProfile.headers == list(now.headers))
    if same:
        return Baseline(same, True)
    alike = [
        one
        for one in _newest(session, *accepted, ImportProfile.headers.overlap(list(now.headers)), most=50 * COMPARED)
        if _likeness(one.headers, now.headers) >= ALIKE
    ]
    if alike:
        return Baseline(tuple(alike[:COMPARED]), True)
    return Baseline(_newest(session, *accepted), False)


def note_compared(session: Session, import_id: int, compared: Compared) -> None:
    found = session.get_one(ImportProfile, import_id)
    found.compared = {"imports": list(compared.imports), "is_same": compared.is_same, "why": compared.why}


def compared(import_id: int, *, by: Actor) -> Compared | None:
    """With which accepted imports it was compared, or why with none; None for one of an older version, or before its
    plan. Raises NotAllowed, NotFound."""
    imports.get(import_id, by=by)
    with reading() as session:
        stored = session.scalar(select(ImportProfile.compared).where(ImportProfile.import_id == import_id))
    return Compared(tuple(stored["imports"]), stored["is_same"], stored["why"]) if stored else None


def planned(profile: Profile, outcome: dict[str, Any]) -> Profile:
    """The profile with what a plan says that is not stored yet; `outcome` as columns of Import."""
    return replace(
        profile,
        outcome={name: outcome[name] for name in profile.outcome},
        reasons=dict(outcome["reasons"].get("rejected", [])),
        changed=outcome["changed_fields"],
    )


def _likeness(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """The share of common ones among all headers of both (Jaccard's index)."""
    together = {*ours, *theirs}
    return len({*ours} & {*theirs}) / len(together) if together else 0.0


def _newest(session: Session, *conditions: ColumnElement[bool], most: int = COMPARED) -> tuple[Profile, ...]:
    wanted = _profiled().where(*conditions).order_by(Import.finished_at.desc(), Import.id.desc()).limit(most)
    return tuple(_profile(*row) for row in session.execute(wanted))


def _profiled() -> Any:
    return select(ImportProfile, Import).join(Import, Import.id == ImportProfile.import_id)


def _is_exception() -> ColumnElement[bool]:
    once = select(ImportAcceptance.id).where(
        ImportAcceptance.import_id == Import.id, ImportAcceptance.withdrawn_at.is_(None), ImportAcceptance.once
    )
    return exists(once)


def _profile(stored: ImportProfile, found: Import) -> Profile:
    outcome = ("created", "updated", "unchanged", "duplicates", "rejected")
    return Profile(
        import_id=found.id,
        headers=tuple(stored.headers),
        columns=stored.columns,
        rows=found.rows,
        staged=found.staged,
        outcome={name: getattr(found, name) for name in outcome},
        reasons=dict((found.reasons or {}).get("rejected", [])),
        changed=found.changed_fields or {},
        leftover=tuple((found.opened or {}).get("leftover", ())),
    )
