"""Ends the parts of a supervisor that was killed: `python -m deploy.warden RECORD`, with a pipe as its stdin.

The supervisor holds the other end of the pipe and never writes. When it dies, however it dies, the kernel closes that
end; the warden then kills the recorded parts and leaves. A supervisor that stops by itself stops its parts first, so
that there is nothing left to do. Other than PR_SET_PDEATHSIG this works on macOS, and reaches grandchildren.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def main(record: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever stops everything by name must not stop this one first
    while os.read(0, 1):
        pass
    from deploy import running  # only now: until then the warden stays small

    running.end_all([part for part in running.parts(record) if part.pid != os.getpid()])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
