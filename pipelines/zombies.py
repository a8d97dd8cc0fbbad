"""Ends runs whose process is gone, which nobody else ends: in our table, in Prefect, and does them again.

The process dies with its runner or its whole machine, and Prefect shows the run as running for ever. Our own heartbeats
tell within two minutes; an automation of Prefect's, by the heartbeats that it knows, catches what never came to ours.
"""

import logging
import os
from datetime import timedelta

from prefect import get_client
from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from models import flow_runs
from models.flow_runs import Gone

AUTOMATION = "Crash runs without a heartbeat"
BEAT = "prefect.flow-run.heartbeat"
ENDED = tuple(f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed"))
SILENT = timedelta(seconds=90)  # three of Prefect's heartbeats
SHUT_DOWN = "Runner is shutting down."  # Prefect's words where it was the machine that ended the run

log = logging.getLogger(__name__)


def ensure_automation() -> None:
    with get_client(sync_client=True) as prefect:
        if prefect.read_automations_by_name(AUTOMATION):
            return
    Automation(
        name=AUTOMATION,
        trigger=EventTrigger(
            after={BEAT},
            expect={BEAT, *ENDED},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENT,
        ),
        actions=[
            ChangeFlowRunState(
                name=None, state=StateType.CRASHED, force=False, message=f"No heartbeat for {SILENT.seconds} s."
            )
        ],
    ).create()


def end_gone() -> None:
    """End them here and there; those that crashed are asked for again, so that another machine takes them on."""
    for gone in flow_runs.end_gone():
        log.warning("run %s of %s is %s: its process is gone", gone.run_id, gone.flow, gone.state)
        if gone.prefect_id is not None and os.environ.get("PREFECT_API_URL"):
            _end_in_prefect(gone)


def _end_in_prefect(gone: Gone) -> None:
    assert gone.prefect_id is not None
    with get_client(sync_client=True) as prefect:
        try:
            run = prefect.read_flow_run(gone.prefect_id)
        except ObjectNotFound:
            return
        state = run.state
        if state is not None and (state.is_cancelled() or state.is_cancelling()) and state.message != SHUT_DOWN:
            flow_runs.note_cancelled(gone.run_id)
            return
        if state is not None and not state.is_final():
            prefect.set_flow_run_state(run.id, Crashed(message="Its process is gone."), force=True)
        if (
            gone.state == flow_runs.RunState.CRASHED
            and gone.crashes < flow_runs.MOST_CRASHES
            and run.deployment_id is not None
        ):
            prefect.create_flow_run_from_deployment(
                run.deployment_id, parameters=run.parameters, idempotency_key=f"again-{gone.run_id}"
            )
            log.info("run %s of %s is asked for again", gone.run_id, gone.flow)
