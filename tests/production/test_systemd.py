"""The units of deploy/systemd, for systemd-analyze and under a real systemd with their sandbox on."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy import parts
from models.secret_files import is_secret
from models.settings import Settings
from tests.production.booted import CURRENT, SAMPLE, at_rest, uploaded
from tests.production.containers import environment
from tests.production.debian import Debian

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]  # a first build has much to fetch
DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = DEPLOY / "systemd" / "units"
SERVICES = sorted(UNITS.glob("*.service"))
EXPOSED_AT_MOST = "20"  # tenths
SITE = ("--public-url", "https://contacts.example.org", "--admin-email", "admin@contacts.example.org")
WEB, SECOND_WEB, WORKER, SECOND_WORKER = (
    f"appointment360-{name}.service" for name in ("web@8361", "web@8362", "worker@1", "worker@2")
)


def analyzed(unit: Path) -> "subprocess.CompletedProcess[str]":
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSED_AT_MOST}", unit]
    return subprocess.run(command, capture_output=True, text=True)


def seconds(unit: str, name: str) -> int:
    [value] = [
        line.partition("=")[2] for line in (UNITS / unit).read_text().splitlines() if line.startswith(f"{name}=")
    ]
    return int(value)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_no_unit_is_exposed_more_than_two(unit: Path) -> None:
    found = analyzed(unit)
    assert found.returncode == 0, found.stdout
    [level] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", found.stdout)
    rows = re.findall(r"^\| (.+) \| ([0-9]\.[0-9]) \|$", (UNITS.parent / "README.md").read_text(), re.M)
    [said] = [value for names, value in rows if unit.stem.removeprefix("appointment360-") in names.split(", ")]
    assert said == level, "the README's"


def test_all_services_are_looked_at() -> None:
    names = {unit.stem.removeprefix("appointment360-") for unit in SERVICES}
    assert names == {"migrate", "web@", "prefect", "worker@", "backup", "certificate", "instances"}


def test_one_that_is_exposed_more_is_found(tmp_path: Path) -> None:
    weak = tmp_path / "appointment360-web@.service"
    lines = (UNITS / weak.name).read_text().splitlines(keepends=True)
    weak.write_text("".join(line for line in lines if not line.startswith(("SystemCallFilter", "ProtectSystem"))))
    assert analyzed(weak).returncode == 1


def test_units_have_the_secrets_that_they_use_and_no_others() -> None:
    """The rest of it is that they run. What a unit names is a setting, and is found where the secrets are."""
    used = {
        unit.stem.removeprefix("appointment360-"): set(
            re.findall(r"^LoadCredential=appointment360_(\w+)$", unit.read_text(), re.M)
        )
        for unit in SERVICES
    }
    assert used["certificate"] | used["instances"] == set()
    assert used["migrate"] == {"database_url", "admin_password"}
    assert used["prefect"] == {"database_url", "prefect_auth"}
    assert not used["web@"] & {"admin_password", "backup_key"}
    assert not used["worker@"] & {"admin_password", "secret_key", "old_secret_key", "metrics_token", "smtp_password"}
    assert used["backup"] == {"database_url", "backup_key", "s3_secret_key"}
    secrets = {name for name, field in Settings.model_fields.items() if is_secret(field)} | {"backup_key"}
    assert set.union(*used.values()) == secrets
    links = re.findall(
        r"^L\+ /etc/credstore/appointment360_(\w+) - - - - \.\./appointment360/secrets/(\w+)$",
        (UNITS.parent / "tmpfiles.conf").read_text(),
        re.M,
    )
    assert set(links) == {(name, name) for name in secrets}


def test_systemd_waits_longer_than_the_programs_that_it_ends() -> None:
    draining = Settings.model_fields["drain_seconds"].default + parts.BESIDE_DRAINING
    assert seconds("appointment360-worker@.service", "TimeoutStopSec") > draining + 10
    assert seconds("appointment360-web@.service", "TimeoutStopSec") > Settings.model_fields["web_grace_seconds"].default


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Debian, str]]:
    """With what the installer said."""
    made = Debian(tmp_path_factory.mktemp("debian") / "disk")
    made.make()
    said = made.install(*SITE)
    made.add_postgres()
    yield made, said
    shutil.rmtree(made.folder)  # more than a gigabyte


@pytest.fixture(scope="module")
def debian(installed: tuple[Debian, str]) -> Iterator[Debian]:
    """Started, as after its power came back: all of it runs."""
    made, _ = installed
    try:
        made.boot()
        made.until(
            "systemd runs", lambda: made.run("systemctl", "is-active", "sysinit.target", check=False) == "active"
        )
        active = ["systemctl", "is-active", "appointment360.target", WORKER, SECOND_WORKER]
        made.until("all of it runs", lambda: set(made.run(*active, check=False).split()) == {"active"})
        made.until("workers take runs", lambda: all("started!" in made.journal(one) for one in (WORKER, SECOND_WORKER)))
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def token(debian: Debian) -> str:
    return str(debian.appointment360("tokens", "create", SITE[-1])["token"])


def test_the_installer_says_what_it_did_and_keeps_it_the_next_time(installed: tuple[Debian, str]) -> None:
    debian, said = installed
    assert re.search(r"Release (\S+): installed in /opt/appointment360/releases/\1\.", said)
    assert "Settings: /etc/appointment360/env was made from deploy/env.example." in said
    secret = (debian.folder / "etc/appointment360/secrets/prefect_auth").read_text()
    again = debian.install(*SITE)
    assert re.search(r"Release \S+: is there\.", again)
    assert "Settings: /etc/appointment360/env stays as it is." in again
    assert (debian.folder / "etc/appointment360/secrets/prefect_auth").read_text() == secret
    assert (debian.folder / "etc/appointment360/env").stat().st_mode & 0o777 == 0o600


def test_systemd_finds_no_fault_in_the_units(debian: Debian) -> None:
    names = [unit.name.replace("@.", "@1.") for unit in UNITS.iterdir()]
    assert debian.run("sh", "-c", f"cd /etc/systemd/system && systemd-analyze verify {' '.join(names)} 2>&1") == ""
    debian.write("etc/systemd/system/faulty.service", "[Service]\nExecStart=/no/such/program\nProtectSystm=yes\n")
    found = debian.run("sh", "-c", "systemd-analyze verify faulty.service 2>&1 || true")
    assert "ProtectSystm" in found
    assert "/no/such/program" in found


def test_the_sandbox_is_on(debian: Debian) -> None:
    for unit in (WEB, WORKER, "appointment360-prefect.service"):
        process = debian.state(unit, "MainPID")["MainPID"]
        status = dict(re.findall(r"^(\w+):\s+(.*)$", debian.run("cat", f"/proc/{process}/status"), re.M))
        assert status["Uid"].split()[0] == debian.run("id", "-u", "appointment360")
        assert (status["NoNewPrivs"], status["Seccomp"], int(status["CapBnd"], 16)) == ("1", "2", 0)
        mounts = debian.run("cat", f"/proc/{process}/mounts")
        assert re.search(r"^\S+ / \S+ ro,", mounts, re.M), "the disk may not be written to"
        assert re.search(r"^\S+ /var/lib/appointment360 \S+ rw,", mounts, re.M), "but for the folder of its own"


def test_both_instances_answer_and_log_to_the_journal(debian: Debian) -> None:
    assert debian.ready(8361)
    assert debian.ready(8362)
    for unit in (WEB, SECOND_WEB):
        assert "Started server process" in debian.journal(unit)
    assert "Traceback" not in debian.run("journalctl", "--no-pager", "-o", "cat")


def test_a_web_that_is_killed_starts_again(debian: Debian) -> None:
    killed = debian.state(WEB, "MainPID")["MainPID"]
    debian.run("kill", "-9", killed)

    def anew() -> bool:
        found = debian.state(WEB, "MainPID", "NRestarts", "ActiveState")
        return found["ActiveState"] == "active" and found["NRestarts"] == "1" and found["MainPID"] != killed

    debian.until("it runs again", anew)
    assert debian.ready(8361)


def test_a_unit_finds_its_own_secrets_only(debian: Debian) -> None:
    secrets = set(debian.run("ls", "/etc/appointment360/secrets").split())
    assert {"database_url", "database_password", "backup_key", "secret_key", "admin_password"} <= secrets
    for unit, without in (
        (WEB, "backup_key"),
        (WORKER, "secret_key"),
        ("appointment360-prefect.service", "backup_key"),
    ):
        given = debian.run("ls", f"/run/credentials/{unit}").split()
        assert "appointment360_database_url" in given
        assert f"appointment360_{without}" not in given
        assert {name.removeprefix("appointment360_") for name in given} < secrets


def test_a_web_that_hangs_starts_again(debian: Debian) -> None:
    with other_lines(debian, SECOND_WEB, "WatchdogSec=5"):
        debian.run("systemctl", "restart", SECOND_WEB)
        hanging = debian.state(SECOND_WEB, "MainPID")["MainPID"]
        debian.run("kill", "-STOP", hanging)
        debian.until("it was ended", lambda: debian.state(SECOND_WEB, "NRestarts")["NRestarts"] == "1")
        assert "Watchdog timeout" in debian.journal(SECOND_WEB)
        debian.run("systemctl", "start", SECOND_WEB)
        assert debian.ready(8362), "as soon as the start is over"
    assert debian.state(SECOND_WEB, "MainPID")["MainPID"] != hanging


def test_a_start_that_cannot_be_is_seen(debian: Debian) -> None:
    with other_lines(debian, SECOND_WEB, "Environment=APPOINTMENT360_WEB_GRACE_SECONDS=soon"):
        started = debian.run("sh", "-c", f"systemctl restart {SECOND_WEB} 2>&1 && echo started", check=False)
        assert "failed" in started
        assert "started" not in started.splitlines()
    debian.run("systemctl", "restart", SECOND_WEB)
    assert debian.ready(8362)


def test_a_worker_counts_as_started_when_it_takes_runs(debian: Debian) -> None:
    debian.run("systemctl", "restart", SECOND_WORKER)
    life = debian.state(SECOND_WORKER, "InvocationID")["InvocationID"]
    said = ("journalctl", "--no-pager", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={life}")
    debian.until("it says so", lambda: "started!" in debian.run(*said))


def test_a_worker_that_is_stopped_finishes_its_import_and_another_one_goes_on(debian: Debian, token: str) -> None:
    debian.run("systemctl", "stop", SECOND_WORKER)
    first = planned(debian, token, "first.csv")
    with contacts_locked(debian), other_lines(debian, WORKER, "TimeoutStopSec=5"):
        commit = json.dumps({"plan": first["plan"]})
        debian.asked("POST", 8361, f"/api/v1/imports/{first['id']}/commit", token, commit)
        debian.until("the import waits for the table", lambda: waiting_for_the_table(debian))
        debian.run("systemctl", "stop", "--no-block", WORKER)
        debian.until("it drains", lambda: "draining: " in debian.journal(WORKER))
        debian.run("systemctl", "start", SECOND_WORKER)
        assert uploaded(debian, token, "second.csv"), "by the other worker"
        debian.run("sleep", "5")  # longer than the unit would wait by itself
        assert debian.state(WORKER, "ActiveState")["ActiveState"] == "deactivating", "it waits for its import"
    debian.until("the first one ended", lambda: debian.state(WORKER, "ActiveState")["ActiveState"] != "deactivating")
    assert debian.state(WORKER, "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    done = debian.asked("GET", 8362, f"/api/v1/imports/{first['id']}", token)
    rows = len(SAMPLE.read_text().splitlines()) - 1
    assert (done["state"], done["rows"], done["created"]) == ("committed", rows, rows)


def test_timers_are_there_and_what_they_start_works(debian: Debian) -> None:
    assert "appointment360-certificate.timer" in debian.run("systemctl", "list-timers", "--no-pager")
    debian.run("systemctl", "start", "appointment360-backup.service")
    assert debian.state("appointment360-backup.service", "Result") == {"Result": "success"}
    [backup] = debian.appointment360("backups")["backups"]
    assert backup["proven"]
    debian.run("systemctl", "enable", "--now", "appointment360-backup.timer")
    assert "appointment360-backup.timer" in debian.run("systemctl", "list-timers", "--no-pager")


def test_the_renewal_has_nginx_take_what_it_can_use_from_within_its_sandbox(debian: Debian) -> None:
    names = [*("--name", "contacts.example.org"), *("--instance", "127.0.0.1:8361"), *("--instance", "127.0.0.1:8362")]
    debian.run(f"{CURRENT}/deploy/nginx/install.sh", *names)
    debian.run("systemctl", "start", "nginx")
    issued = debian.folder / "etc/letsencrypt/live/issued"
    shutil.copytree(debian.folder / "etc/nginx/appointment360/tls/placeholder", issued)
    shutil.copytree(issued, issued.with_name("broken"))
    (issued.with_name("broken") / "privkey.pem").write_text("no key")
    debian.write("etc/letsencrypt/renewal/README", "certbot has nothing to renew here\n")
    unit = "appointment360-certificate.service"
    debian.run("systemctl", "start", unit, check=False)
    found = debian.state(unit, "Result", "ConditionResult")
    assert found == {"Result": "success", "ConditionResult": "yes"}, debian.journal(unit)

    def renewed(name: str) -> str:
        called = f"ExecStart=\nExecStart={CURRENT}/deploy/certificates/renewed.sh\n"
        called += f"Environment=RENEWED_LINEAGE=/etc/letsencrypt/live/{name}\n"
        debian.write(f"etc/systemd/system/{unit}.d/hook.conf", f"[Service]\n{called}")
        debian.run("systemctl", "daemon-reload")
        debian.run("systemctl", "start", unit, check=False)
        return debian.state(unit, "Result")["Result"]

    taken = debian.folder / "etc/nginx/appointment360/tls/current"
    assert renewed("issued") == "success"
    assert str(taken.readlink()) == "/etc/letsencrypt/live/issued"
    assert renewed("broken") == "exit-code"
    assert str(taken.readlink()) == "/etc/letsencrypt/live/issued"
    assert debian.run("systemctl", "is-active", "nginx") == "active"


def test_an_instance_that_is_not_ready_is_taken_out_of_nginx_and_let_in_again(debian: Debian) -> None:
    """After nginx is there."""
    instances = debian.folder / "etc/nginx/appointment360/instances.conf"
    assert debian.run("systemctl", "is-active", "appointment360-instances") == "active"
    workers = "ps -o pid= --ppid $(cat /run/nginx.pid)"
    before = debian.run("sh", "-c", workers)
    debian.run("systemctl", "stop", SECOND_WEB)
    debian.until("it is taken out", lambda: "8362 max_fails=2 fail_timeout=10s down; # not" in instances.read_text())
    debian.until("nginx knows of it", lambda: not set(debian.run("sh", "-c", workers).split()) & set(before.split()))
    debian.run("systemctl", "start", SECOND_WEB)
    debian.until("it is let in", lambda: "down;" not in instances.read_text())


def test_units_speak_to_those_alone_whom_a_file_names(debian: Debian) -> None:
    """By the steps of the README, which leave the certificate's alone. The kernel here may not enforce it."""
    said = (UNITS.parent / "README.md").read_text()
    [steps] = re.findall(r"^    cd /etc/systemd/system\n(?:    .*\n)+", said, re.M)
    debian.run("sh", "-euc", steps)

    def denied(unit: str) -> str:
        return debian.state(unit, "IPAddressDeny")["IPAddressDeny"]

    everybody = {"::/0", "0.0.0.0/0"}
    try:
        for unit in (WEB, WORKER, "appointment360-prefect.service", "appointment360-backup.service"):
            assert set(denied(unit).split()) == everybody, unit
        assert denied("appointment360-certificate.service") == ""
        allowed = debian.state(WEB, "IPAddressAllow")["IPAddressAllow"]
        assert set(allowed.split()) == {"127.0.0.0/8", "::1/128"}
        assert debian.run("sh", "-c", f"systemd-analyze verify {SECOND_WEB} 2>&1") == ""
        debian.run("systemctl", "restart", SECOND_WEB)
        assert debian.ready(8362), "its database is on this machine"
    finally:
        debian.run("rm", "-r", "/etc/systemd/system/appointment360-.service.d")
        debian.run("rm", "/etc/systemd/system/appointment360-certificate.service.d/egress.conf")
        debian.run("systemctl", "daemon-reload")
    assert denied(WEB) == ""


def test_logs_are_kept_on_another_machine_too(debian: Debian) -> None:
    """After nginx is there. What receives them is the program that the README names, here on this machine."""
    debian.write("etc/systemd/journal-upload.conf", "[Upload]\nURL=http://127.0.0.1:19532\n")
    again = (UNITS.parent / "upload.conf").read_text()
    debian.write("etc/systemd/system/systemd-journal-upload.service.d/upload.conf", again)
    debian.run("systemctl", "daemon-reload")
    [line] = re.findall(r"^ +(access_log syslog:.*)$", (UNITS.parent / "README.md").read_text(), re.M)
    debian.write("etc/nginx/appointment360/local/journal.conf", line)
    debian.run("systemctl", "reload", "nginx")
    debian.run("systemctl", "start", "systemd-journal-upload")
    debian.until("nobody receives them", lambda: "Upload to" in debian.journal("systemd-journal-upload"))
    receiver = ["/usr/lib/systemd/systemd-journal-remote", "--listen-http=127.0.0.1:19532", "--split-mode=none"]
    debian.run("systemd-run", "--unit=receiver", *receiver, "--output=/var/log/received.journal")

    def received(*of: str) -> str:
        return debian.run("journalctl", "--no-pager", "-o", "cat", "--file=/var/log/received.journal", *of, check=False)

    try:
        debian.until("the lines of before are there", lambda: "Started server process" in received("-u", WEB))
        name = SITE[1].removeprefix("https://")
        look = ["curl", "-sk", "-o", "/dev/null", "--resolve", f"{name}:443:127.0.0.1", f"{SITE[1]}/healthz/elsewhere"]
        debian.until(
            "what happens now, too", lambda: debian.run(*look) + "/healthz/elsewhere" in received("-t", "nginx")
        )
    finally:
        debian.run("systemctl", "stop", "systemd-journal-upload", "receiver")


def test_logs_that_are_files_are_rotated(debian: Debian) -> None:
    debian.write("var/log/nginx/access.log", "a line\n")
    debian.run("logrotate", "--force", "/etc/logrotate.d/appointment360")
    [rotated] = (debian.folder / "var/log/nginx").glob("access.log-*")
    assert rotated.read_text() == "a line\n"
    assert (debian.folder / "var/log/nginx/access.log").read_text() == ""


@contextmanager
def other_lines(debian: Debian, unit: str, line: str) -> Iterator[None]:
    """Meanwhile the service has this line, too."""
    file = f"etc/systemd/system/{unit}.d/test.conf"
    debian.write(file, f"[Service]\n{line}\n")
    debian.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        (debian.folder / file).unlink()
        debian.run("systemctl", "daemon-reload")


def planned(debian: Debian, token: str, name: str) -> dict[str, Any]:
    number = uploaded(debian, token, name)
    if not at_rest(debian, token, number, "planned"):
        debian.asked("POST", 8361, f"/api/v1/imports/{number}/resume", token)
    return dict(debian.until("it has a plan", lambda: at_rest(debian, token, number, "planned")))


@contextmanager
def contacts_locked(debian: Debian) -> Iterator[None]:
    """Nobody can write contacts meanwhile."""
    command = ["podman", "exec", "-i", debian.name, "sh", "-c", debian.psql()]
    held = subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert held.stdin is not None
    assert held.stdout is not None
    try:
        held.stdin.write("BEGIN; LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE; SELECT 'held';\n")
        held.stdin.flush()
        assert held.stdout.readline() == "held\n"
        yield
    finally:
        held.stdin.close()
        held.wait()
        held.stdout.close()


def waiting_for_the_table(debian: Debian) -> bool:
    asked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'contacts'::regclass"
    return debian.run("sh", "-c", debian.psql(), given=asked) != "0"
