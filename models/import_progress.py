"""How far a process is that works on an import: it writes that down now and then, and the screens read it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from models.imports import Import


class Unit(StrEnum):
    """What the progress of a step is counted in."""

    ROWS = "rows"
    BYTES = "bytes"
    SHARE = "share"  # of the whole, which has no number that means anything to a person


class Step(StrEnum):
    """What a process does with an import, in words."""

    UNPACK = "Unpacking the file"
    SCAN = "Looking through the file"
    OPEN = "Reading the file"
    MEND = "Reading the file record by record"
    JUDGE = "Judging the rows"
    STAGE = "Typing the rows"
    MATCH = "Comparing and checking"
    VERIFY = "Verifying the plan"
    CREATE = "Creating contacts"
    UPDATE = "Updating contacts"
    INDEX = "Building the indexes"
    FINISH = "Finishing"
    UNDO = "Taking the import back"
    REDO = "Bringing the import back"

    @property
    def unit(self) -> Unit:
        if self in (Step.UNPACK, Step.SCAN, Step.OPEN, Step.MEND):
            return Unit.BYTES
        return Unit.SHARE if self is Step.INDEX else Unit.ROWS


@dataclass(frozen=True)
class Progress:
    """How far the present step is. `done` and `total` are in the step's unit, None where nobody knows; `seconds` is the
    time in which that was done, and while nothing is, the time so far."""

    step: Step
    done: int | None
    total: int | None
    seconds: float

    @property
    def rate(self) -> float | None:
        """Of the unit, so many a second; None without a basis."""
        return self.done / self.seconds if self.done and self.seconds >= 1 else None

    @property
    def share(self) -> float | None:
        """Of the whole, 0 to 1; None where nothing is done yet, or nobody knows of how much."""
        return min(self.done / self.total, 1.0) if self.done and self.total else None

    @property
    def left(self) -> float | None:
        """Seconds until the step is done, at the rate so far; None without a basis."""
        if self.total is None or self.done is None or not self.rate:
            return None
        return max(self.total - self.done, 0) / self.rate


def of(found: Import) -> Progress | None:
    """How far the process is that works on it; None where it has not said so yet."""
    if found.step not in set(Step) or found.step_started is None or found.step_at is None:
        return None
    seconds = (found.step_at - found.step_started).total_seconds()
    return Progress(Step(found.step), found.step_done, found.step_total, seconds)


def report(session: Session, import_id: int, progress: Progress | None) -> int | None:
    """Show how far the caller is, in its own short transaction; returns the number of the import's last order.

    None, and nothing is shown, while another transaction has the row: the caller is about to finish.
    """
    own = select(Import.id).where(Import.id == import_id).with_for_update(skip_locked=True).scalar_subquery()
    values = {
        "step": progress and progress.step,
        "step_done": progress and progress.done,
        "step_total": progress and progress.total,
        "step_started": progress and func.clock_timestamp() - timedelta(seconds=progress.seconds),
        "step_at": progress and func.clock_timestamp(),
    }
    return session.scalar(update(Import).where(Import.id == own).values(**values).returning(Import.orders))
