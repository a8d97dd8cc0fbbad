"""Ends runs whose process is gone, which nobody else ends: in our table, in Prefect, and does them again.

The process dies with its runner or its whole machine, and Prefect shows the run as running for ever. Our own heartbeats
tell within two minutes. What died, or failed, before it came to the first of them is known to Prefect only, and noted
here.
"""

import logging
import os
import re
from datetime import timedelta

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from models import flow_runs, flow_schedules
from models.errors import AppError
from models.flow_runs import MOST_CRASHES, NEVER_BEGAN, Gone, RunState, Unheard

UNHEARD = timedelta(minutes=5)  # a process that lives has said something by then, also on a busy machine
LOOKED_AT = 200  # runs in Prefect, the newest
SHUT_DOWN = "Runner is shutting down."  # Prefect's words where it was the machine that ended the run
LASTING = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
BAD = (StateType.FAILED, StateType.CRASHED)
# Prefect's words for an error that a flow raised, in which flows.Failed tells the error.
RAISED = re.compile(
    r"Flow run encountered an exception: (?:Failed: )?(?P<kind>[\w.]+)(?:: (?P<sentence>.*)| from .*)?$", re.DOTALL
)
NOT_TOLD = "It failed before its work began, for a reason that is in the log of the jobs."

log = logging.getLogger(__name__)


def end_gone() -> None:
    """End them here and there; those that crashed are asked for again, so that another machine takes them on. What
    Prefect does not answer to is left for the next time."""
    for gone in flow_runs.end_gone(_settled):
        log.warning("run %s of %s is %s: its process is gone", gone.run_id, gone.flow, gone.state)
    if os.environ.get("PREFECT_API_URL"):
        _end_unheard()
        flow_runs.end_never_begun([wish.flow for wish in flow_schedules.asked()])


def _settled(gone: Gone) -> RunState:
    """How it ended, as Prefect knows of it as well from now on."""
    if gone.prefect_id is None or not os.environ.get("PREFECT_API_URL"):
        return gone.state
    with get_client(sync_client=True) as prefect:
        try:
            run = prefect.read_flow_run(gone.prefect_id)
        except ObjectNotFound:
            return gone.state
        state = run.state
        if state is not None and (state.is_cancelled() or state.is_cancelling()) and state.message != SHUT_DOWN:
            return RunState.CANCELLED
        _crash(prefect, run)
        if gone.state is RunState.CRASHED:
            _ask_again(prefect, run, gone)
    return gone.state


def _crash(prefect: SyncPrefectClient, run: FlowRun) -> None:
    if run.state is not None and not run.state.is_final():
        prefect.set_flow_run_state(run.id, Crashed(message="Its process is gone."), force=True)


def _ask_again(prefect: SyncPrefectClient, run: FlowRun, gone: Gone) -> None:
    """Once, however often it is called."""
    if gone.crashes < MOST_CRASHES and run.deployment_id is not None:
        key = f"again-{gone.run_id}"
        prefect.create_flow_run_from_deployment(run.deployment_id, parameters=run.parameters, idempotency_key=key)
        log.info("run %s of %s is asked for again", gone.run_id, gone.flow)


def _end_unheard() -> None:
    """Those that Prefect takes for alive, or knows to have ended badly, and that never came to our table."""
    wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": [*LASTING, *BAD]}}})
    with get_client(sync_client=True) as prefect:
        found = prefect.read_flow_runs(
            flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=LOOKED_AT
        )
        now, quiet = flow_runs.now(), flow_runs.quiet_for([run.id for run in found])
        for run in found:
            if run.state is None or now - run.state.timestamp < UNHEARD:
                continue
            if run.id not in quiet:
                _note(prefect, run)
            elif quiet[run.id] > UNHEARD:
                _crash(prefect, run)  # died when all was done


def _in_words(message: str | None) -> str:
    """What Prefect says of how a run ended, as a person reads it: the sentence of an error of ours alone; other ones
    stay in Prefect's log."""
    raised = RAISED.match(message or "")
    if raised is None:
        return message or NEVER_BEGAN
    is_ours = raised["kind"] in _kinds(AppError)
    return raised["sentence"] if is_ours and raised["sentence"] else NOT_TOLD


def _kinds(kind: type[AppError]) -> set[str]:
    return {kind.__name__}.union(*map(_kinds, kind.__subclasses__()))


def _note(prefect: SyncPrefectClient, run: FlowRun) -> None:
    assert run.state is not None
    failed = run.state.type is StateType.FAILED
    unheard = Unheard(
        flow=prefect.read_flow(run.flow_id).name,
        prefect_id=run.id,
        state=RunState.FAILED if failed else RunState.CRASHED,
        noted=run.parameters.get("noted"),
        began=run.start_time or run.state.timestamp,
        ended=run.end_time or run.state.timestamp,
        scheduled=bool(run.parameters.get("scheduled")),
        error=_in_words(run.state.message if run.state.type in BAD else None),
    )

    def settle(gone: Gone) -> None:
        _crash(prefect, run)
        if not failed:
            _ask_again(prefect, run, gone)

    if flow_runs.note_unheard(unheard, settle) is not None:
        log.warning("run %s of %s never came to its work: %s", run.name, unheard.flow, run.state.message)
