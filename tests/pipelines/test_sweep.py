import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from models import audit, audit_log, credit_ledger, exports, flow_runs, import_orders, imports, jobs, mails, settings
from models.audit import AuditRepeat, Event
from models.audit_log import Wanted
from models.contacts import staging
from models.contacts.table import Contact
from models.credit_takings import CreditTaking
from models.database import reading, writing
from models.errors import Conflict
from models.exports import Export, State
from models.filters import Filters
from models.flow_runs import RunState
from models.idempotency import IdempotencyKey
from models.imports import Import, Keep, MatchRule
from models.link_tokens import AccountLink
from models.mails import Kind, Mail
from models.permissions import OPERATOR, Role
from models.request_hours import RequestHour
from models.request_limits import RequestLimit
from models.sign_in_failures import SignInFailure
from models.sign_in_sessions import SignInSession, SignInTicket
from models.tokens import Token
from pipelines import import_contacts, import_steps, sweep
from tests import people


@pytest.fixture
def home(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process's home, and a contact."""
    monkeypatch.setenv("APPOINTMENT360_HOME", str(tmp_path))
    settings.settings.cache_clear()
    with writing(OPERATOR) as session:
        session.execute(insert(Contact).values(email="ann@example.com"))
    yield tmp_path
    settings.settings.cache_clear()


def _requested(**values: Any) -> int:
    """As if it had been asked for a minute ago, where `values` do not say otherwise."""
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=OPERATOR)
    _set(export_id, **{"created_at": func.now() - timedelta(minutes=1), **values})
    return export_id


def _set(export_id: int, **values: Any) -> None:
    with writing(OPERATOR) as session:
        session.execute(update(Export).where(Export.id == export_id).values(**values))


def _state(export_id: int) -> str:
    return exports.get(export_id, by=OPERATOR).state


def test_an_export_whose_flow_never_came_is_made(home: Path) -> None:
    forgotten, fresh = _requested(), _requested(created_at=func.now())
    sweep.sweep()
    made = exports.get(forgotten, by=OPERATOR)
    assert (made.state, made.rows, made.path) == (State.DONE, 1, str(home / "exports" / str(made.id) / "contacts.csv"))
    assert "ann@example.com" in Path(made.path).read_text()
    assert _state(fresh) == State.WAITING


def test_an_export_whose_process_died_fails(home: Path) -> None:
    died = _requested(state=State.RUNNING)
    sweep.sweep()
    assert _state(died) == State.FAILED


def test_a_file_whose_time_is_over_is_deleted(home: Path) -> None:
    export_id = _requested()
    sweep.sweep()
    path = Path(exports.get(export_id, by=OPERATOR).path)
    _set(export_id, finished_at=func.now() - timedelta(days=settings.settings().days_kept_exports, minutes=1))
    sweep.sweep()
    assert not path.exists()
    assert exports.get(export_id, by=OPERATOR).path == ""


def test_one_that_its_flow_is_writing_is_left_to_it(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    export_id = _requested()
    with reading() as session:
        assert exports.lock(session, export_id)
        sweep.sweep()
    assert _state(export_id) == State.WAITING
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_what_fails_is_logged_and_the_rest_is_made(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken, sound = _requested(filter_query="shoe=42"), _requested()
    sweep.sweep()
    assert (_state(broken), _state(sound)) == (State.FAILED, State.DONE)
    assert f"sweep: export {broken} failed" in caplog.text


def test_an_index_that_an_older_version_builds_beside_this_one_goes(home: Path) -> None:
    with writing(OPERATOR) as session:
        session.execute(text("CREATE INDEX contacts_words ON contacts (first_name)"))
    sweep.sweep()
    with reading() as session:
        assert session.scalar(select(func.to_regclass("contacts_words"))) is None


def test_what_goes_on_failing_is_seen_and_mailed_once_and_takes_no_row_for_each_round(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.person(email="ann@example.com", name="Ann", role=Role.ADMIN)

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(sweep.OVER, "old messages", broken)
    sweep.sweep()
    assert flow_runs.page(by=OPERATOR) == [], "once is no matter"
    monkeypatch.setattr(sweep, "LASTING", 0)
    for rounds in (1, 2):
        sweep.sweep()
        [failing] = flow_runs.page(by=OPERATOR)
        assert (failing.flow, failing.subject, failing.state) == ("sweep", "clearing old messages", RunState.FAILED)
        assert failing.counts == {"rounds": rounds}
        assert (failing.error or "").startswith("Something went wrong on our side. Reference ")
    with reading() as session:
        assert session.scalar(select(func.count()).where(Mail.kind == Kind.FLOW_FAILED)) == 1
    with pytest.raises(Conflict, match="every minute by itself"):
        jobs.retry(failing.id, by=OPERATOR)
    monkeypatch.setitem(sweep.OVER, "old messages", lambda: None)
    sweep.sweep()
    assert "clearing old messages" not in sweep._failing


def test_it_sweeps_beside_what_the_process_does(home: Path, db: str) -> None:
    export_id = _requested()
    program = "from pipelines import flows, sweep; flows.bind_database(); sweep.keep_sweeping(); input()"
    environment = {**os.environ, "DATABASE_URL": db, "PREFECT_LOGGING_TO_API_ENABLED": "false"}
    child = subprocess.Popen([sys.executable, "-c", program], env=environment, stdin=subprocess.PIPE)
    try:
        end = time.monotonic() + 60
        while _state(export_id) != State.DONE:
            assert child.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        child.communicate(b"\n", timeout=60)
    assert child.returncode == 0, "the thread keeps no process from ending"


def test_an_abandoned_import_keeps_only_its_upload_and_can_be_resumed(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("Email,First Name\nbob@example.com,Bob\n")
    planned, fresh = (
        import_contacts.create(file, match=MatchRule.AUTO, keep=Keep.THEIRS, by=OPERATOR) for _ in range(2)
    )
    for import_id in (planned, fresh):
        import_contacts.run(import_id, until=imports.State.PLANNED, by=OPERATOR)
    _begun_long_ago(planned)
    before = datetime.now(UTC) - timedelta(days=settings.settings().days_kept_plans, minutes=1)
    with writing(OPERATOR) as session:
        session.execute(
            update(Import).where(Import.id == planned).values(planned=Import.planned.concat({"at": before.isoformat()}))
        )
    sweep.sweep()
    assert [import_steps.store_path(one).exists() for one in (planned, fresh)] == [False, True]
    with reading() as session:
        assert staging.row_count(session, planned) is None
        assert staging.row_count(session, fresh) == 1
    assert import_contacts.run(planned, by=OPERATOR).created == 1


@pytest.mark.parametrize("asked", ["on a screen", "at the command line"])
def test_an_old_import_that_somebody_came_back_to_is_kept(home: Path, tmp_path: Path, asked: str) -> None:
    file = tmp_path / "people.csv"
    file.write_text("Email,First Name\nbob@example.com,Bob\n")
    import_id = import_contacts.create(file, match=MatchRule.AUTO, keep=Keep.THEIRS, by=OPERATOR)
    import_contacts.run(import_id, until=imports.State.OPENED, by=OPERATOR)
    _begun_long_ago(import_id)
    if asked == "on a screen":
        import_orders.remap(import_id, {"Email": "email"}, match=MatchRule.AUTO, keep=Keep.THEIRS, by=OPERATOR)
    else:
        import_contacts.run(import_id, until=imports.State.PLANNED, by=OPERATOR)
    sweep.sweep()
    assert import_steps.store_path(import_id).exists()


def _begun_long_ago(import_id: int) -> None:
    before = func.now() - timedelta(days=settings.settings().days_kept_plans, minutes=1)
    with writing(OPERATOR) as session:
        session.execute(update(Import).where(Import.id == import_id).values(created_at=before))


def test_floods_in_the_audit_log_are_told(home: Path) -> None:
    with writing(OPERATOR) as session:
        for _ in range(3):
            audit.write_once_a_minute(session, Event.SIGN_IN_FAILED, "user y", by=OPERATOR)
        session.flush()
        session.execute(update(AuditRepeat).values(written_at=func.now() - timedelta(minutes=2)))
    sweep.sweep()
    lines = audit_log.page(Wanted(), by=OPERATOR)[0]
    assert [line.event for line in lines] == ["sign-in failed", "sign-in failed"]
    assert [line.more.get("times") for line in lines] == [2, 1]


def test_what_is_over_of_accounts_leaves_and_what_counts_stays(home: Path) -> None:
    ann = people.person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    bob = people.person(email="bob@example.com", name="Bob", role=Role.ANALYST)
    now, long_ago, month = func.clock_timestamp(), func.clock_timestamp() - timedelta(days=31), date(2020, 2, 1)
    with writing(OPERATOR) as session:
        session.execute(delete(AccountLink))
        session.execute(delete(Mail))
        since = {"created_at": long_ago, "last_seen_at": long_ago, "expires_at": now + timedelta(days=1)}
        session.add_all([
            SignInFailure(email="old", at=now - timedelta(hours=25)), SignInFailure(email="new", at=now),
            SignInTicket(token_hash="old", user_id=ann.id, expires_at=now - timedelta(seconds=1)),
            SignInTicket(token_hash="new", user_id=ann.id, expires_at=now + timedelta(minutes=1)),
            SignInSession(token_hash="old", user_id=ann.id, **since | {"revoked_at": long_ago}),
            SignInSession(token_hash="lasting", user_id=ann.id, **since),
            SignInSession(token_hash="new", user_id=ann.id, **since | {"last_seen_at": now, "revoked_at": now}),
            SignInSession(token_hash="last of bob", user_id=bob.id, **since | {"revoked_at": long_ago}),
            AccountLink(token_hash="old", user_id=ann.id, purpose="reset", expires_at=long_ago),
            AccountLink(token_hash="new", user_id=ann.id, purpose="reset", expires_at=now),
            Mail(kind="reset", user_id=ann.id, email="old", created_at=long_ago, sent_at=long_ago),
            Mail(kind="reset", user_id=ann.id, email="given up", created_at=long_ago, attempts=mails.TRIES),
            Mail(kind="reset", user_id=ann.id, email="waits", created_at=long_ago),
            Mail(kind="reset", user_id=ann.id, email="new", sent_at=now),
            RequestLimit(key="old", due_at=now), RequestLimit(key="new", due_at=now + timedelta(minutes=1)),
            CreditTaking(user_id=ann.id, month=month, contact_ids=[1]),
            CreditTaking(user_id=ann.id, month=credit_ledger.this_month(session), contact_ids=[2]),
            Token(user_id=ann.id, name="old", token_hash="old", ending="", expires_at=long_ago),
            Token(user_id=ann.id, name="new", token_hash="new", ending="", expires_at=now),
            IdempotencyKey(user_id=1, key="old", fingerprint="", instance=1, began_at=now - timedelta(hours=25)),
            IdempotencyKey(user_id=1, key="new", fingerprint="", instance=1, began_at=now - timedelta(hours=23)),
        ])  # fmt: skip
        for user_id, began_at in ((1, now - timedelta(hours=3)), (2, now)):
            session.execute(insert(RequestHour).values(user_id=user_id, began_at=began_at, taken=1, granted=1))
    sweep.sweep()
    with reading() as session:

        def left(column: Any) -> set[Any]:
            return set(session.scalars(select(column)))

        assert left(SignInFailure.email) == {"new"}
        assert left(SignInTicket.token_hash) == {"new"}
        assert left(SignInSession.token_hash) == {"lasting", "new", "last of bob"}
        assert left(AccountLink.token_hash) == {"new"}
        assert left(Mail.email) == {"waits", "new"}
        assert left(RequestLimit.key) == {"new"}
        assert left(Token.name) == {"new"}
        assert left(IdempotencyKey.key) == {"new"}
        assert left(RequestHour.user_id) == {2}
        assert month not in left(CreditTaking.month)
        assert len(left(CreditTaking.month)) == 1
