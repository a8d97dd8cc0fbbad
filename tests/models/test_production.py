"""What production does not start with."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.embedded_postgres import Server
from models import open_databases, production
from models.errors import InvalidInput
from models.setting_groups import CHANGE_ME
from models.settings import Settings, settings, variable
from models.weak_secrets import weakness

STRONG = "0b7f3c1d9a52e6480b7f3c1d"
GOOD = {
    "environment": "production",
    "database_url": f"postgresql://app:{STRONG}@db.example.com/contacts?sslmode=verify-full",
    "public_url": "https://contacts.example.com",
    "prefect_url": "https://prefect.example.com",
    "prefect_auth": f"appointment360:{STRONG}",
    "trusted_proxies": "10.0.0.5",
    "metrics_token": STRONG,
    "secret_key": STRONG,
    "admin_email": "ann@contacts.test",
    "admin_password": "broad-lamp-quiet-river",
    "smtp_host": "mail.example.com",
    "smtp_password": "short",  # others made it
    "s3_endpoint": "https://s3.example.com",
    "razorpay_key_id": "rzp_live_1",
    "razorpay_key_secret": "short",
    "razorpay_webhook_secret": STRONG,
}
LOCAL = f"postgresql://app:{STRONG}@"


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment that production starts with; a test makes one thing of it worse."""
    for name in production.DEBUGGING:
        monkeypatch.delenv(name, raising=False)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(variable(name), value)
    settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    settings.cache_clear()


def told(*, alone: bool = False) -> list[tuple[str, str]]:
    return [(fault.variable, fault.wrong) for fault in production.faults(Settings(), alone=alone)]


def test_it_starts_with_what_is_good(good: pytest.MonkeyPatch) -> None:
    assert told() == []


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("public_url", "", "is missing"),
        ("secret_key", "", "is missing, so that second factors lie open in the database"),
        ("public_url", "http://contacts.example.com", "begins with http, which others can read"),
        ("static_url", "http://cdn.example.com", "begins with http, which others can read"),
        ("trusted_proxies", "", "is missing, so that https and people's addresses are not known"),
        ("trusted_proxies", "10.0.0.5,0.0.0.0/0", "believes everybody"),
        ("trusted_proxies", "::/0", "believes everybody"),
        ("private_networks", "0.0.0.0/0", "names 0.0.0.0/0, in which strangers are, too"),
        ("private_networks", "10.0.0.0/8,128.0.0.0/1,::/1", "names 128.0.0.0/1, ::/1, in which strangers are, too"),
        ("prefect_auth", "", "is missing, so that anybody could run anything"),
        ("prefect_auth", "appointment360:secret", "has a password that is shorter than 20 characters"),
        ("prefect_auth", f"appointment360:{CHANGE_ME}", "is the example's"),
        ("prefect_url", "", "is missing, so that nothing is imported or exported"),
        ("prefect_url", "http://192.0.2.7:4200", "leads to 192.0.2.7 by http, which others can read"),
        ("metrics_token", "abcabcabcabcabcabcabcabc", "is easily guessed"),
        ("metrics_token", "f3c1d9a5", "is shorter than 20 characters"),
        ("razorpay_webhook_secret", "f3c1d9a5", "is shorter than 20 characters"),
        ("razorpay_url", "https://stand-in.example.com", "leads to a stand-in, which takes no money"),
        ("admin_password", "password", "is too weak"),
        ("admin_password", "ann@contacts.test", "is too weak"),
        ("admin_email", "admin@example.com", "is the example's"),
        ("admin_email", "nomail", "is no address of mail that an account can have"),
        ("files", "/srv/files", "is no s3://BUCKET/PREFIX"),
        ("files", "s3://geheim:geheim@bucket/prefix", "is no s3://BUCKET/PREFIX"),
        ("backup_to", "backups", "is neither a whole path nor s3://BUCKET/PREFIX"),
        ("backup_to", "ftp://host/backups", "is neither a whole path nor s3://BUCKET/PREFIX"),
        ("razorpay_key_secret", "", "is missing, so that nobody can pay"),
        ("smtp_password", "Change Me!", "is the example's"),
        ("smtp_security", "none", "is none, and others can read what goes to mail.example.com"),
        ("s3_secret_key", "CHANGE_ME", "is the example's"),
        ("s3_endpoint", "http://192.0.2.7:9000", "leads to 192.0.2.7 by http, which others can read"),
        ("backup_encryption", "none", "is none, and backups hold everything"),
        ("log_level", "debug", "is debug, which tells too much"),
        ("database_url", "", "is missing"),
        ("database_url", f"postgresql://app:{CHANGE_ME}@localhost/contacts", "is the example's"),
        ("database_url", "postgresql://a:app@localhost/contacts", "has a password that is shorter than 20 characters"),
        ("database_url", f"{LOCAL}192.0.2.7/contacts", "leads to 192.0.2.7 without certain encryption"),
        ("database_url", f"{LOCAL}192.0.2.7/contacts?sslmode=prefer", "leads to 192.0.2.7 without certain encryption"),
        ("database_url", f"{LOCAL}192.0.2.7/d?sslmode=require", "leads to 192.0.2.7 without a proof of who answers"),
        ("database_url", f"{LOCAL}127.0.0.1,192.0.2.7/d", "leads to 192.0.2.7 without certain encryption"),
        ("database_url", f"{LOCAL}no-such-host.invalid/d", "leads to no-such-host.invalid without certain encryption"),
    ],
)  # fmt: skip
def test_one_thing_is_wrong(good: pytest.MonkeyPatch, name: str, value: str, wrong: str) -> None:
    good.setenv(variable(name), value)
    assert told() == [(variable(name), wrong)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", f"{LOCAL}localhost/contacts"), ("database_url", f"{LOCAL}/contacts?host=/run/postgresql"),
        ("database_url", f"{LOCAL}10.1.2.3/contacts"), ("database_url", f"{LOCAL}192.0.2.7/d?sslmode=verify-ca"),
        ("database_url", "postgresql://app@localhost/contacts"),  # its password stands elsewhere
        ("prefect_url", "http://127.0.0.1:4200"), ("prefect_url", "http://10.1.2.3:4200"),
        ("s3_endpoint", "http://[::1]:9000"), ("admin_password", ""), ("metrics_token", ""),
    ],
)  # fmt: skip
def test_what_nobody_reads_and_what_nobody_needs_is_right(good: pytest.MonkeyPatch, name: str, value: str) -> None:
    good.setenv("APPOINTMENT360_PRIVATE_NETWORKS", "10.1.0.0/16")
    good.setenv(variable(name), value)
    assert told() == []


def test_a_network_of_everybody_excuses_nothing(good: pytest.MonkeyPatch) -> None:
    good.setenv("APPOINTMENT360_PRIVATE_NETWORKS", "10.1.0.0/16,0.0.0.0/0")
    good.setenv("APPOINTMENT360_PREFECT_URL", "http://192.0.2.7:4200")
    good.setenv("DATABASE_URL", f"{LOCAL}192.0.2.7/contacts")
    good.setenv("APPOINTMENT360_SMTP_SECURITY", "none")
    assert [name for name, _ in told()] == [
        "APPOINTMENT360_PRIVATE_NETWORKS", "DATABASE_URL", "APPOINTMENT360_PREFECT_URL", "APPOINTMENT360_SMTP_SECURITY",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(production.DEBUGGING))
def test_debugging_is_off(good: pytest.MonkeyPatch, name: str) -> None:
    value = production.DEBUGGING[name][-1]
    good.setenv(name, value.upper())
    assert told() == [(name, f"is {value.upper()}, which is for debugging")]


def test_alone_it_makes_what_its_parts_share(good: pytest.MonkeyPatch) -> None:
    for name in ("database_url", "prefect_auth", "prefect_url", "trusted_proxies"):
        good.delenv(variable(name))
    assert [wrong for wrong, _ in told()] == [
        "DATABASE_URL", "APPOINTMENT360_PREFECT_AUTH", "APPOINTMENT360_PREFECT_URL", "APPOINTMENT360_TRUSTED_PROXIES",
    ]  # fmt: skip
    assert told(alone=True) == []


def test_payments_need_all_that_razorpay_gives(good: pytest.MonkeyPatch) -> None:
    good.delenv("APPOINTMENT360_RAZORPAY_KEY_SECRET")
    good.delenv("APPOINTMENT360_RAZORPAY_WEBHOOK_SECRET")
    assert [name for name, _ in told()] == [
        "APPOINTMENT360_RAZORPAY_KEY_SECRET", "APPOINTMENT360_RAZORPAY_WEBHOOK_SECRET",
    ]  # fmt: skip
    good.delenv("APPOINTMENT360_RAZORPAY_KEY_ID")
    assert told() == []


def test_all_faults_are_told_at_once_and_no_secret_with_them(good: pytest.MonkeyPatch) -> None:
    good.setenv("DATABASE_URL", "postgresql://app:geheim@192.0.2.7/contacts?connect_timeout=1")
    good.setenv("APPOINTMENT360_METRICS_TOKEN", "geheim")
    good.setenv("APPOINTMENT360_PUBLIC_URL", "http://contacts.example.com")
    good.setattr(open_databases, "is_open", lambda url: "geheim" in url)
    with pytest.raises(InvalidInput) as refused:
        production.require(Settings())
    first, *lines = refused.value.sentence.splitlines()
    assert first == "Production does not start with these settings:"
    assert [line.split()[1] for line in lines] == [
        "DATABASE_URL", "APPOINTMENT360_METRICS_TOKEN", "APPOINTMENT360_PUBLIC_URL", "DATABASE_URL", "DATABASE_URL",
    ]  # fmt: skip
    assert [line for line in lines if ": " not in line or not line.endswith(".")] == []
    assert lines[-1].startswith("- DATABASE_URL leads to a server that takes any password: ")
    assert "geheim" not in refused.value.sentence


def test_a_new_password_of_the_database_is_also_the_roles(good: pytest.MonkeyPatch) -> None:
    good.setenv("DATABASE_URL", f"postgresql://app:{CHANGE_ME}@localhost/contacts")
    [fault] = production.faults(Settings())
    assert fault.way_out == (
        "`appointment360 secrets new` makes one, whose password its role has to get, too (ALTER ROLE)"
    )


def test_development_starts_with_anything(good: pytest.MonkeyPatch) -> None:
    good.setenv("APPOINTMENT360_ENVIRONMENT", "development")
    good.setenv("APPOINTMENT360_PUBLIC_URL", "http://contacts.example.com")
    assert told() != []
    production.require(Settings())


def test_random_secrets_are_strong() -> None:
    assert weakness(STRONG) is None
    assert weakness(f"please-{CHANGE_ME}-{STRONG}") == "is the example's"


@pytest.fixture
def trusting(postgres: Server) -> Iterator[str]:
    """The address of a server that believes one of its roles whatever its password."""
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as session:
        shown = session.execute("SHOW hba_file").fetchone()
        assert shown is not None
        file = Path(shown[0])
        before = file.read_text()
        file.write_text(f"host all trusted 127.0.0.1/32 trust\n{before}")
        session.execute("CREATE ROLE trusted LOGIN")
        session.execute("SELECT pg_reload_conf()")
        yield f"postgresql://trusted:{STRONG}@127.0.0.1:{postgres.port}/postgres"
        file.write_text(before)
        session.execute("DROP ROLE trusted")
        session.execute("SELECT pg_reload_conf()")


def test_a_server_that_takes_any_password_is_found(good: pytest.MonkeyPatch, postgres: Server, trusting: str) -> None:
    deadline = time.monotonic() + 20  # until every process of the server has read the file anew
    while not open_databases.is_open(trusting) and time.monotonic() < deadline:
        time.sleep(0.05)
    good.setenv("DATABASE_URL", trusting)
    found = [(fault.variable, fault.wrong) for fault in production.every_fault(Settings())]
    assert found == [("DATABASE_URL", "leads to a server that takes any password")]
    good.setenv("DATABASE_URL", postgres.url("postgres", driver=""))
    assert production.every_fault(Settings()) == []


@pytest.fixture
def full_port() -> Iterator[int]:
    """Of somebody who listens, and never takes up what arrives."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port
        for one in waiting:
            one.close()


def test_a_database_that_cannot_be_asked_is_told_with_the_reason(
    good: pytest.MonkeyPatch, postgres: Server, full_port: int
) -> None:
    address = postgres.url("postgres", driver="")
    password = address.split(":")[2].split("@")[0]
    there = f"127.0.0.1:{postgres.port}"
    for url, wrong in {
        address.replace(password, f"{STRONG}geheim"): "has another password than its server, or names a role that is "
        "not there",
        address.replace("postgres:", "geheim:", 1): "has another password than its server, or names a role that is not "
        "there",
        postgres.url("geheim", driver=""): "names a database that is not there",
        f"{LOCAL}127.0.0.1:1/geheim": "leads to where no server listens",
        f"{LOCAL}/geheim?host=/nowhere": "leads to where no server listens",
        f"{LOCAL}geheim.invalid/d": "names a host that is not known here",
        f"{LOCAL}127.0.0.1:{full_port}/geheim": "leads to a server that does not answer within 1 s",
        f"{LOCAL}{there}/geheim?sslmode=verify-full&sslrootcert=/nowhere": "leads to a server that cannot show what "
        "sslmode asks for",
    }.items():
        good.setattr(open_databases, "PATIENCE", 1)
        for name in ("DATABASE_URL", "DATABASE_REPLICA_URL"):
            good.setenv(name, url)
        found = production.unanswered(Settings())
        assert [(one.variable, one.wrong) for one in found] == [
            ("DATABASE_URL", wrong),
            ("DATABASE_REPLICA_URL", wrong),
        ]
        assert "geheim" not in found[0].sentence
    good.setenv("DATABASE_URL", address)
    good.setenv("DATABASE_REPLICA_URL", address)
    assert production.unanswered(Settings()) == []


def test_a_server_that_does_not_answer_is_told_by_who_needs_it() -> None:
    assert not open_databases.is_open("postgresql://app:x@127.0.0.1:1/contacts")


def test_a_part_may_lack_what_it_has_no_use_for(good: pytest.MonkeyPatch) -> None:
    good.delenv("APPOINTMENT360_SECRET_KEY")
    production.require(Settings(), without=("secret_key",))
    good.delenv("APPOINTMENT360_PREFECT_AUTH")
    with pytest.raises(InvalidInput, match="APPOINTMENT360_PREFECT_AUTH is missing") as raised:
        production.require(Settings(), without=("secret_key",))
    assert "SECRET_KEY" not in raised.value.sentence
    good.setenv("APPOINTMENT360_SECRET_KEY", "1234")
    with pytest.raises(InvalidInput, match="APPOINTMENT360_SECRET_KEY"):
        production.require(Settings(), without=("secret_key",))
