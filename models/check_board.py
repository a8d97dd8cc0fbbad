"""The quality of the data as people see it: each rule with its results over the last runs, and how full each field is.

Nobody sees here what they may not see of contacts: no rule about a hidden field, no count of one, no number of them.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import false, func, select
from sqlalchemy.orm import Session

from models.accounts import User
from models.check_results import CheckResult, CheckRun, Sight
from models.check_rules import About
from models.check_runs import UNDER_WAY, CheckState
from models.check_switches import switched
from models.contacts import quality
from models.contacts.table import FIELDS
from models.database import LARGEST_ID, reading
from models.errors import NotFound
from models.permissions import Actor, Permission, require

RUNS = 60  # whose results make a trend
UNTOLD = "It failed; whoever may run the checks and sees every column is told why."


@dataclass(frozen=True)
class Run:
    """A run, with the number of the rules that the person sees, how many of these are broken, and how many hold only
    since their tolerance allows the rows that break them."""

    id: int
    state: CheckState
    step: str | None
    error: str | None
    asked_by: str | None
    """None: it was due, or the operator asked."""
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    contacts: int | None
    industries: int | None
    payments: int | None
    rules: int = 0
    broken: int = 0
    tolerated: int = 0

    @property
    def is_under_way(self) -> bool:
        return self.state in UNDER_WAY

    @property
    def seconds(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class Point:
    """What a run found of a rule: `failing` of `checked` rows."""

    run_id: int
    at: datetime
    success: bool
    checked: int
    failing: int

    @property
    def share(self) -> float:
        """Of 1."""
        return self.failing / self.checked if self.checked else 0.0


@dataclass(frozen=True)
class Standing:
    """A rule as it stands, `points` from the oldest run to the newest. `filter` shows its failing contacts, in the
    syntax of models/filters.py; None where its rows are no contacts: `examples` then names some of them."""

    name: str
    about: About
    field: str | None
    sentence: str
    tolerance: float
    blocks: bool
    """Whether it stops an import; only rules for contacts can."""
    points: list[Point]
    filter: str | None
    examples: list[str]

    @property
    def last(self) -> Point:
        return self.points[-1]

    @property
    def is_tolerated(self) -> bool:
        """Rows break it, no more than may."""
        return self.last.success and self.last.failing > 0

    @property
    def broken_since(self) -> datetime | None:
        """The run in which it was found broken and has not held since; None where it holds."""
        since = None
        for point in reversed(self.points):
            if point.success:
                break
            since = point.at
        return since


@dataclass(frozen=True)
class Completeness:
    """How many of the contacts have a value, by runs, the oldest first."""

    field: str
    title: str
    points: list[tuple[datetime, int, int]]
    """When, contacts with a value, all contacts."""

    @property
    def filled(self) -> int:
        return self.points[-1][1]

    @property
    def contacts(self) -> int:
        return self.points[-1][2]

    @property
    def share(self) -> float:
        """Of 1."""
        return self.filled / self.contacts if self.contacts else 0.0


@dataclass(frozen=True)
class Board:
    """`run` is the last one that was done, whose numbers these are; None before there was one. The rules that most rows
    break come first, the broken ones before those that tolerate it."""

    run: Run | None
    rules: list[Standing]
    completeness: list[Completeness]

    @property
    def broken(self) -> list[Standing]:
        return [one for one in self.rules if not one.last.success]

    @property
    def tolerated(self) -> list[Standing]:
        return [one for one in self.rules if one.is_tolerated]


def board(*, by: Actor, runs: int = RUNS) -> Board:
    """Of the last `runs` runs that were done, read from one snapshot. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    with reading() as session:
        return _board(session, CheckRun.state == CheckState.DONE, runs, by)


def of_run(run_id: int, *, by: Actor) -> Board:
    """What that run found. Raises NotAllowed, NotFound."""
    require(by, Permission.CONTACTS_READ)
    with reading() as session:
        found = _board(session, CheckRun.id == run_id if 0 < run_id <= LARGEST_ID else false(), 1, by)
    if found.run is None:
        raise NotFound(f"There is no check {run_id}.")
    return found


def newest(*, by: Actor) -> Run | None:
    """The one asked for last, in whatever state. Raises NotAllowed."""
    found = page(size=1, by=by)
    return found[0] if found else None


def get(run_id: int, *, by: Actor) -> Run:
    """Raises NotAllowed, NotFound."""
    require(by, Permission.CONTACTS_READ)
    found = page(before_id=run_id + 1, size=1, by=by) if 0 < run_id < LARGEST_ID else []
    if not found or found[0].id != run_id:
        raise NotFound(f"There is no check {run_id}.")
    return found[0]


def page(*, before_id: int | None = None, size: int = 50, by: Actor) -> list[Run]:
    """Newest first; those before the run `before_id`. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    wanted = select(CheckRun, User.name).outerjoin(User, User.id == CheckRun.asked_by).order_by(CheckRun.id.desc())
    if before_id is not None:
        wanted = wanted.where(CheckRun.id < before_id)
    with reading() as session:
        found = [_run(run, name, by) for run, name in session.execute(wanted.limit(size))]
        counted = _counted(session, [run.id for run in found], by)
    return [
        replace(run, rules=one.rules, broken=one.broken, tolerated=one.tolerated)
        if (one := counted.get(run.id))
        else run
        for run in found
    ]


def _board(session: Session, which: Any, most: int, by: Actor) -> Board:
    wanted = select(CheckRun, User.name).outerjoin(User, User.id == CheckRun.asked_by).where(which)
    rows = list(session.execute(wanted.order_by(CheckRun.id.desc()).limit(most)))[::-1]
    if not rows:
        return Board(None, [], [])
    last, name = rows[-1]
    rules = _standings(session, [run for run, _ in rows], by)
    run = _run(last, name, by)
    found = Board(run, sorted(rules, key=_order), _completeness([run for run, _ in rows], by))
    run = replace(run, rules=len(rules), broken=len(found.broken), tolerated=len(found.tolerated))
    return replace(found, run=run)


def _order(one: Standing) -> tuple[bool, float]:
    return one.last.success, -one.last.share


def _standings(session: Session, runs: Sequence[CheckRun], by: Actor) -> list[Standing]:
    """In the rules' order, of those that the last run asked."""
    at = {run.id: run.finished_at or run.asked_at for run in runs}
    seen = Sight.of(by).condition()
    lines = select(
        CheckResult.run_id, CheckResult.name, CheckResult.success, CheckResult.checked, CheckResult.failing
    ).where(CheckResult.run_id.in_(at), seen)
    points = defaultdict[str, list[Point]](list)
    for row in session.execute(lines.order_by(CheckResult.run_id)):
        points[row.name].append(Point(row.run_id, at[row.run_id], row.success, row.checked, row.failing))
    last = select(CheckResult).where(CheckResult.run_id == runs[-1].id, seen).order_by(CheckResult.id)
    blocking = switched(session)
    return [_standing(one, points[one.name], blocking) for one in session.scalars(last)]


def _standing(one: CheckResult, points: list[Point], blocking: dict[str, bool]) -> Standing:
    details = one.details or {}
    rule = quality.named().get(one.name) if one.about == About.CONTACTS else None
    return Standing(
        one.name, About(one.about), one.field, details.get("sentence", one.name), details.get("tolerance", 1.0),
        blocking.get(one.name, details.get("blocks", False)), points, f"check={one.name}" if rule else None,
        list(details.get("examples", ())),
    )  # fmt: skip


def _completeness(runs: Sequence[CheckRun], by: Actor) -> list[Completeness]:
    """The emptiest first; runs of an older version counted nothing."""
    counted = [
        (run.finished_at or run.asked_at, run.filled, run.contacts) for run in runs if run.filled and run.contacts
    ]
    if not counted or runs[-1].filled is None:
        return []
    names = [name for name in FIELDS if name in Sight.of(by).fields]
    found = [
        Completeness(
            name, FIELDS[name].title, [(at, filled[name], total) for at, filled, total in counted if name in filled]
        )
        for name in names
    ]
    return sorted((one for one in found if one.points), key=lambda one: one.share)


def _run(run: CheckRun, asker: str | None, by: Actor) -> Run:
    sees = Sight.of(by)
    may_know = by.may(Permission.CHECKS_RUN) and sees.whole
    return Run(
        run.id, CheckState(run.state), run.step,
        run.error if may_know or run.error is None else UNTOLD, asker, run.asked_at,
        run.started_at, run.finished_at, run.contacts, run.industries if "industry" in sees.fields else None,
        run.payments if sees.payments else None,
    )  # fmt: skip


def _counted(session: Session, ids: Sequence[int], by: Actor) -> dict[int, Any]:
    """Run -> how many rules the person sees, how many of these were broken, and how many tolerated failing rows."""
    broken = func.count().filter(CheckResult.success.is_(False))
    tolerated = func.count().filter(CheckResult.success, CheckResult.failing > 0)
    wanted = select(
        CheckResult.run_id, func.count().label("rules"), broken.label("broken"), tolerated.label("tolerated")
    )
    rows = session.execute(
        wanted.where(CheckResult.run_id.in_(ids), Sight.of(by).condition()).group_by(CheckResult.run_id)
    )
    return {row.run_id: row for row in rows}
