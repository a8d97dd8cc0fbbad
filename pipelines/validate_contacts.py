"""The check of everything that is stored: contacts, industries, payments.

Reads those tables; writes the run with its results, the audit line, and mails about rules that hold no longer. A run
that was killed is begun again by the next call; one that ended stays as it is.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from data_checks.gate import Gate
from models import check_results, check_runs, database
from models.check_results import Verdict
from models.database import reading
from models.errors import AppError, Conflict
from models.permissions import Actor
from models.settings import home as default_home
from pipelines.heart import Cancelled, Run
from pipelines.recorded import recorded

FLOW = "validate-contacts"
log = logging.getLogger(__name__)
Say = Callable[[str], None]


def check(*, by: Actor, home: Path | None = None, say: Say = lambda step: None) -> list[Verdict]:
    """Ask for a run and carry it out; what each rule that `by` may see says. `say` gets each step's words.

    Raises NotAllowed, Conflict (another process is at it), and what data_checks.gate.Gate.check raises.
    """
    run_id = check_runs.ask(by=by)
    if not run(run_id, home=home, say=say):
        raise Conflict("The data is being checked by another process: wait for it, its results are on the screen.")
    with reading() as session:
        return check_results.seen_by(by, check_results.of_run(session, run_id))


def run(run_id: int, *, home: Path | None = None, say: Say = lambda step: None) -> bool:
    """Carry it out; False where it ended before, or another process is at it. `home` is where a warm checker may
    listen. What goes wrong is noted with the run, and raised on. Raises NotFound, Unavailable."""
    with check_runs.claimed() as mine:
        by = check_runs.begin(run_id) if mine else None
        if by is None:
            log.info("check %s is over, or another process is at it", run_id)
            return False
        with recorded(FLOW, subject=f"check {run_id}", asked_by=by.doer_id) as noted:
            _followed(run_id, home or default_home(), say, noted)
    return True


def check_due(noted: Run, *, asked_by: int | None = None) -> None:
    """One that is due by schedule, or that somebody had carried out at once. Like `run`."""
    run_id = check_runs.note_due(asked_by)
    noted.tell(check=run_id)
    with check_runs.claimed() as mine:
        if mine and check_runs.begin(run_id) is not None:
            _followed(run_id, default_home(), lambda step: None, noted)


def _followed(run_id: int, home: Path, say: Say, noted: Run) -> None:
    try:
        _carry_out(run_id, home, say, noted)
    except Cancelled:
        check_runs.fail(run_id, "Somebody stopped it.")
        raise
    except AppError as error:
        check_runs.fail(run_id, error.sentence)
        raise
    except Exception:
        check_runs.fail(run_id, "It failed for a reason that is in the log.")
        raise


def _carry_out(run_id: int, home: Path, say: Say, noted: Run) -> None:
    def step(name: str, place: int) -> None:
        check_runs.progressed(run_id, name)
        noted.says(check_runs.STEPS[name], place, len(check_runs.STEPS))
        say(check_runs.STEPS[name])

    address = database.engine().url.render_as_string(hide_password=False)
    with Gate(home) as gate:  # a process of its own loads its library while the fields are counted
        step("count", 0)
        noted.tell(**check_runs.count_filled(run_id))
        step("check", 1)
        verdicts = gate.check_everything(address)
    step("write", 2)
    check_runs.finish(run_id, verdicts)
    failing = sum(one.failing for one in verdicts)
    noted.tell(rules=len(verdicts), broken=sum(not one.success for one in verdicts), failing_values=failing)
