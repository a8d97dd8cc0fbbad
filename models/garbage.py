"""How often a process looks for garbage in cycles. What our libraries load stays to the end; by default Python looks
through all of it time and again while it is loaded, and once more when the process ends: a third of what a short
command takes.
"""

import atexit
import gc
import sys

YOUNG = 50_000  # new objects until they are looked through
USUAL = gc.get_threshold()  # Python's own, which is 700 of them


def seldom_sought() -> None:
    """For processes that do one thing and end: from now on, and not at all at the end. What must be written or given
    back by then is closed by whoever opened it.
    """
    seldom_sought_while_loading()
    atexit.register(leave_be)


def seldom_sought_while_loading() -> None:
    """For processes that run on, before they load what they need; `not_sought_in_what_is_loaded` ends it."""
    gc.set_threshold(YOUNG, *USUAL[1:])


def not_sought_in_what_is_loaded() -> None:
    """For processes that run on: nothing that is there now is looked through again, nor anything at the end."""
    gc.set_threshold(*USUAL)
    gc.freeze()
    atexit.register(leave_be)


def leave_be() -> None:
    """Look through nothing that is there now. Not with DuckDB, which prints a page of what was not given back."""
    if "_duckdb" in sys.modules:
        gc.unfreeze()
    else:
        gc.freeze()
