"""Starts flows by name over Prefect's HTTP interface. The web knows no pipeline, only its deployment's name."""

import logging
import os
from datetime import UTC, datetime

import httpx

log = logging.getLogger(__name__)

EXPORT_CONTACTS = "export-contacts/default"
PATIENCE = 3  # seconds: a screen waits for the answer


def start_export(export_id: int, *, at: datetime | None = None) -> bool:
    """Ask for the export's flow; False while Prefect is not there yet or does not know the flow.

    May be called again: Prefect makes one run of one idempotency key, and so one in any minute. A later try makes
    another, for the first may have died, or have been that of an older database with an export of this number.
    """
    minute = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M")
    return _start(EXPORT_CONTACTS, {"export_id": export_id}, key=f"export-{export_id}-{minute}")


def _start(deployment: str, parameters: dict[str, object], *, key: str) -> bool:
    address = os.environ.get("PREFECT_API_URL")
    if not address:
        return False
    user, colon, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    try:
        with httpx.Client(base_url=address, auth=(user, password) if colon else None, timeout=PATIENCE) as prefect:
            found = prefect.get(f"deployments/name/{deployment}").raise_for_status().json()
            run = {"parameters": parameters, "idempotency_key": key}
            prefect.post(f"deployments/{found['id']}/create_flow_run", json=run).raise_for_status()
    except httpx.HTTPError as error:
        log.info("flow %s is not started yet: %s", deployment, error)
        return False
    return True
