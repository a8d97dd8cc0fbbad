"""The database of a process that somebody else started, and its log."""

import logging
import os

from models import database, fault_reports, logs
from models.errors import Unavailable
from models.settings import settings

PREFECT_RUN = "PREFECT__FLOW_RUN_ID"  # what Prefect's runner and workers tell the process of a run


def bind_database() -> None:
    """Make DATABASE_URL this process's database, if it has none yet. Raises Unavailable where it is not set."""
    if database.Database.engine is not None:
        return
    url = settings().database_url
    if url is None:
        raise Unavailable("DATABASE_URL is not set: flows need the database. `appointment360 up` sets it.")
    database.bind(url.get_secret_value())
    begin_log()


def begin_log() -> None:
    """Let this process log as ours do, Prefect's part in it, too: what it would show of an error is somebody's data."""
    part = "flow" if PREFECT_RUN in os.environ else "worker"
    logs.begin(part)
    logs.take_printed()
    fault_reports.begin(part)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if type(one).__module__.startswith("prefect.")]:
        root.removeHandler(handler)  # it was here first, and would say everything once more
    for name in ("prefect.flow_runs", "prefect.task_runs", "prefect.workers"):
        for handler in logging.getLogger(name).handlers:  # these send to its server
            handler.setFormatter(logs.bare())
