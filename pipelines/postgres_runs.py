"""Running the programs of PostgreSQL."""

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

from models import logs
from models.errors import Unavailable

log = logging.getLogger(__name__)


def execute(
    command: list[str], environment: dict[str, str], what: str, *, faults: Callable[[str], str | None] = str
) -> None:
    """Run one to its end. Raises Unavailable with its own last words. `faults` says which part of what a program wrote
    that ended with 1 tells of faults; None where nothing does."""
    done = subprocess.run(
        command, env=environment, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    told = faults(done.stderr) if done.returncode == 1 else done.stderr
    if done.returncode and told is not None:
        log.error("%s ended with %s: %s", Path(command[0]).name, done.returncode, logs.faults(told))
        said = next((line for line in told.splitlines() if "error" in line.lower()), told[-300:])
        raise Unavailable(f"{what}: {said.strip()[:500]}")
