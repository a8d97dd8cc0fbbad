"""Notes what a flow does while it does it: `with recorded("back-up", asked_by=...) as run: ...; run.tell(rows=...)`.

A thread with a connection of its own says every 30 seconds that the process lives, holds the run by a lock, and stops
the work when somebody wants that. It works without Prefect as well. How the block ends is how the run ended.
"""

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from models import flow_runs, flow_schedules, logs, timings
from models.errors import AppError
from models.flow_runs import RunState
from models.tallies import TALLY, Tally
from pipelines.heart import Cancelled, Heart, Run, RunsAlready
from pipelines.own_database import PREFECT_RUN

NICE = 10  # what nobody waits for leaves the processor to what somebody does

T = TypeVar("T")
Say = Callable[[str], object]

log = logging.getLogger(__name__)


def carry_out(
    flow: str,
    work: Callable[[Run], object],
    *,
    asked_by: int | None = None,
    scheduled: bool = False,
    noted: int | None = None,
) -> bool:
    """A flow that runs by schedule: `work` is done and recorded, alone; whether it was done.

    It does nothing where another process runs it, which is noted where somebody asked for it, or `noted`, the run that
    waits for it, was cancelled; by schedule also while the schedule rests, or the moment was made up already. Raises
    Cancelled, and whatever `work` does.
    """
    if scheduled:
        flow_schedules.came(flow)
    try:
        with recorded(flow, asked_by=asked_by, scheduled=scheduled, alone=True, noted=noted) as run:
            if scheduled:
                os.nice(NICE)
            work(run)
    except NotDue as why:
        print(why)
        return False
    except RunsAlready as busy:
        if not scheduled:
            flow_runs.refuse(flow, busy.sentence, run_id=noted, asked_by=asked_by, prefect_id=prefect_id())
        print(busy.sentence)
        return False
    return True


def at_once(flow: str, work: Callable[[Run, Say], T], *, told: Say) -> T:
    """The same for who waits for what it makes: `work` is given what to say its steps to, which `told` hears, too.
    Raises RunsAlready, and whatever `work` does."""
    with recorded(flow, alone=True) as run:

        def says(step: str) -> None:
            run.says(step)
            told(step)

        return work(run, says)


class NotDue(Exception):
    """What comes by schedule is not to run now, or what was asked for not any more; the message says why."""


@contextmanager
def recorded(
    flow: str,
    *,
    subject: str | None = None,
    asked_by: int | None = None,
    scheduled: bool = False,
    alone: bool = False,
    noted: int | None = None,
    cancellations: tuple[type[BaseException], ...] = (),
) -> Iterator[Run]:
    """Note the run of `flow` for as long as the block runs; `asked_by` is a person's id, `noted` the run that waits to
    be begun by this one.

    What leaves the block is noted, and raised on: an AppError by its sentence, anything else with a reference that is
    logged; both are failures, which are mailed, but for an AppError that whoever asked sees anyway. `cancellations` are
    errors that mean that somebody stopped it, as does `run.cancelled`. With `alone`, RunsAlready is raised where
    another process runs the flow, and NotDue where it is `scheduled` and its moment was made up already, or `noted` was
    cancelled. Its time and statements are noted among the timings.
    """
    heart = Heart(flow, alone=alone)
    try:
        # Asked while the flow is held: of two machines that come at once the second one sees what the first one did.
        if scheduled and alone and (why := flow_schedules.why_not(flow)) is not None:
            raise NotDue(why)
        was = None if noted is None else flow_runs.begin_asked(noted, prefect_id=prefect_id())
        if was is RunState.CANCELLED:
            raise NotDue(f"Run {noted} was cancelled before it began.")
        begun = noted if was is RunState.WAITING else None
        run = Run(begun or flow_runs.begin(
            flow, subject=subject, prefect_id=prefect_id(), scheduled=scheduled, asked_by=asked_by
        ), log=_log_line if prefect_id() is not None else lambda line: None)  # fmt: skip
        heart.beat_for(run)
    except BaseException:
        heart.stop()
        raise
    ended: _Ended | None = _Ended(RunState.DONE)
    tally, began = Tally(), time.perf_counter()
    told = TALLY.set(tally)
    try:
        with logs.bound(run_id=run.id, flow=flow, person_id=asked_by):
            yield run
        heart.leave()
        if run.cancelled:
            ended = _Ended(RunState.CANCELLED)
    except BaseException as raised:
        heart.leave()
        ended = _outcome(raised, flow, stopped=heart.cancelled, cancellations=cancellations, asked_by=asked_by)
        raise
    finally:
        heart.stop()
        TALLY.reset(told)
        if ended is not None:
            _end(run, ended)
            _time(flow, tally, time.perf_counter() - began, asked_by, ended)


@dataclass(frozen=True)
class _Ended:
    state: RunState
    error: str | None = None
    mailed: bool = False


def _outcome(
    raised: BaseException,
    flow: str,
    *,
    stopped: bool,
    cancellations: tuple[type[BaseException], ...],
    asked_by: int | None,
) -> _Ended | None:
    """None for a process that is ended from outside, such as with its machine: whoever sweeps does the work again."""
    if isinstance(raised, (Cancelled, KeyboardInterrupt, *cancellations)):
        return _Ended(RunState.CANCELLED)
    if stopped and not isinstance(raised, AppError):
        return _Ended(RunState.CANCELLED)
    if isinstance(raised, AppError):
        return _Ended(RunState.FAILED, raised.noted, mailed=asked_by is None)
    if isinstance(raised, Exception):
        reference = new_reference()
        log.error("%s: reference %s", flow, reference, exc_info=raised)
        return _Ended(RunState.FAILED, in_words(raised, reference), mailed=True)
    return None


def new_reference() -> str:
    return secrets.token_hex(4).upper()


def in_words(raised: Exception, reference: str) -> str:
    """The sentence of an error of ours, as it is noted; of anything else where it stands in the log."""
    if isinstance(raised, AppError):
        return raised.noted
    return f"Something went wrong on our side. Reference {reference}."


def _end(run: Run, ended: _Ended) -> None:
    try:
        flow_runs.end(run.id, ended.state, counts=run.counts, error=ended.error, mailed=ended.mailed)
    except Exception:  # what the work did stands; the sweep ends the run
        log.exception("how run %s ended could not be noted", run.id)
    run.log(f"Run {run.id} is {ended.state}" + (f": {ended.error}" if ended.error else "."))


def _time(flow: str, tally: Tally, seconds: float, asked_by: int | None, ended: _Ended) -> None:
    """Which statements it sent, for the performance report; its own time stands with the run."""
    with timings.keeping():
        timings.note("flow", flow, seconds, tally, user_id=asked_by, failed=ended.state is RunState.FAILED)


def _log_line(line: str) -> None:
    """Prefect takes what a flow prints into the log of its run."""
    print(line, flush=True)


def prefect_id() -> UUID | None:
    """The run of Prefect's that this process carries out."""
    with suppress(KeyError, ValueError):
        return UUID(os.environ[PREFECT_RUN])
    return None
