"""`appointment360 settings` and `secrets`, and that production does not start with what is weak."""

import json
import os
import subprocess
from pathlib import Path

import pyrage
import pytest

from models import second_factors
from models.database import libpq_url
from models.permissions import Role
from models.settings import PREFIX
from pipelines import backup_key
from tests import people
from tests.deploy.command_line import Cli, Ended, on_a_terminal, without_colours

STRONG = "0b7f3c1d9a52e6480b7f3c1d"


@pytest.fixture
def bare(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Without a database, and without settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return Cli("", open_folder / "home")


def with_settings(cli: Cli, **given: str) -> Cli:
    return Cli(cli.url, cli.home, {**cli.more, **{f"{PREFIX}{name.upper()}": value for name, value in given.items()}})


def test_secrets_are_lines_for_an_env_file(bare: Cli) -> None:
    made = bare("secrets", "new", "--database", "postgresql://app@db.example.com/contacts?sslmode=verify-full")
    values = dict(line.split("=", 1) for line in made.out.splitlines())
    assert list(values) == [
        "POSTGRES_PASSWORD", "DATABASE_URL", f"{PREFIX}PREFECT_AUTH", f"{PREFIX}METRICS_TOKEN",
        f"{PREFIX}SECRET_KEY", f"{PREFIX}ADMIN_PASSWORD",
    ]  # fmt: skip
    password = values["POSTGRES_PASSWORD"]
    assert values["DATABASE_URL"] == f"postgresql://app:{password}@db.example.com/contacts?sslmode=verify-full"
    assert "appointment360 backup key new FILE" in made.err
    assert "POSTGRES_PASSWORD is no setting: give it to the role of DATABASE_URL" in made.err
    again = bare("secrets", "new", "--json").object
    assert set(again.values()).isdisjoint(values.values())


def test_an_address_that_has_a_password_is_refused_and_not_quoted(bare: Cli) -> None:
    for url in ("postgresql://app:geheim@localhost/contacts", "mysql://localhost/geheim", "geheim"):
        refused = bare("secrets", "new", "--database", url)
        assert (refused.code, refused.out) == (1, "")
        assert "without a password: one is made" in refused.err
        assert "geheim" not in refused.err


def test_secrets_are_files_that_are_never_overwritten(bare: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = bare("secrets", "new", "--into", folder)
    assert made.code == 0
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [
        "admin_password", "backup_key", "database_password", "database_url", "metrics_token", "prefect_auth",
        "secret_key",
    ]  # fmt: skip
    assert {file.stat().st_mode & 0o777 for file in (folder, *files)} == {0o700, 0o600}
    before = {file.name: file.read_text() for file in files}
    assert [content for content in before.values() if content.strip() in made.out + made.err] == []
    assert pyrage.x25519.Identity.from_str(before["backup_key"].splitlines()[1])
    assert backup_key.read(folder / "backup_key").name in before["backup_key"]
    (folder / "metrics_token").unlink()
    (folder / "database_url").unlink()
    again = bare("secrets", "new", "--into", folder, "--json").object
    assert again["made"] == ["database_url", "metrics_token"]
    after = {file.name: file.read_text() for file in folder.iterdir()}
    assert after.pop("metrics_token") != before.pop("metrics_token")
    assert after == before  # the address, too: it has the password that was kept
    (folder / "admin_password").unlink()
    assert bare("secrets", "new", "--into", folder, "--no-admin", "--json").object["made"] == []


def test_what_others_can_read_is_told(bare: Cli, open_folder: Path) -> None:
    """Also where it was made before: nothing is overwritten."""
    folder = open_folder / "secrets"
    assert bare("secrets", "new", "--into", folder, "--json").object["exposed"] == []
    key = folder / "secret_key"
    given = with_settings(bare, secret_key_file=str(key), backup_key=str(folder / "backup_key"))

    def exposed() -> list[str]:
        found = given("settings", "check", "--json").object["faults"]
        return [one["setting"] for one in found if "can read" in one["wrong"]]

    key.chmod(0o444)  # within a folder that nobody else may enter
    assert exposed() == bare("secrets", "new", "--into", folder, "--json").object["exposed"] == []
    folder.chmod(0o755)
    (folder / "backup_key").chmod(0o644)
    assert exposed() == ["APPOINTMENT360_SECRET_KEY_FILE", "APPOINTMENT360_BACKUP_KEY"]
    checked = given("settings", "check")
    assert (
        f"- APPOINTMENT360_SECRET_KEY_FILE names {key}, which other system users of this machine can read: "
        f"chmod 600 {key}." in checked.out.splitlines()
    )
    again = bare("secrets", "new", "--into", folder)
    assert again.code == 0
    for path, mode in ((folder, 700), (key, 600), (folder / "backup_key", 600)):
        assert f"can read {path}: chmod {mode} {path}." in again.err


def test_the_password_follows_an_address_that_is_kept(bare: Cli, tmp_path: Path) -> None:
    (tmp_path / "database_url").write_text(f"postgresql://app:{STRONG}@db/contacts\n")
    assert bare("secrets", "new", "--into", tmp_path).code == 0
    assert (tmp_path / "database_password").read_text() == f"{STRONG}\n"
    assert (tmp_path / "database_url").read_text() == f"postgresql://app:{STRONG}@db/contacts\n"


def test_production_starts_with_what_was_made(bare: Cli, tmp_path: Path) -> None:
    """The lines are read as a shell, systemd or compose reads them."""
    made = bare("secrets", "new", "--into", tmp_path / "secrets")
    named = dict(line.split("=", 1) for line in made.out.splitlines())
    given = {
        "environment": "production", "public_url": "https://contacts.test", "trusted_proxies": "127.0.0.1",
        "admin_email": "ann@contacts.test", "prefect_url": "http://127.0.0.1:4200", "smtp_host": "localhost",
    }  # fmt: skip
    environment = {**with_settings(bare, **given).environment, **named}
    del environment["DATABASE_URL"]
    checked = subprocess.run(
        ["appointment360", "settings", "check", "--json"], env=environment, capture_output=True, text=True
    )
    told = json.loads(checked.stdout)
    assert [fault["setting"] for fault in told["faults"]] == ["DATABASE_URL"]  # nobody made the role's password so
    assert told["losses"] == []


def test_a_check_asks_the_databases(bare: Cli, db: str) -> None:
    given = with_settings(bare, public_url="https://contacts.test", admin_email="ann@contacts.test")
    for url, code in ((libpq_url(db), 0), (f"{libpq_url(db)}_geheim", 1)):
        checked = Cli(url, given.home, given.more)("settings", "check", "--up")
        assert checked.code == code
        assert ("- DATABASE_URL names a database that is not there: make it (createdb)." in checked.out) == bool(code)
        assert "geheim" not in checked.out + checked.err


def test_what_cannot_be_read_hides_nothing_else(bare: Cli) -> None:
    weak = with_settings(
        bare, environment="staging", port="many", prefect_auth="geheim", metrics_token="geheim", typo="1",
        admin_password="gehe-im", public_url="http://contacts.test",
    )  # fmt: skip
    checked = weak("settings", "check", "--up")
    assert checked.code == 1
    *faults, verdict = checked.out.splitlines()
    assert [line.split()[1].removeprefix(PREFIX) for line in faults] == [
        "ENVIRONMENT", "PORT", "PREFECT_AUTH", "ADMIN_PASSWORD", "METRICS_TOKEN", "PUBLIC_URL", "ADMIN_EMAIL",
        "SMTP_HOST",
    ]  # fmt: skip
    assert verdict == "7 faults to mend before production starts with these settings."
    assert faults[1] == "- APPOINTMENT360_PORT is “many”: give a whole number."
    assert "APPOINTMENT360_TYPO is no setting." in checked.err
    assert "geheim" not in checked.out + checked.err
    assert "gehe-im" not in checked.out + checked.err


def test_what_is_set_is_shown_with_where_it_comes_from(bare: Cli, tmp_path: Path) -> None:
    tmp_path = tmp_path / "a-folder-with-a-name-that-is-longer" / "than-what-a-column-has-room-for"
    tmp_path.mkdir(parents=True)
    for name in ("token", "appointment360_s3_secret_key", "appointment360_backup_key"):
        (tmp_path / name).write_text("geheim")
    given = with_settings(
        bare, metrics_token_file=str(tmp_path / "token"), smtp_password="geheim", prot="1", max_upload="5MB"
    )
    cli = Cli(given.url, given.home, {**given.more, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    shown, systemd = cli("settings", "show", "--json"), tmp_path / "appointment360"
    assert shown.object == {
        "settings": [
            {"setting": "APPOINTMENT360_HOME", "value": str(bare.home), "from": "environment"},
            {"setting": "APPOINTMENT360_MAX_UPLOAD", "value": "5000000", "from": "environment"},
            {"setting": "APPOINTMENT360_METRICS_TOKEN", "value": "(a secret)", "from": str(tmp_path / "token")},
            {"setting": "APPOINTMENT360_SMTP_PASSWORD", "value": "(a secret)", "from": "environment"},
            {"setting": "APPOINTMENT360_S3_SECRET_KEY", "value": "(a secret)", "from": f"{systemd}_s3_secret_key"},
            {"setting": "APPOINTMENT360_BACKUP_KEY", "value": f"{systemd}_backup_key", "from": f"{systemd}_backup_key"},
        ]
    }
    assert "APPOINTMENT360_PROT is no setting: did you mean APPOINTMENT360_PORT?" in shown.err
    everything = cli("settings", "show", "--all", "--json").object["settings"]
    assert {"setting": "APPOINTMENT360_PORT", "value": "8360", "from": "default"} in everything
    lines = without_colours(on_a_terminal(cli, ["settings", "show", "--all"], "", columns=80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert "geheim" not in "".join(lines)
    names = [line.split()[0] for line in lines if line.strip()]
    assert "RAZORPAY_WEBHOOK_SECRET_CHANGED_AT" in names  # whole, however long the paths of files are
    told = " ".join(" ".join(lines).split())
    assert "APPOINTMENT360_ stands before each name but DATABASE_URL and DATABASE_REPLICA_URL." in told


def test_a_check_tells_all_faults_without_a_start(bare: Cli) -> None:
    checked = bare("settings", "check", "--json")
    assert checked.code == 1
    assert checked.object["environment"] == "development"
    assert [fault["setting"] for fault in checked.object["faults"]] == [
        "APPOINTMENT360_PUBLIC_URL", "DATABASE_URL", "APPOINTMENT360_SECRET_KEY", "APPOINTMENT360_PREFECT_AUTH",
        "APPOINTMENT360_PREFECT_URL", "APPOINTMENT360_TRUSTED_PROXIES", "APPOINTMENT360_ADMIN_EMAIL",
    ]  # fmt: skip
    good = with_settings(
        bare, public_url="https://contacts.test", admin_email="ann@contacts.test", smtp_host="localhost"
    )
    assert good("settings", "check", "--up").out == (
        "Production would start with these settings; APPOINTMENT360_ENVIRONMENT is development.\n"
    )
    assert not bare.home.exists()


@pytest.mark.parametrize(
    "words", [("up", "--no-browser"), ("migrate",), ("run", "web"), ("run", "prefect"), ("run", "worker")], ids="-".join
)
def test_nothing_starts_in_production_with_what_is_weak(bare: Cli, words: tuple[str, ...]) -> None:
    weak = with_settings(
        bare, environment="production", public_url="http://contacts.test", prefect_auth="app:geheim",
        admin_password="geheim", prefect_url="http://127.0.0.1:1",
    )  # fmt: skip
    refused: Ended = weak(*words)
    assert (refused.code, refused.out) == (1, "")
    lines = refused.err.splitlines()
    assert lines[0] == "Error: Production does not start with these settings:"
    named = {line.split()[1] for line in lines[1:]}
    assert named - {"DATABASE_URL", "APPOINTMENT360_SECRET_KEY", "APPOINTMENT360_TRUSTED_PROXIES"} == {
        "APPOINTMENT360_PUBLIC_URL", "APPOINTMENT360_PREFECT_AUTH", "APPOINTMENT360_ADMIN_PASSWORD",
        "APPOINTMENT360_ADMIN_EMAIL",
    }  # fmt: skip
    assert ("DATABASE_URL" in named) is (words[0] != "up"), "`up` makes one"
    assert ("APPOINTMENT360_SECRET_KEY" in named) is (words[-1] == "web"), "nobody else seals"
    assert "geheim" not in refused.err
    assert not bare.home.exists()


def test_production_shows_no_empty_database_in_place_of_its_own(bare: Cli) -> None:
    lost = with_settings(bare, environment="production")("count", "--json")
    assert lost.code == 1
    assert f"There is no database in {bare.home}, and in production" in lost.object["error"]
    assert "set DATABASE_URL" in lost.object["error"]
    assert not (bare.home / "postgres" / "pgdata").exists()


def test_second_factors_are_sealed_with_a_key_that_there_is(cli: Cli) -> None:
    refused = cli("secrets", "seal", "--json")
    assert (refused.code, refused.object) == (
        1, {"error": "There is no key to seal with: set APPOINTMENT360_SECRET_KEY for every part."},
    )  # fmt: skip
    ann = people.person(email="ann@example.com", name="Ann", role=Role.ANALYST).actor()
    second_factors.begin(by=ann)
    sealing = with_settings(cli, secret_key=STRONG)
    assert sealing("secrets", "seal", "--json").object == {"sealed": 1, "closed": 0}
    assert cli.sql("SELECT secret LIKE 'sealed:%' FROM second_factors") == [(True,)]
    with_another = with_settings(cli, secret_key=STRONG[::-1])
    assert with_another("secrets", "seal", "--json").object == {"sealed": 0, "closed": 1}
    assert "cannot be opened: they were sealed with another key" in with_another("secrets", "seal").err


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, None),
        ({"backup_to": "s3://backups/here"}, "they are lost with this host"),
        ({"files": "s3://files/site"}, "is missing, so that no backup is made"),
        ({"files": "s3://files/site", "backup_encryption": "none"}, None),
        ({"backup_to": "s3://backups/here", "backup_key": "/nowhere/key"}, "names /nowhere/key, which is not there"),
        ({"backup_to": "s3://backups/here", "backup_key": __file__}, None),
    ],
)
def test_a_check_tells_what_would_be_lost(bare: Cli, given: dict[str, str], wrong: str | None) -> None:
    checked = with_settings(bare, smtp_host="localhost", **given)("settings", "check", "--json").object
    told = {one["setting"]: one["wrong"] for one in checked["losses"]}
    assert told.keys() == ({"APPOINTMENT360_BACKUP_KEY"} if wrong else set())
    assert (wrong or "") in told.get("APPOINTMENT360_BACKUP_KEY", "")


def test_what_goes_nowhere_is_told_beside_the_faults(bare: Cli, tmp_path: Path) -> None:
    given = {"backup_to": str(tmp_path / "nowhere"), "files": "/srv/files"}
    both = with_settings(bare, **given)("settings", "check", "--json").object
    assert "APPOINTMENT360_FILES" in [one["setting"] for one in both["faults"]]
    assert [one["setting"] for one in both["losses"]] == ["APPOINTMENT360_SMTP_HOST"]
    del given["files"]
    checked = with_settings(bare, **given)("settings", "check", "--json").object
    assert [one["setting"] for one in checked["losses"]] == ["APPOINTMENT360_SMTP_HOST", "APPOINTMENT360_BACKUP_TO"]
    (tmp_path / "nowhere").mkdir()
    checked = with_settings(bare, **given)("settings", "check", "--json").object
    assert [one["setting"] for one in checked["losses"]] == ["APPOINTMENT360_SMTP_HOST"]
