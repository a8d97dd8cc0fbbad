"""Exports of views by schedule: each due moment once, whatever happens meanwhile, and what fails is told."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from models import exports, file_store, filters, settings, users, view_changes, view_exports, view_runs, views
from models.contacts.table import Contact
from models.credits import CreditEntry
from models.database import reading, writing
from models.errors import AppError, Unavailable
from models.exports import Export
from models.mails import Mail
from models.permissions import OPERATOR, Actor, Role
from models.view_exports import ViewRun, ViewSchedule, Wanted
from pipelines import export_views, flows, sweep
from tests.people import person
from tests.pipelines import s3
from tests.waiting import until

PROJECT = Path(__file__).parents[2]
CONTACTS = 5
# Kills its own process at one step, before it or just after it.
KILLED = """
import os, signal, sys
from models import view_runs, exports
from models import file_store
from pipelines import export_views, export_contacts, export_file
owner, name, after = sys.argv[2].split()
owner = {"export_contacts": export_contacts, "view_runs": view_runs, "exports": exports,
         "Folder": file_store.Folder, "Written": export_file.Written}[owner]
real = getattr(owner, name)
def killed(*arguments, **more):
    if after == "after":
        real(*arguments, **more)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, killed)
export_views.main([sys.argv[1]])
"""
STEPS = [
    "exports request before", "exports request after", "exports begin after", "Written move_to after",
    "export_contacts run after", "Folder put before", "Folder put after", "view_runs finish before",
]  # fmt: skip


@pytest.fixture
def place(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that may be exported to, and this process's home beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.setenv("APPOINTMENT360_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("APPOINTMENT360_EXPORT_ROOTS", f"{folder},s3://{s3.BUCKET}/out")
    settings.settings.cache_clear()
    with writing(OPERATOR) as session:
        rows = [{"email": f"p{n}@example.com", "country": "Germany", "title": "CEO"} for n in range(CONTACTS)]
        session.execute(insert(Contact), [*rows, {"email": "x@example.com", "country": "France", "title": None}])
    yield folder
    settings.settings.cache_clear()


@pytest.fixture
def ann(place: Path) -> Actor:
    person(email="ada@example.com", name="Ada", role=Role.ADMIN)
    ann = person(email="ann@example.com", name="Ann", role=Role.ANALYST, download_limit=CONTACTS)
    with writing(OPERATOR) as session:
        session.execute(update(Mail).values(sent_at=func.now()))
    return ann.actor()


def scheduled(by: Actor, place: object, **more: str) -> int:
    asked = filters.parse(["country=Germany"], by=by)
    view = view_changes.save("Leads", filters=asked, columns=["email", "country"], by=by)
    return view_exports.schedule(view.id, Wanted(**{"every": "day", "place": str(place), **more}), by=by)


def due(schedule_id: int) -> int:
    """The run of a moment that has just come."""
    with writing(OPERATOR) as session:
        moved = update(ViewSchedule).where(ViewSchedule.id == schedule_id)
        session.execute(moved.values(next_at=func.now() - view_changes.timedelta(minutes=1)))
    assert view_runs.note_due() == 1
    return max(view_runs.waiting())


def run(run_id: int) -> ViewRun:
    with reading() as session:
        found = session.get_one(ViewRun, run_id)
        session.expunge(found)
        return found


def mailed() -> list[tuple[str, str, dict[str, Any]]]:
    """(to, kind, details) of what waits to be sent."""
    with reading() as session:
        waiting = select(Mail.email, Mail.kind, Mail.details).where(Mail.sent_at.is_(None)).order_by(Mail.id)
        return [(row.email, row.kind, row.details or {}) for row in session.execute(waiting)]


def spent() -> int:
    with reading() as session:
        kinds = CreditEntry.kind.in_(("reserved", "settled", "refunded"))
        return -(session.scalar(select(func.sum(CreditEntry.amount)).where(kinds)) or 0)


def test_a_due_view_is_exported_with_its_receipt_and_told(ann: Actor, place: Path) -> None:
    schedule_id = scheduled(ann, place)
    run_id = due(schedule_id)
    export_views.carry_out(run_id)
    [file] = place.iterdir()
    [made] = exports.mine(by=ann)
    assert file.name.startswith("Leads 20")
    assert file.read_bytes() == Path(made.path).read_bytes()
    assert file.read_text("utf-8-sig").splitlines()[:2] == ["Email,Country", "p0@example.com,Germany"]
    assert (made.view_name, made.view_run_id, made.rows, made.credits) == ("Leads", run_id, CONTACTS, CONTACTS)
    assert made.file_name == file.name
    told = {"view": "Leads", "file": str(file), "rows": "5", "credits": "5"}
    assert mailed() == [("ann@example.com", "view exported", told)]
    [seen] = view_exports.listed(by=ann)
    assert seen.last is not None
    assert (seen.last.state, seen.last.file_name, seen.running) == ("done", str(file), False)
    assert views.get(seen.view_id, by=ann).used_at is not None
    export_views.carry_out(run_id)
    assert len(exports.mine(by=ann)) == len(mailed()) == 1, "a second time nothing happens"


def test_killed_at_any_step_it_comes_to_the_same_end(ann: Actor, place: Path, db: str, tmp_path: Path) -> None:
    schedule_id = scheduled(ann, place, file_name="{view} {date} {time}")
    for number, step in enumerate(STEPS, 1):
        with writing(OPERATOR) as session:  # moments of different minutes have different names
            moment = datetime(2026, 11, 1, 6, number, tzinfo=UTC)
            made = ViewRun(schedule_id=schedule_id, due_at=moment, state="waiting")
            session.add(made)
            session.flush()
            run_id = made.id
        script = subprocess.run(
            [sys.executable, "-c", KILLED, str(run_id), step],
            env={**os.environ, "DATABASE_URL": db, "PYTHONPATH": str(PROJECT)}, cwd=PROJECT, check=False,
        )  # fmt: skip
        assert script.returncode == -signal.SIGKILL, step
        assert run(run_id).state == "running"
        until(
            "whoever sweeps next finds it", lambda one=run_id: one in view_runs.waiting()
        )  # its session may end later
        export_views.carry_out(run_id)
        assert run(run_id).state == "done", step
        assert len(list(place.iterdir())) == number, step
        assert len(exports.mine(by=ann)) == number, step
        assert len(mailed()) == number, step
        assert spent() == CONTACTS, step
    assert {path.read_text("utf-8-sig").count("\n") for path in place.iterdir()} == {CONTACTS + 1}


def test_two_at_once_do_it_once(ann: Actor, place: Path, db: str) -> None:
    run_id = due(scheduled(ann, place))
    command = [sys.executable, "-m", "pipelines.export_views", str(run_id)]
    environment = {**os.environ, "DATABASE_URL": db, "PYTHONPATH": str(PROJECT)}
    both = [subprocess.Popen(command, env=environment, cwd=PROJECT) for _ in range(2)]
    assert [one.wait(120) for one in both] == [0, 0]
    assert run(run_id).state == "done"
    assert len(list(place.iterdir())) == len(exports.mine(by=ann)) == len(mailed()) == 1


def test_the_sweep_carries_out_what_is_due_in_processes_of_their_own(ann: Actor, place: Path) -> None:
    schedule_id = scheduled(ann, place)
    sweep.export_views()
    assert list(place.iterdir()) == []
    with writing(OPERATOR) as session:
        session.execute(update(ViewSchedule).values(next_at=func.now() - view_changes.timedelta(days=40)))
    sweep.export_views()
    sweep.export_views()
    assert len(list(place.iterdir())) == 1, "40 days that were missed are made up once"
    assert [one.id for one in view_exports.listed(by=ann)] == [schedule_id]


def failed(run_id: int, said: str) -> ViewRun:
    with pytest.raises(AppError, match=said):
        export_views.carry_out(run_id)
    found = run(run_id)
    assert found.state == "failed"
    assert (found.error or "").startswith(said)
    return found


def test_too_few_credits_are_told_and_the_schedule_stays(ann: Actor, place: Path) -> None:
    users.change("ann@example.com", users.Changes(download_limit=2), by=OPERATOR)
    schedule_id = scheduled(ann, place)
    found = failed(due(schedule_id), "This would take 5 credits; you have 2 until")
    [(to, kind, details)] = mailed()
    assert (to, kind, details["error"]) == ("ann@example.com", "view export failed", found.error)
    assert list(place.iterdir()) == []
    [seen] = view_exports.listed(by=ann)
    assert seen.active
    users.change("ann@example.com", users.Changes(download_limit=10), by=OPERATOR)
    assert export_views.run_now(schedule_id, by=ann).state == "done"


def test_what_somebody_may_no_longer_see_is_not_exported(ann: Actor, place: Path) -> None:
    schedule_id = scheduled(ann, place)
    users.change("ann@example.com", users.Changes(column_allowed=("email",)), by=OPERATOR)
    failed(due(schedule_id), "The view “Leads” cannot be used: You may not see the column Country")
    users.change("ann@example.com", users.Changes(column_allowed=("country",)), by=OPERATOR)
    export_views.carry_out(due(schedule_id))
    [file] = place.iterdir()
    assert file.read_text("utf-8-sig").splitlines()[0] == "Country", "a hidden column is left out"


def test_a_closed_account_is_told_to_the_administrators(ann: Actor, place: Path) -> None:
    run_id = due(scheduled(ann, place))
    users.deactivate("ann@example.com", by=OPERATOR)
    failed(run_id, "The scheduled export 1 was asked for by an account that is closed")
    [(to, kind, details)] = mailed()
    assert (to, kind) == ("ada@example.com", "view export failed")
    assert details["further"].startswith("The schedule rests from now on, since the account that set it up is closed.")
    assert not view_exports.listed(by=OPERATOR)[0].active, "else it would fail, and tell them, each time"


def test_a_view_that_is_no_longer_shared(ann: Actor, place: Path) -> None:
    ada = users.find("ada@example.com", by=OPERATOR).actor()
    theirs = view_changes.save("Theirs", filters=filters.parse(["country=Germany"], by=ada), shared=True, by=ada)
    schedule_id = view_exports.schedule(theirs.id, Wanted("day", str(place)), by=ann)
    view_changes.share(theirs.id, False, by=ada)
    failed(due(schedule_id), "Its view is deleted, or no longer shared with you")


def test_another_file_of_the_name_is_left_alone_unless_the_name_is_the_same_each_time(ann: Actor, place: Path) -> None:
    schedule_id = scheduled(ann, place)
    run_id = due(schedule_id)
    task = view_runs.begin(run_id)
    assert task is not None
    (place / task.file_name).write_text("somebody else's")
    failed(run_id, f"{task.file_name} is in ")
    assert (place / task.file_name).read_text() == "somebody else's"
    view_exports.change(schedule_id, Wanted("day", str(place), file_name="latest.csv"), by=ann)
    (place / "latest.csv").write_text("of yesterday")
    export_views.carry_out(due(schedule_id))
    assert (place / "latest.csv").read_text("utf-8-sig").startswith("Email,Country")


def test_a_place_that_is_gone_or_allowed_no_more(ann: Actor, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = place / "below"
    below.mkdir()
    schedule_id = scheduled(ann, below)
    below.rmdir()
    failed(due(schedule_id), f"There is no folder {below}: make it, or name another one.")
    monkeypatch.setenv("APPOINTMENT360_EXPORT_ROOTS", str(place.parent / "home"))
    settings.settings.cache_clear()
    failed(due(schedule_id), f"Exports may not be put into {below}")


def test_a_place_that_does_not_answer_is_tried_again(ann: Actor, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = due(scheduled(ann, place))
    real = file_store.Folder.put

    def unreachable(*_: object, **__: object) -> str:
        raise Unavailable("The place does not answer: try again.")

    monkeypatch.setattr(file_store.Folder, "put", unreachable)
    for _ in range(view_runs.MOST_TRIES - 1):
        with pytest.raises(Unavailable):
            export_views.carry_out(run_id)
        assert (run(run_id).state, run(run_id).error) == ("waiting", "The place does not answer: try again.")
        assert mailed() == []
    failed(run_id, "The place does not answer")
    assert len(exports.mine(by=ann)) == len(mailed()) == 1
    monkeypatch.setattr(file_store.Folder, "put", real)


def test_one_that_ends_each_process_is_given_up(ann: Actor, place: Path) -> None:
    run_id = due(scheduled(ann, place))
    for _ in range(view_runs.MOST_DEATHS):
        assert view_runs.begin(run_id) is not None  # as if it had died after it
    export_views.carry_out(run_id)
    assert run(run_id).error == "It was interrupted 5 times in the middle, each time its process died."
    assert len(mailed()) == 1


def test_what_was_ended_meanwhile_is_not_done(ann: Actor, place: Path) -> None:
    schedule_id = scheduled(ann, place)
    run_id = due(schedule_id)
    view_exports.unschedule(schedule_id, by=ann)
    export_views.carry_out(run_id)
    assert (run(run_id).state, list(place.iterdir()), mailed()) == ("failed", [], [])


def test_an_export_that_another_process_writes_is_waited_for(ann: Actor, place: Path) -> None:
    run_id = due(scheduled(ann, place))
    task = view_runs.begin(run_id)
    assert task is not None
    export_id = exports.request(
        filters=filters.parse(["country=Germany"], by=ann), columns=["email"], format="csv", view_run_id=run_id, by=ann
    )
    with reading() as session:
        assert exports.lock(session, export_id)
        export_views.carry_out(run_id)
    assert (run(run_id).state, run(run_id).error) == ("waiting", None)
    export_views.carry_out(run_id)
    assert run(run_id).state == "done"
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(Export)) == 1


def test_into_s3_and_by_the_flow(ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3.serving() as endpoint:
        s3.use(endpoint, monkeypatch)
        store = s3.client(endpoint)
        store.create_bucket(Bucket=s3.BUCKET)
        due(scheduled(ann, f"s3://{s3.BUCKET}/out", format="jsonl"))
        flows.export_views.fn()
        [stored] = store.list_objects_v2(Bucket=s3.BUCKET, Prefix="out/")["Contents"]
        body = store.get_object(Bucket=s3.BUCKET, Key=stored["Key"])["Body"].read()
    assert stored["Key"].startswith("out/Leads 20")
    assert stored["Key"].endswith(".jsonl")
    assert body.count(b"\n") == CONTACTS
    assert [kind for _, kind, _ in mailed()] == ["view exported"]


def test_a_success_is_not_mailed_where_only_failures_are_wanted(ann: Actor, place: Path) -> None:
    export_views.carry_out(due(scheduled(ann, place, mails="failure")))
    assert mailed() == []
