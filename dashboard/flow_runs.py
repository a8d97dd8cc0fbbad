"""Starts flows by name over Prefect's HTTP interface. The web knows no pipeline, only its deployment's name."""

import logging
import os
import time
from datetime import UTC, datetime

import httpx

from models.imports import State

log = logging.getLogger(__name__)

EXPORT_CONTACTS = "export-contacts/default"
IMPORT_CONTACTS = "import-contacts/default"
UNDO_IMPORT = "undo-import/default"
EXPORT_VIEWS = "export-views/default"
BACK_UP = "back-up/default"
FIND_DUPLICATES = "find-duplicates/default"
REDO_IMPORT = "redo-import/default"
VALIDATE_CONTACTS = "validate-contacts/default"
RECONCILE_PAYMENTS = "reconcile-payments/default"
PATIENCE = 3  # seconds: a screen waits for the answer
WINDOW, LONGEST = 10, 2  # seconds: after so long in a window nobody asks until it is over


class _Waited:
    """How long the screens of this process have waited for Prefect lately. Each asks for everything that waits, every
    second: while Prefect is slow, or does not answer at all, they would do nothing else."""

    since = 0.0
    seconds = 0.0


def start_export(export_id: int, *, at: datetime | None = None) -> bool:
    """Ask for the export's flow; False while Prefect is not there yet or does not know the flow.

    May be called again: Prefect makes one run of one idempotency key, and so one in any minute. A later try makes
    another, for the first may have died, or have been that of an older database with an export of this number.
    """
    return _start(EXPORT_CONTACTS, {"export_id": export_id}, key=f"export-{export_id}-{_minute(at)}")


def start_import(import_id: int, *, until: str, order: int, again: bool = False, at: datetime | None = None) -> bool:
    """Ask for the flow that brings the import to the state `until`, or takes it back where that is “undone”, or undoes
    that where it shall be there `again`.

    Like `start_export`; an order that was carried out or taken back makes the flow do nothing.
    """
    parameters: dict[str, object] = {"import_id": import_id, "order": order}
    key = f"import-{import_id}-{order}-{_minute(at)}"
    if until == State.UNDONE:
        return _start(UNDO_IMPORT, parameters, key=key)
    if again:
        return _start(REDO_IMPORT, parameters, key=key)
    return _start(IMPORT_CONTACTS, {**parameters, "until": until}, key=key)


def start_view_exports(*, at: datetime | None = None) -> bool:
    """Ask for the flow that exports the views that are due, one that somebody just asked for included. Where it does
    not come the sweep does that within a minute."""
    return _start(EXPORT_VIEWS, {}, key=f"views-{(at or datetime.now(UTC)):%Y-%m-%dT%H:%M:%S}")


def start_finding(run_id: int, *, at: datetime | None = None) -> bool:
    """Ask for the flow that looks for duplicates. Like `start_export`; a run that ended makes the flow do nothing."""
    return _start(FIND_DUPLICATES, {"run_id": run_id}, key=f"duplicates-{run_id}-{_minute(at)}")


def start_checking(run_id: int, *, at: datetime | None = None) -> bool:
    """Ask for the flow that checks the data. Like `start_finding`."""
    return _start(VALIDATE_CONTACTS, {"run_id": run_id}, key=f"checks-{run_id}-{_minute(at)}")


def start_backup(backup_id: int, *, at: datetime | None = None) -> bool:
    """Ask for the flow that makes a backup, or drills one. Like `start_finding`."""
    return _start(BACK_UP, {"backup_id": backup_id}, key=f"backup-{backup_id}-{_minute(at)}")


def start_comparing(comparison_id: int, *, at: datetime | None = None) -> bool:
    """Ask for the flow that compares payments with Razorpay's. Like `start_finding`."""
    key = f"payments-{comparison_id}-{_minute(at)}"
    return _start(RECONCILE_PAYMENTS, {"comparison_id": comparison_id}, key=key)


def _minute(at: datetime | None) -> str:
    return (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M")


def _start(deployment: str, parameters: dict[str, object], *, key: str) -> bool:
    address = os.environ.get("PREFECT_API_URL")
    if not address or not _has_patience():
        return False
    asked = time.monotonic()
    try:
        return _create_run(address, deployment, parameters, key)
    finally:
        _Waited.seconds += time.monotonic() - asked


def _has_patience() -> bool:
    now = time.monotonic()
    if now - _Waited.since > WINDOW:
        _Waited.since, _Waited.seconds = now, 0.0
    return _Waited.seconds < LONGEST


def _create_run(address: str, deployment: str, parameters: dict[str, object], key: str) -> bool:
    try:
        with signed_in(address, patience=PATIENCE) as prefect:
            found = prefect.get(f"deployments/name/{deployment}").raise_for_status().json()
            run = {"parameters": parameters, "idempotency_key": key}
            prefect.post(f"deployments/{found['id']}/create_flow_run", json=run).raise_for_status()
    except httpx.HTTPError as error:
        log.info("flow %s is not started yet: %s", deployment, error)
        return False
    return True


def signed_in(address: str, *, patience: float) -> httpx.Client:
    """Prefect's HTTP interface, with its sign-in where it has one."""
    user, colon, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    return httpx.Client(base_url=address, auth=(user, password) if colon else None, timeout=patience)
