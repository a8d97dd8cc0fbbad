"""Makes the performance report: reads the server's statistics and our own timings, tries what it would suggest, and
stores it; by schedule it is mailed to those who want it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models.database import reading
from models.performance import findings, people, relations, reports, rights, server, statements, texts, work
from models.performance.relations import Known
from models.performance.reports import Counters, Made
from models.performance.shapes import Report, Table
from models.performance.statements import Counted
from models.permissions import Actor, Permission, require
from pipelines.heart import Run
from pipelines.recorded import at_once, carry_out

T = TypeVar("T")


def report(*, mailed: bool = False, told: Callable[[str], object] = print, by: Actor) -> Made:
    """Make, store and return the report; `told` hears what it does. What cannot be read is noted in it.

    Raises NotAllowed.
    """
    require(by, Permission.SERVER_OVERSEE)
    notes: list[str] = []
    told("counting statements")
    counted = _statements(notes)
    told("measuring tables")
    tables, source, indexes = _relations()
    told("trying suggestions")
    found = findings.of_indexes(counted, indexes, datetime.now(UTC))
    with reading() as session:
        notes += rights.missing(session)
        since = statements.counted_since(session)
        if since.report is None:
            notes.append("There is no report of a week ago to compare with: what changed is told once there is one.")
        made = _report(session, counted, tables, source, indexes, notes)
    made = made.model_copy(update={"statements_since": since.at, "findings": [*found, *findings.of_report(made)]})
    sizes = [(one.name, one.bytes + one.index_bytes, 0) for one in tables]
    counters = Counters(
        [(one.statement, one.all_calls, one.all_seconds) for one in counted],
        [*sizes, *((one.name, one.bytes, one.scans) for one in indexes)],
    )
    return reports.store(made, counters, texts.page(made), mailed=mailed, by=by)


def run(*, asked_by: int | None = None, scheduled: bool = False, noted: int | None = None, by: Actor) -> None:
    """The flow: recorded, one at a time."""
    require(by, Permission.SERVER_OVERSEE)

    def work_on(run: Run) -> None:
        _recorded(run, report(mailed=scheduled, told=run.says, by=by))

    carry_out(reports.FLOW, work_on, asked_by=asked_by, scheduled=scheduled, noted=noted)


def now(*, told: Callable[[str], object], by: Actor) -> Made:
    """As the flow does, for who waits for the report; `told` hears each step. Raises NotAllowed, RunsAlready."""
    require(by, Permission.SERVER_OVERSEE)
    return at_once(reports.FLOW, lambda run, says: _recorded(run, report(told=says, by=by)), told=told)


def _recorded(run: Run, made: Made) -> Made:
    run.tell(report=made.id, findings=len(made.report.findings))
    return made


def _statements(notes: list[str]) -> list[Counted]:
    if (why := statements.ready()) is not None:
        notes.append(why)
        return []
    with reading() as session:
        return statements.counted(session)


def _relations() -> tuple[list[Table], str, list[Known]]:
    with reading() as session:
        tables, source = relations.tables(session)
        return tables, source, relations.indexes(session)


def _report(
    session: Session, counted: list[Counted], tables: list[Table], source: str, indexes: list[Known], notes: list[str]
) -> Report:
    names, whole = people.read(session), sum(one.seconds for one in counted)

    def said(read: Callable[[], list[T]], what: str) -> list[T]:
        try:
            with session.begin_nested():
                return read()
        except DBAPIError as error:
            notes.append(f"{what} could not be read: {str(error.orig).splitlines()[0]}.")
            return []

    return Report(
        days=7.0, findings=[],
        statements=statements.described(session, statements.slowest(counted), whole, names),
        by_mean=statements.described(session, statements.slowest_by_mean(counted), whole, names),
        causes=work.causes(session, names), operations=work.operations(session), slow=work.slow(session, names),
        hours=work.hours(session), tables=tables[: relations.MOST], indexes=relations.described(indexes),
        bloat_source=source, server=server.server(session),
        transactions=said(lambda: server.long_transactions(session), "Open transactions"),
        speeds=work.speeds(session), flows=work.flows(session), notes=notes,
    )  # fmt: skip
