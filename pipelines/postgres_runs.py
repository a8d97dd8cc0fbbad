"""Running the programs of PostgreSQL."""

import logging
import subprocess
from pathlib import Path

from models import logs
from models.errors import Unavailable

log = logging.getLogger(__name__)


def execute(command: list[str], environment: dict[str, str], what: str) -> None:
    """Run one to its end. Raises Unavailable with its own last words."""
    done = subprocess.run(
        command, env=environment, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        log.error("%s ended with %s: %s", Path(command[0]).name, done.returncode, logs.faults(done.stderr))
        said = next((line for line in done.stderr.splitlines() if "error" in line.lower()), done.stderr[-300:])
        raise Unavailable(f"{what}: {said.strip()[:500]}")
