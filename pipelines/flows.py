"""The flows: each is one call into a plain function, which works without Prefect as well."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec

from prefect import Flow, get_client
from prefect import flow as prefect_flow
from prefect.exceptions import Abort
from prefect.states import Cancelled

from models import backups, flow_runs, imports, logs
from models.imports import State
from models.permissions import OPERATOR
from pipelines import back_up as backup
from pipelines import export_contacts, find_duplicates, import_contacts, import_orders
from pipelines import export_views as view_export
from pipelines import keep_house as house
from pipelines import reconcile_payments as reconciliation
from pipelines import report_performance as performance
from pipelines import validate_contacts as validation
from pipelines.own_database import bind_database
from pipelines.recorded import carry_out, prefect_id
from pipelines.watch_folders import look, look_at_all

P = ParamSpec("P")


class Failed(Exception):
    """In place of what a flow failed by: Prefect's server keeps the words, which may quote whole rows."""


def flow(*, name: str, run_name: str) -> Callable[[Callable[P, None]], Flow[P, None]]:
    """One of Prefect's, which says there as well when somebody stopped it: however the work noticed that, and ended. Of
    what it fails by Prefect is told no more than the log is."""

    def made(work: Callable[P, None]) -> Flow[P, None]:
        @wraps(work)
        def told(*given: P.args, **named: P.kwargs) -> None:
            try:
                work(*given, **named)
            except Exception as raised:
                raise Failed(logs.told(raised)) from raised
            finally:
                _leave_if_stopped()

        return prefect_flow(name=name, flow_run_name=run_name, log_prints=True)(told)

    return made


def _leave_if_stopped() -> None:
    """Raises Abort, by which Prefect leaves the state as it is. A state that is returned would be logged as a fault."""
    run = prefect_id()
    if run is not None and flow_runs.was_stopped(run):
        left = Abort("Somebody stopped it.")
        state: Any = Cancelled(message="Somebody stopped it.")
        with get_client(sync_client=True) as prefect:
            prefect.set_flow_run_state(run, state, force=True)
        left.state = state  # type: ignore[attr-defined]  # what Prefect logs that it ended in
        raise left


@flow(name="import-contacts", run_name="import {import_id}")
def import_file(import_id: int, until: str = State.COMMITTED, order: int | None = None) -> None:
    """Take an import through its steps up to `until`: opened, planned or committed.

    Reads the import's stored file, and the contacts it may match. Writes contacts, their history, rejects, check
    results and the import's own numbers. Runs when somebody asks for it on a screen, which gives an `order`: it has the
    rights of that person, and does nothing when that is no longer wanted. Without one it has the rights of whoever
    created the import. A second run goes on where the first one stopped, and does nothing to an import that is there.
    """
    bind_database()
    if order is not None:
        import_orders.carry_out(import_id, order)
        return
    by = imports.requester(imports.get(import_id, by=OPERATOR))
    import_contacts.run(import_id, until=State(until), by=by)


@flow(name="undo-import", run_name="undo of import {import_id}")
def undo_import(import_id: int, order: int) -> None:
    """Take a committed import back.

    Reads the import's contacts and their history. Removes what it created, puts back what it updated, and leaves what
    was changed since. Runs when somebody asks for it on a screen, with that person's rights. A second run does nothing.
    """
    bind_database()
    import_orders.carry_out(import_id, order)


@flow(name="watch-folders", run_name="look at watched folders")
def watch_folders(folder_id: int | None = None) -> None:
    """Look at one watched folder, or at all that are active.

    Reads the places that are watched. Writes an import and an order for each of their files that is new and stands
    still; the orders are carried out as those of a screen are. Runs when somebody starts it; by schedule the sweep does
    the same. A second run imports nothing again, and one beside another leaves the folder to that.
    """
    bind_database()
    looked = {folder_id: look(folder_id)} if folder_id is not None else look_at_all(due_only=False)
    for one, found in looked.items():
        print(f"folder {one}: {found or 'another process is looking'}")


@flow(name="redo-import", run_name="redo of import {import_id}")
def redo_import(import_id: int, order: int) -> None:
    """Bring an import back that was undone.

    Reads what the undo left in the history. Puts back what it removed, changes again what it put back, and leaves what
    was changed since. Runs when somebody asks for it on a screen, with that person's rights. A second run does nothing.
    """
    bind_database()
    import_orders.carry_out(import_id, order)


@flow(name="export-contacts", run_name="export {export_id}")
def export_file(export_id: int) -> None:
    """Write an export's file.

    Reads the contacts of the export's stored filter, with the rights of whoever asked. Writes the file below the home
    and the export's receipt. Runs when somebody starts it for an export that was created. A second run
    gives the receipt of one that is done, and starts one anew that failed.
    """
    bind_database()
    export_contacts.run(export_id)


@flow(name="export-views", run_name="exports of views")
def export_views(schedule_id: int | None = None) -> None:
    """Export views by their schedules: all that are due, or one of them at once.

    Reads the schedules, their views and contacts, with the rights of whoever set a schedule up. Writes exports with
    their receipts, files into the schedules' places, and mails. Runs when somebody starts it by hand: what is due the
    sweep notices by itself. A second run does what has become due since, and one with a `schedule_id` that once more.
    """
    bind_database()
    if schedule_id is not None:
        view_export.run_now(schedule_id, by=OPERATOR)
        return
    for run_id in view_export.due():
        view_export.carry_out(run_id)


@flow(name="find-duplicates", run_name="duplicates {run_id}")
def look_for_duplicates(run_id: int) -> None:
    """Look through all contacts for those that are perhaps the same.

    Reads contacts and what people decided of pairs. Replaces the pairs of the run before; decisions and merges stay.
    Runs when somebody asks for it on a screen, with that person's rights. A second run of one that was killed starts
    it again, of one that ended it does nothing.
    """
    bind_database()
    find_duplicates.run(run_id)


@flow(name="reconcile-payments", run_name="comparison of payments")
def reconcile_payments(
    comparison_id: int | None = None, asked_by: int | None = None, scheduled: bool = False, noted: int | None = None
) -> None:
    """Compare the last days with Razorpay.

    Reads payments, refunds, subscriptions and invoices at Razorpay, and beside them those that are stored. Notes what
    differs as events and applies them, with the credits that follow; writes what it cannot mend into the findings.
    Runs every six hours, and when somebody asks for it, which gives a `comparison_id`. A second run of one that was
    killed starts it again, of one that ended it does nothing; another comparison mends nothing twice.
    """
    bind_database()
    if comparison_id is not None:
        print(reconciliation.run(comparison_id) or "it is over, or another process is at it")
        return
    carry_out(reconciliation.FLOW, reconciliation.compare_due, asked_by=asked_by, scheduled=scheduled, noted=noted)


@flow(name="validate-contacts", run_name="check of the data")
def validate_contacts(
    run_id: int | None = None, asked_by: int | None = None, scheduled: bool = False, noted: int | None = None
) -> None:
    """Check what is stored against the rules of data quality: contacts, industries, payments.

    Reads these tables. Writes a run with the results of each rule and how full each field is, and mails to the people
    concerned when a rule holds no longer. Runs every night, and with a `run_id` when somebody asks for it. A second run
    is another point of each trend, and mails nothing twice; one of a run that was killed begins it again, of one that
    ended it does nothing.
    """
    bind_database()
    if run_id is not None:
        print("checked" if validation.run(run_id) else "it is over, or another process is at it")
        return
    work = partial(validation.check_due, asked_by=asked_by)
    carry_out(validation.FLOW, work, asked_by=asked_by, scheduled=scheduled, noted=noted)


@flow(name="back-up", run_name="backup")
def back_up(
    backup_id: int | None = None, asked_by: int | None = None, scheduled: bool = False, noted: int | None = None
) -> None:
    """Back up the database and the stored files, and prove that by a drill.

    Reads every table, in one snapshot, and the uploads and exports below the home. Writes an encrypted archive and its
    manifest into the place of the setting, and the numbers of the backup; removes those that no generation needs. Runs
    every night, and with a `backup_id` when one is asked for, or its drill. A second run makes another backup; of one
    that ended, or was killed and is cleared away since, it does nothing.
    """
    bind_database()
    if backup_id is not None:
        print(backup.carry_out(backup_id))
        return
    carry_out(
        backups.FLOW,
        partial(backup.back_up_due, asked_by=asked_by),
        asked_by=asked_by,
        scheduled=scheduled,
        noted=noted,
    )


@flow(name="report-performance", run_name="performance report")
def report_performance(asked_by: int | None = None, scheduled: bool = False, noted: int | None = None) -> None:
    """Report how the database and what is asked of it perform.

    Reads the server's statistics, our own timings, imports, exports and runs of flows. Writes a report and the counters
    that the next ones compare with, and mails it to those who want it where it ran by schedule. What it suggests it
    tries in a transaction that it rolls back. Runs every night, and when somebody asks for it. A second run makes
    another report.
    """
    bind_database()
    performance.run(asked_by=asked_by, scheduled=scheduled, noted=noted, by=OPERATOR)


@flow(name="keep-house", run_name="housekeeping")
def keep_house(asked_by: int | None = None, scheduled: bool = False, noted: int | None = None) -> None:
    """Keep house: remove what was kept for its time, take stock, and look after tables.

    Reads the server's statistics, the disks and the home. Removes, in batches, what retention gives a time; runs VACUUM
    and ANALYZE where tables want them and the setting allows it; writes a report. Runs every night, and when somebody
    asks for it. A second run removes what became due since, and takes stock once more.
    """
    bind_database()
    house.run(asked_by=asked_by, scheduled=scheduled, noted=noted, by=OPERATOR)
