"""What no flow does: ends exports that died, makes those, imports and searches for duplicates whose flow never came,
exports of views, looks at watched folders and other flows that are due; applies what Razorpay told, and asks again for
refunds; ends runs of flows whose process is gone; deletes what nobody comes back for and what is left of accounts'
doings; tells of disks that are getting full; and drops the indexes that an older version builds. What is kept for days
by a setting pipelines/keep_house.py removes, but for files and plans.

Reads and writes exports, imports, their files below the home, payments, runs of flows, the audit log, and the tables of
OVER. The flow runner starts it and repeats it, as does `python -m pipelines.sweep` where there is none; a second run,
or one beside a flow, changes nothing that is done or under way.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from models import (
    audit,
    backup_alerts,
    backups,
    check_runs,
    credit_takings,
    database,
    disk_alerts,
    exports,
    flow_runs,
    idempotency,
    import_orders,
    import_uploads,
    link_tokens,
    mails,
    mapping_contents,
    outages,
    request_hours,
    request_limits,
    sign_in_failures,
    sign_in_sessions,
    stored_files,
    tokens,
    view_changes,
    watched_files,
    watched_looks,
)
from models.contacts import browsing, feed
from models.duplicates import runs
from models.errors import Conflict
from models.payments import events, reconciliations, refunds
from models.settings import environment, settings
from pipelines import (
    archive_wal,
    back_up,
    export_contacts,
    find_duplicates,
    import_contacts,
    look_at_backups,
    look_at_recovery,
    reconcile_payments,
    validate_contacts,
)
from pipelines import export_views as view_export
from pipelines import import_orders as orders
from pipelines.own_database import bind_database
from pipelines.recorded import in_words, new_reference

PATIENCE = timedelta(seconds=30)  # its flow begins an export within seconds; one that waits longer is made here
EVERY = 60  # seconds
DUE = 2  # seconds between looks for flows whose moment has come
LASTING = 50  # seconds

OVER = {
    "forgotten failures": sign_in_failures.clear_forgotten,
    "ended sessions": sign_in_sessions.clear_ended,
    "ended tokens": tokens.clear_ended,
    "ended links": link_tokens.clear_ended,
    "old messages": mails.clear_done,
    "past limits": request_limits.clear_past,
    "past hours": request_hours.clear_past,
    "past requests": idempotency.clear_past,
    "past takings": credit_takings.clear_past,
    "unused mappings": mapping_contents.clear_unused,
    "deleted views": view_changes.clear_deleted,
    "followed changes": feed.expire,
}

log = logging.getLogger(__name__)
_failing: dict[str, float] = {}  # since when, by what it was about
_stopping = threading.Event()
_rounds: list[threading.Thread] = []


def sweep() -> None:
    """One round; what fails is logged and does not keep the rest from its turn."""
    with _logged("ending interrupted exports"):
        exports.fail_interrupted()
    with _logged("looking for waiting exports"):
        for export_id in exports.waiting(longer_than=PATIENCE):
            _make(export_id)
    with _logged("deleting expired files"):
        exports.expire(older_than_days=settings().days_kept_exports)
    with _logged("writing the outstanding audit lines"):
        audit.write_outstanding()
    for what, clear in OVER.items():
        with _logged(f"clearing {what}"):
            clear()
    with _logged("clearing cancelled imports"):
        import_contacts.clear_cancelled()
    with _logged("clearing abandoned imports"):
        import_contacts.clear_abandoned(older_than_days=settings().days_kept_plans)
    with _logged("clearing what other hosts have ended"):
        import_contacts.clear_ended_elsewhere()
        stored_files.clear_scratch()
    with _logged("clearing abandoned uploads"):
        import_uploads.clear_abandoned(older_than_days=settings().days_kept_plans)
    with _logged("clearing interrupted backups"):
        back_up.clear_interrupted()
    with _logged("looking for the archives"):
        look_at_backups.look()
    with _logged("looking for the archived log"):
        look_at_recovery.look()
    with _logged("looking after the backups"):
        backup_alerts.look()
    with _logged("looking at the disks"):
        disk_alerts.look()
    with _logged("dropping the indexes of an older version"):
        browsing.drop_former()


def carry_out_orders() -> None:
    """Bring every import to where somebody wants it whose flow did not come, or died, or found no room on the disk: one
    after the other, each in a process of its own, which gives back the memory that it takes."""
    with _logged("looking for imports that wait"):
        for import_id, order in import_orders.waiting(longer_than=PATIENCE):
            if orders.can_begin(import_id):
                _apart("pipelines.import_orders", import_id, order)


def export_views() -> None:
    """Carry out the exports of views whose moment has come, or whose process died: one after the other, each in a
    process of its own."""
    with _logged("looking for views to export"):
        for run_id in view_export.due():
            _apart("pipelines.export_views", run_id)


def find_duplicates_asked_for() -> None:
    """Carry out a search for duplicates whose flow did not come, or died."""
    with _logged("looking for duplicates"):
        for run_id in runs.waiting(longer_than=PATIENCE):
            find_duplicates.run(run_id)


def check_what_was_asked_for() -> None:
    """Carry out a check of the data whose flow did not come, or died."""
    with _logged("checking the data"):
        for run_id in check_runs.waiting(longer_than=PATIENCE):
            validate_contacts.run(run_id)


def watch_folders() -> None:
    """Look at the watched folders whose time has come, one after the other, each in a process of its own; and mail how
    the imports of their files ended."""
    with _logged("looking for watched folders that are due"):
        for folder_id in watched_looks.due():
            _tell_of_watched()  # a look may take hours
            _apart("pipelines.watch_folders", folder_id)
    _tell_of_watched()


def back_up_asked_for() -> None:
    """Make backups, and drill those, whose flow did not come, or died."""
    with _logged("looking for backups that wait"):
        for backup_id in backups.waiting(longer_than=PATIENCE):
            with _logged(f"backup {backup_id}"):
                back_up.carry_out(backup_id)


def archive_log() -> None:
    """Bring what the embedded server left of its log into its place, where that is wanted."""
    with _logged("archiving the log"):
        archive_wal.ship()


def look_after_payments() -> None:
    """Apply the events that nobody applied, ask again for refunds that were not answered, and compare payments where
    somebody asked for it and the flow did not come, or died."""
    with _logged("applying payment events"):
        events.apply_waiting()
    with _logged("asking again for refunds"):
        refunds.send_waiting()
    with _logged("comparing payments"):
        for number in reconciliations.waiting(longer_than=PATIENCE):
            reconcile_payments.run(number)


def look_after_runs() -> None:
    """End the runs whose process is gone."""
    from pipelines import zombies  # Prefect, which takes seconds to load

    with _logged("ending runs that are gone"):
        zombies.end_gone()


def start_due() -> None:
    """Start the flows that somebody asked for, or whose moment has come."""
    from pipelines import deployments

    with _logged("starting what was asked for"):
        deployments.start_asked()
    with _logged("starting what is due"):
        deployments.start_due()


def _tell_of_watched() -> None:
    with _logged("telling of watched files"):
        watched_files.tell_outcomes()


def keep_sweeping() -> None:
    """Sweep now and every minute, beside whatever this process does, until it ends. An import, an export or a look
    may take longer."""
    every = (
        sweep, carry_out_orders, export_views, watch_folders, find_duplicates_asked_for, check_what_was_asked_for,
        back_up_asked_for, archive_log, look_after_payments, look_after_runs,
    )  # fmt: skip
    for work in every:
        _begin(work, EVERY)
    if os.environ.get("PREFECT_API_URL"):
        _begin(start_due, DUE)


def stop() -> None:
    """Begin no further round."""
    _stopping.set()


def drain(seconds: float) -> None:
    """Stop, and wait for the rounds that are under way, at most so long; what is left ends with the process."""
    stop()
    deadline = time.monotonic() + seconds
    for one in _rounds:
        one.join(max(0.0, deadline - time.monotonic()))


def _begin(work: Callable[[], None], every: float) -> None:
    thread = threading.Thread(target=_repeat, args=(work, every), name=work.__name__, daemon=True)
    _rounds.append(thread)
    thread.start()


def _repeat(work: Callable[[], None], every: float) -> None:
    while not _stopping.is_set():
        work()
        _stopping.wait(every)


def _apart(module: str, *numbers: int) -> None:
    """Run `python -m module` in a process of its own, and wait for its end."""
    command = [sys.executable, "-m", module, *map(str, numbers)]
    url = database.sqlalchemy_url(database.Database.url or "")
    root = Path(__file__).parents[1]
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(command, env=environment(DATABASE_URL=url, PYTHONPATH=path), check=False)
    log.info("%s %s ended with exit code %s", module, numbers, ended.returncode)


def _make(export_id: int) -> None:
    with _logged(f"export {export_id}"):
        try:
            export_contacts.run(export_id)
        except Conflict as conflict:
            log.info("%s", conflict.sentence)  # its flow came after all


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as raised:  # whatever it was, the next round tries again, and must come
        reference = new_reference()
        if outages.is_away(raised):
            log.warning("sweep: %s waits for the database: %s", what, raised)
        else:
            log.exception("sweep: %s failed: reference %s", what, reference)
        _note(what, in_words(raised, reference))
    else:
        _failing.pop(what, None)


def _note(what: str, error: str) -> None:
    """What fails in one round only, such as while the database starts again, is nobody's business."""
    seconds = time.monotonic() - _failing.setdefault(what, time.monotonic())
    if seconds >= LASTING:
        with suppress(Exception):  # the database is what fails
            flow_runs.note_round(what, seconds=seconds, error=error)


def main() -> None:
    """For machines whose flows are in a work pool: repeats all of it until SIGTERM, and finishes what is under way."""
    bind_database()
    signal.signal(signal.SIGTERM, lambda *_: stop())
    keep_sweeping()
    _stopping.wait()
    drain(settings().drain_seconds)


if __name__ == "__main__":
    main()
