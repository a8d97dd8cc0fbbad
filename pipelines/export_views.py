"""Exports of views by schedule: `python -m pipelines.export_views RUN` carries one run out.

Reads the view, with the rights of who set the schedule up; writes an export with its receipt, then its file into the
place, and mails the outcome. The sweep starts a process for each run that is due; a second one beside it does nothing,
and after a crash at any moment the next one goes on: one export, one file, one mail for each due moment.
"""

import argparse
import logging
import secrets
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from models import (
    exports,
    file_places,
    file_store,
    garbage,
    stored_files,
    upload_files,
    view_changes,
    view_exports,
    view_runs,
)
from models.errors import AppError, Conflict, Unavailable
from models.exports import Export, State
from models.permissions import Actor
from models.view_exports import ViewRun
from models.view_runs import Task
from pipelines import export_contacts, export_file
from pipelines.own_database import bind_database
from pipelines.recorded import recorded

log = logging.getLogger(__name__)


def carry_out(run_id: int) -> None:
    """Make the run's export and put its file into the place. What goes wrong is noted and mailed, and raised on; what
    may pass, a place or database that does not answer, is tried again by later sweeps."""
    with view_runs.claimed(run_id) as mine:
        task = view_runs.begin(run_id) if mine else None
        if task is None:
            log.info("run %s is over, or another process carries it out", run_id)
            return
        _carry_out(task)


def run_now(schedule_id: int, *, by: Actor) -> ViewRun:
    """Do it once at once, by hand; returns how that ended. Raises what stood in its way."""
    run_id = view_exports.run_now(schedule_id, by=by)
    carry_out(run_id)
    return next(one for one in view_runs.recent(schedule_id) if one.id == run_id)


def due() -> list[int]:
    """The runs that want a process now, those of moments that have just come included."""
    view_runs.note_due()
    return view_runs.waiting()


def _carry_out(task: Task) -> None:
    if task.ended:
        view_runs.fail(task, "The schedule was ended before its turn came.", told=False)
        return
    if task.tries > view_runs.MOST_DEATHS:
        times = view_runs.MOST_DEATHS
        view_runs.fail(task, f"It was interrupted {times} times in the middle, each time its process died.")
        return
    try:
        with recorded("export-views", subject=f"schedule {task.schedule_id}", asked_by=task.created_by) as run:
            export = _made(task)
            put_to = _put(task, export)
            run.tell(rows=export.rows)
    except Conflict as conflict:
        if not isinstance(conflict, _Meanwhile):
            view_runs.fail(task, conflict.sentence)
            raise
        view_runs.put_off(task)  # somebody else writes its export: then it will be there
    except Unavailable as error:
        if task.tries >= view_runs.MOST_TRIES:
            view_runs.fail(task, error.sentence)
        else:
            view_runs.put_off(task, error.sentence)
        raise
    except AppError as error:
        view_runs.fail(task, error.sentence)
        raise
    except Exception:
        reference = secrets.token_hex(4).upper()
        log.exception("reference %s", reference)
        view_runs.fail(task, f"Something went wrong on our side. Reference {reference}.")
        raise
    except BaseException:  # Ctrl-C or SIGTERM: whoever starts next goes on
        view_runs.put_off(task)
        raise
    else:
        view_runs.finish(task, export, put_to)


class _Meanwhile(Conflict):
    """Another process writes the export."""


def _made(task: Task) -> Export:
    """The export of the run, asked for once, made where it is not yet."""
    by = view_runs.actor(task)
    view = view_runs.view_of(task, by=by)
    export_id = exports.request(
        filters=view.usable(),
        columns=view.export_columns(),
        format=task.format,
        file_name=task.file_name,
        view=view.name,
        view_run_id=task.run_id,
        by=by,
    )
    view_changes.use(view.id, by=by)
    try:
        made = export_contacts.run(export_id)
    except Conflict as error:
        raise _Meanwhile(error.sentence) from error
    if made.state == State.CANCELLED:
        raise AppError(made.error or "Somebody stopped it.")
    if not made.has_file:
        raise AppError(f"The file of export {export_id} is no longer kept: run the schedule once more.")
    return made


def _put(task: Task, export: Export) -> str:
    """Into its place, whole or not at all; a file that a killed process has put there already is ours."""
    if file_places.is_s3(export.path):
        return _put_on(task, export)
    return _put_file(task, export, Path(export.path))


def _put_on(task: Task, export: Export) -> str:
    """By way of this host: the two stores need not know each other."""
    stored_files.require_room(export.file_name, export.bytes)
    with upload_files.disk_errors(export.file_name), tempfile.TemporaryDirectory(dir=stored_files.scratch()) as folder:
        there, name = stored_files.place_of(export.path)
        there.fetch(name, Path(folder) / "file")
        return _put_file(task, export, Path(folder) / "file")


def _put_file(task: Task, export: Export, path: Path) -> str:
    place = file_store.place(task.place)
    try:
        return place.put(path, task.file_name, replace=task.replaces)
    except Conflict:
        with export_file.disk_named(path), tempfile.TemporaryDirectory() as folder:
            there = place.fetch(task.file_name, Path(folder) / "there")
        if there.sha256 != export.sha256:
            raise
        return f"{place.address.rstrip('/')}/{task.file_name}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.export_views", description=__doc__)
    parser.add_argument("run", type=int, metavar="RUN")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        bind_database()
        carry_out(chosen.run)
    except AppError as error:
        log.error("%s", error)
        return 1
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    garbage.seldom_sought()
    raise SystemExit(main())
