"""Housekeeping: removes what retention says, takes stock of disks, folders and tables, and looks after tables that want
VACUUM or ANALYZE.

Reads the server's statistics, the disks and the home. Removes what models/house/retention.py gives a time, in batches;
writes a report. A second round removes what became due since, and makes another report.
"""

import logging
import socket
from collections.abc import Callable

from models import disk_alerts, exports, import_files, stored_files
from models.database import reading
from models.errors import AppError
from models.house import advice, reports, standing, stock
from models.house.reports import Made
from models.house.retention import RULES, Rule
from models.house.shapes import HouseAdvice, HouseReport
from models.permissions import Actor, Permission, require
from models.settings import settings
from pipelines.heart import Cancelled, Run
from pipelines.recorded import at_once, carry_out

Say = Callable[[str], object]

log = logging.getLogger(__name__)


def keep(*, told: Say = print, by: Actor) -> Made:
    """A round; its report, stored. What could not be done is noted in it, and keeps nothing else from its turn.

    Raises NotAllowed.
    """
    require(by, Permission.SERVER_MANAGE)
    notes: list[str] = []
    removed = _removed(notes, told)
    _clear_store(notes, told)
    told("looking at the disks")
    disk_alerts.look()
    told("taking stock")
    folders = stock.folders(notes) + stock.shared()
    done = _cared(notes, told)
    with reading() as session:
        tables, size = stock.tables(session), stock.database_bytes(session)
    report = HouseReport(
        disks=stock.disk_space(), database_bytes=size, folders=folders, tables=tables,
        kept=standing.kept_of(removed, tables, folders), advice=done, notes=notes,
    )  # fmt: skip
    return reports.store(report, host=socket.gethostname(), by=by)


def run(*, asked_by: int | None = None, scheduled: bool = False, noted: int | None = None, by: Actor) -> None:
    """The flow: recorded, one at a time."""
    require(by, Permission.SERVER_MANAGE)

    def work_on(run: Run) -> None:
        _recorded(run, keep(told=run.says, by=by))

    carry_out(reports.FLOW, work_on, asked_by=asked_by, scheduled=scheduled, noted=noted)


def now(*, told: Say, by: Actor) -> Made:
    """As the flow does, for who waits for the round; `told` hears each step. Raises NotAllowed, RunsAlready."""
    require(by, Permission.SERVER_MANAGE)
    return at_once(reports.FLOW, lambda run, says: _recorded(run, keep(told=says, by=by)), told=told)


def _recorded(run: Run, made: Made) -> Made:
    gone = sum(one.removed or 0 for one in made.report.kept)
    run.tell(report=made.id, removed=gone, advice=len(made.report.advice))
    return made


def _removed(notes: list[str], told: Say) -> dict[str, int]:
    """How many of each kind, by the name of its setting."""
    found = {}
    for rule in RULES:
        if rule.clear is None or rule.days is None:
            continue
        told(f"removing: {rule.what.lower()}")
        try:
            found[rule.setting] = rule.clear(rule.days)
            if found[rule.setting]:
                told(f"removed {found[rule.setting]:,}: {rule.what.lower()}")
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001  # noted and logged, and the rest has its turn
            notes.append(_note(rule, error))
    return found


def _clear_store(notes: list[str], told: Say) -> None:
    """What processes that died left in the store that all hosts share."""
    if not stored_files.are_shared():
        return
    told("removing: what was left in the shared store")
    try:
        if number := import_files.clear_left() + exports.clear_left():
            told(f"removed {number:,}: left in the shared store")
    except AppError as error:
        notes.append(f"What was left in the shared store: {error.sentence}")


def _note(rule: Rule, error: Exception) -> str:
    if isinstance(error, AppError):
        return f"{rule.what}: {error.sentence}"
    log.exception("housekeeping: %s", rule.what)
    return f"{rule.what} could not be removed: the log says why. The next round tries again."


def _cared(notes: list[str], told: Say) -> list[HouseAdvice]:
    """What tables want, and, where the setting allows, what came of it."""
    wanted = advice.now()
    if not settings().house_vacuums:
        return wanted
    done = []
    for one in wanted:
        told(f"{one.kind}: {one.subject}")
        done.append(advice.carried_out(one))
    return done
