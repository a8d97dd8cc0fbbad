"""The rules on real tables, by the real library: asked through the warm checker, so that it loads once."""

import threading
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data_checks.gate import Gate
from deploy.embedded_postgres import Server
from models.check_results import Verdict
from models.contacts.quality import rules
from models.errors import AppError, NotFound, Unavailable
from tests.data_checks import staged

TOMORROW = date.today() + timedelta(days=2)  # the server's day may be one ahead
NOBODY = dict.fromkeys(("first_name", "last_name", "email", "company"))
BREAKING: dict[str, dict[str, Any]] = {
    "row_has_name_email_or_company": NOBODY,
    "first_name_is_not_too_long": {"first_name": "A" * 101},
    "last_name_is_not_too_long": {"last_name": "A" * 101},
    "title_is_not_too_long": {"title": "A" * 301},
    "seniority_is_a_known_value": {"seniority": "Grand Poobah"},
    "email_is_an_address": {"email": "ann at example.com"},
    "email_is_not_too_long": {"email": "a" * 243 + "@example.com"},
    "email_status_is_a_known_value": {"email_status": "maybe"},
    "primary_email_catch_all_status_is_a_known_value": {"primary_email_catch_all_status": "maybe"},
    "work_direct_phone_looks_like_a_phone": {"work_direct_phone": "call me"},
    "home_phone_looks_like_a_phone": {"home_phone": "'+44 20 7946 0958"},
    "mobile_phone_looks_like_a_phone": {"mobile_phone": "+44 20 7946 0958 (mobile)"},
    "corporate_phone_looks_like_a_phone": {"corporate_phone": "ask@example.com"},
    "other_phone_looks_like_a_phone": {"other_phone": "=1+2"},
    "company_is_not_too_long": {"company": "A" * 301},
    "employees_is_plausible": {"employees": -1},
    "website_is_a_web_address": {"website": "www.example.com"},
    "annual_revenue_is_plausible": {"annual_revenue": Decimal("-5.00")},
    "total_funding_is_plausible": {"total_funding": Decimal("1000000000000.01")},
    "latest_funding_amount_is_plausible": {"latest_funding_amount": Decimal("-0.01")},
    "last_raised_at_is_not_in_the_future": {"last_raised_at": TOMORROW},
    "company_phone_looks_like_a_phone": {"company_phone": "0049;30"},
    "person_linkedin_url_is_on_its_site": {"person_linkedin_url": "https://notlinkedin.com/in/ann"},
    "company_linkedin_url_is_on_its_site": {"company_linkedin_url": "https://www.linkedin.com.example.org/acme"},
    "facebook_url_is_on_its_site": {"facebook_url": "ftp://facebook.com/acme"},
    "twitter_url_is_on_its_site": {"twitter_url": "https://example.com/ann"},
    "status_is_a_known_value": {"status": "gone"},
    "contact_id_is_unique": {"contact_id": "same"},
}
GOOD_ROWS = 40


@pytest.fixture(scope="module")
def checked(postgres: Server) -> str:
    """The URL of a database for staging tables."""
    postgres.ensure_database("checked")
    return postgres.url("checked")


@pytest.fixture(scope="module")
def verdicts(checked: str, warm: Path) -> dict[str, Verdict]:
    """Of forty good rows, one row per rule that breaks that rule alone, and a second with the same external id."""
    rows = [staged.GOOD | broken for broken in BREAKING.values()]
    staged.make(checked, "import_1", [staged.GOOD] * GOOD_ROWS + rows + [staged.GOOD | {"contact_id": "same"}])
    with Gate(warm) as gate:
        return {one.name: one for one in gate.check(checked, "import_1", "staging")}


def test_each_rule_says_something_in_their_order(verdicts: dict[str, Verdict]) -> None:
    assert list(verdicts) == [rule.name for rule in rules()] == list(BREAKING)


@pytest.mark.parametrize("name", BREAKING)
def test_each_rule_finds_exactly_the_row_that_breaks_it(name: str, verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts[name]
    assert verdict.failing == (2 if name == "contact_id_is_unique" else 1)
    assert verdict.details is not None
    value = "" if verdict.field is None else str(BREAKING[name][verdict.field])
    shown = value if len(value) <= 200 else value[:200] + "…"
    assert set(verdict.details["examples"]) == ({shown} if shown else set())


@pytest.mark.parametrize("name", BREAKING)
def test_success_is_what_the_tolerance_says(name: str, verdicts: dict[str, Verdict]) -> None:
    verdict, tolerance = verdicts[name], {rule.name: rule.tolerance for rule in rules()}[name]
    assert verdict.success == (1 - verdict.failing / verdict.checked >= tolerance)


def test_empty_values_are_counted_and_not_checked(verdicts: dict[str, Verdict]) -> None:
    rows = GOOD_ROWS + len(BREAKING) + 1
    email, somebody = verdicts["email_is_an_address"], verdicts["row_has_name_email_or_company"]
    assert email.details is not None
    assert (email.checked, email.details["rows"], email.details["empty"]) == (rows - 1, rows, 1)
    assert (somebody.checked, somebody.field) == (rows, None)
    assert verdicts["home_phone_looks_like_a_phone"].checked == 1


def test_an_empty_table_breaks_no_rule(checked: str, warm: Path) -> None:
    staged.make(checked, "import_2", [])
    with Gate(warm) as gate:
        found = gate.check(checked, "import_2", "staging")
    assert len(found) == len(rules())
    assert all(one.success and (one.checked, one.failing) == (0, 0) for one in found)


def test_rules_for_absent_columns_say_nothing(checked: str, warm: Path) -> None:
    staged.make(
        checked,
        "import_3",
        [{"company": "Acme"}, {"title": "CEO"}],
        without=("email", "first_name", "website", "contact_id"),
    )
    with Gate(warm) as gate:
        found = {one.name: one for one in gate.check(checked, "import_3", "staging")}
    absent = {rule.name for rule in rules() if rule.field in ("email", "first_name", "website", "contact_id")}
    assert set(found) == {rule.name for rule in rules()} - absent
    assert found["row_has_name_email_or_company"].failing == 1


def test_a_missing_table_and_a_missing_database_are_sentences(checked: str, warm: Path) -> None:
    with Gate(warm) as gate, pytest.raises(NotFound, match=r"^There is no table staging\.import_99 to check\.$"):
        gate.check(checked, "import_99", "staging")
    elsewhere = checked.rpartition("/")[0] + "/nowhere"
    with Gate(warm) as gate, pytest.raises(Unavailable, match=r'staging\.import_1: .*"nowhere" does not exist'):
        gate.check(elsewhere, "import_1", "staging")


def test_a_column_of_another_type_is_a_sentence_that_names_the_rule(checked: str, warm: Path) -> None:
    with psycopg.connect(checked.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE staging.odd (company text, email bigint)")
        connection.execute("INSERT INTO staging.odd VALUES ('Acme', 5)")
    with Gate(warm) as gate, pytest.raises(AppError, match=r"could not run: .*operator does not exist"):
        gate.check(checked, "odd", "staging")


def test_a_password_with_a_dollar_sign_is_no_variable(checked: str, warm: Path) -> None:
    staged.make(checked, "import_4", [staged.GOOD])
    with psycopg.connect(checked.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE dollars SUPERUSER LOGIN PASSWORD 'in$HOME'")
    place = checked.rpartition("@")[2]
    with Gate(warm) as gate:
        found = gate.check(f"postgresql://dollars:in$HOME@{place}", "import_4", "staging")
    assert all(one.success for one in found)


def test_checks_run_side_by_side(checked: str, warm: Path) -> None:
    for number in (5, 6):
        staged.make(checked, f"import_{number}", [staged.GOOD | {"employees": -number}] * number)
    found: dict[int, int] = {}

    def check(number: int) -> None:
        with Gate(warm) as gate:
            of = {one.name: one for one in gate.check(checked, f"import_{number}", "staging")}
            found[number] = of["employees_is_plausible"].failing

    threads = [threading.Thread(target=check, args=[number]) for number in (5, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {5: 5, 6: 6}
