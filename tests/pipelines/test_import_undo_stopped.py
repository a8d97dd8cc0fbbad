"""An undo, and the undo of one, as orders: killed at any moment they lose nothing, and they can be called off."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from models import import_orders, imports
from models.contacts.undo import redo_import, undo_import
from models.database import libpq_url, writing
from models.errors import Conflict
from models.import_phases import Phase
from models.import_progress import Step
from models.imports import Import, State
from models.permissions import OPERATOR
from pipelines import import_orders as orders
from tests.pipelines.importing import Row, contacts, imported, sql, written
from tests.pipelines.test_import_orders import SECONDS, at_work, carried_out, killed, order, phase, until

OLD = 400  # contacts that the file changes; as many others are new
UNDO, REDO = State.UNDONE, State.COMMITTED


def row(n: int, **values: str) -> Row:
    return {"First Name": f"P{n}", "Email": f"p{n}@example.com", "Title": "VP", **values}


@pytest.fixture
def done(base: str, tmp_path: Path) -> int:
    imported(written(tmp_path, [row(n) for n in range(OLD)]))
    second = written(tmp_path, [row(n, Title="x") for n in range(2 * OLD)], "second.csv")
    return imported(second, accepting="meant so").id


def redo_order(import_id: int) -> int:
    return import_orders.ask_redo(import_id, by=OPERATOR)


def slowed() -> None:
    """Let the server take five milliseconds for every contact that it writes."""
    sql(
        """CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.005); RETURN coalesce(NEW, OLD); END $$"""
    )
    sql("CREATE TRIGGER slowly BEFORE INSERT OR UPDATE OR DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION slowly()")


def everything() -> list[tuple[object, ...]]:
    return sql("SELECT to_jsonb(c) - 'updated_at' FROM contacts c ORDER BY id")


@pytest.mark.parametrize("wanted", [UNDO, REDO])
def test_killed_in_the_middle_it_is_done_by_the_next(base: str, home: Path, done: int, wanted: State) -> None:
    after = everything()
    undone = carried_out(done, UNDO).undone
    before = everything()
    if wanted is UNDO:
        orders.carry_out(done, redo_order(done))
    slowed()
    number = order(done, UNDO) if wanted is UNDO else redo_order(done)
    from_here, to_there, state = (after, before, REDO) if wanted is UNDO else (before, after, UNDO)
    with at_work(base, home, done, number) as process:
        until(lambda: (imports.get(done, by=OPERATOR).step_done or 0) > OLD // 10, process)
        killed(process, done)
    assert everything() == from_here
    assert (imports.get(done, by=OPERATOR).state, phase(done)) == (state, Phase.WAITING)
    runs = sql("SELECT count(*) FROM import_undos")
    sql("DROP TRIGGER slowly ON contacts")
    orders.carry_out(done, number)
    found = imports.get(done, by=OPERATOR)
    assert (found.state, found.wanted, found.error) == (wanted, None, None)
    assert found.undone == (undone if wanted is UNDO else None)
    assert everything() == to_there
    assert sql("SELECT count(*) - 1 FROM import_undos") == runs, "the killed one left nothing"
    orders.carry_out(done, number)  # whoever comes late does nothing
    assert everything() == to_there


@pytest.mark.parametrize("wanted", [UNDO, REDO])
def test_one_whose_server_had_finished_is_only_settled(done: int, wanted: State) -> None:
    """The process was killed after its server had got the COMMIT, and before it could write that down."""
    if wanted is REDO:
        carried_out(done, UNDO)
    number = order(done, UNDO) if wanted is UNDO else redo_order(done)
    with writing(OPERATOR) as session:
        (undo_import if wanted is UNDO else redo_import)(session, done)
        imports.record(session, done, state=wanted)
    then = everything()
    orders.carry_out(done, number)
    found: Import = imports.get(done, by=OPERATOR)
    assert (found.state, found.wanted, found.error) == (wanted, None, None)
    assert everything() == then


def test_one_whose_server_finishes_while_the_next_waits_for_it_is_no_failure(base: str, done: int) -> None:
    number = order(done, UNDO)
    with psycopg.connect(libpq_url(base)) as server, ThreadPoolExecutor(1) as beside:
        server.execute("LOCK TABLE contacts IN SHARE MODE")
        late = beside.submit(orders.carry_out, done, number)
        while not sql("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'contacts'::regclass"):
            assert not late.done()
            time.sleep(0.05)
        server.execute("UPDATE imports SET state = 'undone' WHERE id = %s", [done])
        server.commit()
        with pytest.raises(Conflict, match="only a committed import can be undone"):
            late.result(SECONDS)
    found = imports.get(done, by=OPERATOR)
    assert (found.state, found.wanted, found.error) == (UNDO, None, None)


def test_an_undo_of_an_undo_is_called_off(base: str, home: Path, done: int) -> None:
    carried_out(done, UNDO)
    waiting = redo_order(done)
    assert redo_order(done) == waiting, "asked for twice it is one"
    assert phase(done) is Phase.WAITING
    import_orders.cancel(done, by=OPERATOR)
    orders.carry_out(done, waiting)
    assert phase(done) is Phase.UNDONE
    with psycopg.connect(libpq_url(base)) as blocker:
        blocker.execute("LOCK TABLE contacts IN SHARE MODE")
        with at_work(base, home, done, redo_order(done)) as process:
            until(lambda: imports.get(done, by=OPERATOR).step == Step.REDO, process)
            assert phase(done) is Phase.RUNNING
            import_orders.cancel(done, by=OPERATOR)
            assert process.wait(SECONDS) == 0, process.communicate()[1]
    assert phase(done) is Phase.UNDONE
    assert len(contacts()) == OLD
    orders.carry_out(done, redo_order(done))
    assert (phase(done), len(contacts())) == (Phase.DONE, 2 * OLD)
    with pytest.raises(Conflict, match="is committed by now: only one that was undone can be brought back"):
        redo_order(done)
