import logging
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from models import settings
from models.errors import InvalidInput


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are read once per process; here, anew at each call."""
    monkeypatch.setattr(settings, "settings", settings.settings.__wrapped__)


def test_the_home_is_chosen_by_the_environment_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_HOME", "~/chosen")
    assert settings.home() == Path.home() / "chosen"
    monkeypatch.delenv("APPOINTMENT360_HOME")
    assert settings.home().name == "appointment360"
    assert settings.home().is_absolute()


def test_memory_is_given_with_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_DUCKDB_MEMORY", "1.5GB")
    assert settings.settings().duckdb_memory == 1_500_000_000
    monkeypatch.setenv("APPOINTMENT360_DUCKDB_MEMORY", "plenty")
    with pytest.raises(InvalidInput, match="APPOINTMENT360_DUCKDB_MEMORY is “plenty”: give a size, such as 400MB"):
        settings.settings()


def test_people_reach_the_web_where_it_says_or_on_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_PORT", "9000")
    assert settings.settings().address == "http://127.0.0.1:9000"
    monkeypatch.setenv("APPOINTMENT360_PUBLIC_URL", "https://contacts.example.com/")
    assert settings.settings().address == "https://contacts.example.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APPOINTMENT360_PORT", "99999"), ("APPOINTMENT360_SMTP_SECURITY", "some"), ("APPOINTMENT360_SMTP_PORT", "0"),
        ("APPOINTMENT360_PUBLIC_URL", "contacts.example.com"), ("APPOINTMENT360_MAIL_FROM", "nobody"),
        ("APPOINTMENT360_STATIC_URL", "https://cdn.example.com; img-src data:"), ("APPOINTMENT360_STATIC_URL", "cdn"),
        ("APPOINTMENT360_RAZORPAY_URL", "razorpay"),
        ("APPOINTMENT360_RAZORPAY_WEBHOOK_SECRET_CHANGED_AT", "2026-11-01T10:00"),  # of which time zone?
        ("APPOINTMENT360_SCHEDULE_TIME_ZONE", "Berlin"), ("APPOINTMENT360_SCHEDULE_BACK_UP", "noon"),
        ("APPOINTMENT360_ENVIRONMENT", "staging"), ("APPOINTMENT360_PREFECT_URL", "prefect:4200"),
        ("APPOINTMENT360_STAY_DAYS", "0"), ("APPOINTMENT360_SESSION_HOURS", "-1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput, match=f"{name} is “{value}”") as refused:
        settings.settings()
    assert "Value error" not in refused.value.sentence
    assert ".." not in refused.value.sentence


def test_a_mistyped_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_SCHEDULE_BACKUP", "off")
    monkeypatch.setenv("APPOINTMENT360_PORT", "1")
    [told] = [one for one in settings.unknown() if "SCHEDULE" in one or "PORT" in one]
    assert told == ("APPOINTMENT360_SCHEDULE_BACKUP is no setting: did you mean APPOINTMENT360_SCHEDULE_BACK_UP?")


def test_a_name_that_is_like_no_other_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APPOINTMENT360_TYPO", "APPOINTMENT360_WORKERS"):
        monkeypatch.setenv(name, "1")
        assert f"{name} is no setting." in settings.unknown()
    monkeypatch.setenv("APPOINTMENT360_DATABASE_URL", "1")
    assert "APPOINTMENT360_DATABASE_URL is no setting: did you mean DATABASE_URL?" in settings.unknown()


def test_all_that_mean_nothing_are_named_in_words_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"str", "Path"}
    names = [
        name for name, field in settings.Settings.model_fields.items()
        if not free & {getattr(one, "__name__", "") for one in (field.annotation, *get_args(field.annotation))}
    ]  # fmt: skip
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "")
    for name in names:
        monkeypatch.setenv(settings.variable(name), "§")
    faults = {fault.variable: fault for fault in settings.unreadable()}
    plain = {name for name in names if settings.Settings.model_fields[name].annotation == SecretStr | None}
    assert faults.keys() >= {settings.variable(name) for name in names} - {settings.variable(name) for name in plain}
    assert len(faults) > 40
    lacking = [fault for fault in faults.values() if not re.match(r"give |write it as ", fault.way_out)]
    assert lacking == []
    with pytest.raises(InvalidInput) as refused:
        settings.settings()
    first, *lines = refused.value.sentence.splitlines()
    assert first == "The environment has settings that mean nothing:"
    assert lines == [f"- {fault.sentence}" for fault in faults.values()]


@pytest.mark.parametrize(
    ("name", "value", "way_out"),
    [
        ("stay_days", "0", "give more than 0"), ("port", "99999", "give less than 65536"),
        ("days_kept_audit", "3", "give at least 30"), ("port", "8360.5", "give a whole number"),
        ("files_presigned", "maybe", "give true or false"), ("environment", "x", "give development or production"),
        ("max_upload", "5XB", "give a size, such as 400MB or 10GB"),
        ("razorpay_webhook_secret_changed_at", "2026-11-01T10:00", "give its time zone, too"),
    ],
)  # fmt: skip
def test_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, way_out: str) -> None:
    monkeypatch.setenv(settings.variable(name), value)
    [fault] = settings.unreadable()
    assert fault.way_out.startswith(way_out)


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_SMTP_PASSWORD", "geheim")
    assert "geheim" not in repr(settings.settings())


@pytest.mark.parametrize("value", ["geheim", "geheim:", ":geheim"])
def test_a_secret_that_cannot_be_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("APPOINTMENT360_PREFECT_AUTH", value)
    with pytest.raises(InvalidInput, match="APPOINTMENT360_PREFECT_AUTH is not right: give user:password") as refused:
        settings.settings()
    assert "geheim" not in str(refused.value)


def test_whose_word_is_taken_for_an_address_is_named_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/24")
    assert settings.settings().trusted_proxies == "127.0.0.1,10.0.0.0/24"
    for wrong in ("*", "nginx", "10.0.0.5/24"):
        monkeypatch.setenv("APPOINTMENT360_TRUSTED_PROXIES", wrong)
        with pytest.raises(InvalidInput, match="is no address or network"):
            settings.settings()


def test_what_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass variables on that nobody gave."""
    monkeypatch.setenv("APPOINTMENT360_SMTP_HOST", "")
    monkeypatch.setenv("DATABASE_URL", "")
    assert settings.settings().smtp_host is None
    assert settings.settings().database_url is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:geheim%zz@localhost/contacts", "postgresql://app:gehe/im@localhost/contacts",
        "postgresql://app:localhost:geheim/contacts", "mysql://app:geheim@localhost/contacts", "geheim",
        "postgresql://app:geheim@localhost", "postgresql://app@localhost:geheim/contacts",
    ],
)  # fmt: skip
def test_an_address_of_a_database_that_is_none_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(InvalidInput, match="DATABASE_URL is not right: write it as postgresql://") as refused:
        settings.settings()
    logging.getLogger("tests").error("it failed", exc_info=refused.value)
    assert "it failed" in caplog.text
    assert [part for part in ("geheim", "gehe/im") if part in caplog.text] == []


@pytest.mark.parametrize("url", ["postgresql://app:x@h:5433/d", "postgres:///d", "postgresql+psycopg://a:%40@h/d"])
def test_an_address_of_a_database_is_taken_in_each_spelling(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    found = settings.settings().database_url
    assert found is not None
    assert found.get_secret_value() == url
