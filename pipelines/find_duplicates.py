"""Looking through all contacts for those that are perhaps the same.

Reads contacts and what people decided of pairs, writes the pairs and the numbers of the run. The finder runs in a
process of its own: it holds gigabytes for a minute, and gives them back. A run that was killed is begun again by the
next call; one that ended stays as it is.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models import database, settings
from models.database import libpq_url, writing
from models.duplicates import runs
from models.duplicates.tables import DuplicateRun
from models.errors import AppError, Conflict, Unavailable
from models.permissions import OPERATOR, Actor
from pipelines.heart import Run
from pipelines.recorded import recorded

log = logging.getLogger(__name__)
ROOT = Path(__file__).parents[1]
Say = Callable[[str], None]


def find(*, by: Actor, say: Say = lambda step: None) -> DuplicateRun:
    """Ask for a run and carry it out; `say` gets each step's words. Raises NotAllowed, Conflict, Unavailable."""
    run_id = runs.ask(by=by)
    run(run_id, say=say)
    return runs.get(run_id, by=by)


def run(run_id: int, *, say: Say = lambda step: None) -> None:
    """Carry out what was asked for, with the rights of whoever asked; nothing where it ended already, or another
    process does it. What goes wrong is noted with the run, and raised on. Raises NotFound, NotAllowed, Unavailable."""
    try:
        with runs.claimed(run_id):
            _carry_out(run_id, say)
    except Conflict as conflict:  # cancelled, or another process has it
        log.info("%s", conflict.sentence)


def _carry_out(run_id: int, say: Say) -> None:
    try:
        by = runs.begin(run_id)
        if by is None:
            return
        with recorded(
            "find-duplicates", subject=f"search {run_id}", asked_by=by.id, cancellations=(Conflict,)
        ) as noted:
            _look(run_id, by, say, noted)
    except Conflict:
        raise
    except AppError as error:
        runs.fail(run_id, error.sentence)
        raise
    except Exception:
        runs.fail(run_id, "It failed for a reason that is in the log.")
        raise


def _look(run_id: int, by: Actor, say: Say, noted: Run) -> None:
    with writing(OPERATOR) as session:
        runs.staged_table(session)

    def progressed(step: str) -> None:
        runs.progressed(run_id, step)
        noted.says(runs.STEPS.get(step, step))
        say(runs.STEPS.get(step, step))

    found = _found(progressed)
    runs.finish(run_id, found, by=by)
    noted.tell(**{name: value for name, value in found.items() if isinstance(value, int)})


def _found(progressed: Say) -> dict[str, Any]:
    """The finder's numbers. Raises Unavailable where it fails."""
    with _folder() as folder, (folder / "log").open("w+") as errors:
        url = libpq_url(database.Database.url or "")
        environment = settings.environment(DATABASE_URL=url, PYTHONPATH=_path())
        command = [sys.executable, "-m", "pipelines.duplicate_finder.child", str(folder)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, env=environment, text=True) as child:
            try:
                found = _followed(child, progressed)
            except BaseException:
                child.kill()
                raise
        if child.returncode == 0 and found is not None:
            return found
        errors.seek(0)
        log.error("the finder ended with %s: %s", child.returncode, errors.read()[-4000:])
    raise Unavailable("The search for duplicates was stopped: memory or disk may be short. Nothing was changed.")


def _followed(child: subprocess.Popen[str], progressed: Say) -> dict[str, Any] | None:
    """What the child says at last; each of its steps is passed on."""
    found = None
    for line in child.stdout or ():
        told = json.loads(line)
        found = told.get("found", found)
        if "step" in told:
            progressed(told["step"])
    return found


@contextmanager
def _folder() -> Iterator[Path]:
    home = settings.settings().home
    with tempfile.TemporaryDirectory(prefix="duplicates-", dir=home if home and home.is_dir() else None) as name:
        yield Path(name)


def _path() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
