"""The compose files: without a fault for their linter, and docker-compose.prod.yml as a whole site that people use."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dotenv import dotenv_values

from deploy.postgres_settings import tuned
from tests.production import compose
from tests.production.compose import PROD, TRIAL, Project, services
from tests.production.containers import DOCKER, ROOT, inspected, podman, until

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]  # a first build has much to fetch
BIN = Path(sys.executable).parent
NAME, EMAIL, NGINX = "contacts.lab.test", "boss@lab.test", "172.28.1.10"
CONTACT = "security@lab.test"
SAMPLE = ROOT / "tests" / "samples" / "legislators.csv"
PROMETHEUS = "19090"
WEBS, WORKERS = ("web-1", "web-2"), ("worker-1", "worker-2")
KILLED = 137


def linted(*files: Path) -> "subprocess.CompletedProcess[str]":
    asked = ["check", "--quiet", "--fail-on", "low", "--strict-config", "--config", DOCKER / "compose-lint.yml"]
    return subprocess.run([BIN / "compose-lint", *asked, *files], capture_output=True, text=True)


def test_the_compose_files_have_no_fault() -> None:
    found = linted(PROD, TRIAL)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("without", "rule"),
    [("  read_only: true\n", "CL-0007"), ("  cap_drop: [ALL]\n", "CL-0006"), ("    mem_limit: 256m\n", "CL-0026")],
)
def test_the_linter_of_compose_files_finds_faults(tmp_path: Path, without: str, rule: str) -> None:
    (tmp_path / "docker-compose.yml").write_text(PROD.read_text().replace(without, ""))
    found = linted(tmp_path / "docker-compose.yml")
    assert found.returncode == 1
    assert rule in found.stdout


def test_the_server_has_the_settings_that_a_machine_of_4_gb_gets() -> None:
    text = (DOCKER / "postgresql.conf").read_text()
    written = {name: value.strip(" '") for name, value in re.findall(r"^([\w.]+) = ([^#\n]+)", text, re.M)}
    wanted = tuned(4 * 2**30)
    other = {"listen_addresses", "wal_level", "max_wal_senders", "dynamic_shared_memory_type"}  # it is asked from far
    assert wanted.keys() <= written.keys()
    assert {name: written[name] for name in wanted.keys() - other} == {
        name: wanted[name] for name in wanted.keys() - other
    }


def test_every_service_is_bounded_and_can_become_nothing_more() -> None:
    for name, service in services(PROD).items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        assert service["mem_limit"], name
        told = dict(service.get("environment", {}))
        assert not [one for one in told if re.search("(PASSWORD|AUTH|TOKEN|DATABASE_URL)$", one)], name  # but by files


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compose.images()
    return compose.secrets(tmp_path_factory.mktemp("compose") / "secrets")


def told(secrets: Path) -> dict[str, str]:
    wal = secrets.with_name("wal")
    wal.mkdir(mode=0o700)
    os.chown(wal, 999, 999)
    ports = {"HTTP_PORT": "18080", "HTTPS_PORT": "18443", "PROMETHEUS_PORT": PROMETHEUS}
    own = {"APPOINTMENT360_SECRETS": str(secrets), "STORE_SECRET_KEY": str(secrets / "s3_secret_key")}
    site = secrets.with_name("site.env")
    site.write_text(f"APPOINTMENT360_SECURITY_CONTACT={CONTACT}\nAPPOINTMENT360_PREFECT_URL=http://elsewhere:4200\n")
    archived = {name: value for name, value in dotenv_values(DOCKER / "wal.env").items() if value}
    return {"SITE_NAME": NAME, "ADMIN_EMAIL": EMAIL, "WAL": str(wal), "SITE_ENV": str(site), **archived, **own, **ports}


@pytest.fixture(scope="module")
def house(secrets: Path) -> Iterator[Project]:
    """All of it, in the order that depends_on asks for, with both profiles."""
    options = ("--env-file", str(DOCKER / "s3.env"), "--profile", "s3", "--profile", "monitoring")
    project = Project(PROD, "appointment360-test", told(secrets), options)
    project.down()
    try:
        project.up("database", "store")
        project.volume("home")
        made = [project.compose("run", "--rm", "--no-deps", "-T", "bucket").stdout for _ in range(2)]
        assert ["was made" in made[0], "is there" in made[1]] == [True, True], made
        migrated = [project.started("run", "--rm", "--no-deps", "-T", "migrate") for _ in range(2)]
        said = [(one.communicate()[0], one.returncode) for one in migrated]
        assert [code for _, code in said] == [0, 0], said
        assert sum("The first administrator was made" in text for text, _ in said) == 1, said
        project.up("prefect", *WEBS)
        project.up(*WORKERS, "nginx", "prometheus")
        yield project
    finally:
        project.down()


@pytest.fixture(scope="module")
def browser(house: Project) -> Iterator[httpx.Client]:
    """Speaks with nginx, as the site's name; its certificate is the placeholder."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with httpx.Client(
        base_url=f"https://{NGINX}/api/v1", verify=trusting, headers={"Host": NAME}, timeout=60
    ) as client:
        yield client


def get(client: httpx.Client, path: str, **more: Any) -> httpx.Response:
    return client.get(path, extensions={"sni_hostname": NAME}, **more)


def send(client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    answer = client.request(method, path, extensions={"sni_hostname": NAME}, **more)
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer


@pytest.fixture(scope="module")
def signed_in(browser: httpx.Client, secrets: Path) -> httpx.Client:
    """The first administrator, by the password that `secrets new` made."""
    shown = {"email": EMAIL, "password": (secrets / "admin_password").read_text().strip()}
    token = send(browser, "POST", "/sessions", json=shown).json()["token"]
    browser.headers["Authorization"] = f"Bearer {token}"
    return browser


def test_both_instances_are_ready_and_what_they_may_is_as_the_file_says(house: Project) -> None:
    for name in WEBS:
        found = inspected("container", house.container(name))
        assert found["Config"]["User"] == "10001:10001"
        assert found["HostConfig"]["ReadonlyRootfs"]
        assert found["HostConfig"]["Memory"] == 2 * 2**30
        assert not found["EffectiveCaps"]
        assert "no-new-privileges" in found["HostConfig"]["SecurityOpt"]
        told = " ".join(found["Config"]["Env"])
        assert "DATABASE_URL_FILE=/run/secrets/database_url" in told
        assert "postgresql://" not in told


def test_each_instance_has_a_copy_of_the_contacts_that_nobody_else_reads(house: Project) -> None:
    ask = ["sh", "-c", "cd /var/lib/appointment360/mirror && stat -c %a . *.duckdb"]
    until("both have read them", lambda: house.run("web-1", *ask).split() == ["700", "600", "600"])


def test_the_front_reaches_no_database(house: Project) -> None:
    ask = ["curl", "-s", "--connect-timeout", "3", "-o", "/dev/null", "telnet://172.28.2.10:5432"]
    assert podman("exec", house.container("nginx"), *ask, check=False).returncode in (7, 28)
    asked = "import socket; socket.create_connection(('172.28.2.10', 5432), 3); print('reached')"
    assert house.run("web-1", "python", "-c", asked) == "reached\n"


def test_the_program_is_no_superuser_of_its_database(house: Project, secrets: Path) -> None:
    """And nobody is one from elsewhere."""
    asked = "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolcanlogin"
    found = house.run("database", "psql", "-U", "postgres", "-qAt", "-c", asked).splitlines()
    assert sorted(found) == ["appointment360|f|t|f|f", "postgres|t|t|t|t"]
    passwords = "SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL"
    assert house.run("database", "psql", "-U", "postgres", "-qAt", "-c", passwords).split() == ["appointment360"]
    used = "SELECT DISTINCT usename FROM pg_stat_activity WHERE client_addr <<= '172.28.2.0/24'"
    assert house.run("database", "psql", "-U", "postgres", "-qAt", "-c", used).split() == ["appointment360"]
    secret = (secrets / "database_password").read_text().strip()
    tried = "import psycopg, sys; psycopg.connect(sys.argv[1], password=sys.argv[2])"
    to_it = ["exec", house.container("web-1"), "python", "-c", tried, "host=database user=postgres dbname=postgres"]
    assert "password authentication failed" in podman(*to_it, secret, check=False).stderr


def test_what_a_superuser_has_to_allow_is_allowed(house: Project) -> None:
    """Statements are counted, of all roles, and none of those counted is the one with the password."""
    seen = "SELECT bool_and(query !~ 'PASSWORD'), count(*) > 10 FROM pg_stat_statements"
    assert house.run("database", "psql", "-U", "postgres", "-qAt", "-c", seen, "appointment360").strip() == "t|t"
    asked = """
from models import database, settings
from models.performance import rights, statements
database.bind(settings.settings().database_url.get_secret_value())
with database.reading() as session:
    print(statements.ready(), rights.missing(session))
"""
    assert house.run("web-1", "python", "-c", asked).strip() == "None []"


def test_who_says_where_a_request_comes_from_is_nginx_alone(house: Project, signed_in: httpx.Client) -> None:
    """What nginx says is believed: the session knows the address of who asked it, which the instances never see."""
    gateway = inspected("container", house.container("nginx"))["NetworkSettings"]["Networks"]
    asked_from = next(one["Gateway"] for one in gateway.values())
    mine = [one for one in get(signed_in, "/sessions").json() if one["is_this"]]
    assert [one["address"] for one in mine] == [asked_from]


def test_what_stands_in_site_env_counts_but_for_what_the_file_sets(house: Project, browser: httpx.Client) -> None:
    told = get(browser, f"https://{NGINX}/.well-known/security.txt").text
    assert f"Contact: mailto:{CONTACT}\n" in told
    assert house.run("web-1", "printenv", "APPOINTMENT360_PREFECT_URL") == "http://prefect:4200\n"


def test_prometheus_reads_both_instances_and_has_the_rules(house: Project) -> None:
    """With the token, which it finds among the secrets."""

    def asked(path: str, **query: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{PROMETHEUS}/api/v1/{path}", params=query).json()["data"]

    def found(query: str) -> dict[str, str]:
        return {one["metric"]["instance"]: one["value"][1] for one in asked("query", query=query)["result"]}

    both = {"web-1:8360": "1", "web-2:8360": "1"}
    until("both are read", lambda: found('up{job="appointment360"}') == both, lambda: house.log("prometheus"))
    until("both are ready", lambda: found('appointment360_ready{job="appointment360"}') == both)
    rules = {rule["name"]: rule["health"] for group in asked("rules")["groups"] for rule in group["rules"]}
    written = re.findall(r"- alert: (\w+)", (ROOT / "deploy" / "monitoring" / "alerts.yml").read_text())
    assert sorted(rules) == sorted(written)
    assert "err" not in rules.values()


def test_a_worker_carries_out_an_import_that_came_through_nginx(signed_in: httpx.Client) -> None:
    data = SAMPLE.read_bytes()
    begun = send(signed_in, "POST", "/imports", json={"name": SAMPLE.name, "size": len(data)}).json()
    address = f"/imports/{begun['import_id']}"
    send(signed_in, "PUT", f"{address}/parts/1", content=data)
    send(signed_in, "POST", f"{address}/upload/complete")

    def state(*wanted: str) -> Any:
        found = get(signed_in, address).json()
        assert found["error"] is None, found
        return found if found["state"] in wanted and found["wanted"] is None else None

    if until("it is opened", lambda: state("opened", "planned"))["state"] == "opened":
        send(signed_in, "PUT", f"{address}/mapping", json=get(signed_in, f"{address}/mapping").json()["chosen"])
    until("it has a plan", lambda: state("planned"))
    plan = get(signed_in, f"{address}/plan").json()["plan"]
    send(signed_in, "POST", f"{address}/commit", json={"plan": plan})
    found = until("it is in", lambda: state("committed"))
    assert (found["rows"], found["created"], found["rejected"]) == (537, 537, 0)
    counted = get(signed_in, "/contacts?size=1&count=true").json()
    assert counted["total"] == 537


def test_what_was_uploaded_lies_in_the_store(house: Project, signed_in: httpx.Client) -> None:
    """By the test before, in one piece."""
    there = ["find", "/data/appointment360/site/imports", "-type", "f", "-exec", "cat", "{}", ";"]
    assert podman("exec", house.container("store"), *there).stdout == SAMPLE.read_text()


def test_an_export_is_fetched_from_the_store_by_an_address_that_was_signed(
    house: Project, signed_in: httpx.Client
) -> None:
    """Through nginx, under the site's own name; and nothing else of the store is reached so."""
    number = send(signed_in, "POST", "/exports", json={}).json()["id"]
    made = until(
        "it is written", lambda: [one for one in [get(signed_in, f"/exports/{number}").json()] if one["has_file"]]
    )
    assert (made[0]["state"], made[0]["rows"]) == ("done", 537)
    site = f"https://{NGINX}"
    cookie = {"Cookie": f"__Host-session={signed_in.headers['Authorization'].removeprefix('Bearer ')}"}
    led = signed_in.get(f"{site}/exports/{number}/file", headers=cookie, extensions={"sni_hostname": NAME})
    assert led.status_code == 303, led.text
    assert led.headers["location"].startswith(f"https://{NAME}/appointment360/site/exports/")
    signed = led.headers["location"].replace(NAME, NGINX, 1)

    def fetched(address: str, method: str = "GET") -> httpx.Response:
        named = {"Host": NAME, "Authorization": "Bearer of-somebody", "Cookie": "__Host-session=of-somebody"}
        return signed_in.request(method, address, headers=named, extensions={"sni_hostname": NAME})

    file = fetched(signed)
    assert file.status_code == 200, file.text
    assert file.content == send(signed_in, "GET", f"/exports/{number}/file").content
    assert len(file.text.splitlines()) == 538
    assert file.headers["content-disposition"].startswith("attachment")
    assert "response-content-disposition=attachment" in signed
    assert file.headers["x-content-type-options"] == "nosniff"
    assert fetched(signed.partition("?")[0]).status_code == 404
    assert fetched(signed.replace("X-Amz-Signature=", "X-Amz-Signature=0")).status_code == 403
    assert fetched(signed, "PUT").status_code == fetched(signed, "DELETE").status_code == 403
    assert fetched(f"{site}/appointment360/?list-type=2").status_code == 404


def test_a_backup_goes_into_the_store_and_is_proven(house: Project) -> None:
    made = json.loads(house.run("worker-1", "appointment360", "backup", "--json"))
    assert made["proven"] is True
    there = house.run("store", "find", "/data/appointment360/site/backups", "-name", "*.tar.zst.age", "-size", "+10k")
    assert len(there.split()) == 1


def test_without_the_profiles_settings_files_stay_in_the_volume(house: Project, secrets: Path) -> None:
    """Nothing of s3.env: neither a place nor a key, whose file is empty."""
    plain = Project(PROD, house.name, {"SITE_NAME": NAME, "ADMIN_EMAIL": EMAIL, "APPOINTMENT360_SECRETS": str(secrets)})
    asked = plain.compose("run", "--rm", "--no-deps", "-T", "migrate", "settings", "show", "--json").stdout
    named = {one["setting"] for one in json.loads(asked[asked.index("{") :])["settings"]}
    assert "APPOINTMENT360_PREFECT_AUTH" in named
    assert not [one for one in named if "S3" in one or "FILES" in one or one == "APPOINTMENT360_BACKUP_TO"]


def test_without_one_instance_the_other_goes_on_for_the_same_session(house: Project, signed_in: httpx.Client) -> None:
    """nginx's container takes the first one out and lets it in again by itself; the second one is taken out by hand."""

    def instances() -> str:
        return house.run("nginx", "cat", "/etc/site/appointment360/instances.conf")

    def answering() -> set[str]:
        """Which instances answered twelve requests, each over a connection of its own: a process of nginx that ends
        closes those it has. nginx writes no lines of its own."""
        answers = [get(signed_in, "/contacts?size=1", headers={"Connection": "close"}) for _ in range(12)]
        assert [one.status_code for one in answers] == [200] * 12
        numbers = {one.headers["x-request-id"] for one in answers}
        lines = [json.loads(one) for one in house.log("nginx").splitlines() if one.startswith("{")]
        return {one["instance"] for one in lines if one["request_id"] in numbers}

    out = re.compile(r"172\.28\.1\.11:8360 .*down; # not ready")
    first = house.container("web-1")
    podman("kill", "--signal", "KILL", first)
    # podman takes its network down meanwhile, and with it loses what others send at that moment.
    until("its network is gone", lambda: inspected("container", first)["State"]["Status"] == "exited")
    try:
        answering()
        until("it is taken out", lambda: out.search(instances()), lambda: house.log("nginx")[-2000:])
        until("nginx has heard it", lambda: answering() == {"172.28.1.12:8360"})  # the file is there before
    finally:
        house.up("web-1")
    until("it is let in again", lambda: "down" not in instances(), lambda: house.log("nginx")[-2000:])
    house.run("nginx", "/opt/deploy/nginx/instance.sh", "down", "172.28.1.12:8360")
    until("nothing new goes there", lambda: answering() == {"172.28.1.11:8360"})
    house.run("nginx", "/opt/deploy/nginx/instance.sh", "up", "172.28.1.12:8360")


@pytest.mark.parametrize("service", ["web-2", "worker-2", "prefect", "nginx", "database"])
def test_a_signal_ends_each_part_by_its_own_will(house: Project, service: str) -> None:
    """Before its grace is over: nobody had to kill it. The database last, since the others need it."""
    container = house.container(service)
    podman("stop", "-t", "60", container)
    assert inspected("container", container)["State"]["ExitCode"] != KILLED, house.log(service)[-2000:]


def test_the_health_of_a_web_is_that_of_its_database(house: Project) -> None:
    """The test before stopped the database."""
    ask = ["exec", house.container("web-1"), "python", "-m", "deploy.healthy", "http://127.0.0.1:8360/readyz"]
    try:
        assert not house.healthy("web-1")
        until("it says so", lambda: "503" in podman(*ask, check=False).stdout)
    finally:
        house.up("database")
    until("it is ready again", lambda: house.healthy("web-1"), lambda: house.log("web-1"))


def asked(house: Project, statement: str) -> str:
    return house.run("database", "psql", "-U", "postgres", "-qAt", "-c", statement, "appointment360").strip()


# Ten pieces of the log.
MUCH = """DO $$ BEGIN
    FOR number IN 1..10 LOOP
        PERFORM pg_logical_emit_message(true, 'of the test', 'x'), pg_switch_wal();
    END LOOP;
END $$"""
LAY_OUT = ("run", "--rm", "--no-deps", "-T", "database", "to_moment.sh")


def test_the_database_comes_back_to_a_moment_and_from_there_to_others(house: Project, secrets: Path) -> None:
    """From bases and the archived log, as README.md says: each moment as it was seen then, whichever log it is in."""
    wal = secrets.with_name("wal")

    def added(number: int) -> str:
        """The moment at which it is there."""
        asked(house, f"INSERT INTO of_the_test VALUES ({number})")
        return asked(house, "SELECT clock_timestamp()")

    def back_to(moment: str) -> tuple[str, str]:
        """What to_moment.sh says, and what is there then."""
        returns = len(list(wal.glob("*.history")))
        said = house.compose(*LAY_OUT, moment).stdout
        house.up("database")
        until("it is applied", lambda: asked(house, "SELECT pg_is_in_recovery()") == "f", lambda: house.log("database"))
        until("its history is archived", lambda: len(list(wal.glob("*.history"))) == returns + 1)
        return said, asked(house, "SELECT array_agg(number ORDER BY number) FROM of_the_test")

    def stop() -> None:
        podman("stop", "-t", "60", house.container("database"))

    asked(house, "CREATE TABLE of_the_test AS SELECT 1 AS number")
    house.run("database", "keep_base.sh", "1")
    [first] = sorted(one.name for one in (wal / "bases").iterdir())
    with_two = added(2)
    asked(house, "INSERT INTO of_the_test VALUES (3)")
    asked(house, MUCH)
    house.run("database", "keep_base.sh", "2")
    [_, second] = sorted(one.name for one in (wal / "bases").iterdir())
    with_three = asked(house, "SELECT clock_timestamp()")
    asked(house, "DROP TABLE of_the_test")
    refused = house.compose(*LAY_OUT, with_two, check=False)  # beside the server
    assert (refused.returncode != 0, "The next start" in refused.stdout) == (True, False)
    stop()
    assert "no base from before" in house.compose(*LAY_OUT, "2020-01-01", check=False).stdout
    assert "Say which moment" in house.compose(*LAY_OUT, "", check=False).stdout
    said, found = back_to(with_two)
    assert (f"brings {first} to" in said, found) == (True, "{1,2}"), said
    with_four = added(4)
    added(5)
    stop()
    said, found = back_to(with_three)  # of the log that was left
    assert (f"brings {second} to" in said, found) == (True, "{1,2,3}"), said
    stop()
    said, found = back_to(with_four)  # the second base has what was left before
    assert (f"brings {first} to" in said, found) == (True, "{1,2,4}"), said
    added(6)
    stop()
    volume = Path(inspected("volume", f"{house.name}_database")["Mountpoint"])
    shutil.rmtree(volume / "18")
    said, found = back_to("latest")
    assert (f"brings {first} to the end" in said, found) == (True, "{1,2,4,6}"), said


def test_bases_are_kept_by_their_number_and_a_gap_in_the_log_is_told(house: Project, secrets: Path) -> None:
    wal = secrets.with_name("wal")

    def pieces() -> list[str]:
        found = [one.name for one in wal.iterdir() if re.fullmatch("[0-9A-F]{24}", one.name)]
        return sorted(found, key=placed)

    def placed(piece: str) -> str:
        """In the log, whatever its timeline."""
        return piece[8:]

    def keep(*number: str) -> "subprocess.CompletedProcess[str]":
        return podman("exec", house.container("database"), "keep_base.sh", *number, check=False)

    def bases() -> list[str]:
        return sorted(one.name for one in (wal / "bases").iterdir())

    before = bases()
    refused = [keep(number) for number in ("0", "00", "x", "-1")]
    assert [(one.returncode, "1 or more" in one.stderr) for one in refused] == [(2, True)] * 4
    assert bases() == before
    under_way = "exec 9< /var/lib/wal/bases; flock 9; keep_base.sh 1"
    again = podman("exec", house.container("database"), "sh", "-c", under_way, check=False)
    assert (again.returncode, again.stderr) == (1, "Another base is being made.\n")

    def started(base: str) -> str:
        found = re.search(r"\(file (\w+)\)", (wal / "bases" / base / "backup_label").read_text())
        assert found
        return found[1]

    oldest = pieces()[0]
    assert keep("2").returncode == 0
    [second, third] = bases()
    assert placed(started(second)) > placed(started(third)), "that is of the log that was left"
    assert placed(pieces()[0]) == placed(started(third)) > placed(oldest)
    assert keep("1").returncode == 0
    [third] = bases()
    for number in (7, 8):
        asked(house, f"INSERT INTO of_the_test VALUES ({number})")
        asked(house, "SELECT pg_switch_wal()")
    assert keep("2").returncode == 0
    lost = next(one for one in pieces() if one[:8] == started(third)[:8] and one > started(third))
    (wal / lost).rename(wal / f"{lost}.lost")
    told = keep("3")
    [_, _, fourth] = bases()
    assert told.returncode == 1, told.stdout
    assert lost in told.stderr.splitlines()
    assert f"any moment since {bases()[1]} can be restored" in told.stdout
    (wal / f"{lost}.lost").rename(wal / lost)
    whole = keep("3")
    assert (whole.returncode, f"any moment since {fourth}" in whole.stdout) == (0, False), whole.stderr
