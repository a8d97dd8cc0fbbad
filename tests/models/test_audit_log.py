"""Reading the audit log: filters, pages, what a reader may see, and that none of it reads a million lines."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, text

from deploy.embedded_postgres import Server
from models import audit_log, database, users
from models.audit import AuditLine, Event
from models.audit_log import Line, Wanted
from models.contacts import bulk, records
from models.contacts.bulk import Selection
from models.database import engine, writing
from models.errors import InvalidInput, NotAllowed
from models.filters import parse
from models.permissions import OPERATOR, Actor, Role
from tests.people import person

NOVEMBER = datetime(2026, 11, 1, 12, tzinfo=UTC)
MANY = 100_000


@pytest.fixture
def ann(db: str) -> Actor:
    user = person(email="ann@example.com", name="Ann", role=Role.ADMIN)
    return Actor(user.id, user.name, Role.ADMIN, None, "10.0.0.7")


def narrow(by: Actor, *columns: str) -> Actor:
    return Actor(by.id, by.name, Role.ADMIN, frozenset(columns), by.address)


def add(*lines: dict[str, Any]) -> None:
    common = {"actor_name": "operator", "event": Event.SIGNED_IN, "subject": "user x@example.com", "details": None}
    with writing(OPERATOR) as session:
        session.execute(insert(AuditLine), [{"at": NOVEMBER, **common, **line} for line in lines])


def shown(by: Actor, **wanted: Any) -> list[Line]:
    return audit_log.page(Wanted(**wanted), by=by)[0]


def subjects(by: Actor, **wanted: Any) -> list[str]:
    return [line.subject for line in shown(by, **wanted)]


def test_a_line_says_who_what_on_what_from_where_and_when(ann: Actor) -> None:
    contact_id = records.create({"last_name": "Zoe"}, by=ann)
    [line] = shown(ann, about=f"contact {contact_id}")
    assert (line.who, line.actor_id, line.address) == ("Ann", ann.id, "10.0.0.7")
    assert (line.label, line.on) == ("Contact created", ("contact", str(contact_id)))
    assert timedelta(0) <= datetime.now(UTC) - line.at < timedelta(minutes=1)
    assert audit_log.get(line.id, by=ann) == line
    assert audit_log.get(2**70, by=ann) is None


def test_filters_hold_together(ann: Actor) -> None:
    add(
        {"subject": "import 1", "event": Event.IMPORT_CREATED, "actor_id": ann.id, "actor_name": "Ann"},
        {"subject": "import 12", "event": Event.IMPORT_CREATED},
        {"subject": "user ben@example.com", "event": Event.SIGN_IN_FAILED, "actor_name": "nobody"},
        {"subject": "contacts", "event": Event.CONTACTS_CHANGED, "at": NOVEMBER - timedelta(days=1)},
        {"subject": "contact 5", "event": Event.CONTACT_CHANGED, "details": {"after": {"title": "50 %_off"}}},
    )
    month = {"since": date(2026, 10, 1), "until": date(2026, 11, 1)}
    assert subjects(ann, **month, who="Ａnn@example.com") == ["import 1"]
    assert subjects(ann, **month, who="nobody") == ["user ben@example.com"]
    assert subjects(ann, **month, about="import") == ["import 12", "import 1"]
    assert subjects(ann, **month, about="import 1") == ["import 1"]
    assert subjects(ann, **month, about="contact") == ["contact 5"]
    assert subjects(ann, **month, about="contacts") == ["contacts"]
    assert subjects(ann, **month, events=("import created", "sign-in failed"), who="operator") == ["import 12"]
    assert subjects(ann, **month, events=("contacts changed",)) == ["contacts"]
    assert subjects(ann, since=date(2026, 10, 31), until=date(2026, 10, 31)) == ["contacts"]
    assert subjects(ann, words="BEN nobody") == ["user ben@example.com"]
    assert subjects(ann, words="%_") == ["contact 5"]
    with pytest.raises(InvalidInput, match="Nobody has the e-mail “eve@"):
        shown(ann, who="eve@example.com")


def test_pages_follow_each_other_whatever_the_order_of_numbers(ann: Actor) -> None:
    # Two transactions may take their numbers in one order and write their moments in the other.
    add(*({"subject": f"import {n}", "at": NOVEMBER + timedelta(seconds=-n if n % 2 else n)} for n in range(7)))
    expected = [6, 4, 2, 0, 1, 3, 5]
    seen, last, more = list[str](), None, True
    while more:
        lines, more = audit_log.page(Wanted(about="import"), before_id=last, size=3, by=ann)
        seen += [line.on[1] for line in lines]
        last = lines[-1].id
    assert [int(number) for number in seen] == expected
    assert audit_log.page(Wanted(), before_id=10**30, by=ann)[0] == []


def test_an_address_holds_the_filters() -> None:
    wanted = Wanted(
        "ann@example.com", ("signed in", "user added"), "import 1", date(2026, 1, 2), date(2026, 1, 3), "x y"
    )
    assert audit_log.parse(wanted.pairs()) == wanted
    assert not Wanted()
    for pair, sentence in {
        ("who ", ""): "no filter “who ”",
        ("since", "yesterday"): "since=yesterday: write a day like",
        ("since", "0001-01-01"): "give a day from 1970 to 2999",
        ("until", "9999-12-31"): "give a day from 1970 to 2999",
        ("q", "x" * 201): "q has 201 characters",
    }.items():
        with pytest.raises(InvalidInput, match=sentence):
            audit_log.parse([pair])


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ANALYST])
def test_who_may_not_read_it_reads_nothing(db: str, role: Role) -> None:
    by = Actor(1, "x", role)
    for ask in (
        lambda: audit_log.page(Wanted(), by=by),
        lambda: audit_log.get(1, by=by),
        lambda: audit_log.people(by=by),
        lambda: audit_log.as_csv(Wanted(), by=by),
    ):
        with pytest.raises(NotAllowed, match="You may not read the audit log"):
            ask()


def test_a_new_address_tells_of_the_status_that_went_with_it(ann: Actor) -> None:
    """Also where the writer may not see the status."""
    given = {"last_name": "Zoe", "email": "old@example.com", "email_status": "Verified"}
    contact_id = records.create(given, by=ann)
    writer = Actor(ann.id, "Ann", Role.MANAGER, frozenset({"last_name", "email"}))
    version = records.get(contact_id, by=writer).version
    records.update(contact_id, {"email": "new@example.com"}, version=version, by=writer)
    line = shown(ann, about=f"contact {contact_id}")[0]
    assert line.before == {"email": "old@example.com", "email_status": "Verified"}
    assert line.after == {"email": "new@example.com", "email_status": ""}
    batch = bulk.change(Selection(parse([], by=ann)), "email", "many@example.com", by=ann)
    assert batch.count == 1
    assert set(shown(ann, about="contacts")[0].after) == {"email", "email_status", "primary_email_catch_all_status"}


def test_a_reader_sees_of_contacts_what_they_may_see(ann: Actor) -> None:
    """By whatever road a value came into the log, and by searching for it."""
    secret = "hidden@secret.example"
    contact_id = records.create({"last_name": "Zoe", "email": secret}, by=ann)
    records.update(contact_id, {"title": "CEO", "email": "x" + secret}, version=0, by=ann)
    everything = Selection(parse([f"email.contains={secret}"], by=ann))
    bulk.change(everything, "company", "Acme", by=ann)
    bulk.change(everything, "email", "y" + secret, by=ann)
    bulk.tag(Selection(parse([f"q={secret}"], by=ann)), add=[secret], by=ann)
    bulk.delete(Selection(parse([], by=ann), (contact_id,)), by=ann)
    restored = records.restore(contact_id, by=ann)
    records.delete(contact_id, version=restored.version, by=ann)
    assert sum(secret in repr(line) for line in shown(ann)) >= 7
    reader = narrow(ann, "last_name", "title")
    lines = shown(reader)
    assert secret not in repr(lines)
    assert secret not in "".join(audit_log.as_csv(Wanted(), by=reader))
    changed = next(line for line in lines if line.event == Event.CONTACT_CHANGED)
    assert (changed.before, changed.after, changed.hidden) == ({"title": ""}, {"title": "CEO"}, True)
    assert subjects(reader, words=secret) == []
    assert subjects(ann, words=secret) != []
    assert subjects(reader, words=f"contact {contact_id}") != []


def test_the_hash_of_a_file_is_for_who_may_see_its_columns(ann: Actor) -> None:
    made = {"sha256": "beef", "bytes": 14, "rows": 1, "query": ""}
    add(*({"event": Event.EXPORT_MADE, "details": {**made, "columns": [name]}} for name in ("title", "email", "extra")))
    hashes = [line.more.get("sha256") for line in shown(narrow(ann, "title")) if line.event == Event.EXPORT_MADE]
    assert sorted(map(str, hashes)) == ["None", "None", "beef"]
    assert [line.more["sha256"] for line in shown(ann) if line.event == Event.EXPORT_MADE] == ["beef"] * 3


def test_a_user_s_line_shows_what_differs(ann: Actor) -> None:
    users.change("ann@example.com", users.Changes(download_limit=500), by=ann)
    line = shown(ann, about="user ann@example.com")[0]
    assert (line.before, line.after) == ({"download_limit": 100}, {"download_limit": 500})


def test_the_file_holds_every_line_and_runs_no_formula(ann: Actor) -> None:
    add(
        {"subject": "import 1", "actor_name": "=HYPERLINK(1)", "details": {"before": {"a": 1}, "after": {"a": "ü"}}},
        *({"subject": f"import {n}", "address": "10.0.0.1"} for n in range(2, 1502)),
    )
    rows = list(csv.reader(io.StringIO("".join(audit_log.as_csv(Wanted(about="import"), by=ann)))))
    assert rows[0] == ["At (UTC)", "Who", "Event", "On what", "From", "Before", "After", "More"]
    assert len(rows) == 1502
    assert rows[-1] == [
        "2026-11-01 12:00:00", "'=HYPERLINK(1)", "Signed in", "import 1", "", '{"a": 1}', '{"a": "ü"}', "",
    ]  # fmt: skip
    [noted] = shown(ann, events=("audit log exported",))
    assert (noted.who, noted.more) == ("Ann", {"filter": "about=import"})
    list(audit_log.as_csv(Wanted(), noted=False, by=ann))
    assert len(shown(ann, events=("audit log exported",))) == 1


def test_people_are_those_whom_the_filter_takes(ann: Actor) -> None:
    assert audit_log.people(by=ann) == {
        "ann@example.com": "Ann", "operator": "Operator", "nobody": "Nobody", "Razorpay": "Razorpay",
    }  # fmt: skip


@pytest.fixture(scope="module")
def reader_of_many(postgres: Server, migrated: str) -> Iterator[Actor]:
    """Of a log with MANY lines over two years: of one in three it was ann, and most are changes of contacts."""
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE long_log TEMPLATE "{migrated}"'.encode())
    database.bind(postgres.url("long_log"))
    user = person(email="ann@example.com", name="Ann", role=Role.ADMIN)
    with writing(OPERATOR) as session:
        session.execute(
            text(
                """INSERT INTO audit_log (at, actor_id, actor_name, address, event, subject, details)
                SELECT timestamptz '2024-12-01' + n * interval '5 minutes', CASE WHEN n % 3 = 0 THEN :ann END,
                    CASE n % 3 WHEN 0 THEN 'Ann' WHEN 1 THEN 'operator' ELSE 'nobody' END, '10.0.0.1',
                    CASE WHEN n % 5000 = 0 THEN 'user added' ELSE 'contact changed' END,
                    CASE WHEN n % 2000 = 0 THEN 'import ' ELSE 'contact ' END || n % 5000,
                    jsonb_build_object('after', jsonb_build_object('title', 'CEO ' || md5(n::text)))
                        || CASE WHEN n = 7 THEN '{"note": "a needle"}'::jsonb ELSE '{}' END
                FROM generate_series(1, :many) AS n"""
            ),
            {"ann": user.id, "many": MANY},
        )
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection_:
        connection_.execute(text("VACUUM ANALYZE audit_log"))
    yield user.actor()
    database.engine().dispose()
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(b"DROP DATABASE long_log WITH (FORCE)")


@pytest.mark.parametrize("before", [None, MANY // 2])
@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"who": "ann@example.com"},
        {"who": "nobody"},
        {"events": ("user added",)},
        {"events": ("contact changed",)},
        {"about": "import"},
        {"about": "contact 777"},
        {"since": date(2025, 12, 1), "until": date(2025, 12, 3)},
        {"until": date(2025, 1, 10)},
        {"words": "needle"},
        {"words": "ann"},
        {"who": "ann@example.com", "events": ("contact changed",), "since": date(2025, 12, 1)},
    ],
    ids=str,
)
def test_a_page_reads_little_of_a_long_log(reader_of_many: Actor, wanted: dict[str, Any], before: int | None) -> None:
    """What is measured is rows, not seconds: of a million lines they are as few."""
    question = audit_log.statement(Wanted(**wanted), before_id=before, by=reader_of_many).limit(51)
    written = str(question.compile(engine(), compile_kwargs={"literal_binds": True}))
    with engine().connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {written}").scalar_one()
    assert read_rows(plan[0]["Plan"]) < MANY / 20, json.dumps(plan, indent=1)


def read_rows(node: dict[str, Any]) -> float:
    """How many rows the plan's parts have read, those that a filter threw away included."""
    own = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return own + sum(read_rows(part) for part in node.get("Plans", []))
