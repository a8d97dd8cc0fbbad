"""What the machine has, or what its container allows."""

import os
from pathlib import Path


def machine_memory() -> int:
    """Bytes of RAM this process may use: what is installed, or what its container allows."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        allowed = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no cgroup v2 here, or the word "max": nothing is limited
        return installed
    return min(installed, allowed)
