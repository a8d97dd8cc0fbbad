"""What Prefect is told of our flows: each has FLOW/default for who asks for it, and those in the table of
pipelines/schedule.py FLOW/scheduled besides, which is started at its moments."""

from typing import Any, cast

from prefect import Flow, get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from models import flow_schedules
from pipelines import flows
from pipelines.schedule import ASKED, SCHEDULE

ASKED_NAME, SCHEDULED_NAME = "default", "scheduled"


def offered() -> dict[str, Flow[..., Any]]:
    """Every flow of pipelines/flows.py by its name."""
    return {one.name: one for one in vars(flows).values() if isinstance(one, Flow)}


def asked(pool: str | None = None) -> list[RunnerDeployment]:
    return [_deployment(flow, ASKED_NAME, pool, ASKED.name) for flow in offered().values()]


def scheduled(pool: str | None = None) -> list[RunnerDeployment]:
    """Without moments: `start_due` starts them. Prefect's own scheduler fails in 3.8.8 with the SQLAlchemy that we need
    (“Can't evaluate bulk DML statement”), and would neither make up what was missed nor rest where our table says so.
    """
    found = offered()
    return [
        _deployment(found[one.flow], SCHEDULED_NAME, pool, one.queue.name, parameters={"scheduled": True})
        for one in SCHEDULE
    ]


def start_due() -> None:
    """Start what is due by schedule. While Prefect does not answer it stays due; of one moment Prefect makes one run,
    however many processes ask for it."""
    for moment in flow_schedules.due():
        with get_client(sync_client=True) as prefect:
            deployment = prefect.read_deployment_by_name(f"{moment.flow}/{SCHEDULED_NAME}")
            prefect.create_flow_run_from_deployment(
                deployment.id, idempotency_key=f"{moment.flow} {moment.at:%Y-%m-%dT%H:%M}Z"
            )
        flow_schedules.move_on(moment)


def start_asked() -> None:
    """Start what somebody asked for; likewise once."""
    for wish in flow_schedules.asked():
        with get_client(sync_client=True) as prefect:
            deployment = prefect.read_deployment_by_name(f"{wish.flow}/{ASKED_NAME}")
            prefect.create_flow_run_from_deployment(
                deployment.id, parameters={"asked_by": wish.by, "noted": wish.run},
                idempotency_key=f"{wish.flow} asked {wish.at}",
            )  # fmt: skip
        flow_schedules.take_asked(wish)


def _deployment(flow: Flow[..., Any], name: str, pool: str | None, queue: str, **given: Any) -> RunnerDeployment:
    """Beside a pool, which other machines look into, the flow is found by its module, wherever that lies there."""
    if pool is not None:
        given |= {"work_pool_name": pool, "work_queue_name": queue, "entrypoint_type": EntrypointType.MODULE_PATH}
    # In a process without an event loop the method gives the deployment itself; its type says "or a coroutine".
    return cast("RunnerDeployment", flow.to_deployment(name, **given))
