"""The web sends what waits to be mailed: at once what it queued itself, every few seconds what others did."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from models import mails

log = logging.getLogger(__name__)

EVERY = 5  # seconds
PATIENCE = 15  # seconds for a message that is being sent when the web stops


@contextmanager
def delivering() -> Iterator[None]:
    """In a thread of its own while this lasts: a mail server may be slow, and no request waits for it."""
    stopped = threading.Event()
    thread = threading.Thread(target=_deliver_until, args=[stopped], name="mails", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        mails.waiting.set()
        thread.join(PATIENCE)


def _deliver_until(stopped: threading.Event) -> None:
    while not stopped.is_set():
        mails.waiting.clear()
        try:
            mails.deliver()
        except Exception:  # the thread must outlive whatever one round meets
            log.exception("mails could not be delivered; the next try is in %s s", EVERY)
        mails.waiting.wait(EVERY)
