"""What the machine has, or what its container allows."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path


def machine_memory() -> int:
    """Bytes of RAM this process may use: what is installed, or what its container allows."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        allowed = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no cgroup v2 here, or the word "max": nothing is limited
        return installed
    return min(installed, allowed)


def give_back_memory() -> None:
    """What this process has freed and its allocator keeps: glibc's keeps it between what is still in use. Others, which
    have no such function, do nothing."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
