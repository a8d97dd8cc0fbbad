import re
import subprocess
import sys
from pathlib import Path

import pytest

from data_checks import contact_suite, quick_import
from models.check_results import Verdict
from models.contacts import emails, quality, values
from models.contacts.quality import EMAIL, PHONE, rules
from models.contacts.table import FIELDS
from models.fields import Kind

HEAVY = ("great_expectations", "pandas", "scipy", "altair")


@pytest.mark.parametrize(
    "module", ["gate", "checker", "contact_suite", "industry_suite", "payment_suite", "suites", "quick_import"]
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    ask = f"import sys, data_checks.{module}; print([name for name in {HEAVY} if name in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", ask], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[]"


def test_what_a_check_never_touches_is_left_for_later() -> None:
    """Whoever asks every loaded module for its file, as inspect.getmodule does, loads the deferred ones after all."""
    inside = ("altair.vegalite", "boto3.session", "scipy.stats._stats_py")
    load = "from data_checks import quick_import; quick_import.load_checks()"
    ask = f"import sys; {load}; print([name for name in {(*quick_import.DEFERRED, *inside)} if name in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", ask], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str(list(quick_import.DEFERRED))


def test_names_are_stored_and_so_never_change() -> None:
    assert [rule.name for rule in rules()] == [
        "row_has_name_email_or_company",
        "first_name_is_not_too_long",
        "last_name_is_not_too_long",
        "title_is_not_too_long",
        "seniority_is_a_known_value",
        "email_is_an_address",
        "email_is_not_too_long",
        "email_status_is_a_known_value",
        "primary_email_catch_all_status_is_a_known_value",
        "work_direct_phone_looks_like_a_phone",
        "home_phone_looks_like_a_phone",
        "mobile_phone_looks_like_a_phone",
        "corporate_phone_looks_like_a_phone",
        "other_phone_looks_like_a_phone",
        "company_is_not_too_long",
        "employees_is_plausible",
        "website_is_a_web_address",
        "annual_revenue_is_plausible",
        "total_funding_is_plausible",
        "latest_funding_amount_is_plausible",
        "last_raised_at_is_not_in_the_future",
        "company_phone_looks_like_a_phone",
        "person_linkedin_url_is_on_its_site",
        "company_linkedin_url_is_on_its_site",
        "facebook_url_is_on_its_site",
        "twitter_url_is_on_its_site",
        "status_is_a_known_value",
        "contact_id_is_unique",
    ]


def test_every_field_with_a_form_of_its_own_has_a_rule() -> None:
    formed = {Kind.EMAIL, Kind.PHONE, Kind.URL, Kind.CHOICE, Kind.WHOLE, Kind.MONEY, Kind.DATE}
    ruled = {rule.field for rule in rules()}
    assert {name for name, field in FIELDS.items() if field.kind in formed} <= ruled


def test_a_rule_speaks_in_the_words_of_the_declaration() -> None:
    sentences = {rule.name: rule.sentence for rule in rules()}
    assert sentences["email_is_an_address"] == "E-mail is an e-mail address."
    assert sentences["employees_is_plausible"] == "Employees is between 0 and 5,000,000."
    assert sentences["twitter_url_is_on_its_site"] == "Twitter Url leads to twitter.com or x.com."


def test_the_row_rule_is_about_the_columns_that_are_there() -> None:
    somebody = quality.rules()[0]
    kept = somebody.on({"email", "company", "line"})
    assert kept is not None
    assert kept.columns == ("email", "company")
    assert somebody.on({"line"}) is None


@pytest.mark.parametrize("address", ["ann@example.com", "ann@io", '"ann smith"@example.com', "ann@müller.de"])
def test_what_imports_accept_as_an_address_passes(address: str) -> None:
    assert emails.problem(address) is None
    assert re.search(EMAIL, address)


@pytest.mark.parametrize("address", ["ann", "ann@", "@example.com", "ann@gmail", "a b@example.com", "ann@example."])
def test_what_imports_refuse_as_an_address_fails(address: str) -> None:
    assert emails.problem(address) is not None
    assert not re.search(EMAIL, address)


@pytest.mark.parametrize("text", ["+44 20 7946 0958", "(555) 010-0199 x12", "0351/4567-0 Ext. 5", "555.010.0199, #7"])
def test_what_imports_accept_as_a_phone_passes(text: str) -> None:
    phone = values.phone(text)
    assert phone is not None
    assert re.search(PHONE, phone)


def test_a_value_that_breaks_a_rule_in_many_rows_is_said_once() -> None:
    details = {"sentence": "Status is known.", "tolerance": 1.0, "blocks": True, "examples": ["Guru", "Guru", "Hm"]}
    [found] = contact_suite.broken([Verdict("status_is_known", "status", False, 100, 40, details)])
    assert found.details["examples"] == [["Guru", None], ["Hm", None]]


def test_the_library_says_nothing_of_its_own_doings() -> None:
    """Where a process logs: it gives some of its loggers a level of their own."""
    load = "from data_checks import quick_import; quick_import.load_checks()"
    ask = f"{load}; from models import logs; logs.begin('checker'); import data_checks.run as it; it.get_ready()"
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
