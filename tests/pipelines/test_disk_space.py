"""Imports, exports and backups look for room before they write, and lose nothing where there is none."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text

from models import disk_alerts, disk_space, disks, exports, import_orders, import_phases, imports, settings
from models.database import reading
from models.disk_space import NoRoom
from models.errors import Conflict
from models.filters import Filters
from models.imports import State
from models.permissions import OPERATOR, Role
from pipelines import back_up, export_contacts, import_contacts, import_room, sweep
from pipelines import import_orders as carried_out
from tests.people import person
from tests.pipelines import importing
from tests.pipelines.importing import numbers, written

ROWS = [{"First Name": f"P{n}", "Email": f"p{n}@example.com", "Title": "x" * 20} for n in range(3000)]

SLACK = 1_000_000  # bytes: pages that are there before rows are


def reserve(monkeypatch: pytest.MonkeyPatch, **given: str) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"APPOINTMENT360_{name.upper()}", value)
    settings.settings.cache_clear()


def test_it_says_what_is_needed_what_is_left_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 1_500_000_000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    reserve(monkeypatch, disk_reserve="500MB")
    disk_space.require(tmp_path / "not" / "yet", 1_000_000_000, "it")
    with pytest.raises(NoRoom) as refused:
        disk_space.require(tmp_path, 1_000_000_001, "big.csv", then="upload it")
    assert refused.value.sentence == (
        f"The disk of {tmp_path} has 1.5 GB left, and big.csv needs 1.0 GB beside the 500 MB that are to stay free: "
        "make room there, or let an administrator do so, then upload it."
    )
    assert disk_space.shown(20_000) == "less than 0.1 MB"


def test_the_database_lies_on_this_machine(base: str, home: Path) -> None:
    folder = disks.database_folder()
    assert folder is not None
    assert (folder / "PG_VERSION").is_file()
    [disk] = [one for one in disks.all_here() if "stored files" in one.holds]
    assert disk.folder == str(home)
    assert 0 < disk.free < disk.total


def test_the_webs_copies_may_have_a_disk_of_their_own(base: str, home: Path) -> None:
    (home / "mirror").mkdir()
    before = [one.holds for one in disks.all_here()]
    assert not any("copies" in one for one in before), "they lie on the home's"
    (home / "mirror").rmdir()
    (home / "mirror").symlink_to("/proc")  # is on no disk of another's
    assert [one.holds for one in disks.all_here()] == [*before, "the web's copies of the contacts"]


@pytest.mark.parametrize("state", [State.OPENED, State.PLANNED])
def test_a_step_without_room_for_the_database_waits_for_it(
    base: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    """The database's disk is full, that of the files is not."""
    import_id = importing.created(written(tmp_path, ROWS))
    import_contacts.run(import_id, until=state, by=OPERATOR)
    full, free = disks.database_folder(), disk_space.free
    monkeypatch.setattr(disk_space, "free", lambda folder: 1000 if folder == full else free(folder))
    with pytest.raises(NoRoom, match=rf"The disk of {full} has less than 0.1 MB left, and (staging|committing) import"):
        import_contacts.run(import_id, by=OPERATOR)
    stopped = imports.get(import_id, by=OPERATOR)
    assert (stopped.state, stopped.error) != (state, None)
    assert stopped.state == state
    monkeypatch.undo()
    done = import_contacts.run(import_id, by=OPERATOR)
    assert numbers(done) == (3000, 3000, 0, 0, 0, 0)
    assert done.error is None


def test_what_somebody_asked_for_goes_on_by_itself_once_there_is_room(
    base: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = person(email="ada@example.com", name="Ada", role=Role.ADMIN).actor()
    import_id = importing.created(written(tmp_path, ROWS))
    import_contacts.run(import_id, until=State.OPENED, by=OPERATOR)
    order = import_orders.ask(import_id, State.PLANNED, by=ada)
    began: list[int] = []

    def apart(module: str, *numbers: int) -> None:
        began.append(numbers[0])
        with suppress(NoRoom):
            carried_out.carry_out(*numbers)

    monkeypatch.setattr(sweep, "_apart", apart)
    monkeypatch.setattr(sweep, "PATIENCE", timedelta())
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(disk_space, "free", lambda _: 1000)
        for _ in range(5):
            sweep.carry_out_orders()
        assert began == [import_id], "it is not begun again while there is none"
        waits = imports.listed(import_id, by=ada)
        assert (waits.import_.state, waits.import_.orders, waits.import_.tries) == (State.OPENED, order, 0)
        assert import_phases.phase(waits) == import_phases.Phase.WAITING
        assert import_orders.waits_for_room(waits.import_)
        assert "make room there" in (waits.import_.error or "")
        with pytest.raises(Conflict, match="or cancel it"):
            import_orders.ask(import_id, State.COMMITTED, by=ada)
        carried_out.carry_out(import_id, order)
        assert imports.get(import_id, by=OPERATOR).error, "a flow that comes late does not begin it either"
    sweep.carry_out_orders()
    done = imports.get(import_id, by=OPERATOR)
    assert (done.state, done.wanted, done.error, done.staged) == (State.PLANNED, None, None, 3000)
    [(who, told)] = importing.sql("SELECT actor_name, details FROM audit_log WHERE event = 'import resumed'")
    assert (who, told["reason"]) == ("operator", waits.import_.error)


def test_what_waits_for_room_can_be_cancelled(
    base: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = importing.created(written(tmp_path, ROWS[:9]))
    order = import_orders.ask(
        import_id, State.OPENED, by=person(email="a@b.example", name="A", role=Role.ADMIN).actor()
    )
    monkeypatch.setattr(disk_space, "free", lambda _: 1000)
    with pytest.raises(NoRoom):
        carried_out.carry_out(import_id, order)
    import_orders.cancel(import_id, by=OPERATOR)
    assert imports.get(import_id, by=OPERATOR).state == State.CANCELLED


@pytest.mark.parametrize("wide", [False, True])
def test_what_a_step_is_said_to_need_is_enough(base: str, home: Path, tmp_path: Path, wide: bool) -> None:
    """Measured: what each step of a first import adds to the database and beside the upload; no wild guess either. A
    commit drops what was staged, at its end."""
    more = {"Company": "Some company or other", "Notes": "many words of it " * 20} if wide else {}
    rows = [{"First Name": f"P{n}", "Email": f"p{n}@example.com", **more} for n in range(20_000)]
    import_id = importing.created(written(tmp_path, rows))
    for state, until in pairwise((State.NEW, State.OPENED, State.STAGED, State.PLANNED, State.COMMITTED)):
        found = imports.get(import_id, by=OPERATOR)
        assert found.state == state
        beside, into = import_room.needed(found)
        before = database_bytes() - (staged_bytes() if until == State.COMMITTED else 0), folder_bytes(home)
        import_contacts.run(import_id, until=until, by=OPERATOR)
        grown, stored = database_bytes() - before[0], folder_bytes(home) - before[1]
        assert grown <= into + SLACK
        assert stored <= beside + SLACK
        assert into <= (3 if until == State.COMMITTED else 6) * grown + SLACK


def database_bytes() -> int:
    with reading() as session:
        return int(session.scalars(text("SELECT pg_database_size(current_database())")).one())


def staged_bytes() -> int:
    held = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relkind = 'r' AND relnamespace = "
    with reading() as session:
        return int(session.scalars(text(f"{held} 'staging'::regnamespace")).one())


def folder_bytes(folder: Path) -> int:
    return sum(one.stat().st_size for one in (folder / "imports").rglob("*") if one.is_file())


def test_an_export_without_room_is_refused_and_costs_nothing(
    base: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importing.imported(written(tmp_path, ROWS[:10]))
    mia = person(email="mia@example.com", name="Mia", role=Role.ANALYST, download_limit=100).actor()
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=mia)
    reserve(monkeypatch, disk_reserve="1EB")
    with pytest.raises(NoRoom, match="then export again"):
        export_contacts.run(export_id)
    failed = exports.get(export_id, by=mia)
    assert (failed.state, failed.credits) == (exports.State.FAILED, 0)
    assert "left, and" in (failed.error or "")


def test_a_backup_and_a_file_without_room_are_refused(
    base: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, ROWS[:10])
    reserve(monkeypatch, disk_reserve="1EB")
    with pytest.raises(NoRoom, match="and a backup needs"):
        back_up.make(by=OPERATOR)
    with pytest.raises(NoRoom, match=r"and people\.csv needs"):
        importing.created(file)
    assert imports.page(number=1, size=9, by=OPERATOR)[0] == []


def test_a_disk_that_gets_full_is_mailed_once_until_it_recovered(
    base: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(email="ada@example.com", name="Ada", role=Role.ADMIN)

    def mails() -> int:
        with reading() as session:
            return int(session.scalars(text("SELECT count(*) FROM mails WHERE kind = 'disk low'")).one())

    only = disks.of_the_home()  # the server of the tests may lie on another one
    monkeypatch.setattr(disks, "all_here", lambda: [only])

    def look(warning: float) -> list[str]:
        reserve(monkeypatch, disk_warning=f"{warning:.0f}")
        return disk_alerts.look()

    assert (look(1), mails()) == ([], 0)
    [sentence] = look(only.free * 2)
    assert sentence.startswith(f"The disk of {only.folder} on ")
    assert (len(look(only.free * 2)), mails()) == (1, 1)
    assert len(look(only.free * 0.95)) == 1, "it has not recovered, it is around the limit"
    assert (look(only.free / 2), mails()) == ([], 1)
    assert (len(look(only.free * 2)), mails()) == (1, 2)
    assert disk_alerts.listed(by=OPERATOR) == [sentence]


# Only root may mount a disk.
if os.geteuid() == 0:

    @pytest.fixture
    def small_disk() -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="appointment360-"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)], check=True)
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder)

    def test_a_real_disk_that_gets_full_stops_an_import_in_time(
        base: str, home: Path, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reserve(monkeypatch, disk_reserve="2MB")
        (home / "imports").symlink_to(small_disk)
        try:
            import_id = importing.created(written(tmp_path, ROWS))
            filler = small_disk / "filler"
            filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 2_100_000))
            with pytest.raises(NoRoom) as refused:
                import_contacts.run(import_id, by=OPERATOR)
            assert f"imports resume {import_id}` goes on from here" in refused.value.sentence
            assert shutil.disk_usage(small_disk).free > 2_000_000, "nothing was written"
            assert imports.get(import_id, by=OPERATOR).state == State.NEW
            filler.unlink()
            assert numbers(import_contacts.run(import_id, by=OPERATOR)) == (3000, 3000, 0, 0, 0, 0)
        finally:
            (home / "imports").unlink()
