"""What somebody wants of an import is carried out once, shown while it is, and stopped when it is no longer wanted."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import xlsxwriter
from sqlalchemy import func, update

from models import import_acceptances, import_orders, import_phases, import_progress, imports, users
from models.audit import Event
from models.contacts import changes
from models.contacts import mapping as field_mapping
from models.database import libpq_url, writing
from models.errors import Conflict, InvalidInput, NotAllowed
from models.import_phases import Phase
from models.import_progress import Step
from models.imports import Import, Keep, MatchRule, State
from models.permissions import OPERATOR, Actor, Permission, Role
from pipelines import attendant, import_contacts, sweep
from pipelines import import_orders as orders
from tests import people
from tests.pipelines.importing import contacts, created, imported, numbers, sql, written
from tests.pipelines.test_import_contacts import ANN, BOB

PROJECT = Path(__file__).parents[2]
MANY = 250_000  # rows: enough that every step can be met
ENOUGH = 100_000  # rows: enough that a process can be killed while they are staged
# A fast machine is through a step before somebody who looks every half second has seen it.
WATCHED_CLOSELY = (
    "from pipelines import attendant, import_orders; attendant.EVERY = 0.02; raise SystemExit(import_orders.main())"
)
SECONDS = 20  # within which a process stops; it takes two or three, and the machine may be busy


def order(import_id: int, wanted: State, by: Actor = OPERATOR) -> int:
    found = imports.get(import_id, by=OPERATOR)
    return import_orders.ask(import_id, wanted, plan=(found.planned or {}).get("at"), by=by)


def carried_out(import_id: int, wanted: State) -> Import:
    orders.carry_out(import_id, order(import_id, wanted))
    return imports.get(import_id, by=OPERATOR)


def phase(import_id: int) -> Phase:
    return import_phases.phase(imports.listed(import_id, by=OPERATOR))


def large(folder: Path, rows: int) -> Path:
    """A file that takes a while."""
    path = folder / "large.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["First Name", "Last Name", "Email", "Company", "Title", "City", "Country", "Note to us"])
        for n in range(rows):
            more = ["one too many"] if n == 30 else []  # so that it is read record by record, in Python
            writer.writerow([f"P{n}", f"L{n % 9999}", f"p{n}@example.com", f"C{n % 777}", "VP", "Ulm", "DE", n, *more])
    return path


def slowed(what: str, *, every: int = 1) -> None:
    """Let the server take a millisecond for every so-manieth row of what it does with contacts."""
    sql(
        f"""CREATE FUNCTION slow(id bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN IF id %% {every} = 0 THEN PERFORM pg_sleep(0.001); END IF; RETURN id; END $$""".replace("%%", "%")
    )
    if what == "indexes":
        sql("CREATE INDEX contacts_slowly ON contacts (slow(id))")
        return
    sql(
        """CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM slow(NEW.id); RETURN NEW; END $$"""
    )
    sql("CREATE TRIGGER slowly BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION slowly()")


@contextmanager
def at_work(base: str, home: Path, import_id: int, order: int) -> Iterator["subprocess.Popen[str]"]:
    """The process that a flow or the sweep would be."""
    environment = {
        **os.environ, "APPOINTMENT360_HOME": str(home), "PYTHONPATH": str(PROJECT), "DATABASE_URL": base,
    }  # fmt: skip
    command = [sys.executable, "-c", WATCHED_CLOSELY, str(import_id), str(order)]
    with subprocess.Popen(command, env=environment, cwd=home, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def killed(process: "subprocess.Popen[str]", import_id: int) -> None:
    """Kill it; the order then waits for the next one, as soon as the server has noticed."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + SECONDS
    while phase(import_id) is not Phase.WAITING:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def step(import_id: int) -> str | None:
    return imports.get(import_id, by=OPERATOR).step


def nothing_left(import_id: int, home: Path) -> None:
    found = imports.get(import_id, by=OPERATOR)
    assert (found.state, found.wanted, found.error) == (State.CANCELLED, None, None)
    assert sql("SELECT count(*) FROM contacts") == [(0,)]
    assert sql("SELECT tablename FROM pg_tables WHERE schemaname = 'staging'") == []
    assert sql("SELECT count(*) FROM import_rejects") == [(0,)]
    assert not (home / "imports" / str(import_id)).exists()
    assert sql("SELECT query FROM pg_stat_activity WHERE application_name LIKE 'import-%%'") == []


@pytest.mark.parametrize("reached", [Step.MEND, Step.JUDGE, Step.STAGE])
def test_an_import_that_is_planned_is_stopped_within_seconds(
    base: str, home: Path, tmp_path: Path, reached: Step
) -> None:
    import_id = created(large(tmp_path, MANY))
    if reached is not Step.MEND:
        import_contacts.run(import_id, until=State.OPENED, by=OPERATOR)
    stopped(base, home, import_id, State.OPENED if reached is Step.MEND else State.PLANNED, reached)


@pytest.mark.parametrize(("reached", "slow"), [(Step.CREATE, "rows"), (Step.INDEX, "indexes")])
def test_an_import_that_is_written_is_stopped_within_seconds(
    base: str, home: Path, tmp_path: Path, reached: Step, slow: str
) -> None:
    import_id = imported(large(tmp_path, changes.BULK_LOAD + 100), until=State.PLANNED).id
    slowed(slow)
    stopped(base, home, import_id, State.COMMITTED, reached)


def stopped(base: str, home: Path, import_id: int, wanted: State, reached: Step) -> None:
    with at_work(base, home, import_id, order(import_id, wanted)) as process:
        until(lambda: step(import_id) == reached, process)
        assert phase(import_id) is Phase.RUNNING
        import_orders.cancel(import_id, by=OPERATOR)
        assert phase(import_id) in (Phase.STOPPING, Phase.CANCELLED)
        assert process.wait(SECONDS) == 0, process.communicate()[1]
    nothing_left(import_id, home)


def test_one_that_is_cancelled_between_two_steps_is_stopped(
    base: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = created(written(tmp_path, [ANN]))
    import_contacts.run(import_id, until=State.OPENED, by=OPERATOR)
    stage = import_contacts.STEPS[State.OPENED]

    def stage_and_cancel(*given: Any) -> None:
        stage(*given)
        import_orders.cancel(import_id, by=OPERATOR)

    monkeypatch.setitem(import_contacts.STEPS, State.OPENED, stage_and_cancel)
    monkeypatch.setattr(attendant, "EVERY", 60)
    orders.carry_out(import_id, order(import_id, State.PLANNED))
    nothing_left(import_id, home)


def test_one_that_waits_for_a_lock_is_stopped_with_the_check_beside_it(base: str, home: Path, tmp_path: Path) -> None:
    imported(written(tmp_path, [BOB], "before.csv"))
    import_id = created(written(tmp_path, [ANN]))
    import_contacts.run(import_id, until=State.OPENED, by=OPERATOR)
    with psycopg.connect(libpq_url(base)) as blocker:
        blocker.execute("LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE")
        with at_work(base, home, import_id, order(import_id, State.PLANNED)) as process:
            until(lambda: step(import_id) == Step.MATCH, process)
            import_orders.cancel(import_id, by=OPERATOR)
            assert process.wait(SECONDS) == 0, process.communicate()[1]
    assert imports.get(import_id, by=OPERATOR).state == State.CANCELLED
    assert len(contacts()) == 1


def test_a_workbook_that_is_being_read_is_let_go(base: str, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "large.xlsx"
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for n in range(60_000):
            sheet.write_row(n, 0, ["Email", "Title", "City", "Notes"] if n == 0 else [f"p{n}@x.com", "VP", "Ulm", n])
    import_id = created(path)
    stopped(base, home, import_id, State.OPENED, Step.OPEN)


def test_an_undo_is_stopped_and_the_import_stands(base: str, home: Path, tmp_path: Path) -> None:
    done = imported(written(tmp_path, [ANN])).id
    with psycopg.connect(libpq_url(base)) as blocker:
        blocker.execute("LOCK TABLE contacts IN SHARE MODE")
        with at_work(base, home, done, order(done, State.UNDONE)) as process:
            until(lambda: step(done) == Step.UNDO, process)
            import_orders.cancel(done, by=OPERATOR)
            assert process.wait(SECONDS) == 0, process.communicate()[1]
    assert phase(done) is Phase.DONE
    assert len(contacts()) == 1
    assert carried_out(done, State.UNDONE).state == State.UNDONE


def test_a_second_process_is_no_try(base: str, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, [ANN]))
    asked = order(import_id, State.OPENED)
    with import_contacts.claimed(import_id):
        for _ in range(import_orders.MOST_TRIES + 1):
            orders.carry_out(import_id, asked)
    orders.carry_out(import_id, asked)
    assert phase(import_id) is Phase.MAPPING


Seen = dict[str, list[import_progress.Progress]]


def watched(base: str, home: Path, import_id: int, *orders: State) -> Seen:
    """What was shown of each step while those orders were carried out."""
    seen: Seen = {}
    for wanted in orders:
        with at_work(base, home, import_id, order(import_id, wanted)) as process:
            while process.poll() is None:
                if now := import_progress.of(imports.get(import_id, by=OPERATOR)):
                    seen.setdefault(now.step, []).append(now)
                time.sleep(0.02)
            assert process.returncode == 0, process.communicate()[1]
    return seen


def grew(seen: Seen, counted: Step, total: int) -> None:
    """It was counted up towards the total, and not only at its end."""
    done = [one.done for one in seen[counted] if one.done]
    assert done, f"{counted} was never counted"
    assert done == sorted(done)
    assert done[0] < done[-1] <= total
    assert {one.total for one in seen[counted] if one.done} == {total}


def test_progress_counts_what_is_read_and_the_rows_that_are_written(base: str, home: Path, tmp_path: Path) -> None:
    file = large(tmp_path, MANY)
    import_id = created(file)
    slowed("rows", every=100)
    seen = watched(base, home, import_id, State.OPENED, State.PLANNED, State.COMMITTED)
    grew(seen, Step.MEND, file.stat().st_size)
    for counted in (Step.STAGE, Step.CREATE):
        grew(seen, counted, MANY - 1)  # all but the row that is too long
    assert not [one for one in seen[Step.JUDGE] if one.done is not None or one.left is not None]
    for unknown in (Step.JUDGE, Step.MATCH):
        times = [one.seconds for one in seen[unknown]]
        assert times == sorted(times)
        assert times[0] < times[-1], "how long it takes so far is all that can be said"
    assert import_progress.of(imports.get(import_id, by=OPERATOR)) is None


def test_progress_counts_contacts_that_are_changed_and_put_back(base: str, home: Path, tmp_path: Path) -> None:
    rows = [{"First Name": f"P{n}", "Email": f"p{n}@example.com", "Title": "VP"} for n in range(MANY // 5)]
    imported(written(tmp_path, rows[1:]))
    before = contacts("email")
    import_id = created(written(tmp_path, [row | {"Title": "CEO"} for row in rows]))
    import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR)
    import_acceptances.accept(import_id, "meant so", by=OPERATOR)
    seen = watched(base, home, import_id, State.COMMITTED, State.UNDONE)
    grew(seen, Step.UPDATE, len(rows) - 1)
    grew(seen, Step.UNDO, len(rows))
    assert contacts("email") == before


def test_progress_of_indexes_is_a_share_of_them_all(base: str, home: Path, tmp_path: Path) -> None:
    import_id = imported(large(tmp_path, changes.BULK_LOAD + 100), until=State.PLANNED).id
    slowed("indexes", every=20)
    built = [one for one in watched(base, home, import_id, State.COMMITTED)[Step.INDEX] if one.done]
    assert {one.total for one in built} == {built[0].total}
    shares = [one.share or 0 for one in built]
    assert shares == sorted(shares)
    assert len(set(shares)) > 5, "of a single one that takes long, too"
    assert {one.step.unit for one in built} == {import_progress.Unit.SHARE}


def test_an_order_is_carried_out_once(base: str, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, [ANN]))
    first = order(import_id, State.OPENED)
    assert order(import_id, State.OPENED) == first, "a second click is the same order"
    orders.carry_out(import_id, first)
    assert phase(import_id) is Phase.MAPPING
    orders.carry_out(import_id, first)
    assert carried_out(import_id, State.PLANNED).state == State.PLANNED
    assert phase(import_id) is Phase.PLANNED
    orders.carry_out(import_id, first)
    assert imports.get(import_id, by=OPERATOR).state == State.PLANNED, "an old flow does nothing"
    assert numbers(carried_out(import_id, State.COMMITTED)) == (1, 1, 0, 0, 0, 0)
    assert phase(import_id) is Phase.DONE
    assert carried_out(import_id, State.UNDONE).undone == {"removed": 1, "restored": 0, "kept": 0}
    assert phase(import_id) is Phase.UNDONE


def test_an_old_order_does_not_commit_a_new_plan(base: str, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, [ANN]))
    import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR)
    seen = (imports.get(import_id, by=OPERATOR).planned or {})["at"]
    planning = import_orders.remap(
        import_id, {"Email": "email"}, match=MatchRule.EMAIL, keep=Keep.OURS, by=OPERATOR
    )  # fmt: skip
    orders.carry_out(import_id, planning)
    found = imports.get(import_id, by=OPERATOR)
    assert (found.state, found.mapping, found.match, found.keep) == (
        State.PLANNED, {"email": "Email"}, MatchRule.EMAIL, Keep.OURS,
    )  # fmt: skip
    with pytest.raises(Conflict, match="was made anew since you looked"):
        import_orders.ask(import_id, State.COMMITTED, plan=seen, by=OPERATOR)
    assert contacts() == []


def test_a_mapping_survives_the_loss_of_the_working_copy(base: str, home: Path, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, [ANN | {"Nickname": "Annie"}]))
    import_contacts.run(import_id, until=State.OPENED, by=OPERATOR)
    planning = import_orders.remap(
        import_id, {"Nickname": "first_name", "Email": "email"}, left_out=["Title"], match=MatchRule.AUTO,
        keep=Keep.THEIRS, by=OPERATOR,
    )  # fmt: skip
    (home / "imports" / str(import_id) / "rows.duckdb").unlink()
    orders.carry_out(import_id, planning)
    found = imports.get(import_id, by=OPERATOR)
    assert found.mapping == {"first_name": "Nickname", "email": "Email"}
    assert (found.opened or {})["leftover"] == ["First Name", "Last Name", "Company"]
    assert found.left_out == ["Title"]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"Email": "email", "Mail": "email"}, "E-mail is to come from “Email” and from “Mail”"),
        ({"Email": "shoe"}, "There is no field “shoe”"),
        ({"Shoe": "email"}, "The file has no column “Shoe”"),
        ({"Email": "full_name", "Mail": "last_name"}, "Full Name is split into first and last name"),
    ],
)
def test_a_mapping_that_makes_no_sense(columns: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        field_mapping.chosen(columns, ["Email", "Mail"])


def test_what_is_not_running_is_cancelled_at_once(base: str, home: Path, tmp_path: Path) -> None:
    planned = imported(written(tmp_path, [ANN, {"Email": "no"}]), until=State.PLANNED).id
    waiting = created(written(tmp_path, [ANN]))
    order(waiting, State.OPENED)
    for import_id, was in ((planned, State.PLANNED), (waiting, State.NEW)):
        import_orders.cancel(import_id, by=OPERATOR)
        nothing_left(import_id, home)
        audited = sql("SELECT details->>'was' FROM audit_log WHERE event = %s AND subject = %s",
                      Event.IMPORT_CANCELLED, f"import {import_id}")  # fmt: skip
        assert audited == [(was,)]
        with pytest.raises(Conflict, match="is cancelled already"):
            import_orders.cancel(import_id, by=OPERATOR)
        with pytest.raises(Conflict, match="was cancelled"):
            import_contacts.run(import_id, by=OPERATOR)


def test_what_is_written_can_only_be_undone(base: str, tmp_path: Path) -> None:
    done = imported(written(tmp_path, [ANN])).id
    with pytest.raises(Conflict, match=r"is committed already: there is nothing to cancel\. It can be undone\."):
        import_orders.cancel(done, by=OPERATOR)
    undoing = order(done, State.UNDONE)
    import_orders.cancel(done, by=OPERATOR)  # the undo, which nobody has begun
    orders.carry_out(done, undoing)
    assert phase(done) is Phase.DONE


def test_a_process_that_dies_leaves_the_order_to_the_next(base: str, home: Path, tmp_path: Path) -> None:
    import_id = created(large(tmp_path, MANY))
    asked = order(import_id, State.OPENED)
    with at_work(base, home, import_id, asked) as process:
        until(lambda: step(import_id) == Step.MEND, process)
        killed(process, import_id)
    set_to(import_id, wanted_at=func.now() - timedelta(minutes=1))
    sweep.carry_out_orders()
    assert phase(import_id) is Phase.MAPPING


def lost_plan(folder: Path, rows: int) -> int:
    """A planned import whose rows the server has lost in a crash; two of them are contacts already."""
    imported(written(folder, [{"First Name": f"P{n}", "Last Name": f"L{n}", "Email": f"p{n}@example.com"}
                              for n in (3, 5)], "before.csv"))  # fmt: skip
    import_id = imported(large(folder, rows), until=State.PLANNED).id
    sql(f"TRUNCATE staging.import_{import_id}, staging.plan_{import_id}")
    return import_id


@pytest.mark.parametrize(("reached", "moves"), [(Step.JUDGE, True), (Step.STAGE, True), (Step.STAGE, False)])
def test_only_the_plan_that_was_seen_is_committed_however_often_its_process_dies(
    base: str, home: Path, tmp_path: Path, reached: Step, moves: bool
) -> None:
    import_id = lost_plan(tmp_path, ENOUGH)
    asked = order(import_id, State.COMMITTED)
    with at_work(base, home, import_id, asked) as process:
        until(lambda: step(import_id) == reached, process)
        killed(process, import_id)
    if moves:
        sql("INSERT INTO contacts (first_name, last_name, email) VALUES ('P9', 'L9', 'p9@example.com')")
    set_to(import_id, wanted_at=func.now() - timedelta(minutes=1))
    sweep.carry_out_orders()
    found = imports.get(import_id, by=OPERATOR)
    if not moves:
        assert (found.state, found.created, found.updated) == (State.COMMITTED, ENOUGH - 3, 2)
        return
    assert (found.state, found.created, found.updated) == (State.PLANNED, ENOUGH - 4, 3)
    assert "is not the one that was shown" in (found.error or "")
    assert sql("SELECT count(*) FROM contacts") == [(3,)]
    assert carried_out(import_id, State.COMMITTED).state == State.COMMITTED, "now it was seen"


def test_a_plan_with_the_same_numbers_is_another_where_it_means_other_contacts(
    base: str, home: Path, tmp_path: Path
) -> None:
    import_id = lost_plan(tmp_path, 100)
    asked = order(import_id, State.COMMITTED)
    sql("""UPDATE contacts c SET first_name = o.first_name, last_name = o.last_name, email = o.email
           FROM contacts o WHERE o.id <> c.id""")  # fmt: skip
    with pytest.raises(Conflict, match="is not the one that was shown"):
        orders.carry_out(import_id, asked)
    assert imports.get(import_id, by=OPERATOR).state == State.PLANNED


def test_a_process_that_dies_once_the_plan_no_longer_holds(
    base: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(written(tmp_path, [BOB]))
    import_id = imported(written(tmp_path, [BOB | {"Title": "CEO"}]), until=State.PLANNED).id
    asked = order(import_id, State.COMMITTED)
    sql("DELETE FROM contacts")
    with monkeypatch.context() as dying:
        dying.setattr(import_orders, "settle", lambda *_: None)
        with pytest.raises(Conflict, match="contacts changed since the plan was made"):
            orders.carry_out(import_id, asked)
    assert (imports.get(import_id, by=OPERATOR).state, phase(import_id)) == (State.CHECKED, Phase.WAITING)
    with pytest.raises(Conflict, match="is not the one that was shown"):
        orders.carry_out(import_id, asked)
    assert contacts() == []
    assert phase(import_id) is Phase.PLANNED


def test_processes_that_come_beside_the_one_at_work_are_no_tries(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = created(written(tmp_path, [ANN]))
    asked = order(import_id, State.OPENED)
    together, begin = threading.Barrier(import_orders.MOST_TRIES + 1), import_orders.begin

    def begin_together(*given: int) -> import_orders.Begun | None:
        begun = begin(*given)
        with suppress(threading.BrokenBarrierError):
            together.wait(5)
        return begun

    monkeypatch.setattr(import_orders, "begin", begin_together)
    with import_contacts.claimed(import_id), ThreadPoolExecutor(together.parties) as threads:
        assert begin(import_id, asked)  # the one at work
        for come in [threads.submit(orders.carry_out, import_id, asked) for _ in range(together.parties)]:
            come.result()
        assert (phase(import_id), imports.get(import_id, by=OPERATOR).error) == (Phase.RUNNING, None)


def test_one_whose_processes_always_die_is_given_up(base: str, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, [ANN]))
    asked = order(import_id, State.OPENED)
    for _ in range(import_orders.MOST_TRIES):
        assert import_orders.begin(import_id, asked)
    orders.carry_out(import_id, asked)
    assert phase(import_id) is Phase.STOPPED
    assert "interrupted 3 times" in (imports.get(import_id, by=OPERATOR).error or "")
    assert carried_out(import_id, State.OPENED).state == State.OPENED


def test_cancelled_by_a_process_that_died_over_it(base: str, home: Path, tmp_path: Path) -> None:
    import_id = imported(written(tmp_path, [ANN]), until=State.PLANNED).id
    with import_contacts.claimed(import_id):
        import_orders.cancel(import_id, by=OPERATOR)
    assert phase(import_id) is Phase.STOPPING
    sweep.sweep()
    nothing_left(import_id, home)


def test_an_error_is_kept_with_the_import(base: str, home: Path, tmp_path: Path) -> None:
    imported(written(tmp_path, [BOB]))
    planned = imported(written(tmp_path, [BOB | {"Title": "CEO"}]), until=State.PLANNED).id
    asked = order(planned, State.COMMITTED)
    sql("UPDATE contacts SET title = 'CTO'")
    sql("DELETE FROM contacts")
    with pytest.raises(Conflict):
        orders.carry_out(planned, asked)
    found = imports.get(planned, by=OPERATOR)
    assert (found.error or "").startswith("Nothing was written: contacts changed since the plan was made")
    assert (found.error or "").endswith("(line 2).")
    assert phase(planned) is Phase.STOPPED
    assert carried_out(planned, State.PLANNED).error is None
    assert phase(planned) is Phase.PLANNED


def test_the_rights_are_those_of_whoever_asked(base: str, tmp_path: Path) -> None:
    manager = people.person(email="m@example.com", name="Mia", role=Role.MANAGER, by=OPERATOR)
    analyst = people.person(email="a@example.com", name="Al", role=Role.ANALYST, by=OPERATOR)
    import_id = created(written(tmp_path, [ANN]))
    for refused in (State.OPENED, State.PLANNED, State.COMMITTED, State.UNDONE):
        with pytest.raises(NotAllowed):
            import_orders.ask(import_id, refused, by=analyst.actor())
    for operation in (
        lambda: import_orders.cancel(import_id, by=analyst.actor()),
        lambda: import_orders.remap(import_id, {}, match=MatchRule.AUTO, keep=Keep.OURS, by=analyst.actor()),
    ):
        with pytest.raises(NotAllowed):
            operation()
    asked = order(import_id, State.OPENED, by=manager.actor())
    users.change("m@example.com", users.Changes(role=Role.ANALYST), by=OPERATOR)
    with pytest.raises(NotAllowed):
        orders.carry_out(import_id, asked)
    assert Permission.IMPORTS_RUN.value in (imports.get(import_id, by=OPERATOR).error or "")


def set_to(import_id: int, **values: Any) -> None:
    with writing(OPERATOR) as session:
        session.execute(update(Import).where(Import.id == import_id).values(**values))


def test_an_import_goes_on_under_a_profiler() -> None:
    """In a process of its own: where it stops nothing but its end helps."""
    lines = (
        "import sys", "from pipelines.attendant import Attendant", "attendant = Attendant(1)",
        "attendant._inside = True", "sys.setprofile(lambda *_: None)", "attendant._leave()", "attendant._over.is_set()",
    )  # fmt: skip
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=60)
