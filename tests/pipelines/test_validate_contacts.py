"""The check of everything that is stored, by the real library, and what people see of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, select

from data_checks import industry_suite, payment_suite, suites
from models import check_board, check_results, check_runs, check_switches, filters, flow_runs, flow_schedules, users
from models.audit import AuditLine
from models.check_runs import CheckState
from models.contacts import quality, search
from models.contacts.table import Contact
from models.database import libpq_url, reading, writing
from models.errors import NotAllowed, NotFound, Unavailable
from models.industries import Industry
from models.mail_texts import Kind, text_of
from models.mails import Mail
from models.payments import listing
from models.payments.listing import Wanted
from models.permissions import OPERATOR, Actor, Role
from models.settings import settings
from pipelines import schedule, sweep, validate_contacts
from pipelines.recorded import carry_out
from tests.checked import checked
from tests.data_checks.test_run import BREAKING
from tests.people import person

GOOD = {
    "first_name": "Ann", "last_name": "Smith", "title": "VP Sales", "seniority": "VP", "email": "ann@example.com",
    "company": "Acme", "employees": 51, "website": "https://acme.example.com", "status": "active",
}  # fmt: skip
NARROW = Actor(9, "Nia", Role.MANAGER, frozenset({"first_name", "email"}))
ANALYST = Actor(8, "An analyst", Role.ANALYST)


def put(*rows: dict[str, Any]) -> None:
    """Contacts, past what imports and forms would refuse."""
    with writing(OPERATOR) as session:
        for row in rows:
            session.execute(insert(Contact.__table__).values({**GOOD, **row}))


def run() -> int:
    run_id = check_runs.ask(by=OPERATOR)
    assert validate_contacts.run(run_id)
    return run_id


@pytest.fixture
def planted(base: str) -> str:
    """Forty good contacts, for each rule two that break it, and one of which nothing is known."""
    put(*[{}] * 40, *[broken for broken in BREAKING.values() for _ in range(2)])
    return base


def test_each_rules_number_is_that_of_its_filter(planted: str) -> None:
    run()
    rules = [one for one in check_board.board(by=OPERATOR).rules if one.about == "contacts"]
    assert [rule.name for rule in quality.rules()] == list(BREAKING)
    assert sorted(one.name for one in rules) == sorted(BREAKING)
    shares = [(not one.last.success, one.last.share) for one in rules]
    assert shares == sorted(shares, reverse=True), "those that most rows break come first"
    for one in rules:
        assert one.filter is not None
        wanted = filters.parse_query(one.filter, by=OPERATOR)
        assert one.last.failing == search.count(wanted, by=OPERATOR) == 2, one.name
        holding = filters.parse([f"check.not={one.name}"], by=OPERATOR)
        assert search.count(holding, by=OPERATOR) == 40 + 2 * len(BREAKING) - 2, one.name
        assert search.page(wanted, by=OPERATOR).total == 2, one.name
        assert search.counts([holding, wanted], by=OPERATOR)[1] == 2, one.name
        assert len(search.following(wanted, by=OPERATOR).rows) == 2, one.name
        past = filters.parse([f"check={one.name}", f"as_of={datetime.now(UTC):%Y-%m-%d}"], by=OPERATOR)
        assert search.count(past, by=OPERATOR) == 2


def test_how_full_each_field_is_is_exact(planted: str) -> None:
    run()
    found = {one.field: one for one in check_board.board(by=OPERATOR).completeness}
    total = 40 + 2 * len(BREAKING)
    for name, one in found.items():
        empty = search.count(filters.parse([f"{name}.empty=yes"], by=OPERATOR), by=OPERATOR)
        assert (one.filled, one.contacts) == (total - empty, total), name
    shares = [one.share for one in check_board.board(by=OPERATOR).completeness]
    assert shares == sorted(shares)
    assert {"email", "industry", "tags"} <= set(found)


def test_results_make_a_trend_over_runs(base: str) -> None:
    put({}, {"email": "ben at example.com"})
    first = run()
    with writing(OPERATOR) as session:
        session.execute(Contact.__table__.update().values(email="ann@example.com"))
    second = run()
    [one] = [one for one in check_board.board(by=OPERATOR).rules if one.name == "email_is_an_address"]
    assert [(point.run_id, point.failing, point.success) for point in one.points] == [
        (first, 1, False),
        (second, 0, True),
    ]
    assert one.broken_since is None
    before = {one.name: one for one in check_board.of_run(first, by=OPERATOR).rules}["email_is_an_address"]
    assert before.broken_since == before.last.at
    runs = check_board.page(by=OPERATOR)
    assert [(one.id, one.state, one.contacts, one.broken) for one in runs] == [
        (second, CheckState.DONE, 2, 0),
        (first, CheckState.DONE, 2, 1),
    ]
    assert runs[0].rules == sum(len(rules) for rules in suites.every().values())
    with reading() as session:
        lines = session.scalars(select(AuditLine).where(AuditLine.event == "checks ran").order_by(AuditLine.id)).all()
    assert lines[0].details == {"rules": runs[0].rules, "broken": 1}


def test_people_are_told_of_a_rule_once_until_it_is_mended(base: str) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.MANAGER)
    person(email="nia@example.com", name="Nia", role=Role.MANAGER, column_allowed=("first_name",))
    person(email="al@example.com", name="Al", role=Role.ANALYST)
    put({})
    users.invite(email="cid@example.com", name="Cid", role=Role.ADMIN, by=OPERATOR)  # who has not come yet
    run()
    assert told() == []
    put({"email": "ben at example.com"})
    run()
    run()
    [(user_id, details)] = told()
    assert user_id == ann.id
    assert details == {
        "number": "A rule of data quality is",
        "broken": "- E-mail is an e-mail address: 1 of 2 values breaks this, and none may.\n"
        f"  {settings().address}/contacts?check=email_is_an_address",
    }
    assert text_of(Kind.CHECKS_BROKEN, name="Ann", email="", link=None, details=details)[0] == (
        "A rule of data quality is broken"
    )
    with writing(OPERATOR) as session:
        session.execute(Contact.__table__.update().values(email="ann@example.com"))
    run()
    assert len(told()) == 1
    put({"email": "ben at example.com"})
    run()
    assert len(told()) == 2


def told() -> list[tuple[int, Any]]:
    with reading() as session:
        wanted = select(Mail.user_id, Mail.details).where(Mail.kind == "checks broken").order_by(Mail.id)
        return [(row[0], row[1]) for row in session.execute(wanted)]


def test_industries_that_are_out_of_order_are_named(base: str) -> None:
    with writing(OPERATOR) as session:
        session.execute(
            insert(Industry.__table__),
            [
                {"id": 901, "name": "Oil & Gas", "is_active": True, "merged_into": None},
                {"id": 902, "name": "oil and gas", "is_active": True, "merged_into": None},
                {"id": 903, "name": "OIL/GAS", "is_active": True, "merged_into": None},
                {"id": 904, "name": "12345", "is_active": True, "merged_into": None},
                {"id": 905, "name": " Padded", "is_active": True, "merged_into": None},
                {"id": 906, "name": "Gone", "is_active": False, "merged_into": None},
                {"id": 907, "name": "Merged", "is_active": False, "merged_into": 906},
            ],
        )
    put(*[{"industry_id": number} for number in (901, 902, 903, 904, 905, 906)])
    run()
    rows = {one.name: one.examples for one in check_board.board(by=OPERATOR).rules if one.about == "industries"}
    assert rows == {
        "industry_name_is_clean": [" Padded"],
        "industry_name_has_letters": ["12345"],
        "industry_is_named_once": ["Oil & Gas", "OIL/GAS"],
        "industry_out_of_use_has_no_contacts": ["Gone"],
        "industry_merge_leads_to_one_in_use": ["Merged"],
        "industry_in_use_has_contacts": [],
    }
    assert set(rows) == {rule.name for rule in industry_suite.rules()}


# What makes the one good payment, refund, order, subscription or invoice break a rule.
PAYMENT_FAULTS = {
    "payment_has_razorpays_name": "UPDATE payments SET razorpay_id = 'pay-1'",
    "payment_state_is_known": "UPDATE payments SET state = 'lost'",
    "payment_is_in_rupees": "UPDATE payments SET currency = 'EUR'",
    "payment_amount_is_positive": "UPDATE payments SET amount = 0",
    "payment_fee_is_plausible": "UPDATE payments SET fee = 100, tax = 200",
    "payment_is_not_in_the_future": "UPDATE payments SET paid_at = now() + interval '2 days'",
    "payment_is_of_one_thing": "UPDATE payments SET subscription_id = 1",
    "payment_is_of_its_orders_owner": "UPDATE payments SET user_id = NULL",
    "payment_captured_is_somebodys": "UPDATE payments SET user_id = NULL",
    "payment_order_has_its_amount": "UPDATE payment_orders SET amount = 60000",
    "payment_captured_brought_credits": "UPDATE payments SET credits = NULL",
    "payment_uncaptured_brought_none": "UPDATE payments SET state = 'failed'",
    "payment_refunded_within_amount": "UPDATE payments SET amount_refunded = amount + 1",
    "payment_refunded_has_its_state": "UPDATE payments SET amount_refunded = amount",
    "payment_refunds_add_up": "UPDATE payment_refunds SET amount = 1",
    "payment_credits_within_bought": "UPDATE payments SET credits_spent = 1000",
    "payment_credits_are_in_the_ledger": (
        "INSERT INTO credit_entries (user_id, kind, amount, balance, payment_id) VALUES (1, 'grant', 5, 455, 1)"
    ),
    "refund_state_is_known": "UPDATE payment_refunds SET state = 'lost'",
    "refund_amount_is_within_its_payment": "UPDATE payment_refunds SET amount = 60000",
    "refund_answered_has_razorpays_name": "UPDATE payment_refunds SET razorpay_id = NULL",
    "refund_is_counted_by_its_state": "UPDATE payment_refunds SET counted = false",
    "refund_is_answered_within_a_day":
        "UPDATE payment_refunds SET state = 'asked', refunded_at = now() - interval '2 days'",
    "order_has_razorpays_name": "UPDATE payment_orders SET razorpay_id = 'x'",
    "order_state_is_known": "UPDATE payment_orders SET state = 'lost'",
    "order_has_its_price": "UPDATE payment_orders SET credits = 501",
    "order_paid_has_its_payment": "UPDATE payments SET order_id = NULL",
    "subscription_has_razorpays_name": "UPDATE payment_subscriptions SET razorpay_id = 'x'",
    "subscription_state_is_known": "UPDATE payment_subscriptions SET state = 'lost'",
    "subscription_period_is_in_order": "UPDATE payment_subscriptions SET current_start = current_end",
    "subscription_active_is_charged": "UPDATE payment_subscriptions SET current_end = now() - interval '4 days'",
    "subscription_charges_have_their_payments": "UPDATE payment_subscriptions SET paid_count = 2",
    "invoice_state_is_known": "UPDATE payment_invoices SET state = 'lost'",
    "invoice_amount_is_positive": "UPDATE payment_invoices SET amount = -1",
    "invoice_paid_has_its_payment": "UPDATE payment_invoices SET razorpay_payment_id = 'pay_unknown'",
}  # fmt: skip

GOOD_PAYMENTS = """
INSERT INTO payment_offers (id, kind, code, title, credits, price, place) OVERRIDING SYSTEM VALUE
    VALUES (900, 'pack', 'test-500', '500 credits', 500, 50000, 99);
INSERT INTO payment_orders (id, user_id, offer_id, credits, amount, razorpay_id, state) OVERRIDING SYSTEM VALUE
    VALUES (1, {user}, 900, 500, 50000, 'order_1', 'paid');
INSERT INTO payment_subscriptions (id, user_id, offer_id, razorpay_id, state, told_at, paid_count, current_start,
    current_end) OVERRIDING SYSTEM VALUE
    VALUES (1, {user}, 900, 'sub_1', 'active', now(), 0, now() - interval '1 day', now() + interval '20 days');
INSERT INTO payments (id, razorpay_id, razorpay_order_id, order_id, user_id, state, told_at, amount, currency,
    amount_refunded, fee, tax, paid_at, credits, credits_back, refunded) OVERRIDING SYSTEM VALUE
    VALUES (1, 'pay_1', 'order_1', 1, {user}, 'captured', now(), 50000, 'INR', 5000, 1180, 180, now(), 500, 50, 5000);
INSERT INTO payment_refunds (id, payment_id, razorpay_id, state, amount, refunded_at, counted, credits)
    OVERRIDING SYSTEM VALUE VALUES (1, 1, 'rfnd_1', 'processed', 5000, now(), true, 50);
INSERT INTO payment_invoices (id, razorpay_id, subscription_id, razorpay_payment_id, state, amount)
    OVERRIDING SYSTEM VALUE VALUES (1, 'inv_1', 1, 'pay_1', 'paid', 50000);
INSERT INTO credit_entries (user_id, kind, amount, balance, payment_id, refund_id) VALUES
    ({user}, 'purchase', 500, 500, 1, NULL), ({user}, 'taken back', -50, 450, 1, 1);
"""


def test_each_rule_of_payments_finds_its_fault(base: str) -> None:
    """By the conditions that the expectations ask; one run of the library says the same of them."""
    user = person(email="ann@example.com", name="Ann", role=Role.ADMIN)
    with psycopg.connect(libpq_url(base), autocommit=True) as connection:
        connection.execute(GOOD_PAYMENTS.format(user=user.id).encode())
        assert failing(connection) == set()
        for name in ("pay_1", "order_1"):
            assert [one.id for one in listing.page(Wanted(who=name), by=OPERATOR)[0]] == [1], name
        assert set(PAYMENT_FAULTS) == {rule.name for rule in payment_suite.rules()}
        for name, fault in PAYMENT_FAULTS.items():
            with connection.transaction(force_rollback=True):
                connection.execute(fault.encode())
                assert name in failing(connection), name
        connection.execute(b"UPDATE payments SET currency = 'EUR'; UPDATE payment_orders SET credits = 501")
        wanted = failing(connection)
    run()
    found = [one for one in check_board.board(by=OPERATOR).rules if one.about == "payments"]
    assert {one.name: one.examples for one in found if not one.last.success} == {
        "payment_is_in_rupees": ["pay_1"],
        "order_has_its_price": ["order_1"],
    }
    assert {one.name for one in found if not one.last.success} == wanted


def failing(connection: psycopg.Connection[Any]) -> set[str]:
    found = set()
    for table, rules in payment_suite.suites().items():
        for rule in rules:
            statement = f"SELECT count(*) FROM {table} WHERE NOT coalesce(({rule.given['condition']}), false)"
            row = connection.execute(statement.encode()).fetchone()
            found |= {rule.name} if row and row[0] else set()
    return found


def test_nobody_sees_results_of_what_is_hidden_from_them(planted: str) -> None:
    run()
    board = check_board.board(by=NARROW)
    assert {one.field for one in board.rules} == {"first_name", "email"}
    assert [one.field for one in board.completeness] == sorted(
        (one.field for one in board.completeness), key=lambda name: {o.field: o.share for o in board.completeness}[name]
    )
    assert {one.field for one in board.completeness} == {"first_name", "email"}
    assert board.run is not None
    assert (board.run.rules, board.run.broken) == (len(board.rules), len(board.broken))
    assert check_board.newest(by=NARROW) == board.run
    assert (board.run.industries, board.run.payments) == (None, None)
    for asked, reason in (
        ("check=title_is_not_too_long", "You may not see the column Title"),
        ("check=row_has_name_email_or_company", "looks into columns hidden from you"),
    ):
        with pytest.raises(NotAllowed, match=reason):
            filters.parse_query(asked, by=NARROW)
        with pytest.raises(NotAllowed, match=reason):
            search.count(filters.parse_query(asked, by=OPERATOR), by=NARROW)
    manager = Actor(10, "Max", Role.MANAGER)
    assert {one.about for one in check_board.board(by=manager).rules} == {"contacts", "industries"}


def test_only_who_may_runs_and_switches(base: str) -> None:
    with pytest.raises(NotAllowed, match="You may not run data checks"):
        check_runs.ask(by=ANALYST)
    with pytest.raises(NotAllowed, match="You may not change settings"):
        check_switches.switch("email_is_an_address", True, by=NARROW)
    with pytest.raises(NotFound, match="There is no rule “payment_is_in_rupees” for contacts"):
        check_switches.switch("payment_is_in_rupees", True, by=OPERATOR)
    with pytest.raises(NotFound, match=r"no rule “email_is_adress” for contacts\. Did you mean email_is_an_address\?"):
        check_switches.switch("email_is_adress", True, by=OPERATOR)
    checked()
    with pytest.raises(NotFound, match="“payment_is_in_rupees” is a rule for payments"):
        check_switches.switch("payment_is_in_rupees", True, by=OPERATOR)


def test_one_run_at_a_time_and_what_fails_says_why(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = check_runs.ask(by=OPERATOR)
    assert check_runs.ask(by=OPERATOR) == number

    def broken(*_: object) -> None:
        raise Unavailable("The data checks did not finish.")

    with monkeypatch.context() as patched:
        patched.setattr("data_checks.gate.Gate.check_everything", broken)
        with pytest.raises(Unavailable):
            validate_contacts.run(number)
    failed = check_board.get(number, by=OPERATOR)
    assert (failed.state, failed.error) == (CheckState.FAILED, "The data checks did not finish.")
    assert check_board.get(number, by=ANALYST).error == check_board.UNTOLD
    assert not validate_contacts.run(number), "what ended is not done again"
    assert run() != number


def test_one_whose_process_died_is_begun_again(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put({})
    number = check_runs.ask(by=OPERATOR)
    assert check_runs.waiting(longer_than=timedelta(minutes=1)) == [], "its flow may come yet"
    with check_runs.claimed() as mine:
        assert mine
        assert check_runs.begin(number) == OPERATOR
        assert check_runs.waiting(longer_than=timedelta(0)) == [], "a process is at it"
    assert check_runs.waiting(longer_than=timedelta(0)) == [number]
    monkeypatch.setattr(sweep, "PATIENCE", timedelta(0))
    sweep.check_what_was_asked_for()
    assert check_board.get(number, by=OPERATOR).state is CheckState.DONE
    assert check_runs.waiting(longer_than=timedelta(0)) == []


def test_old_runs_go_and_the_last_stays(base: str) -> None:
    first, last = run(), run()
    with psycopg.connect(libpq_url(base), autocommit=True) as connection:
        connection.execute("UPDATE check_runs SET finished_at = finished_at - interval '800 days'")
    check_runs.clear_past(older_than_days=730)
    assert [one.id for one in check_board.page(by=OPERATOR)] == [last]
    with reading() as session:
        assert {row.run_id for row in session.scalars(select(check_results.CheckResult))} == {last}
    assert first < last


def test_home_is_where_a_checker_listens(base: str, home: Path) -> None:
    put({})
    said: list[str] = []
    verdicts = validate_contacts.check(by=OPERATOR, home=home, say=said.append)
    assert all(one.success for one in verdicts if one.about == "contacts")
    assert said == list(check_runs.STEPS.values())


def test_by_schedule_it_is_a_run_of_its_own(base: str) -> None:
    put({})
    flow_schedules.write(schedule.entries())
    assert carry_out(validate_contacts.FLOW, validate_contacts.check_due, scheduled=True)
    [run] = check_board.page(by=OPERATOR)
    assert (run.state, run.asked_by, run.contacts) == (CheckState.DONE, None, 1)
    [noted] = flow_runs.page(by=OPERATOR)
    assert (noted.flow, noted.counts["contacts"], noted.counts["broken"]) == ("validate-contacts", 1, 0)
