"""Imports and exports on hosts that share a Postgres and an S3, and no folder: each step may be another host's."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, update

from models import (
    backups,
    exports,
    import_expiry,
    import_files,
    import_orders,
    import_phases,
    imports,
    settings,
    stored_files,
    view_changes,
    view_exports,
    watched_folders,
)
from models.database import writing
from models.errors import Conflict, NotFound, Unavailable
from models.exports import Export
from models.filters import Filters
from models.import_files import StoreAway
from models.import_phases import Phase
from models.imports import Import, Keep, MatchRule, State
from models.permissions import OPERATOR, Role
from models.view_exports import Wanted
from models.watched_folders import Watching
from pipelines import backup_key, export_contacts, export_views, import_contacts, keep_house, watch_folders
from pipelines import import_orders as orders
from pipelines.import_steps import store_path
from tests.people import person
from tests.pipelines import s3
from tests.pipelines.hosts import Hosts, Store, sharing
from tests.pipelines.importing import contacts, created, imported, numbers, rejected, sql, written
from tests.pipelines.test_export_views import due
from tests.pipelines.test_import_orders import order
from tests.pipelines.test_watch_folders import LONG_AGO

ROWS = [
    {"Email": "ann@example.com", "First Name": "Ann", "Title": "Buyer"},
    {"Email": "no address", "First Name": "Bob", "Title": "Chief"},
    {"Email": "cem@example.com", "First Name": "Cem", "Title": "Clerk"},
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with sharing(tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture
def hosts(db: str, store: Store, tmp_path: Path, checked_home: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path / "hosts", checked_home)
    made.folder.mkdir()
    with made.on("first"):
        yield made
        stored_files.place(store.address).remove_all()  # the next database numbers from 1 again


def objects(kind: str) -> list[str]:
    return [one.name for one in stored_files.place(f"{stored_files.root()}/{kind}").below()]


def test_each_step_on_another_host(hosts: Hosts, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, ROWS))
    assert (hosts.files("first"), len(objects("imports"))) == ([], 1)
    for host, state in (("second", State.OPENED), ("third", State.STAGED), ("fourth", State.PLANNED)):
        with hosts.on(host):
            assert import_contacts.run(import_id, until=state, by=OPERATOR).state == state
            assert store_path(import_id).is_file()
            assert "upload" not in str(hosts.files(host)), "the file itself is let go once it is opened"
    with hosts.on("fifth"):
        done = import_contacts.run(import_id, by=OPERATOR)
    assert (done.state, numbers(done)) == (State.COMMITTED, (3, 2, 0, 0, 0, 1))
    assert hosts.files("fifth") == [], "the plan is whole in the database"
    assert [(line, cells[0]) for line, _, _, _, cells in rejected(import_id)] == [(3, "no address")]
    with hosts.on("sixth"):
        assert import_contacts.undo(import_id, by=OPERATOR)["removed"] == 2
        assert import_contacts.redo(import_id, by=OPERATOR)["returned"] == 2
        assert import_contacts.undo(import_id, by=OPERATOR)["removed"] == 2
    assert (contacts(), len(objects("imports"))) == ([], 1)


def test_what_another_host_ended_leaves_nothing_here(hosts: Hosts, tmp_path: Path) -> None:
    ended, going_on = (
        created(written(tmp_path, ROWS)),
        created(written(tmp_path, [{"Email": "dora@example.com"}], "other.csv")),
    )
    for import_id in (ended, going_on):
        import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR)
    with hosts.on("second"):
        import_contacts.run(ended, by=OPERATOR)
    found = imports.get(going_on, by=OPERATOR)
    import_files.fetch(found)  # and the process dies
    before = hosts.files("first")
    assert {f"imports/{ended}/rows.duckdb", f"imports/{going_on}/fetched/other.csv"} < set(before)
    with import_contacts.claimed(going_on):
        import_contacts.clear_ended_elsewhere()
        assert f"imports/{going_on}/fetched/other.csv" in hosts.files("first"), "somebody reads it"
    import_contacts.clear_ended_elsewhere()
    assert hosts.files("first") == [f"imports/{going_on}/rows.duckdb", f"imports/{going_on}/rows.mark"]
    assert list((hosts.home("first") / "imports").iterdir()) == [imports.folder(going_on)]
    with hosts.on("second"):
        assert import_contacts.run(going_on, by=OPERATOR).state == State.COMMITTED


def test_scratch_of_killed_processes_goes_after_a_day(hosts: Hosts) -> None:
    for name in ("old", "new"):
        (stored_files.scratch() / name).mkdir()
        (stored_files.scratch() / name / "file").touch()
    os.utime(stored_files.scratch() / "old", (0, 0))
    stored_files.clear_scratch()
    assert hosts.files("first") == ["scratch/new/file"]


def test_a_view_goes_from_the_store_to_its_place(hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "out"
    place.mkdir()
    monkeypatch.setenv("APPOINTMENT360_EXPORT_ROOTS", str(place))
    settings.settings.cache_clear()
    imported(written(tmp_path, ROWS))
    by = person(email="ada@example.com", name="Ada", role=Role.ADMIN).actor()
    view = view_changes.save("Leads", filters=Filters(), columns=["email"], by=by)
    run_id = due(view_exports.schedule(view.id, Wanted(every="day", place=str(place)), by=by))
    with hosts.on("second"):
        export_views.carry_out(run_id)
        assert hosts.files("second") == []
    [file] = place.iterdir()
    assert file.read_text("utf-8-sig").split() == ["Email", "ann@example.com", "cem@example.com"]
    [made] = exports.mine(by=by)
    assert (made.path.startswith("s3://leads/site/exports/"), made.bytes) == (True, file.stat().st_size)


def test_cells_that_another_host_has_staged_otherwise_since_are_not_gone_on_with(hosts: Hosts, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, ROWS))
    assert numbers(import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR)) == (3, 2, 0, 0, 0, 1)
    with hosts.on("second"):
        mapped = {"First Name": "first_name", "Title": "title"}
        orders.carry_out(
            import_id, import_orders.remap(import_id, mapped, match=MatchRule.NONE, keep=Keep.THEIRS, by=OPERATOR)
        )
    planned = imports.get(import_id, by=OPERATOR)
    assert (planned.state, numbers(planned)) == (State.PLANNED, (3, 3, 0, 0, 0, 0)), planned.error
    sql("UPDATE imports SET state = 'checked' WHERE id = %s", import_id)  # as contacts that moved leave it
    again = import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR)
    assert (numbers(again), rejected(import_id)) == ((3, 3, 0, 0, 0, 0), [])


def test_an_import_waits_for_a_store_that_is_away(hosts: Hosts, store: Store, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, ROWS))
    asked = order(import_id, State.OPENED)
    store.go()
    try:
        with hosts.on("second"):
            with pytest.raises(StoreAway, match=r"s3://leads/site/imports/\d+ cannot be reached"):
                orders.carry_out(import_id, asked)
            waiting = imports.listed(import_id, by=OPERATOR)
            assert (import_phases.phase(waiting), waiting.import_.wanted) == (Phase.WAITING, State.OPENED)
            assert "cannot be reached" in (waiting.import_.error or "")
            assert not orders.can_begin(import_id)
        with pytest.raises(Unavailable, match="cannot be reached"):
            created(written(tmp_path, ROWS, "other.csv"))
    finally:
        store.come()
    with hosts.on("third"):
        assert orders.can_begin(import_id)
        orders.carry_out(import_id, asked)
    found = imports.get(import_id, by=OPERATOR)
    assert (found.state, found.wanted, found.error) == (State.OPENED, None, None)


def test_what_was_changed_in_the_store_is_not_read(hosts: Hosts, store: Store, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, ROWS))
    [name] = objects("imports")
    client = s3.client(f"http://127.0.0.1:{store.port}")
    client.put_object(Bucket=s3.BUCKET, Key=f"site/imports/{name}", Body=b"Email\nsomebody@else.example\n")
    with pytest.raises(Unavailable, match=r"Part 1 of people\.csv is not in s3://leads/site/imports/\d+ as it came"):
        import_contacts.run(import_id, by=OPERATOR)
    client.delete_object(Bucket=s3.BUCKET, Key=f"site/imports/{name}")
    with pytest.raises(NotFound, match="There is no file"):
        import_contacts.run(import_id, by=OPERATOR)
    assert imports.get(import_id, by=OPERATOR).state == State.NEW, "it can be resumed once the file is back"


def test_a_file_of_a_watched_folder_is_opened_on_another_host(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    os.utime(written(incoming, ROWS), (LONG_AGO, LONG_AGO))
    monkeypatch.setenv("APPOINTMENT360_WATCH_ROOTS", str(incoming))
    settings.settings.cache_clear()
    by = person(email="ada@example.com", name="Ada", role=Role.ADMIN).actor()
    seen = watch_folders.look(watched_folders.add(Watching("Leads", str(incoming), "* * * * *"), by=by))
    assert seen is not None
    assert (seen.error, len(seen.imports), hosts.files("first")) == (None, 1, [])
    with hosts.on("second"):
        orders.carry_out(seen.imports[0], imports.get(seen.imports[0], by=OPERATOR).orders)
    assert imports.get(seen.imports[0], by=OPERATOR).rows == 3


def test_what_nobody_names_goes_and_the_rest_stays(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = created(written(tmp_path, ROWS))
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=OPERATOR)
    made = export_contacts.run(export_id)
    assert (made.state, hosts.files("first")) == (exports.State.DONE, [])
    named = objects("imports") + objects("exports")
    left = tmp_path / "left"
    left.write_bytes(b"of a process that died")
    for place in (f"imports/{import_id}", "imports/999", f"exports/{export_id}"):
        stored_files.place(f"{stored_files.root()}/{place}").put(left, "left")
    keep_house.keep(told=lambda _: None, by=OPERATOR)
    assert len(objects("imports") + objects("exports")) == 5, "a row that names them may still come"
    monkeypatch.setattr(stored_files, "FORGOTTEN", -timedelta(minutes=1))
    round_of = keep_house.keep(told=lambda _: None, by=OPERATOR)
    assert objects("imports") + objects("exports") == named
    sizes = {one.name: one.files for one in round_of.report.folders if one.name.startswith("s3:")}
    assert sizes == {"s3://leads/site/imports": 1, "s3://leads/site/exports": 1}
    assert round_of.report.disks[0].holds.startswith("files on their way")


def test_files_go_when_their_time_is_over(hosts: Hosts, tmp_path: Path) -> None:
    import_id = imported(written(tmp_path, ROWS)).id
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=OPERATOR)
    export_contacts.run(export_id)
    with writing(OPERATOR) as session:
        for table in (Import, Export):
            session.execute(update(table).values(finished_at=func.now() - timedelta(days=9)))
    with hosts.on("second"):
        assert import_expiry.expire_uploads(10) == 0
        assert exports.expire(older_than_days=10) == []
        assert len(objects("imports") + objects("exports")) == 2
        assert import_expiry.expire_uploads(8) == 1
        assert exports.expire(older_than_days=8) == [export_id]
    assert objects("imports") + objects("exports") == []
    assert imports.get(import_id, by=OPERATOR).file_expired_at is not None
    assert not exports.get(export_id, by=OPERATOR).has_file


def test_an_export_whose_store_is_away_fails_and_can_be_made_again(hosts: Hosts, store: Store) -> None:
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=OPERATOR)
    store.go()
    try:
        with pytest.raises(Unavailable, match="cannot be reached"):
            export_contacts.run(export_id)
    finally:
        store.come()
    assert exports.get(export_id, by=OPERATOR).state == exports.State.FAILED
    assert hosts.files("first") == []
    with hosts.on("second"):
        made = export_contacts.run(export_id)
    assert (made.state, objects("exports")) == (exports.State.DONE, [f"{export_id}/{made.path.rpartition('/')[2]}"])


def test_backups_go_beside_the_files_and_no_host_makes_a_key_of_its_own(hosts: Hosts) -> None:
    assert backups.place() == "s3://leads/site/backups"
    with pytest.raises(NotFound, match="name it on every host by APPOINTMENT360_BACKUP_KEY"):
        backup_key.wanted()


def test_a_cancelled_import_leaves_nothing_in_the_store(hosts: Hosts, tmp_path: Path) -> None:
    import_id = created(written(tmp_path, ROWS))
    with hosts.on("second"):
        import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR)
        import_orders.cancel(import_id, by=OPERATOR)
        assert hosts.files("second") == []
    assert objects("imports") == []
    with suppress(Conflict):
        import_contacts.run(import_id, by=OPERATOR)
    assert imports.get(import_id, by=OPERATOR).state == State.CANCELLED
