from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from models import exports, settings
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.exports import Export, State
from models.fields import Group
from models.filters import Filters, parse
from models.permissions import OPERATOR, Actor, Role
from tests import people


def _person(name: str, role: Role, operator: Actor, columns: tuple[str, ...] | None = None) -> Actor:
    return people.person(email=f"{name}@example.com", name=name, role=role, column_allowed=columns, by=operator).actor()


@pytest.fixture
def analyst(db: str, operator: Actor) -> Actor:
    return _person("ann", Role.ANALYST, operator)


def test_a_request_waits_with_its_filter_in_words(analyst: Actor) -> None:
    wanted = parse(["country=Germany", "employees.gte=50"], by=analyst)
    export_id = exports.request(filters=wanted, columns=["email"], format="csv", by=analyst)
    found = exports.get(export_id, by=analyst)
    assert (found.state, found.columns, found.created_by) == (State.WAITING, ["email"], analyst.id)
    assert found.filter_sentence == "Country is Germany and Employees at least 50"
    assert found.filter_query == "country=Germany&employees.gte=50"
    assert not found.raw_formulas


def test_ones_own_exports_are_ones_own(analyst: Actor, operator: Actor) -> None:
    manager = _person("max", Role.MANAGER, operator)
    admin = _person("ada", Role.ADMIN, operator)
    first = exports.request(filters=Filters(), columns=["email"], format="csv", by=analyst)
    second = exports.request(filters=Filters(), columns=["email"], format="xlsx", by=manager)
    assert [one.id for one in exports.mine(by=analyst)] == [first]
    assert [one.id for one in exports.mine(by=manager)] == [second]
    assert [one.id for one in exports.mine(by=admin)] == [second, first]
    assert exports.get(first, by=admin).id == first
    with pytest.raises(NotFound, match=f"no export {first}, or it is not yours"):
        exports.get(first, by=manager)


def test_a_name_is_its_two_fields(db: str, operator: Actor) -> None:
    assert exports.checked_columns(["full_name", "email", "last_name"], by=operator) == [
        "first_name", "last_name", "email",
    ]  # fmt: skip
    limited = _person("lou", Role.ANALYST, operator, (Group.COMPANY.value,))
    with pytest.raises(NotAllowed, match="may not see the column First Name"):
        exports.checked_columns(["full_name"], by=limited)


def test_hidden_columns_cannot_be_asked_for(db: str, operator: Actor) -> None:
    limited = _person("lea", Role.ANALYST, operator, (Group.PERSON.value,))
    with pytest.raises(NotAllowed, match="may not see the column E-mail"):
        exports.request(filters=Filters(), columns=["first_name", "email"], format="csv", by=limited)
    with pytest.raises(NotAllowed, match="column “extra”"):
        exports.request(filters=Filters(), columns=["first_name", "extra"], format="csv", by=limited)
    with pytest.raises(NotAllowed, match="may not see the column Country"):
        exports.request(filters=parse(["country=Chad"], by=operator), columns=None, format="csv", by=limited)
    export_id = exports.request(filters=Filters(), columns=None, format="csv", by=limited)
    seen = exports.get(export_id, by=limited).columns
    assert seen == ["first_name", "last_name", "title", "seniority", "departments"]


@pytest.mark.parametrize(
    ("columns", "file_format", "sentence"),
    [
        (["salary"], "csv", "no field “salary”"),
        ([], "csv", "at least one column"),
        (["email"], "docx", "“docx” is no format of exports. Formats are: csv, xlsx, parquet, jsonl"),
    ],
)
def test_what_does_not_fit_is_named(analyst: Actor, columns: list[str], file_format: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        exports.request(filters=Filters(), columns=columns, format=file_format, by=analyst)
    assert exports.mine(by=analyst) == []


def test_an_export_whose_process_died_does_not_run_for_ever(analyst: Actor) -> None:
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=analyst)
    exports.begin(export_id, total=7, path="somewhere.csv", by=analyst)
    assert exports.fail_interrupted() == [export_id]
    found = exports.get(export_id, by=analyst)
    assert (found.state, found.path) == (State.FAILED, "")
    assert found.error is not None
    assert "interrupted in the middle" in found.error
    assert exports.fail_interrupted() == []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process's home."""
    monkeypatch.setenv("APPOINTMENT360_HOME", str(tmp_path))
    settings.settings.cache_clear()
    yield tmp_path
    settings.settings.cache_clear()


def _set(export_id: int, **values: Any) -> None:
    with writing(OPERATOR) as session:
        session.execute(update(Export).where(Export.id == export_id).values(**values))


def _requested(by: Actor) -> int:
    return exports.request(filters=Filters(), columns=["email"], format="csv", by=by)


def _done(by: Actor, path: Path | None = None, *, folder: Path, days_ago: int) -> Export:
    """As if its file had been written then, to `path` or where the web's are kept."""
    export_id = _requested(by)
    file = path or exports.kept_path(exports.get(export_id, by=by), folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("Email\n")
    _set(export_id, state=State.DONE, path=str(file), rows=7, finished_at=func.now() - timedelta(days=days_ago))
    return exports.get(export_id, by=by)


def test_a_finished_export_cannot_fail(analyst: Actor, home: Path) -> None:
    made = _done(analyst, folder=home, days_ago=0)
    assert not exports.fail(made.id, "Too late.", by=analyst)
    found = exports.get(made.id, by=analyst)
    assert (found.state, found.path, found.rows, found.error) == (State.DONE, made.path, 7, None)
    waiting = _requested(analyst)
    assert exports.fail(waiting, "The disk is full.", by=analyst)
    assert exports.get(waiting, by=analyst).error == "The disk is full."


@pytest.mark.parametrize("state", [State.DONE, State.FAILED])
def test_an_export_that_ends_meanwhile_was_not_interrupted(
    analyst: Actor, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = _requested(analyst)
    exports.begin(export_id, total=7, path="somewhere.csv", by=analyst)
    lock = exports.lock

    def ended_just_before(session: Any, wanted: int) -> bool:
        _set(export_id, state=state, error="its own")
        return lock(session, wanted)

    monkeypatch.setattr(exports, "lock", ended_just_before)
    assert exports.fail_interrupted() == []
    found = exports.get(export_id, by=analyst)
    assert (found.state, found.error) == (state, "its own")


def test_only_those_that_nobody_began_wait(analyst: Actor) -> None:
    first, second, begun, _ = [_requested(analyst) for _ in range(4)]
    for export_id in (first, second, begun):
        _set(export_id, created_at=func.now() - timedelta(seconds=31))
    exports.begin(begun, total=7, path="somewhere.csv", by=analyst)
    assert exports.waiting(longer_than=timedelta(seconds=30)) == [first, second]


def test_files_are_kept_for_their_days_and_receipts_for_good(analyst: Actor, home: Path) -> None:
    old = _done(analyst, folder=home, days_ago=8)
    young = _done(analyst, folder=home, days_ago=6)
    assert exports.expire(older_than_days=7) == [old.id]
    assert exports.expire(older_than_days=7) == []
    assert not Path(old.path).parent.exists()
    assert Path(young.path).is_file()
    found = exports.get(old.id, by=analyst)
    assert (found.state, found.path, found.rows) == (State.DONE, "", 7)
    with reading() as session:
        lines = select(AuditLine.subject).where(AuditLine.event == Event.EXPORT_EXPIRED)
        assert session.scalars(lines).all() == [f"export {old.id}"]


def test_a_file_at_a_place_that_somebody_named_is_theirs(analyst: Actor, home: Path) -> None:
    theirs = [
        _done(analyst, home / "desk" / "contacts.csv", folder=home, days_ago=400),
        _done(analyst, home / "exports" / "mine.csv", folder=home, days_ago=400),
    ]
    assert exports.expire(older_than_days=7) == []
    assert all(Path(one.path).is_file() for one in theirs)
    assert [exports.get(one.id, by=analyst).path for one in theirs] == [one.path for one in theirs]


def test_a_file_that_cannot_be_deleted_keeps_no_other(analyst: Actor, home: Path) -> None:
    stuck = _done(analyst, folder=home, days_ago=9)
    Path(stuck.path).unlink()
    Path(stuck.path).mkdir()
    other = _done(analyst, folder=home, days_ago=8)
    assert exports.expire(older_than_days=7) == [other.id]
    assert exports.get(stuck.id, by=analyst).path == stuck.path


def test_the_list_comes_in_pages_with_the_names_of_people(analyst: Actor, operator: Actor) -> None:
    admin = _person("ada", Role.ADMIN, operator)
    ids = [_requested(by) for by in (analyst, admin, operator, analyst)]
    assert [one.id for one in exports.mine(by=admin, limit=2, offset=1)] == [ids[2], ids[1]]
    assert (exports.count(by=admin), exports.count(by=analyst)) == (4, 2)
    assert exports.people(exports.mine(by=admin), by=admin) == {analyst.id: "ann", admin.id: "ada", None: "operator"}


def test_those_under_way_wait_or_run(analyst: Actor, home: Path) -> None:
    waiting, running = _requested(analyst), _requested(analyst)
    exports.begin(running, total=7, path="somewhere.csv", by=analyst)
    _done(analyst, folder=home, days_ago=0)
    exports.fail(_requested(analyst), "The disk is full.", by=analyst)
    assert [one.id for one in exports.under_way(by=analyst)] == [running, waiting]
    assert exports.get(running, by=analyst).started_at is not None


def test_a_selection_is_not_read_with_the_list(analyst: Actor) -> None:
    exports.request(filters=Filters(), columns=["email"], format="csv", ids=range(1000), by=analyst)
    [listed] = exports.mine(by=analyst)
    assert "ids" not in vars(listed)
    assert listed.filter_sentence == "1,000 selected of: All contacts"


def test_asking_again_is_for_the_same(analyst: Actor) -> None:
    wanted = parse(["country=Germany"], by=analyst)
    old = exports.request(
        filters=wanted, columns=["email", "city"], format="xlsx", ids=[3, 1], raw_formulas=True, by=analyst
    )
    new = exports.get(exports.again(old, by=analyst), by=analyst)
    assert new.id > old
    assert (new.state, new.filter_query, new.columns) == (State.WAITING, "country=Germany", ["email", "city"])
    assert (new.format, new.ids, new.raw_formulas) == ("xlsx", [1, 3], True)


def test_asking_again_gives_nothing_that_was_hidden_since(analyst: Actor, operator: Actor) -> None:
    old = _requested(analyst)
    narrow = Actor(analyst.id, "ann", Role.ANALYST, frozenset({"first_name"}))
    with pytest.raises(NotAllowed, match="may not see the column E-mail"):
        exports.again(old, by=narrow)
    other = _person("max", Role.MANAGER, operator)
    with pytest.raises(NotFound, match="not yours"):
        exports.again(old, by=other)


def test_the_file_of_an_export_is_for_who_may_still_see_its_columns(
    analyst: Actor, operator: Actor, tmp_path: Path
) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text("x")
    chosen = parse(["country=Germany"], by=analyst)
    old = exports.request(filters=chosen, columns=["email"], format="csv", by=analyst)
    with writing(OPERATOR) as session:
        session.execute(update(Export).where(Export.id == old).values(state=State.DONE, path=str(file)))
    assert exports.downloaded(old, noted=True, by=analyst).path == str(file)
    for columns, title in (({"country"}, "E-mail"), ({"email"}, "Country")):
        narrow = Actor(analyst.id, "ann", Role.ANALYST, frozenset(columns))
        with pytest.raises(NotAllowed, match=f"may not see the column {title}"):
            exports.downloaded(old, noted=True, by=narrow)
    with reading() as session:
        assert session.scalar(select(func.count()).where(AuditLine.event == Event.EXPORT_DOWNLOADED)) == 1


def test_the_filter_of_a_receipt_is_for_who_may_see_its_columns(analyst: Actor, operator: Actor) -> None:
    chosen = parse(["country=Germany"], by=analyst)
    old = exports.request(filters=chosen, columns=["email"], format="csv", by=analyst)
    boss = _person("ada", Role.ADMIN, operator, ("email",))
    for found in (exports.get(old, by=boss), exports.mine(by=boss)[0], exports.under_way(by=boss)[0]):
        assert (found.filter_sentence, found.filter_query) == (exports.HIDDEN_FILTER, "")
    assert exports.get(old, by=analyst).filter_query == "country=Germany"
    with writing(OPERATOR) as session:
        session.execute(update(Export).where(Export.id == old).values(sha256="beef", bytes=14))
    assert (exports.get(old, by=analyst).sha256, exports.get(old, by=boss).sha256) == ("beef", "beef")
    other = _person("bea", Role.ADMIN, operator, ("country",))
    assert (exports.get(old, by=other).sha256, exports.get(old, by=other).bytes) == (None, 0)
    with pytest.raises(NotAllowed, match="may not see the column Country"):
        exports.again(old, by=boss)


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancelled_export_neither_goes_on_nor_ends_otherwise(analyst: Actor, begun: bool) -> None:
    export_id = _requested(analyst)
    if begun:
        exports.begin(export_id, total=7, path="somewhere.csv", by=analyst)
    exports.cancel(export_id, by=analyst)
    found = exports.get(export_id, by=analyst)
    assert (found.state, found.error, found.path) == (State.CANCELLED, "ann stopped it.", "")
    with pytest.raises(Conflict, match="was cancelled"):
        exports.begin(export_id, total=7, path="somewhere.csv", by=analyst)
    with pytest.raises(Conflict, match="was cancelled"):
        exports.progressed(export_id, 5)
    with pytest.raises(Conflict, match="was cancelled"), writing(OPERATOR) as session:
        exports.finish(session, export_id, written={}, fresh=None, by=analyst)
    assert not exports.fail(export_id, "Too late.", by=analyst)
    assert exports.fail_interrupted() == []
    assert exports.waiting(longer_than=timedelta(0)) == []
    assert exports.under_way(by=analyst) == []
    with pytest.raises(Conflict, match="has ended already: it is cancelled"):
        exports.cancel(export_id, by=analyst)


def test_only_its_owner_and_administrators_cancel_an_export(analyst: Actor, operator: Actor) -> None:
    export_id = _requested(analyst)
    with pytest.raises(NotFound, match="not yours"):
        exports.cancel(export_id, by=_person("max", Role.MANAGER, operator))
    exports.cancel(export_id, by=_person("ada", Role.ADMIN, operator))
    with reading() as session:
        lines = select(AuditLine.actor_name).where(AuditLine.event == Event.EXPORT_CANCELLED)
        assert session.scalars(lines).all() == ["ada"]


def test_a_finished_export_is_not_cancelled(analyst: Actor, home: Path) -> None:
    made = _done(analyst, folder=home, days_ago=0)
    with pytest.raises(Conflict, match="it is done"):
        exports.cancel(made.id, by=analyst)
    assert exports.get(made.id, by=analyst).has_file
