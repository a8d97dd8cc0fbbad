"""The flow runner of one machine: `python -m pipelines.serve` offers every flow under FLOW/default.

Reads PREFECT_API_URL (where Prefect's server is) and waits for that server; SIGTERM ends it. Each run is a process of
its own, which finds our database by DATABASE_URL, as does the sweep that this process repeats beside them.
"""

import os
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, cast

from models.errors import Unavailable

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

DEPLOYMENT = "default"
WAIT_LIMIT = 300.0
PAUSE = 0.5


def main() -> None:
    wait_for_prefect(os.environ.get("PREFECT_API_URL", ""))
    os.environ.setdefault("PREFECT_RUNNER_POLL_FREQUENCY", "1")
    # Only now: importing Prefect takes seconds of a processor that its server needs to start.
    from prefect import serve

    from pipelines import flows, sweep
    from pipelines.own_database import bind_database

    bind_database()
    sweep.keep_sweeping()

    # In a process without an event loop the method gives the deployment itself; its type says "or a coroutine".
    offered = (
        flows.import_file, flows.undo_import, flows.redo_import, flows.watch_folders, flows.export_file,
        flows.export_views, flows.look_for_duplicates, flows.reconcile_payments,
        flows.validate_contacts,
    )  # fmt: skip
    deployments = [flow.to_deployment(DEPLOYMENT) for flow in offered]
    serve(*cast("list[RunnerDeployment]", deployments))


def wait_for_prefect(api: str) -> None:
    """Return when the server answers. Raises Unavailable after WAIT_LIMIT seconds, or where no address is set."""
    if not api.startswith(("http://", "https://")):
        raise Unavailable("PREFECT_API_URL is not set: start Prefect's server, or all of it with `appointment360 up`.")
    deadline = time.monotonic() + WAIT_LIMIT
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{api}/health", timeout=5):  # noqa: S310  http or https, checked above
                return
        except (OSError, urllib.error.URLError):
            time.sleep(PAUSE)
    raise Unavailable(f"Prefect's server at {api} has not answered for {WAIT_LIMIT:.0f} seconds.")


if __name__ == "__main__":
    main()
