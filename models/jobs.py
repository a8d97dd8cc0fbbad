"""What people do with flows that run by themselves: run one now, stop one, run one again.

A wish stands in the database until whoever sweeps has started the flow: it outlives the browser and Prefect.
"""

from sqlalchemy import func
from sqlalchemy.orm import Session

from models import audit, backups, exports, flow_runs, import_orders, view_exports, watched_folders
from models.audit import Event
from models.database import by_id, writing
from models.duplicates import runs as searches
from models.errors import Conflict, NotFound
from models.flow_runs import FlowRun, Run, RunState
from models.flow_schedules import FlowSchedule, unknown
from models.permissions import Actor, Permission, require

IMPORTS = ("import-contacts", "undo-import", "redo-import")
DRILL = "drill of "  # before the backup that it proves
ENDED = (RunState.DONE, RunState.FAILED, RunState.CANCELLED, RunState.CRASHED)
ENDED_BADLY = (RunState.FAILED, RunState.CRASHED, RunState.CANCELLED)


def run(flow: str, *, by: Actor) -> int:
    """Have the flow run once, now; the number of the run, which waits to begin. The schedule stays as it is, also where
    it rests. To ask again before it began changes nothing. Raises NotAllowed, NotFound, Conflict (it runs)."""
    require(by, Permission.SERVER_MANAGE)
    with writing(by) as session:
        return _ask(session, flow, by, again=None)


def cancel(run_id: int, *, by: Actor) -> None:
    """Have the run stopped. One that works for somebody, such as an export, is stopped as they would stop it.

    Raises NotAllowed, NotFound, Conflict (it has ended, or cannot be stopped).
    """
    require(by, Permission.SERVER_MANAGE)
    found = flow_runs.get(run_id, by=by)
    if found.state in ENDED:
        raise Conflict(f"Run {run_id} is {found.state} already.")
    match found.flow:
        case _ if found.flow in IMPORTS:
            import_orders.cancel(number(found), by=by)
        case "export-contacts":
            exports.cancel(number(found), by=by)
        case "find-duplicates":
            searches.cancel(number(found), by=by)
        case _:
            _stop(found, by)


def retry(run_id: int, *, by: Actor) -> int | None:
    """Have what failed, crashed or was cancelled done once more; the number of the run that waits to do so, None where
    it gets one only when it begins. Raises NotAllowed, NotFound, Conflict."""
    require(by, Permission.SERVER_MANAGE)
    found = flow_runs.get(run_id, by=by)
    if (why := why_not_again(found)) is not None:
        raise Conflict(why)
    match found.flow:
        case "export-contacts":
            exports.again(number(found), by=by)
        case "find-duplicates":
            searches.ask(by=by)
        case "watch-folders":
            watched_folders.look_soon(number(found), by=by)
        case "export-views":
            view_exports.run_now(number(found), by=by)
        case backups.FLOW if (found.subject or "").startswith(DRILL):
            backups.ask_drill(number(found), by=by)
        case _:
            with writing(by) as session:
                return _ask(session, found.flow, by, again=run_id)
    return None


def why_not_again(found: Run) -> str | None:
    """Why `retry` refuses the run, in a sentence; None where it takes it."""
    if found.state not in ENDED_BADLY:
        return f"Run {found.id} is {found.state}: only what failed, crashed or was cancelled is done again."
    if found.flow in IMPORTS:
        return f"The screen of imports shows what to do with {found.subject}: go on from there."
    if found.flow == flow_runs.SWEEP:
        return "The sweep tries it again every minute by itself."
    return None


def number(found: Run) -> int:
    """That of its subject: 17 of “import 17”. Raises Conflict where it has none."""
    last = (found.subject or "").rpartition(" ")[2]
    if not last.isdecimal():
        raise Conflict(f"Run {found.id} does not say what it is about.")
    return int(last)


def _ask(session: Session, flow: str, by: Actor, *, again: int | None) -> int:
    found = session.get(FlowSchedule, flow, with_for_update=True)
    if found is None:
        raise unknown(session, flow)
    there = flow_runs.of_flow_under_way(session, flow)
    if there is not None and there.state == RunState.WAITING:
        return there.id
    if there is not None:
        raise Conflict(f"{flow} runs already, as run {there.id}: wait for it, or cancel it.")
    found.asked_at, found.asked_by = func.clock_timestamp(), by.doer_id
    audit.write(session, Event.JOB_ASKED, f"job {flow}", by=by, **({"again": again} if again else {}))
    return flow_runs.ask(session, flow, asked_by=by.doer_id)


def _stop(found: Run, by: Actor) -> None:
    """Its own heart sees that within seconds; what waits is over at once."""
    with writing(by) as session:
        schedule = session.get(FlowSchedule, found.flow, with_for_update=True)
        if schedule is None:
            raise Conflict(f"A run of {found.flow} cannot be stopped from here: it ends by itself.")
        stored = by_id(session, FlowRun, found.id, locked=True)
        if stored is None:
            raise NotFound(f"There is no run {found.id}.")
        if stored.state in ENDED or stored.cancelled_at is not None:
            return
        if stored.state == RunState.WAITING:
            schedule.asked_at = schedule.asked_by = None
            flow_runs.take_back(session, stored)
        stored.cancelled_at, stored.cancelled_by = func.clock_timestamp(), by.doer_id
        audit.write(session, Event.JOB_CANCELLED, f"job {found.flow}", by=by, run=found.id)
