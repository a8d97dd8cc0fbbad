"""Notes what a flow does while it does it: `with recorded("back-up", asked_by=...) as run: ...; run.tell(rows=...)`.

A thread with a connection of its own says every 30 seconds that the process lives, holds the run by a lock, and stops
the work when somebody wants that. It works without Prefect as well. How the block ends is how the run ended.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from models import flow_runs, flow_schedules
from models.errors import AppError
from models.flow_runs import State
from pipelines.heart import Cancelled, Heart, Run, RunsAlready

PREFECT_RUN = "PREFECT__FLOW_RUN_ID"  # what Prefect's runner and workers tell the process of a run
NICE = 10  # what nobody waits for leaves the processor to what somebody does

log = logging.getLogger(__name__)


def carry_out(
    flow: str, work: Callable[[Run], object], *, asked_by: int | None = None, scheduled: bool = False
) -> bool:
    """A flow that runs by schedule: `work` is done and recorded, alone; whether it was done.

    By schedule it does nothing while the schedule rests, another process runs it, or the moment was made up already.
    Raises RunsAlready where somebody asked for it, and whatever `work` does.
    """
    if scheduled and (why := flow_schedules.why_not(flow)) is not None:
        print(why)
        return False
    try:
        with recorded(flow, asked_by=asked_by, scheduled=scheduled, alone=True) as run:
            if scheduled:
                os.nice(NICE)
            work(run)
    except RunsAlready as busy:
        if not scheduled:
            raise
        print(busy.sentence)
        return False
    return True


@contextmanager
def recorded(
    flow: str,
    *,
    subject: str | None = None,
    asked_by: int | None = None,
    scheduled: bool = False,
    alone: bool = False,
    cancellations: tuple[type[BaseException], ...] = (),
) -> Iterator[Run]:
    """Note the run of `flow` for as long as the block runs; `asked_by` is a person's id.

    What leaves the block is noted, and raised on: an AppError by its sentence, anything else with a reference that is
    logged; both are failures, which are mailed, but for an AppError that whoever asked sees anyway. `cancellations` are
    errors that mean that somebody stopped it. With `alone`, RunsAlready is raised where another process runs the flow.
    """
    heart = Heart(flow, alone=alone)
    try:
        run = Run(flow_runs.begin(
            flow, subject=subject, prefect_id=_prefect_id(), scheduled=scheduled, asked_by=asked_by
        ))  # fmt: skip
        heart.beat_for(run)
    except BaseException:
        heart.stop()
        raise
    state, error, mailed = State.DONE, None, False
    try:
        yield run
        heart.leave()
    except BaseException as raised:
        heart.leave()
        state, error = _outcome(raised, flow, heart.cancelled, cancellations)
        mailed = state is State.CRASHED or (
            state is State.FAILED and not (asked_by is not None and isinstance(raised, AppError))
        )
        raise
    finally:
        heart.stop()
        _end(run, state, error, mailed)


def _outcome(
    raised: BaseException, flow: str, cancelled: bool, cancellations: tuple[type[BaseException], ...]
) -> tuple[State, str | None]:
    if isinstance(raised, (Cancelled, *cancellations)) or (cancelled and not isinstance(raised, AppError)):
        return State.CANCELLED, None
    if isinstance(raised, AppError):
        return State.FAILED, raised.sentence
    if isinstance(raised, Exception):
        reference = secrets.token_hex(4).upper()
        log.error("%s: reference %s", flow, reference, exc_info=raised)
        return State.FAILED, f"Something went wrong on our side. Reference {reference}."
    return State.CRASHED, flow_runs.ENDED_SO


def _end(run: Run, state: State, error: str | None, mailed: bool) -> None:
    try:
        flow_runs.end(run.id, state, counts=run.counts, error=error, mailed=mailed)
    except Exception:  # what the work did stands; the sweep ends the run
        log.exception("how run %s ended could not be noted", run.id)


def _prefect_id() -> UUID | None:
    with suppress(KeyError, ValueError):
        return UUID(os.environ[PREFECT_RUN])
    return None
