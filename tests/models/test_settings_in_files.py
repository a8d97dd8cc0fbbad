"""Secrets in files, as Docker and systemd hand them over."""

from pathlib import Path

import pytest

from models import secret_files, settings
from models.errors import InvalidInput

SECRETS = sorted(
    settings.variable(name) for name, field in settings.Settings.model_fields.items() if secret_files.is_secret(field)
)
DATABASE = "postgresql://app:geheim@localhost/contacts"
VALUES = {
    "DATABASE_URL": DATABASE, "DATABASE_REPLICA_URL": DATABASE, "APPOINTMENT360_PREFECT_AUTH": "app:geheim",
    "APPOINTMENT360_SENTRY_DSN": "https://geheim@sentry.example.com/1",
}  # fmt: skip


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are read once per process; here, anew at each call."""
    monkeypatch.setattr(settings, "settings", settings.settings.__wrapped__)


def value_of(variable: str) -> str:
    [name] = [name for name in settings.Settings.model_fields if settings.variable(name) == variable]
    return getattr(settings.settings(), name).get_secret_value()


def test_the_secrets_are_known() -> None:
    """A password that were a plain text would be shown, and could not be handed over in a file."""
    assert len(SECRETS) >= 9
    named = ("password", "secret", "token", "auth", "database_url")
    told = {settings.variable(name) for name in settings.Settings.model_fields if name.endswith(named)}
    assert told <= set(SECRETS)


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, end: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes((VALUES.get(variable, " geheim ") + end).encode())
    monkeypatch.setenv(f"{variable}_FILE", str(file))
    assert value_of(variable) == VALUES.get(variable, " geheim ")


@pytest.mark.parametrize("variable", SECRETS)
def test_the_value_and_its_file_are_one_too_many(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    (tmp_path / "secret").write_text("geheim")
    monkeypatch.setenv(variable, VALUES.get(variable, "geheim"))
    monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / "secret"))
    with pytest.raises(InvalidInput, match=f"{variable} is not right: {variable}_FILE is set, too") as refused:
        settings.settings()
    assert "geheim" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, content, why in (
        ("missing", None, "cannot be read: No such file or directory"),
        ("empty", b"\n", "is empty"),
        ("picture", b"\x89PNG\xff", "is no text"),
        ("large", b"x" * 100_000, "is too large for a secret"),
    ):
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        monkeypatch.setenv("APPOINTMENT360_METRICS_TOKEN_FILE", str(file))
        told = f"the file {file} that APPOINTMENT360_METRICS_TOKEN_FILE names {why}"
        with pytest.raises(InvalidInput) as refused:
            settings.settings()
        assert f"APPOINTMENT360_METRICS_TOKEN is not right: {told}." in refused.value.sentence


def test_what_a_file_holds_is_checked_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("geheim\n")
    monkeypatch.setenv("APPOINTMENT360_PREFECT_AUTH_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("APPOINTMENT360_SENTRY_DSN_FILE", str(tmp_path / "secret"))
    with pytest.raises(InvalidInput, match="APPOINTMENT360_PREFECT_AUTH is not right: give user:password") as refused:
        settings.settings()
    for name in ("DATABASE_URL", "APPOINTMENT360_SENTRY_DSN"):
        assert f"{name} is not right: write it as" in refused.value.sentence
    assert "geheim" not in str(refused.value)


def test_only_a_secret_has_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("9000")
    monkeypatch.setenv("APPOINTMENT360_PORT_FILE", str(tmp_path / "port"))
    monkeypatch.setenv("APPOINTMENT360_METRICS_TOKEN_FILE", str(tmp_path / "port"))
    assert settings.settings().port == 8360
    [told] = [one for one in settings.unknown() if "FILE" in one]
    assert told.startswith("APPOINTMENT360_PORT_FILE is no setting")


def test_a_process_that_is_started_gets_one_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(VALUES["DATABASE_URL"])
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "secret"))
    given = settings.environment(DATABASE_URL="postgresql://other:geheim@localhost/contacts")
    assert "DATABASE_URL_FILE" not in given
    assert given["DATABASE_URL"] == "postgresql://other:geheim@localhost/contacts"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return tmp_path


def test_credentials_of_systemd_need_no_variable(credentials: Path) -> None:
    (credentials / "appointment360_database_url").write_text(f"{VALUES['DATABASE_URL']}\n")
    (credentials / "appointment360_backup_key").write_text("AGE-SECRET-KEY-1")
    assert value_of("DATABASE_URL") == VALUES["DATABASE_URL"]
    assert settings.settings().backup_key == credentials / "appointment360_backup_key"
    assert settings.settings().metrics_token is None


def test_what_the_environment_says_counts_more_than_a_credential(
    monkeypatch: pytest.MonkeyPatch, credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in ("metrics_token", "smtp_password", "backup_key"):
        (credentials / f"appointment360_{name}").write_text("of the credential")
    other = tmp_path_factory.mktemp("other") / "file"
    other.write_text("of the file")
    monkeypatch.setenv("APPOINTMENT360_METRICS_TOKEN", "of the environment")
    monkeypatch.setenv("APPOINTMENT360_SMTP_PASSWORD_FILE", str(other))
    monkeypatch.setenv("APPOINTMENT360_BACKUP_KEY", str(other))
    assert value_of("APPOINTMENT360_METRICS_TOKEN") == "of the environment"
    assert value_of("APPOINTMENT360_SMTP_PASSWORD") == "of the file"
    assert settings.settings().backup_key == other


def test_a_credential_that_is_no_secret_is_named(credentials: Path) -> None:
    (credentials / "appointment360_metrics_token").write_text("")
    with pytest.raises(InvalidInput, match="systemd's credential appointment360_metrics_token is empty"):
        settings.settings()
