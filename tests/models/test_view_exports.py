"""Schedules of views: what they take, when they are due, and who sees and changes them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, text, update

from models import export_places, filters, schedule_times, settings, users, view_changes, view_exports, view_runs
from models.database import reading, writing
from models.errors import InvalidInput, NotAllowed, NotFound
from models.permissions import OPERATOR, Actor, Role
from models.view_exports import ViewRun, ViewSchedule, Wanted
from models.views import View
from tests.people import person

JULY = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def root(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("APPOINTMENT360_EXPORT_ROOTS", f"{tmp_path / 'out'}, s3://leads/outgoing")
    settings.settings.cache_clear()
    yield tmp_path / "out"
    settings.settings.cache_clear()


@pytest.fixture
def ann(db: str) -> Actor:
    return person(email="ann@example.com", name="Ann", role=Role.ANALYST).actor()


def saved(by: Actor, name: str = "Leads", shared: bool = False) -> View:
    asked = filters.parse(["country=Germany"], by=by)
    return view_changes.save(name, filters=asked, columns=["first_name", "country"], shared=shared, by=by)


def scheduled(by: Actor, root: Path, **more: str) -> int:
    return view_exports.schedule(saved(by).id, Wanted(**{"every": "day", "place": str(root), **more}), by=by)


def due_since(schedule_id: int, age: str) -> datetime:
    """As if its moment had come so long ago."""
    with writing(OPERATOR) as session:
        moved = update(ViewSchedule).where(ViewSchedule.id == schedule_id)
        session.execute(moved.values(next_at=func.date_trunc("hour", func.now() - text(f"interval '{age}'"))))
        return session.get_one(ViewSchedule, schedule_id).next_at


def runs() -> list[ViewRun]:
    with reading() as session:
        found = list(session.scalars(select(ViewRun).order_by(ViewRun.id)))
        session.expunge_all()
        return found


@pytest.mark.parametrize(
    ("every", "zone", "next_one"),
    [
        ("day", "UTC", "2026-07-02T06:00"),
        ("day", "Europe/Berlin", "2026-07-02T04:00"),
        ("Hour", "UTC", "2026-07-01T13:00"),
        ("week", "UTC", "2026-07-06T06:00"),
        ("month", "UTC", "2026-08-01T06:00"),
        (" 30  7 * * 1-5 ", "America/New_York", "2026-07-02T11:30"),
    ],
)
def test_words_and_crons_in_time_zones(every: str, zone: str, next_one: str) -> None:
    cron = schedule_times.parsed(every, zone)
    assert schedule_times.next_after(cron, zone, JULY) == datetime.fromisoformat(next_one).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "said"),
    [
        ("often", "“often” is no schedule: write hour, day"),
        ("* * * *", "is no schedule: write hour"),
        ("* * * * *", "is too often: every 10 minutes at most"),
        ("61 * * * *", "is no schedule: Bad minute"),
        ("0 0 30 2 *", "is no schedule: Bad day-of-month"),
        ("0 0 0 * * *", "is no schedule: write"),
    ],
)
def test_what_is_no_schedule_is_said(every: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said.replace("*", r"\*")):
        schedule_times.parsed(every, "UTC")


def test_an_unknown_time_zone_is_said() -> None:
    with pytest.raises(InvalidInput, match="“Mars” is no time zone"):
        schedule_times.parsed("day", "Mars")


def test_what_was_missed_is_made_up_once_for_its_last_moment() -> None:
    due = datetime(2026, 6, 1, 6, tzinfo=UTC)
    assert schedule_times.last_until("0 6 * * *", "UTC", due, JULY) == datetime(2026, 7, 1, 6, tzinfo=UTC)
    assert schedule_times.last_until("0 12 * * *", "UTC", due, JULY) == JULY, "the moment itself included"
    assert schedule_times.last_until("0 13 * * *", "UTC", JULY, JULY) == JULY, "never before the one that is due"


def test_only_allowed_places(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "below").mkdir()
    outside = root.parent / "elsewhere"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    for place in (str(root), str(root / "below"), "s3://leads/outgoing", "s3://leads/outgoing/daily"):
        assert export_places.checked(place) == place
    for place in (
        "/etc", str(outside), str(root / "link"), f"{root}x", "s3://leads/outgoing2", "s3://leads", "s3://other/outgoing"
    ):  # fmt: skip
        with pytest.raises(NotAllowed, match="only into or below"):
            export_places.checked(place)
    with pytest.raises(InvalidInput, match="no whole path"):
        export_places.checked(f"{root}/../elsewhere")
    monkeypatch.delenv("APPOINTMENT360_EXPORT_ROOTS")
    settings.settings.cache_clear()
    with pytest.raises(NotAllowed, match="names folders or s3:// prefixes in APPOINTMENT360_EXPORT_ROOTS"):
        export_places.checked(str(root))


@pytest.mark.parametrize("hour", [12, 22, 23])
def test_names_that_repeat_are_refused_at_any_hour(root: Path, ann: Actor, hour: int) -> None:
    """Just before midnight the next two moments are on two days."""
    now = datetime.now(UTC)
    zone = f"Etc/GMT{(now.hour - hour + 12) % 24 - 12:+d}"  # where it is that hour now; the signs are POSIX's
    assert now.astimezone(ZoneInfo(zone)).hour == hour
    with pytest.raises(InvalidInput, match=r"the same name: add \{time\}"):
        scheduled(ann, root, every="hour", time_zone=zone)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"format": "pdf"}, "“pdf” is no format"),
        ({"mails": "never"}, "write always or failure"),
        ({"file_name": "{nope}"}, "it may hold {view}, {date} and {time}"),
        ({"file_name": "{view!r}"}, "it may hold"),
        ({"file_name": "{"}, "it may hold"),
        ({"file_name": "../x"}, "no slashes"),
        ({"file_name": "a/{date}"}, "no slashes"),
        ({"file_name": "{view}{view}"}, "no disk holds"),
        ({"every": "hour"}, "the same name: add {time}"),
        ({"place": "s3:/x"}, "no whole path"),
    ],
)
def test_what_does_not_fit_is_said_when_it_is_set_up(root: Path, ann: Actor, more: dict[str, str], said: str) -> None:
    with pytest.raises((InvalidInput, NotAllowed), match=said):
        scheduled(ann, root, **more)


def test_a_folder_that_is_not_there_is_said(root: Path, ann: Actor) -> None:
    with pytest.raises(InvalidInput, match="There is no folder"):
        scheduled(ann, root / "nowhere")


def test_names_of_files() -> None:
    moment = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    named = view_exports.file_name("{view} {date} {time}", "../Ä/b:c", moment, "Europe/Berlin", "csv")
    assert named == "-Ä-b-c 2027-01-01 0030.csv"
    named = view_exports.file_name("{view} {date} {time}", "語" * 80, moment, "UTC", "csv")
    assert named == "語" * 53 + " 2026-12-31 2330.csv", "a disk holds 255 bytes"


def test_who_sees_and_changes_schedules(root: Path, ann: Actor) -> None:
    ben = person(email="ben@example.com", name="Ben", role=Role.MANAGER).actor()
    ada = person(email="ada@example.com", name="Ada", role=Role.ADMIN).actor()
    made = scheduled(ann, root)
    assert [[one.id for one in view_exports.listed(by=by)] for by in (ann, ben, ada)] == [[made], [], [made]]
    [seen] = view_exports.listed(by=ada)
    assert (seen.view, seen.owner, seen.mine, seen.active) == ("Leads", "Ann", False, True)
    assert seen.sentence == "At 06:00 every day, UTC"
    for operation in (view_exports.pause, view_exports.unschedule, view_exports.run_now):
        with pytest.raises(NotFound, match="or it is not yours"):
            operation(made, by=ben)
    view_exports.pause(made, by=ada)
    assert not view_exports.listed(by=ann)[0].active
    view_exports.change(made, Wanted("week", str(root), "xlsx"), by=ann)
    assert view_exports.listed(by=ann)[0].wanted == Wanted("0 6 * * 1", str(root), "xlsx")
    view_exports.unschedule(made, by=ann)
    assert view_exports.listed(by=ann) == []


def test_only_a_view_that_can_be_used_is_scheduled(root: Path, ann: Actor) -> None:
    narrow = person(email="n@example.com", name="Nan", role=Role.ANALYST, column_allowed=("email",)).actor()
    private, shared = saved(ann), saved(ann, "Shared", shared=True)
    with pytest.raises(NotFound):
        view_exports.schedule(private.id, Wanted("day", str(root)), by=narrow)
    with pytest.raises(NotAllowed, match="cannot be used: You may not see the column Country"):
        view_exports.schedule(shared.id, Wanted("day", str(root)), by=narrow)


def test_each_due_moment_becomes_one_run(root: Path, ann: Actor) -> None:
    made = scheduled(ann, root, every="hour", file_name="{view} {date} {time}")
    assert view_runs.note_due() == 0
    due_since(made, "50 hours")
    assert view_runs.note_due() == 1
    [run] = runs()
    with reading() as session:
        [age, ahead] = session.execute(
            select(func.now() - run.due_at, ViewSchedule.next_at - func.now()).where(ViewSchedule.id == made)
        ).one()
    assert age.total_seconds() < 3600, "what was missed is made up once, for the last moment"
    assert 0 < ahead.total_seconds() <= 3600
    assert view_runs.note_due() == 0
    with writing(OPERATOR) as session:  # as if the clock of the schedule had been put back
        session.execute(update(ViewSchedule).values(next_at=run.due_at))
    view_runs.note_due()
    assert [one.id for one in runs()] == [run.id]


def test_one_that_cannot_be_read_keeps_no_other_from_its_moment(root: Path, ann: Actor) -> None:
    view_id = saved(ann).id
    broken, whole = (view_exports.schedule(view_id, Wanted("day", str(root)), by=ann) for _ in range(2))
    due_since(broken, "2 hours")
    due_since(whole, "1 hour")
    with writing(OPERATOR) as session:
        session.execute(update(ViewSchedule).where(ViewSchedule.id == broken).values(time_zone="Mars/Olympus"))
    assert view_runs.note_due() == 1
    assert [one.schedule_id for one in runs()] == [whole]


def test_what_rests_is_not_due(root: Path, ann: Actor) -> None:
    made = scheduled(ann, root)
    view_exports.pause(made, by=ann)
    due_since(made, "50 hours")
    assert view_runs.note_due() == 0
    view_exports.pause(made, False, by=ann)
    assert view_runs.note_due() == 0, "what is missed while it rests is not made up"
    due_since(made, "50 hours")
    view_id = view_exports.listed(by=ann)[0].view_id
    view_changes.delete(view_id, by=ann)
    assert view_runs.note_due() == 0
    assert view_exports.listed(by=ann)[0].rests
    view_changes.restore(view_id, by=ann)
    assert view_runs.note_due() == 1
    view_exports.unschedule(made, by=ann)
    due_since(made, "50 hours")
    assert view_runs.note_due() == 0


def test_a_run_is_held_by_one_process(root: Path, ann: Actor) -> None:
    run_id = view_exports.run_now(scheduled(ann, root), by=ann)
    assert view_runs.waiting() == [run_id]
    with view_runs.claimed(run_id) as mine:
        assert mine
        assert view_runs.waiting() == []
        with view_runs.claimed(run_id) as also_mine:
            assert not also_mine
        with reading() as session:
            mine = "datname = current_database() AND pid <> pg_backend_pid()"
            opened = text(f"SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND {mine}")
            assert session.scalar(opened) == 0, "an hour's export keeps no snapshot"
    assert view_runs.waiting() == [run_id]


def test_a_closed_account_is_not_acted_for(root: Path, ann: Actor) -> None:
    run_id = view_exports.run_now(scheduled(ann, root), by=ann)
    users.deactivate("ann@example.com", by=OPERATOR)
    task = view_runs.begin(run_id)
    assert task is not None
    with pytest.raises(NotAllowed, match="was asked for by an account that is closed"):
        view_runs.actor(task)
