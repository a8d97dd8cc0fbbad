"""`python -m deploy.answering PID ADDRESS`: waits until the address answers with success, so that systemd takes a unit
for started once it is of use, or until the process is gone. How long that may take is the unit's TimeoutStartSec."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from deploy import healthy

ASK_EVERY = 0.2  # seconds


def main(arguments: Sequence[str]) -> int:
    pid, address = int(arguments[0]), arguments[1]
    told = None
    while _lives(pid):
        if (fault := healthy.fault(address)) is None:
            return 0
        if fault != told:
            print(f"Waiting: {fault}", flush=True)
        told = fault
        time.sleep(ASK_EVERY)
    return 1


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
