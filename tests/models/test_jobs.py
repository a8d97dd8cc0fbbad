"""What people do with jobs: run one now, stop one, run one again, and let its schedule rest."""

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text, update

from models import exports, flow_runs, flow_schedules, jobs
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.filters import Filters
from models.flow_runs import RunState
from models.flow_schedules import Entry, FlowSchedule
from models.permissions import OPERATOR, Actor, Role
from models.settings import settings
from pipelines import recorded, schedule
from tests.people import person

BACK_UP = Entry("back-up", "0 2 * * *", "UTC", "Makes another one.")


@pytest.fixture
def ann(db: str) -> Actor:
    flow_schedules.write([BACK_UP])
    return person(email="ann@example.com", name="Ann", role=Role.ADMIN).actor()


def one() -> Any:
    [found] = flow_schedules.listed(by=OPERATOR)
    return found


def lines(event: Event) -> list[Any]:
    with reading() as session:
        found = select(AuditLine.actor_name, AuditLine.subject, AuditLine.details).where(AuditLine.event == event)
        return [tuple(line) for line in session.execute(found)]


def test_a_wish_stands_until_the_flow_was_started(ann: Actor) -> None:
    run = jobs.run("back-up", by=ann)
    assert jobs.run("back-up", by=ann) == run
    [wish] = flow_schedules.asked()
    assert (wish.flow, wish.by, wish.run) == ("back-up", ann.id, run)
    assert lines(Event.JOB_ASKED) == [("Ann", "job back-up", None)]
    flow_schedules.take_asked(wish)
    assert jobs.run("back-up", by=ann) == run, "its process has not begun yet"
    assert flow_schedules.asked() == []
    assert (one().asked_run, one().asked_at is not None) == (run, True)
    waits = flow_runs.get(run, by=ann)
    assert (waits.state, waits.asker) == (RunState.WAITING, "Ann")
    assert [found.id for found in flow_runs.under_way(by=ann)] == [run]
    assert flow_runs.newest_of(["back-up"], by=ann) == {}, "it did not run yet"
    jobs.cancel(run, by=ann)
    with pytest.raises(NotFound, match=r"no job “back-down” that runs by itself\. Those that do are: back-up\."):
        jobs.run("back-down", by=ann)
    running = flow_runs.begin("back-up")
    with pytest.raises(Conflict, match=f"back-up runs already, as run {running}"):
        jobs.run("back-up", by=ann)


def test_what_is_due_waits_until_a_process_comes_to_it(ann: Actor) -> None:
    def due() -> datetime:
        """As of somebody who sweeps, once the moment has come."""
        with writing(OPERATOR) as session:
            session.execute(update(FlowSchedule).values(next_at=func.now() - timedelta(days=1)))
        [moment] = flow_schedules.due()
        flow_schedules.move_on(moment)
        return moment.at

    assert one().waits_since is None
    moment = due()
    assert one().waits_since == moment
    with writing(OPERATOR) as session:
        session.execute(update(FlowSchedule).values(paused_at=func.now()))
    assert one().waits_since is None, "it will do nothing when its turn comes"
    with writing(OPERATOR) as session:
        session.execute(update(FlowSchedule).values(paused_at=None))
    seen: list[datetime | None] = []
    assert recorded.carry_out("back-up", lambda _: seen.append(one().waits_since), scheduled=True)
    assert seen == [None]
    due()
    told = flow_runs.Unheard(
        "back-up", uuid4(), RunState.FAILED, None, flow_runs.now(), flow_runs.now(), scheduled=True, error="It died."
    )  # fmt: skip
    flow_runs.note_unheard(told)
    assert one().waits_since is None, "it never came, and stands among what ran"


def test_what_waits_is_taken_back_at_once(ann: Actor) -> None:
    run = jobs.run("back-up", by=ann)
    jobs.cancel(run, by=ann)
    assert flow_runs.get(run, by=ann).state is RunState.CANCELLED
    assert flow_schedules.asked() == []
    assert lines(Event.JOB_CANCELLED) == [("Ann", "job back-up", {"run": run})]
    again = jobs.retry(run, by=ann)
    assert again is not None
    assert again != run
    assert [wish.run for wish in flow_schedules.asked()] == [again]


def test_what_nobody_comes_for_is_over_once(ann: Actor) -> None:
    run = jobs.run("back-up", by=ann)
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE flow_runs SET heartbeat_at = now() - interval '2 hours'"))
    flow_runs.end_never_begun(["back-up"])
    assert flow_runs.get(run, by=ann).state is RunState.WAITING, "Prefect does not answer yet"
    [wish] = flow_schedules.asked()
    flow_schedules.take_asked(wish)
    flow_runs.end_never_begun([])
    assert flow_runs.get(run, by=ann).state is RunState.WAITING, "its process has had no time to come"
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE flow_runs SET heartbeat_at = now() - interval '2 hours'"))
    flow_runs.end_never_begun([])
    assert flow_runs.get(run, by=ann).state is RunState.CRASHED
    assert jobs.run("back-up", by=ann) != run


def test_what_failed_is_done_again_and_what_went_well_is_not(ann: Actor) -> None:
    run = flow_runs.begin("back-up")
    with pytest.raises(Conflict, match="is running"):
        jobs.retry(run, by=ann)
    flow_runs.end(run, RunState.FAILED, error="The disk is full.")
    again = jobs.retry(run, by=ann)
    assert [wish.run for wish in flow_schedules.asked()] == [again]
    assert lines(Event.JOB_ASKED) == [("Ann", "job back-up", {"again": run})]
    importing = flow_runs.begin("import-contacts", subject="import 7")
    flow_runs.end(importing, RunState.FAILED)
    with pytest.raises(Conflict, match="shows what to do with import 7"):
        jobs.retry(importing, by=ann)


def test_a_run_is_stopped_once_and_who_did_it_is_known(ann: Actor) -> None:
    run = flow_runs.begin("back-up")
    for _ in range(2):
        jobs.cancel(run, by=ann)
    stopped = flow_runs.get(run, by=ann)
    assert (stopped.cancelled_at is not None, stopped.canceller) == (True, "Ann")
    assert lines(Event.JOB_CANCELLED) == [("Ann", "job back-up", {"run": run})]
    flow_runs.end(run, RunState.CANCELLED)
    with pytest.raises(Conflict, match="cancelled already"):
        jobs.cancel(run, by=ann)
    looking = flow_runs.begin("watch-folders", subject="folder 3")
    with pytest.raises(Conflict, match="cannot be stopped from here"):
        jobs.cancel(looking, by=ann)


def test_an_export_is_stopped_as_its_owner_would_and_made_again(ann: Actor) -> None:
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=ann)
    run = flow_runs.begin("export-contacts", subject=f"export {export_id}", asked_by=ann.id)
    jobs.cancel(run, by=ann)
    assert exports.get(export_id, by=ann).state == exports.State.CANCELLED
    flow_runs.end(run, RunState.CANCELLED)
    jobs.retry(run, by=ann)
    assert exports.count(by=ann) == 2


def test_what_is_no_job_is_told_with_those_that_are(ann: Actor) -> None:
    assert flow_runs.page(flow="keep-house", by=ann) == [], "it has not run yet"
    with pytest.raises(InvalidInput, match=r"There is no job “back-down”. Jobs are: back-up, export-contacts, "):
        flow_runs.page(flow="back-down", by=ann)
    flow_schedules.write([])
    with pytest.raises(NotFound, match="Nothing is scheduled yet"):
        jobs.run("back-up", by=ann)


def test_managers_see_and_do_nothing_of_it(ann: Actor) -> None:
    mia = person(email="mia@example.com", name="Mia", role=Role.MANAGER).actor()
    for refused in (
        lambda: flow_schedules.listed(by=mia), lambda: flow_runs.page(by=mia), lambda: jobs.run("back-up", by=mia),
    ):  # fmt: skip
        with pytest.raises(NotAllowed, match="needs the role admin"):
            refused()


def test_a_moment_is_started_once_and_those_that_were_missed_are_made_up_by_one(ann: Actor) -> None:
    assert flow_schedules.due() == []
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE flow_schedules SET next_at = next_at - interval '5 days'"))
        last = session.scalar(select(func.date_trunc("day", func.now() - func.make_interval(0, 0, 0, 0, 2))))
    [moment] = flow_schedules.due()
    assert last is not None
    assert moment.at.date() == last.date(), "the last of the five"
    flow_schedules.write([BACK_UP])
    assert flow_schedules.due() == [moment], "a runner that starts forgets nothing"
    threads = [threading.Thread(target=flow_schedules.move_on, args=(moment,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert flow_schedules.due() == []
    assert one().next_at > moment.at


def test_it_rests_also_over_a_start_of_the_runner(ann: Actor) -> None:
    flow_schedules.pause("back-up", by=ann)
    flow_schedules.write([BACK_UP])
    assert (one().next_at, one().paused_by) == (None, "Ann")
    flow_schedules.resume("back-up", by=ann)
    assert (one().next_at is None, one().paused) == (False, False)
    flow_schedules.write([Entry("back-up", None, "UTC", "")])
    assert (one().sentence, one().next_at) == ("Off", None)
    with pytest.raises(Conflict, match="APPOINTMENT360_SCHEDULE_BACK_UP is “off”"):
        flow_schedules.pause("back-up", by=ann)


def test_another_cron_counts_from_now(ann: Actor) -> None:
    before = one().next_at
    flow_schedules.write([Entry("back-up", "30 3 * * *", "UTC", "")])
    assert (one().next_at.hour, one().next_at.minute) == (3, 30)
    assert one().next_at != before


# What runs by itself, as it comes: whoever changes a line changes what every installation does at night.
SNAPSHOT = """\
back-up              0 1 * * *     scheduled Makes another backup; generations that nobody needs are removed.
keep-house           30 4 * * *    scheduled Removes what became due since, and takes stock once more.
reconcile-payments   20 */6 * * *  scheduled Compares once more, and finds nothing to mend.
report-performance   45 3 * * *    scheduled Makes another report; what changed is told against older ones.
validate-contacts    30 2 * * *    scheduled Checks once more: another point of each trend, and no second mail.
"""


def test_the_table_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sorted(f"{one.flow:<20} {one.cron:<13} {one.queue.name} {one.again}" for one in schedule.SCHEDULE)
    assert "\n".join(found) + "\n" == SNAPSHOT
    assert (schedule.ASKED.priority, schedule.SCHEDULED.priority) == (1, 10)
    assert (schedule.ASKED.at_once, schedule.SCHEDULED.at_once) == (None, 1)


def test_settings_change_the_moments_or_turn_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def cron(value: str) -> str | None:
        monkeypatch.setenv("APPOINTMENT360_SCHEDULE_RECONCILE_PAYMENTS", value)
        settings.cache_clear()
        return {entry.flow: entry.cron for entry in schedule.entries()}["reconcile-payments"]

    try:
        assert cron("*/5 * * * *") == "*/5 * * * *"
        assert cron("off") is None
        with pytest.raises(InvalidInput, match=r"APPOINTMENT360_SCHEDULE_RECONCILE_PAYMENTS is “at noon”.*“off”"):
            cron("at noon")
    finally:
        monkeypatch.undo()
        settings.cache_clear()
