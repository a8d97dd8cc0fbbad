"""Past one machine: `python -m pipelines.deploy_to_pool POOL` puts every flow into a work pool of Prefect's, from which
workers on any number of machines take them. See deploy/WORKERS.md.

Reads PREFECT_API_URL, and DATABASE_URL for what rests. Makes the pool where it is missing, its two queues, of which
what a person waits for is asked first, and the deployments. A second run brings them up to what the code says now.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from models.errors import AppError
from pipelines.own_database import bind_database
from pipelines.serve import wait_for_prefect


def deploy(pool: str) -> list[str]:
    """The deployments' names. Raises Unavailable."""
    wait_for_prefect(os.environ.get("PREFECT_API_URL", ""))
    from models import flow_schedules
    from pipelines import deployments, schedule

    flow_schedules.write(schedule.entries())
    _ensure_pool(pool)
    made = [*deployments.asked(pool), *deployments.scheduled(pool)]
    for one in made:
        one.apply(work_pool_name=pool)
    return [one.full_name for one in made]


def _ensure_pool(pool: str) -> None:
    from prefect import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
    from prefect.workers.process import ProcessWorker

    from pipelines.schedule import ASKED, SCHEDULED

    with get_client(sync_client=True) as prefect:
        try:
            prefect.read_work_pool(pool)
        except ObjectNotFound:
            template = ProcessWorker.get_default_base_job_template()
            with suppress(ObjectAlreadyExists):  # another worker makes it in this moment
                prefect.create_work_pool(WorkPoolCreate(name=pool, type=ProcessWorker.type, base_job_template=template))
        for queue in (ASKED, SCHEDULED):
            try:
                found = prefect.read_work_queue_by_name(queue.name, work_pool_name=pool)
            except ObjectNotFound:
                with suppress(ObjectAlreadyExists):
                    prefect.create_work_queue(queue.name, work_pool_name=pool, priority=queue.priority)
                found = prefect.read_work_queue_by_name(queue.name, work_pool_name=pool)
            prefect.update_work_queue(found.id, priority=queue.priority, concurrency_limit=queue.at_once)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.deploy_to_pool", description=__doc__)
    parser.add_argument("pool", metavar="POOL", help="its name, such as appointment360")
    chosen = parser.parse_args(arguments)
    try:
        bind_database()
        for name in deploy(chosen.pool):
            print(name)
    except AppError as error:
        print(error.sentence, file=sys.stderr)
        return 1
    print(f"Start a worker on each machine: prefect worker start --pool {chosen.pool} --type process")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
