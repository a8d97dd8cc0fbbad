"""What no flow does: ends exports that died, makes those whose flow never came, deletes what nobody comes back for.

Reads and writes exports, imports and their files below the home. The flow runner starts it and repeats it; a second
run, or one beside a flow, changes nothing that is done or under way.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from models import exports
from models.errors import Conflict
from models.settings import settings
from pipelines import export_contacts, import_contacts

PATIENCE = timedelta(seconds=30)  # its flow begins an export within seconds; one that waits longer is made here
EVERY = 60  # seconds

log = logging.getLogger(__name__)


def sweep() -> None:
    """One round; what fails is logged and does not keep the rest from its turn."""
    with _logged("ending interrupted exports"):
        exports.fail_interrupted()
    with _logged("looking for waiting exports"):
        for export_id in exports.waiting(longer_than=PATIENCE):
            _make(export_id)
    with _logged("deleting expired files"):
        exports.expire(older_than_days=settings().days_kept_exports)
    with _logged("clearing abandoned imports"):
        import_contacts.clear_abandoned(older_than_days=settings().days_kept_plans)


def keep_sweeping() -> threading.Thread:
    """Sweep now and every minute, beside whatever this process does, until it ends."""
    thread = threading.Thread(target=_for_ever, name="sweep", daemon=True)
    thread.start()
    return thread


def _for_ever() -> None:
    while True:
        sweep()
        time.sleep(EVERY)


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
    except Exception:  # whatever it was, the next round tries again, and must come
        log.exception("sweep: %s failed", what)
