"""What Prefect keeps of a run: its log, over the HTTP interface that starts flows; and where its own screens are."""

import os
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import httpx

from dashboard.flow_runs import PATIENCE, signed_in

SCREENS = "/prefect/v2"  # where the web passes Prefect's on; they need no socket, as the older ones do
MOST = 200  # lines, which is what Prefect gives at once
LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}


@dataclass(frozen=True)
class Line:
    at: datetime
    level: str
    message: str


def lines(prefect_id: UUID | None) -> list[Line] | None:
    """The last lines of the run's log, the oldest first; None where Prefect does not tell, or has no part in it."""
    if prefect_id is None or not os.environ.get("PREFECT_API_URL"):
        return None
    wanted = {"logs": {"flow_run_id": {"any_": [str(prefect_id)]}}, "sort": "TIMESTAMP_DESC", "limit": MOST}
    try:
        with signed_in(os.environ["PREFECT_API_URL"], patience=PATIENCE) as prefect:
            found = prefect.post("logs/filter", json=wanted).raise_for_status().json()
    except httpx.HTTPError:
        return None
    return [
        Line(datetime.fromisoformat(one["timestamp"]), LEVELS.get(one["level"], "info"), one["message"])
        for one in reversed(found)
    ]


def address(prefect_id: UUID | None = None) -> str | None:
    """Prefect's own screens, or that of the run, as the web passes them on; None where it is not set up."""
    if not os.environ.get("PREFECT_API_URL"):
        return None
    screen = f"runs/flow-run/{prefect_id}" if prefect_id else "dashboard"
    return f"{SCREENS}/{screen}"
