"""Nobody changes anything without a line in the audit log, and where the line cannot be written nothing is changed.

A tour through the operations, with a trigger on each table that tells which transaction wrote to it; and a walk through
the code, so that a new operation comes into the tour's rules: it writes its line, or says here why it has none.
"""

import ast
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyotp
import pytest
from sqlalchemy import insert, select

from models import (
    account_links,
    audit,
    audit_log,
    backup_alerts,
    backup_places,
    backups,
    check_switches,
    credits,
    disk_alerts,
    exports,
    flow_runs,
    flow_schedules,
    import_acceptances,
    import_changes,
    import_drafts,
    import_expiry,
    import_kept,
    import_orders,
    import_rejects,
    imports,
    industries,
    jobs,
    mappings,
    profile,
    recovery,
    recovery_archive,
    role_rules,
    second_factors,
    sign_in_failures,
    sign_ins,
    tokens,
    users,
    view_changes,
    view_exports,
    watched_files,
    watched_folders,
    watched_looks,
)
from models.audit import AuditLine, Event
from models.audit_log import Wanted
from models.backups import Drill, Made
from models.contacts import bulk, copies, difference_file, history_retention, many, merging, records
from models.contacts.bulk import Selection
from models.contacts.difference import Asked
from models.contacts.moments import When
from models.database import Base, Database, libpq_url, reading, writing
from models.duplicates import pairs, runs
from models.errors import NotFound
from models.filters import Filters
from models.filters import parse_query as parse
from models.import_drafts import Chosen
from models.imports import Keep, State
from models.link_tokens import Purpose
from models.migrations import every_table
from models.payments import (
    applying,
    entities,
    events,
    listing,
    offers,
    orders,
    reconciliations,
    refunds,
    subscriptions,
)
from models.permissions import OPERATOR, RAZORPAY, Actor, Role
from models.recovery_pieces import Laid
from models.settings import settings
from models.sign_in_failures import SignInFailure
from models.watched_files import Sight
from models.watched_folders import Watching
from pipelines import (
    export_contacts,
    export_views,
    import_contacts,
    keep_house,
    reconcile_payments,
    report_performance,
    validate_contacts,
)
from tests import razorpay as standin
from tests.people import PASSWORD, link_of, person
from tests.pipelines import importing
from tests.razorpay import Razorpay, Thing

ROOT = Path(__file__).parents[2]
BEN, NEW_EMAIL = "ben@example.com", "benjamin@example.com"
NEW_PASSWORD = "staple of a battery"
LONG_AGO = date(2000, 1, 1)
MISSED = [
    ("UPDATE", f"OLD.{one} IS DISTINCT FROM NEW.{one} AND NEW.{one} IS NOT NULL")
    for one in ("gone_since", "damaged_since")
]
ALWAYS = [("INSERT OR UPDATE OR DELETE", "true")]

# What moves only together with a line: the table, and which of its changes; the others are work on the way there.
TOLD = {
    "users": [("INSERT OR DELETE", "true"), ("UPDATE", "OLD.* IS DISTINCT FROM NEW.*")],
    "contacts": ALWAYS,
    "contact_history": ALWAYS,
    "industries": ALWAYS,
    "industry_former_names": ALWAYS,
    "second_factors": [
        ("UPDATE", "OLD.confirmed_at IS DISTINCT FROM NEW.confirmed_at"),
        ("DELETE", "OLD.confirmed_at IS NOT NULL"),
    ],
    "recovery_codes": [("INSERT OR DELETE", "true")],
    "role_rules": ALWAYS,
    "account_links": [("UPDATE", "OLD.used_at IS DISTINCT FROM NEW.used_at")],
    "sign_in_sessions": [("INSERT OR DELETE", "true"), ("UPDATE", "OLD.revoked_at IS DISTINCT FROM NEW.revoked_at")],
    "tokens": [("INSERT OR DELETE", "true"), ("UPDATE", "OLD.revoked_at IS DISTINCT FROM NEW.revoked_at")],
    "import_undos": ALWAYS,
    "import_kept": ALWAYS,
    "imports": [
        ("INSERT", "true"),
        ("UPDATE", "OLD.state <> NEW.state AND NEW.state IN ('committed', 'undone', 'failed')"),
        ("UPDATE", "OLD.wanted IS DISTINCT FROM NEW.wanted AND NEW.wanted = 'cancelled'"),
    ],
    "watched_folders": [
        ("INSERT OR DELETE", "true"),
        (
            "UPDATE",
            "ROW(OLD.name, OLD.address, OLD.pattern, OLD.cron, OLD.time_zone, OLD.mapping_id, OLD.rules, OLD.commits,"
            " OLD.is_active, OLD.owner_id, OLD.mail_to, OLD.removed_at) IS DISTINCT FROM ROW(NEW.name, NEW.address,"
            " NEW.pattern, NEW.cron, NEW.time_zone, NEW.mapping_id, NEW.rules, NEW.commits, NEW.is_active,"
            " NEW.owner_id, NEW.mail_to, NEW.removed_at)",
        ),
    ],
    "watched_files": [("INSERT", "NEW.import_id IS NOT NULL"), ("UPDATE", "NOT OLD.again AND NEW.again")],
    # Those without a name are what an import left behind, whose commit has its line.
    "mappings": [
        ("INSERT", "NEW.name IS NOT NULL"),
        ("UPDATE", "ROW(OLD.name, OLD.is_shared) IS DISTINCT FROM ROW(NEW.name, NEW.is_shared)"),
        ("UPDATE", "OLD.chosen <> NEW.chosen AND NEW.name IS NOT NULL"),
        ("DELETE", "OLD.name IS NOT NULL"),
    ],
    "views": [
        ("INSERT OR DELETE", "true"),
        ("UPDATE", "to_jsonb(OLD) - 'used_at' IS DISTINCT FROM to_jsonb(NEW) - 'used_at'"),
    ],
    "view_schedules": [
        ("INSERT OR DELETE", "true"),
        ("UPDATE", "to_jsonb(OLD) - 'next_at' IS DISTINCT FROM to_jsonb(NEW) - 'next_at'"),
    ],
    "view_runs": [("UPDATE", "OLD.state <> NEW.state AND NEW.state IN ('done', 'failed')")],
    "flow_schedules": [
        ("UPDATE", "OLD.paused_at IS DISTINCT FROM NEW.paused_at"),
        ("UPDATE", "OLD.asked_at IS DISTINCT FROM NEW.asked_at AND NEW.asked_at IS NOT NULL"),
    ],
    "flow_runs": [("UPDATE", "OLD.cancelled_at IS DISTINCT FROM NEW.cancelled_at")],
    "import_acceptances": ALWAYS,
    "check_runs": [("UPDATE", "OLD.state <> NEW.state AND NEW.state IN ('done', 'failed')")],
    "check_switches": ALWAYS,
    "backups": [
        ("INSERT", "true"),
        ("UPDATE", "OLD.state <> NEW.state AND NEW.state IN ('done', 'failed', 'removed')"),
        ("UPDATE", "OLD.drilled_at IS DISTINCT FROM NEW.drilled_at"),
        ("UPDATE", "OLD.gone_since IS DISTINCT FROM NEW.gone_since AND NEW.gone_since IS NOT NULL"),
        ("UPDATE", "OLD.drill_asked_at IS DISTINCT FROM NEW.drill_asked_at AND NEW.drill_asked_at IS NOT NULL"),
    ],
    "backup_alerts": [("INSERT", "true")],
    "recovery_bases": [
        ("UPDATE", "OLD.state <> NEW.state AND NEW.state IN ('done', 'failed', 'removed')"),
        *MISSED,
    ],
    "recovery_pieces": MISSED,
    "duplicate_runs": [("UPDATE", "OLD.state <> NEW.state AND NEW.state IN ('done', 'failed', 'cancelled')")],
    "duplicate_decisions": ALWAYS,
    "contact_merges": ALWAYS,
    "contact_merge_parts": ALWAYS,
    "contact_aliases": ALWAYS,
    "payment_offers": ALWAYS,
    "payment_orders": ALWAYS,
    "payments": [
        ("INSERT OR DELETE", "true"),
        ("UPDATE", "to_jsonb(OLD) - 'told_at' IS DISTINCT FROM to_jsonb(NEW) - 'told_at'"),
    ],
    "payment_subscriptions": [
        ("INSERT OR DELETE", "true"),
        ("UPDATE", "to_jsonb(OLD) - 'told_at' IS DISTINCT FROM to_jsonb(NEW) - 'told_at'"),
    ],
    "payment_refunds": ALWAYS,
    "payment_invoices": ALWAYS,
    "payment_reconciliations": [("UPDATE", "OLD.state <> NEW.state AND NEW.state IN ('done', 'failed')")],
    "performance_reports": [("INSERT", "true")],
    "house_reports": [("INSERT", "true")],
    "disk_alerts": [("INSERT", "true")],
    "history_begin": ALWAYS,
    "exports": [("UPDATE", "OLD.state <> NEW.state AND NEW.state IN ('done', 'failed', 'cancelled')")],
}
UNTOLD = {
    "audit_log": "the log itself",
    "audit_repeats": "the log itself",
    "contact_moves": "counts the transactions that change contacts, and changes nothing",
    "contact_feed": "names the contacts that a transaction wrote, whose versions tell it",
    "contact_feed_begin": "how long that is kept",
    "preferences": "a person's own way of looking at a screen",
    "sign_in_tickets": "half of a sign-in, gone after 30 seconds; the session that comes of it has its line",
    "sign_in_failures": "counted before the password is looked at; the line follows with the answer",
    "import_parts": "a part of an upload, whose creation and commit have their lines",
    "import_rejects": "a part of the plan of an import, whose commit has its line",
    "import_places": "a part of the plan of an import, whose commit has its line",
    "import_moves": "a part of the plan of an import, whose commit has its line",
    "import_notes": "a part of the plan of an import, whose commit has its line",
    "import_profiles": "a part of the plan of an import, whose commit has its line",
    "import_findings": "a part of the plan of an import, whose commit has its line",
    "check_results": "of a check with its line; of an import a part of its plan",
    "backup_places": "what was seen there; a backup that is missed has its line",
    "recovery_archives": "how far the archive of the log came; the bases, which it serves, have their lines",
    "timings": "counts requests, changes nothing",
    "statement_timings": "counts requests, changes nothing",
    "slow_operations": "counts requests, changes nothing",
    "statement_counters": "a part of a performance report, which has its line",
    "relation_counters": "a part of a performance report, which has its line",
    "request_limits": "counts requests, changes nothing",
    "request_hours": "counts requests, changes nothing",
    "idempotency_keys": "how far a request is, whose operation has its line",
    "duplicate_pairs": "what a search found, which has its line; it may be found again",
    "mails": "a message is queued with what it tells of",
    "watched_names": "what a look saw; the import that came of it has its line",
    "credit_entries": "a log of its own, which only grows; grants and new limits have lines besides",
    "payment_events": "what was told, word for word; what it changes has its lines",
    "payment_findings": "what a comparison found, which has its line",
    "credit_takings": "a part of the export or copy, which has its line",
}
# Done in the background, from no address.
BY_SCHEDULE = (Event.VIEW_EXPORTED, Event.VIEW_EXPORT_FAILED, Event.CHECKS_RAN)
RUNS = "a log of its own: what a flow changes has its lines"
OVER = "removes what counts for nothing any more"
# Functions that write without a line.
WITHOUT = {
    "models/audit.py": {"write_outstanding": "writes lines", "_expire_batch": "writes the line of the expiry"},
    "models/contacts/merging_many.py": {"merge": "each of its merges has its line"},
    "models/duplicates/runs.py": {
        "ask": "a wish; the search that is done, fails or is stopped has its line",
        "begin": "progress",
        "progressed": "progress",
    },
    "pipelines/find_duplicates.py": {"_look": "makes the table of staging; the search has its line at its end"},
    "models/flow_runs.py": dict.fromkeys(
        ("begin", "begin_asked", "end", "end_gone", "end_never_begun", "note_unheard", "note_round", "refuse"), RUNS
    ),
    "models/batches.py": {"_delete_some": OVER},
    "models/contacts/feed.py": {"expire": OVER},
    "models/flow_schedules.py": {
        "write": "what the code and the settings say is written down",
        "take_asked": "progress; the run that is started stands in flow_runs",
        **dict.fromkeys(("move_on", "came"), "progress; the run that is started stands in flow_runs"),
    },
    "models/backups.py": {"begin": "progress"},
    "models/backup_places.py": {"not_seen": "progress", "looked_at": "progress"},
    "models/recovery_pieces.py": {"forget": "a part of what retention removes with its bases, which have their lines"},
    "models/recovery.py": dict.fromkeys(("begin", "archived", "not_archived"), "progress"),
    "models/check_runs.py": {
        **dict.fromkeys(("ask", "note_due"), "a wish; the check that is done or fails has its line"),
        **dict.fromkeys(("begin", "progressed", "count_filled"), "progress"),
    },
    "models/exports.py": {
        "request": "a wish; the export that is made, fails or is cancelled has its line",
        "begin": "progress",
        "progressed": "progress",
    },
    "models/import_orders.py": {
        "lead_on": "a wish; what comes of it has its line, by whoever wished it",
        "ask": "a wish; what comes of it has its line, by whoever wished it",
        "ask_redo": "a wish; what comes of it has its line, by whoever wished it",
        "remap": "prepares a plan; only its commit changes anything",
        "clear_cancelled": "removes what the cancelled import, which has its line, left",
        "settle": "progress",
        "put_back": "progress",
        "wait_for_room": "progress; what goes on after that has its line",
    },
    "models/import_uploads.py": dict.fromkeys(("complete", "_keep"), "a part of the creation, which has its line"),
    "models/parted_uploads.py": dict.fromkeys(("_noted", "_forget"), "a part of the creation, which has its line"),
    "models/payments/events.py": {
        "receive": UNTOLD["payment_events"],
        "_apply": "applying.apply, which it calls, writes the lines",
    },
    "models/payments/reconciliations.py": {
        "note_due": "a wish; the comparison that is done or fails has its line",
        "begin": "progress",
    },
    "models/preferences.py": {"put": UNTOLD["preferences"], "forget": UNTOLD["preferences"]},
    "models/credits.py": {"_balance": "posts the month's allowance, in a log of its own"},
    "models/credit_takings.py": {"clear_past": OVER},
    "models/link_tokens.py": {"clear_ended": OVER},
    "models/mapping_contents.py": {"clear_unused": OVER},
    "models/watched_folders.py": {"look_soon": "a wish; what comes of it has its line"},
    "models/watched_looks.py": {"begin": "progress", "end": "progress"},
    "models/watched_files.py": {
        "note": UNTOLD["watched_names"],
        "refuse": "progress",
        "take": "imports.add, which it calls, writes the line",
        "_tell": "a message is queued with what it tells of",
    },
    "models/mails.py": {
        "_deliver_next": "sends what was queued",
        "_take_next": "sends what was queued",
        "clear_done": OVER,
    },
    "models/own_password.py": {"require": UNTOLD["sign_in_failures"]},
    "models/profile.py": {"ask_email_change": "a wish; the address that is confirmed has its line"},
    "models/request_hours.py": {"clear_past": OVER},
    "models/idempotency.py": dict.fromkeys(("begin", "answered", "failed"), UNTOLD["idempotency_keys"])
    | {"clear_past": OVER},
    "models/tokens.py": {"actor_of": "when a token was last used", "clear_ended": OVER},
    "models/request_limits.py": {"take": UNTOLD["request_limits"], "clear_past": OVER},
    "models/sign_in_failures.py": {"clear_forgotten": OVER},
    "models/second_factors.py": {
        "begin": "counts for nothing until it is confirmed",
        "seal": "the factors stay what they are",
    },
    "models/sign_in_sessions.py": {"actor_of": "when a session was last seen", "clear_ended": OVER},
    "models/sign_ins.py": dict.fromkeys(
        ("check_password", "after_link", "check_code", "enrol", "confirm_enrolment", "issue_ticket"),
        UNTOLD["sign_in_tickets"],
    ),
    "models/view_exports.py": {"run_now": "a wish; the run that is done or fails has its line"},
    "models/view_runs.py": {
        "note_due": "progress; the run that is done or fails has its line",
        "begin": "progress",
        "put_off": "progress",
    },
    "models/view_changes.py": {"use": "when a view was last used", "clear_deleted": OVER},
    "pipelines/attendant.py": {"_look": "progress", "_stop": "ends a server's work", "_show_nothing": "progress"},
    "pipelines/export_contacts.py": {"_publish": "exports.finish, which it calls, writes the line"},
    "pipelines/import_contacts.py": {
        "create": "imports.create, which it calls, writes the line; here its file's place is noted",
        "clear_abandoned": "removes working copies that can be made again",
        "_notice_lost_rows": "progress",
        "_require_room": "progress",
        "_add_seconds": "progress",
    },
    "pipelines/import_steps.py": dict.fromkeys(
        (
            "open_file",
            "stage",
            "check_and_plan",
            "plan",
            "_planned",
            "_profiled",
            "_store_rejects",
        ),
        "prepares a plan; only its commit changes anything",
    ),
}
# Which open the transaction for others, who write the line.
DOORS = {"writing", "editing", "working", "_moving_contacts", "_standing"}


@dataclass
class Tour:
    """What the operations of the tour need of each other."""

    by: Actor
    folder: Path
    kept: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.kept[name]

    def keep(self, name: str, value: Any) -> None:
        self.kept[name] = value

    def secret(self, *words: str) -> None:
        """What the log must not hold."""
        self.kept.setdefault("secrets", []).extend(word for word in words if word)

    def own(self) -> Actor:
        """Ben himself."""
        return Actor(self["ben"].id, "Ben", Role.MANAGER, None, "10.0.0.9")

    def link(self, purpose: Purpose) -> str:
        token = link_of(self["ben"], purpose, NEW_EMAIL if purpose is Purpose.EMAIL else None)
        self.secret(token)
        return token

    def contact(self) -> records.Record:
        return records.get(self["contact"], by=self.by)


Operation = Callable[[Tour], object]


def _paused(tour: Tour) -> None:
    flow_schedules.write([flow_schedules.Entry("back-up", "0 2 * * *", "UTC", "Makes another one.")])
    flow_schedules.pause("back-up", by=tour.by)


def _invited(tour: Tour) -> users.Invited:
    made = users.invite(email=BEN, name="Ben", role=Role.ANALYST, by=tour.by)
    tour.secret((made.link or "").partition("link=")[2])
    return made


def _signed_in(tour: Tour) -> None:
    ticket = sign_ins.check_password(BEN, PASSWORD, address="10.0.0.9").ticket
    tour.keep("token", sign_ins.redeem_ticket(ticket, address="10.0.0.9", device="a test"))
    tour.secret(ticket, tour["token"])


def _failed_sign_in(tour: Tour) -> None:
    with pytest.raises(sign_ins.SignInRefused):
        sign_ins.check_password("eve@example.com", "wrong " + PASSWORD, address="10.0.0.9")


def _paused_sign_in(tour: Tour) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(SignInFailure), [{"email": "eve@example.com"}] * (sign_in_failures.TRIES - 2))
    for _ in range(2):
        _failed_sign_in(tour)


def _confirmed(tour: Tour) -> None:
    made = second_factors.begin(by=tour.own())
    tour.secret(made.secret, *second_factors.confirm(pyotp.TOTP(made.secret).now(), by=tour.own()))


def _one(tour: Tour) -> Selection:
    return Selection(Filters(), (tour["contact"],))


def _committed(tour: Tour) -> None:
    if "import" not in tour.kept:
        rows = [{"Last Name": "Zoe", "Industry": "Tin", "Email": "zoe@example.com"}, {"Last Name": "", "Email": "x"}]
        tour.keep("import", importing.created(importing.written(tour.folder, rows)))
    import_contacts.run(tour["import"], by=OPERATOR)


def _chosen(tour: Tour) -> Chosen:
    return import_drafts.stored(imports.get(tour["import"], by=tour.by))


def _watched(tour: Tour) -> Watching:
    return Watching("Leads", str(tour.folder), "day")


def _taken(tour: Tour) -> None:
    folder, by = watched_looks.begin(tour["folder"])
    sight = Sight("a.csv", 1, datetime.now(UTC), "1")
    tour.keep("watched", watched_files.take(folder, sight, "0" * 64, lambda *_: tour.folder / "a.csv", by=by))


def _standing_out(tour: Tour) -> int:
    """A planned import that breaks a rule in each of its rows."""
    if "odd" not in tour.kept:
        rows = [{"Last Name": f"Odd {number}", "# Employees": "5551234567"} for number in range(40)]
        tour.keep("odd", importing.created(importing.written(tour.folder, rows, "odd.csv")))
        import_contacts.run(tour["odd"], until=State.PLANNED, by=OPERATOR)
    return int(tour["odd"])


def _unreadable(tour: Tour) -> None:
    if "unreadable" not in tour.kept:
        tour.keep("unreadable", importing.created(importing.written(tour.folder, "", "empty.csv")))
    with pytest.raises(import_contacts.UnreadableFile):
        import_contacts.run(tour["unreadable"], by=OPERATOR)


def _exported(tour: Tour) -> None:
    path = tour.folder / "out.csv"
    made = export_contacts.export(path, filters=Filters(), columns=["last_name"], by=tour.by)
    tour.keep("export", made.id)


def _looked_at_disks(_: Tour) -> None:
    """All of them are too full for who wants so much to be free."""
    os.environ["APPOINTMENT360_DISK_WARNING"] = "1EB"
    settings.cache_clear()
    try:
        disk_alerts.look()
    finally:
        del os.environ["APPOINTMENT360_DISK_WARNING"]
        settings.cache_clear()


def _of_long_ago(expire: Callable[[int], int]) -> None:
    """Everything was done long before; the triggers that tell who wrote see nothing of that."""
    with psycopg.connect(libpq_url(Database.url or ""), autocommit=True) as connection:
        connection.execute(
            """SET session_replication_role = replica;
            UPDATE imports SET finished_at = now() - interval '99 days', wanted_at = NULL WHERE state <> 'planned';
            INSERT INTO contact_history (replaced_how, id) VALUES ('update', 99999), ('update', 99999);
            UPDATE contact_history SET replaced_at = now() - interval '99 days'"""
        )
    assert expire(50) > 0


def _requested(tour: Tour) -> int:
    if "wish" not in tour.kept:
        tour.keep("wish", exports.request(filters=Filters(), columns=["email"], format="csv", by=tour.by))
    return int(tour["wish"])


def _signed_up(tour: Tour) -> None:
    """Who has to set up a second factor signs in with its first code."""
    ticket = sign_ins.check_password(BEN, PASSWORD, address="10.0.0.9").ticket
    tour.secret(ticket, (made := sign_ins.enrol(ticket)).secret)
    codes, ready = sign_ins.confirm_enrolment(ticket, pyotp.TOTP(made.secret).now(), address="10.0.0.9")
    tour.secret(*codes, ready)


def _token_made(tour: Tour) -> None:
    number, token = tokens.create("Nightly", by=tour.own())
    tour.keep("token id", number)
    tour.secret(token)


def _wanted(tour: Tour, every: str = "day") -> view_exports.Wanted:
    (tour.folder / "views").mkdir(exist_ok=True)
    return view_exports.Wanted(every, str(tour.folder / "views"), file_name="{view} {date} {time}")


def _not_put(tour: Tour) -> None:
    """Its folder is gone."""
    shutil.rmtree(tour.folder / "views", ignore_errors=True)
    with pytest.raises(NotFound):
        export_views.run_now(tour["schedule"], by=tour.by)


def _merged(tour: Tour) -> None:
    versions = {one: records.get(one, by=tour.by).version for one in (tour["contact"], tour["twin"])}
    tour.keep("merge", merging.merge(tour["contact"], versions, by=tour.by))


def _searched(tour: Tour) -> None:
    run_id = runs.ask(by=tour.by)
    runs.begin(run_id)
    with writing(OPERATOR) as session:
        runs.staged_table(session)
    numbers = {"records": 0, "compared": 0, "pairs": 0, "clusters": 0, "seconds": 0.0, "digest": ""}
    runs.finish(run_id, numbers, by=tour.by)


def _base() -> int:
    return recovery.begin("7", f"base-{secrets.token_hex(4)}", None).id


def _whole_base() -> int:
    number = _base()
    recovery.finish(number, start_wal="0" * 24, size=1, locked_until=None)
    return number


def _piece() -> tuple[str, str]:
    key = "7", f"{secrets.randbits(96):024X}"
    recovery.archived(*key, Laid("/somewhere", "piece", 1, None))
    return key


def _told(tour: Tour, kind: str, **parts: Thing) -> None:
    """What `events.apply` does, which keeps what fails for later."""
    with writing(RAZORPAY) as session:
        applying.apply(session, entities.read(tour["razorpay"].event(kind, **parts).body))


def _paid(tour: Tour) -> Thing:
    if "paid" not in tour.kept:
        tour.keep("paid", tour["razorpay"].pay(tour["order"].razorpay_id))
    return dict(tour["paid"])


def _charged(tour: Tour) -> dict[str, Thing]:
    name = tour["subscribed"].razorpay_id
    if "charged" not in tour.kept:
        tour.keep("charged", tour["razorpay"].charge(name))
    return {"payment": tour["charged"], "subscription": tour["razorpay"].things["subscription"][name]}


OPERATIONS: dict[str, Operation] = {
    "users.invite": lambda t: t.keep("ben", _invited(t).user),
    "users.new_link": lambda t: users.new_link(BEN, by=t.by),
    "account_links.accept": lambda t: account_links.accept(t.link(Purpose.INVITATION), PASSWORD, address="10.0.0.9"),
    "users.change": lambda t: users.change(BEN, users.Changes(role=Role.MANAGER, download_limit=70), by=t.by),
    "credits.grant": lambda t: credits.grant(BEN, 10, "for the fair", by=t.by),
    "users.change, a limit": lambda t: users.change(BEN, users.Changes(download_limit=500), by=t.by),
    "sign in": _signed_in,
    "sign in, wrongly": _failed_sign_in,
    "sign in, paused": _paused_sign_in,
    "profile.rename": lambda t: profile.rename("Benjamin", by=t.own()),
    "second_factors.confirm": _confirmed,
    "second_factors.new_recovery_codes": lambda t: t.secret(
        *second_factors.new_recovery_codes(password=PASSWORD, by=t.own())
    ),
    "tokens.create": _token_made,
    "tokens.revoke": lambda t: tokens.revoke(t["token id"], by=t.own()),
    "tokens.create_for": lambda t: t.secret(tokens.create_for(BEN, "Nightly", by=t.by)[1]),
    "tokens.revoke_of": lambda t: tokens.revoke_of(BEN, tokens.listed_of(BEN, by=t.by)[0].id, by=t.by),
    "tokens.revoke_all_of": lambda t: (
        t.secret(tokens.create_for(BEN, "Another", by=t.by)[1]),
        tokens.revoke_all_of(BEN, by=t.by),
    ),
    "sign_ins.end_others": lambda t: sign_ins.end_others(by=t.own(), token=t["token"]),
    "sign_ins.end": lambda t: sign_ins.end(sign_ins.sessions_of(by=t.own())[0].id, by=t.own()),
    "second_factors.reset": lambda t: second_factors.reset(BEN, by=t.by),
    "sign in again": _signed_in,
    "sign_ins.sign_out": lambda t: sign_ins.sign_out(t["token"]),
    "sign_ins.end_all": lambda t: sign_ins.end_all(BEN, by=t.by),
    "role_rules.require_second_factor": lambda t: role_rules.require_second_factor(Role.MANAGER, True, by=t.by),
    "sign_ins.confirm_enrolment": _signed_up,
    "second_factors.remove": lambda t: second_factors.remove(password=PASSWORD, by=t.own()),
    "profile.change_password": lambda t: profile.change_password(PASSWORD, NEW_PASSWORD, by=t.own(), token=None),
    "account_links.request_reset": lambda t: account_links.request_reset(BEN, address="10.0.0.9"),
    "account_links.accept, a reset": lambda t: account_links.accept(t.link(Purpose.RESET), PASSWORD, address=None),
    "account_links.confirm_email": lambda t: account_links.confirm_email(t.link(Purpose.EMAIL), address="10.0.0.9"),
    "users.deactivate": lambda t: users.deactivate(NEW_EMAIL, by=t.by),
    "users.reactivate": lambda t: users.reactivate(NEW_EMAIL, by=t.by),
    "offers.change": lambda t: offers.change("pack-100", price=30_000, by=t.by),
    "orders.create": lambda t: t.keep("order", orders.create("pack-100", by=t.own())),
    "applying.apply, a payment": lambda t: _told(t, "payment.captured", payment=_paid(t)),
    "refunds.refund": lambda t: refunds.refund(listing.mine(by=t.own())[0][0].id, 10_000, by=t.by),
    "subscriptions.start": lambda t: t.keep("subscribed", subscriptions.start("pro", by=t.own())),
    "applying.apply, a charge": lambda t: _told(t, "subscription.charged", **_charged(t)),
    "applying.apply, an invoice": lambda t: _told(
        t, "invoice.paid", invoice=next(iter(t["razorpay"].things["invoice"].values()))
    ),
    "subscriptions.cancel": lambda t: subscriptions.cancel(by=t.own()),
    "events.replay": lambda t: events.replay(events.page(by=t.by)[0][0].id, by=t.by),
    "reconcile_payments.run": lambda t: reconcile_payments.run(reconciliations.ask(by=OPERATOR)),
    "industries.create": lambda t: t.keep("coal", industries.create("Coal", by=t.by).id),
    "industries.create, another": lambda t: t.keep("iron", industries.create("Iron", by=t.by).id),
    "industries.rename": lambda t: industries.rename(t["coal"], "Charcoal", by=t.by),
    "records.create": lambda t: t.keep(
        "contact", records.create({"last_name": "Ann", "email": "a@b.example", "industry": "Charcoal"}, by=t.by)
    ),
    "industries.merge": lambda t: industries.merge(t["coal"], t["iron"], by=t.by),
    "industries.unmerge": lambda t: industries.unmerge(t["coal"], by=t.by),
    "industries.deactivate": lambda t: industries.deactivate(t["coal"], by=t.by),
    "industries.activate": lambda t: industries.activate(t["coal"], by=t.by),
    "records.update": lambda t: t.keep(
        "changed", records.update(t["contact"], {"title": "CEO"}, version=t.contact().version, by=t.by)
    ),
    "records.undo": lambda t: records.undo(t["contact"], t["changed"].version, by=t.by),
    "records.delete": lambda t: records.delete(t["contact"], version=t.contact().version, by=t.by),
    "records.restore": lambda t: records.restore(t["contact"], by=t.by),
    "bulk.change": lambda t: t.keep("batch", bulk.change(_one(t), "title", "CTO", by=t.by)),
    "bulk.put_back": lambda t: bulk.put_back(t["batch"], by=t.by),
    "bulk.tag": lambda t: bulk.tag(_one(t), add=["new"], by=t.by),
    "bulk.delete": lambda t: t.keep("batch", bulk.delete(_one(t), by=t.by)),
    "bulk.put_back, deleted": lambda t: bulk.put_back(t["batch"], by=t.by),
    "many.write": lambda t: t.keep(
        "made",
        many.write([many.Create({"last_name": "Mo"}), many.Change(t["contact"], {"title": "COO"}, None)], by=t.by),
    ),
    "many.write, deleted": lambda t: many.write([many.Delete(t["made"][0].id, None)], by=t.by),
    "records.create, a twin": lambda t: t.keep(
        "twin", records.create({"last_name": "Ann", "title": "CTO", "email": "b@b.example"}, by=t.by)
    ),
    "runs.finish": _searched,
    "runs.fail": lambda t: runs.fail(runs.ask(by=t.by), "It failed.", by=t.by),
    "runs.cancel": lambda t: runs.cancel(runs.ask(by=t.by), by=t.by),
    "pairs.decide": lambda t: pairs.decide(t["contact"], t["twin"], pairs.Decision.NOT_SAME, by=t.by),
    "pairs.withdraw": lambda t: pairs.withdraw(t["contact"], t["twin"], by=t.by),
    "merging.merge": _merged,
    "merging.unmerge": lambda t: merging.unmerge(t["merge"], by=t.by),
    "imports.create": lambda t: t.keep(
        "dropped", importing.created(importing.written(t.folder, [{"Last Name": "X"}], "dropped.csv"))
    ),
    "view_changes.save": lambda t: t.keep("view", view_changes.save("Tin", filters=Filters(), by=t.by).id),
    "view_changes.change": lambda t: view_changes.change(t["view"], filters=Filters((), "tin"), by=t.by),
    "view_changes.put_back": lambda t: view_changes.put_back(t["view"], by=t.by),
    "view_changes.rename": lambda t: view_changes.rename(t["view"], "Zinc", by=t.by),
    "view_changes.share": lambda t: view_changes.share(t["view"], by=t.by),
    "view_changes.share, ended": lambda t: view_changes.share(t["view"], False, by=t.by),
    "view_changes.delete": lambda t: view_changes.delete(t["view"], by=t.by),
    "view_changes.restore": lambda t: view_changes.restore(t["view"], by=t.by),
    "view_exports.schedule": lambda t: t.keep("schedule", view_exports.schedule(t["view"], _wanted(t), by=t.by)),
    "view_exports.change": lambda t: view_exports.change(t["schedule"], _wanted(t, "week"), by=t.by),
    "export_views.carry_out": lambda t: export_views.run_now(t["schedule"], by=t.by),
    "export_views.carry_out, not possible": _not_put,
    "view_exports.pause": lambda t: view_exports.pause(t["schedule"], by=t.by),
    "view_exports.unschedule": lambda t: view_exports.unschedule(t["schedule"], by=t.by),
    "copies.copy": lambda t: copies.copy(_one(t), "email", by=t.by),
    "difference_file.as_csv": lambda t: list(difference_file.as_csv(Asked(Filters(), When(LONG_AGO), None), by=t.by)),
    "import_orders.cancel": lambda t: import_orders.cancel(t["dropped"], by=t.by),
    "import_contacts.run": _committed,
    "mappings.save": lambda t: t.keep("mapping", mappings.save(t["import"], _chosen(t), "Leads", by=t.by)),
    "mappings.rename": lambda t: mappings.rename(t["mapping"], "Our leads", by=t.by),
    "mappings.share": lambda t: mappings.share(t["mapping"], True, by=t.by),
    "mappings.change": lambda t: mappings.change(t["mapping"], replace(_chosen(t), keep=Keep.OURS), by=t.by),
    "mappings.remove": lambda t: mappings.remove(t["mapping"], by=t.by),
    "watched_folders.add": lambda t: t.keep("folder", watched_folders.add(_watched(t), by=OPERATOR)),
    "watched_folders.change": lambda t: watched_folders.change(
        t["folder"], replace(_watched(t), commits=True), by=OPERATOR
    ),
    "watched_files.take": _taken,
    "import_orders.cancel, of a watched one": lambda t: import_orders.cancel(t["watched"], by=t.by),
    "watched_files.try_again": lambda t: watched_files.try_again(
        watched_files.of_folder(t["folder"], by=t.by)[0].id, by=t.by
    ),
    "watched_folders.activate": lambda t: watched_folders.activate(t["folder"], False, by=t.by),
    "watched_folders.remove": lambda t: watched_folders.remove(t["folder"], by=t.by),
    "import_contacts.run, unreadable": _unreadable,
    "import_acceptances.accept": lambda t: import_acceptances.accept(_standing_out(t), "as it is", by=t.by),
    "import_acceptances.withdraw": lambda t: import_acceptances.withdraw(_standing_out(t), by=t.by),
    "import_rejects.as_csv": lambda t: list(import_rejects.as_csv(t["import"], by=t.by)),
    "import_changes.as_csv": lambda t: list(import_changes.as_csv(t["import"], by=t.by)),
    "import_changes.moved_as_csv": lambda t: list(import_changes.moved_as_csv(t["import"], by=t.by)),
    "bulk.tag, what was imported": lambda t: bulk.tag(Selection(parse("last_name=Zoe", by=t.by)), add=["x"], by=t.by),
    "import_contacts.undo": lambda t: import_contacts.undo(t["import"], by=OPERATOR),
    "import_kept.as_csv": lambda t: list(import_kept.as_csv(t["import"], by=t.by)),
    "import_contacts.redo": lambda t: import_contacts.redo(t["import"], by=OPERATOR),
    "export_contacts.export": _exported,
    "exports.downloaded": lambda t: exports.downloaded(t["export"], noted=True, by=t.by),
    "exports.cancel": lambda t: exports.cancel(_requested(t), by=t.by),
    "validate_contacts.check": lambda t: validate_contacts.check(home=t["home"], by=t.by),
    "check_switches.switch": lambda t: check_switches.switch("status_is_a_known_value", True, by=t.by),
    "backups.ask": lambda t: t.keep("backup", backups.ask(by=t.by)),
    "backups.finish": lambda t: backups.finish(t["backup"], Made(1, 2, 3, 4, None), by=OPERATOR),
    "backups.ask_drill": lambda t: backups.ask_drill(t["backup"], by=t.by),
    "backups.drilled": lambda t: backups.drilled(
        t["backup"], Drill.DIFFERS, seconds=1.0, differences=["Rows."], by=t.by
    ),
    "backups.not_drilled": lambda t: backups.not_drilled(t["backup"], "No room.", by=OPERATOR),
    "backup_places.seen": lambda t: backup_places.seen(backups.place(), {t["backup"]: False}, expires_after=None),
    "backup_alerts.look": lambda t: backup_alerts.look(),
    "backups.restored": lambda t: backups.restored(t["backup"], "host=x", True, by=t.by),
    "backups.removed": lambda t: backups.removed(t["backup"]),
    "recovery_archive.seen": lambda t: recovery_archive.seen({_whole_base(): False}, {_piece(): False}),
    "recovery_archive.was_read": lambda t: recovery_archive.was_read({_whole_base(): False}, {_piece(): False}),
    "recovery.finish": lambda t: recovery.finish(_base(), start_wal="0" * 24, size=1, locked_until=None),
    "recovery.removed": lambda t: recovery.removed(_base()),
    "recovery.fail": lambda t: recovery.fail(_base(), "No room."),
    "backups.fail": lambda t: backups.fail(backups.ask(by=t.by), "No room."),
    "flow_schedules.pause": _paused,
    "flow_schedules.resume": lambda t: flow_schedules.resume("back-up", by=t.by),
    "jobs.run": lambda t: jobs.run("back-up", by=t.by),
    "jobs.cancel": lambda t: jobs.cancel(flow_runs.begin("back-up"), by=t.by),
    "report_performance.report": lambda t: report_performance.report(told=lambda _: None, by=t.by),
    "audit_log.as_csv": lambda t: list(audit_log.as_csv(Wanted(), by=t.by)),
    "audit.expire": lambda t: audit.expire(older_than_days=730),
    "disk_alerts.look": _looked_at_disks,
    "keep_house.keep": lambda t: keep_house.keep(told=lambda _: None, by=t.by),
    "import_expiry.expire_rejects": lambda t: _of_long_ago(import_expiry.expire_rejects),
    "import_expiry.expire_uploads": lambda t: _of_long_ago(import_expiry.expire_uploads),
    "history_retention.expire": lambda t: _of_long_ago(history_retention.expire),
}


@pytest.fixture
def connection(base: str) -> Iterator[psycopg.Connection[Any]]:
    """With the triggers that tell who wrote what, and one that refuses every line, not switched on."""
    with psycopg.connect(libpq_url(base), autocommit=True) as connection:
        connection.execute(
            """CREATE TABLE writes (transaction xid8 DEFAULT pg_current_xact_id(), name text);
            CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO writes (name) VALUES (TG_TABLE_NAME); RETURN NULL; END $$;
            CREATE FUNCTION refuse_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'no line can be written'; END $$;
            INSERT INTO audit_log (at, actor_name, event, subject)
            VALUES (now() - interval '900 days', 'x', 'signed in', 'user x');
            CREATE TRIGGER refuse_line BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_line();
            ALTER TABLE audit_log DISABLE TRIGGER refuse_line"""
        )
        for table, parts in {**TOLD, "audit_log": [("INSERT", "true")]}.items():
            for number, (events, when) in enumerate(parts):
                connection.execute(
                    f"""CREATE TRIGGER note_{number} AFTER {events} ON {table}
                    FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION note_write()""".encode()
                )
        yield connection


@pytest.fixture
def razorpay() -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


def test_each_operation_stands_with_its_line_and_falls_without(
    connection: psycopg.Connection[Any],
    base: str,
    home: Path,
    razorpay: Razorpay,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APPOINTMENT360_EXPORT_ROOTS", str(tmp_path))
    settings.cache_clear()
    ann = person(email="ann@example.com", name="Ann", role=Role.ADMIN, download_limit=None)
    kept = {"home": home, "razorpay": razorpay}
    tour = Tour(Actor(ann.id, "Ann", Role.ADMIN, None, "10.0.0.7"), tmp_path, kept)
    moved = set[str]()
    for name, operation in OPERATIONS.items():
        before = dict(tour.kept)
        connection.execute("TRUNCATE writes; ALTER TABLE audit_log ENABLE TRIGGER refuse_line")
        with pytest.raises(Exception, match="no line can be written"):
            operation(tour)
        assert connection.execute("SELECT DISTINCT name FROM writes").fetchall() == [], f"{name} stood without a line"
        assert before.keys() <= tour.kept.keys()

        connection.execute("ALTER TABLE audit_log DISABLE TRIGGER refuse_line")
        operation(tour)
        written = connection.execute("SELECT transaction::text, array_agg(DISTINCT name) FROM writes GROUP BY 1")
        transactions = [set(names) for _, names in written.fetchall()]
        assert any("audit_log" in names for names in transactions), f"{name} wrote no line"
        assert [names for names in transactions if "audit_log" not in names] == [], name
        moved |= set().union(*transactions)
    assert moved == {*TOLD, "audit_log"}, "the tour leaves tables out"
    with reading() as session:
        lines = session.scalars(select(AuditLine).order_by(AuditLine.id)).all()
        told = repr([(line.subject, line.details) for line in lines])
        hashes = session.scalars(select(users.User.password_hash)).all()
    for secret in (PASSWORD, NEW_PASSWORD, *tour["secrets"], *hashes):
        assert secret not in told
    own = [line for line in lines if line.actor_name == "Ann" and line.event != Event.INVITATION_ACCEPTED]
    own = [line for line in own if line.event not in BY_SCHEDULE and "view_run" not in (line.details or {})]
    assert {line.address for line in own} == {"10.0.0.7"}


def test_each_table_is_told_of_or_says_why_not() -> None:
    assert every_table
    assert {*TOLD, *UNTOLD} == set(Base.metadata.tables)
    assert not set(TOLD) & set(UNTOLD)


def test_each_function_that_writes_writes_a_line_or_says_why_not() -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for folder in ("models", "data_checks", "pipelines", "dashboard", "deploy")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (names := _without_a_line(ast.parse(path.read_text())))
    }
    assert found == {path: set(functions) for path, functions in WITHOUT.items()}


def test_every_event_is_written_somewhere() -> None:
    """One that nobody writes promises what the log does not hold."""
    folders = ("models", "data_checks", "pipelines")
    code = "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert [event.name for event in Event if f"Event.{event.name}" not in code] == []


def _without_a_line(module: ast.Module) -> set[str]:
    """The functions that open a transaction to write, and neither they nor what they call in their module writes a
    line."""
    functions = {one.name: one for one in ast.walk(module) if isinstance(one, ast.FunctionDef)}

    def tells(function: ast.FunctionDef, *asked: str) -> bool:
        calls = [one.func for one in ast.walk(function) if isinstance(one, ast.Call)]
        if any(ast.unparse(call) in ("audit.write", "audit.write_once_a_minute") for call in calls):
            return True
        own = {call.id for call in calls if isinstance(call, ast.Name)} & functions.keys() - {*asked}
        return any(tells(functions[name], *asked, name) for name in own)

    return {
        name
        for name, function in functions.items()
        if name not in DOORS and _opens(function) and not tells(function, name)
    }


def _opens(function: ast.FunctionDef) -> bool:
    entered = [item.context_expr for one in ast.walk(function) if isinstance(one, ast.With) for item in one.items]
    return any(ast.unparse(one.func).rpartition(".")[2] in DOORS for one in entered if isinstance(one, ast.Call))
