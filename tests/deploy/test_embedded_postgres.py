"""The embedded server with real processes: started, joined, killed, and never in the way of its data."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path

import psutil
import psycopg
import pytest

from deploy import postgres_programs, postgres_settings
from deploy.embedded_postgres import EmbeddedPostgresError, Server, start_or_join

PROJECT = Path(__file__).parents[2]
USER_PROCESS = """
import sys
from pathlib import Path
from deploy.embedded_postgres import start_or_join
server = start_or_join(Path(sys.argv[1]), keep=len(sys.argv) > 2)
print(server.port, server.joined, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory that the server's system user may enter; servers left in it are killed."""
    directory = Path(tempfile.mkdtemp(prefix="appointment360-")).resolve()
    directory.chmod(0o755)
    yield directory
    left = [process for process in psutil.process_iter() if str(directory) in _cwd(process)]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    # In a container nobody may collect the dead; a zombie counts as gone.
    _eventually(lambda: not [process for process in left if _cwd(process)], "the servers end")
    shutil.rmtree(directory)


@pytest.fixture
def home(base: Path) -> Path:
    return base / "home"


def _cwd(process: psutil.Process) -> str:
    try:
        return process.cwd() or ""
    except psutil.Error:
        return ""


def _server_processes(home: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _cwd(process) == str(home / "postgres" / "pgdata")]


def _postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres" / "pgdata" / "postmaster.pid").read_text().split("\n")[0]))


def _connect(server: Server, database: str = "postgres") -> closing[psycopg.Connection]:
    return closing(psycopg.connect(server.url(database, ""), autocommit=True))


def _value(server: Server, question: str, database: str = "postgres") -> object:
    with _connect(server, database) as connection:
        row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


def _use(home: Path, *more: str, path: Path = PROJECT) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", USER_PROCESS, str(home), *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=pipe, stdout=pipe, text=True)


@contextmanager
def _ending(*users: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        for user in users:
            user.kill()
            user.communicate()


def _answer(user: subprocess.Popen[str]) -> tuple[int, bool]:
    assert user.stdout is not None
    port, joined = user.stdout.readline().split()
    return int(port), joined == "True"


def _eventually(condition: Callable[[], object], what: str) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail(f"never happened: {what}")


def test_the_first_starts_the_second_joins_and_the_last_stops(home: Path) -> None:
    first = start_or_join(home)
    second = start_or_join(home)
    assert (first.joined, second.joined, second.port) == (False, True, first.port)

    first.release()
    first.release()
    assert second.alive()
    assert _value(second, "select 1") == 1

    second.release()
    assert not second.alive()
    assert _server_processes(home) == []


def test_data_stays_between_starts_and_the_end_of_a_process_is_a_release(home: Path) -> None:
    server = start_or_join(home)
    server.ensure_database("kept")
    with _connect(server, "kept") as connection:
        connection.execute("create table note as select 'here' as word")
    server.release()

    user = _use(home)
    with _ending(user):
        assert _answer(user)[1] is False
        user.communicate()
        assert user.returncode == 0
        assert _server_processes(home) == []

    server = start_or_join(home)
    assert _value(server, "select word from note", "kept") == "here"
    server.release()


def test_a_kept_server_outlives_its_process(home: Path) -> None:
    user = _use(home, "keep")
    with _ending(user):
        port, _ = _answer(user)
        user.communicate()
    server = start_or_join(home)
    assert (server.joined, server.port) == (True, port)
    server.release()
    assert not server.alive()


def test_four_first_starts_at_once_end_with_one_server(home: Path) -> None:
    users = [_use(home) for _ in range(4)]
    with _ending(*users):
        answers = [_answer(user) for user in users]
        assert sorted(joined for _, joined in answers) == [False, True, True, True]
        assert len({port for port, _ in answers}) == 1
        family = {process.pid for process in _server_processes(home)}
        assert [process.pid for process in _server_processes(home) if process.ppid() not in family] == [
            _postmaster(home).pid
        ]
        for user in users:
            user.communicate()
    assert _server_processes(home) == []


def test_after_kill_9_of_its_owner_the_server_is_joined(home: Path) -> None:
    owner = _use(home)
    with _ending(owner):
        port, _ = _answer(owner)
        owner.kill()
        owner.wait()
    server = start_or_join(home)
    assert (server.joined, server.port) == (True, port)
    server.release()
    assert _server_processes(home) == []


def test_every_acknowledged_row_survives_kill_9_of_the_server(home: Path) -> None:
    server = start_or_join(home)
    server.ensure_database("rows")
    acknowledged: list[int] = []
    enough = threading.Event()

    def insert_until_the_server_dies() -> None:
        with _connect(server, "rows") as connection, suppress(psycopg.OperationalError):
            connection.execute("create table row (number int)")
            for number in count():
                connection.execute("insert into row values (%s)", [number])
                acknowledged.append(number)
                if number == 300:
                    enough.set()

    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(insert_until_the_server_dies)
        assert enough.wait(120)
        _postmaster(home).kill()
        client.result(120)

    again = start_or_join(home)
    assert not again.joined
    with _connect(again, "rows") as connection:
        stored = {number for (number,) in connection.execute("select number from row")}
    assert set(acknowledged) <= stored
    server.release()
    assert again.alive()
    again.release()
    assert _server_processes(home) == []


def test_a_query_that_outlives_a_killed_server_does_not_block_the_next_start(home: Path) -> None:
    server = start_or_join(home)

    def loop_until_the_server_dies() -> None:
        with _connect(server) as connection, pytest.raises(psycopg.OperationalError):
            connection.execute("do $$ begin loop end loop; end $$")

    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(loop_until_the_server_dies)
        running = "select count(*) from pg_stat_activity where query like 'do $$%'"
        _eventually(lambda: _value(server, running) == 1, "the query runs")
        family = _server_processes(home)
        _postmaster(home).kill()
        try:
            again = start_or_join(home)
        finally:
            # A failure must not wait for a query without end.
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        client.result(120)
    assert not again.joined
    assert _value(again, "select 1") == 1
    again.release()
    server.release()


def test_a_stale_pid_file_whose_number_is_reused_harms_nobody(home: Path) -> None:
    server = start_or_join(home)
    pid_file = home / "postgres" / "pgdata" / "postmaster.pid"
    left = pid_file.read_text().split("\n")
    owner = pid_file.stat()
    server.release()

    own = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (None, None)
    stranger = subprocess.Popen(["sleep", "600"], user=own[0], group=own[1])
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *left[1:]]))
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        again = start_or_join(home)
        assert not again.joined
        assert _value(again, "select 1") == 1
        again.release()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("password", ["wrong", ""])
def test_nobody_signs_in_without_the_password(home: Path, password: str) -> None:
    server = start_or_join(home)
    secret = (home / "postgres" / "password").read_text()
    address = server.url("postgres", "").replace(secret, password)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address)
    assert (home / "postgres" / "password").stat().st_mode & 0o077 == 0
    assert secret not in repr(server)
    server.release()


def test_data_of_another_major_version_is_left_alone(home: Path) -> None:
    start_or_join(home).release()
    stored = home / "postgres" / "pgdata" / "PG_VERSION"
    stored.write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"belongs to PostgreSQL 17, but PostgreSQL 18 is installed"):
        start_or_join(home)
    assert _server_processes(home) == []


def test_a_data_directory_without_its_version_is_not_overwritten(home: Path) -> None:
    start_or_join(home).release()
    stored = home / "postgres" / "pgdata" / "PG_VERSION"
    stored.unlink()
    with pytest.raises(EmbeddedPostgresError, match="PG_VERSION is missing"):
        start_or_join(home)
    assert (home / "postgres" / "pgdata" / "global").is_dir()


def test_a_lost_password_file_is_named(home: Path) -> None:
    start_or_join(home).release()
    (home / "postgres" / "password").unlink()
    with pytest.raises(EmbeddedPostgresError, match="password is missing"):
        start_or_join(home)


def test_the_leftover_of_a_killed_initdb_is_cleaned(home: Path) -> None:
    leftover = home / "postgres" / "pgdata.new-killed"
    leftover.mkdir(parents=True)
    for directory in (home, leftover.parent):
        directory.chmod(0o755)
    (leftover / "PG_VERSION").write_text("18\n")
    server = start_or_join(home)
    assert _value(server, "select 1") == 1
    assert not leftover.exists()
    server.release()


def test_a_first_start_killed_in_the_middle_is_begun_anew(home: Path) -> None:
    starter = _use(home)
    with _ending(starter):
        _eventually(lambda: list((home / "postgres").glob("pgdata.new-*/base")), "initdb runs")
        starter.kill()
        starter.wait()
    server = start_or_join(home)
    assert not server.joined
    assert _value(server, "select 1") == 1
    assert list((home / "postgres").glob("pgdata.new-*")) == []
    server.release()


def test_two_homes_run_side_by_side(base: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(start_or_join, [base / "one", base / "two"])
    assert one.port != two.port
    assert not one.joined
    assert not two.joined
    one.ensure_database("only_one")
    assert _value(two, "select count(*) from pg_database where datname = 'only_one'") == 0
    one.release()
    assert two.alive()
    two.release()


def test_a_taken_port_is_left_to_its_owner(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start_or_join(home, preferred_port=port)
        assert server.port != port
        assert server.alive()
        server.release()


def test_a_home_out_of_reach_is_named_and_not_opened(base: Path) -> None:
    closed = base / "closed"
    closed.mkdir()
    # Root's server runs as another user, whom 0700 keeps out; anybody else is kept from writing by 0500.
    mode = 0o700 if os.geteuid() == 0 else 0o500
    closed.chmod(mode)
    with pytest.raises(EmbeddedPostgresError, match=str(closed)):
        start_or_join(closed / "home")
    assert closed.stat().st_mode & 0o777 == mode
    assert list(closed.iterdir()) == []


def test_a_wheel_out_of_reach_is_copied_once_below_the_home(base: Path, home: Path) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    packages = postgres_programs.installed().parents[1]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (packages / name).is_dir():
            shutil.copytree(packages / name, closed / name)
    (home / "postgres-binaries" / "new-killed").mkdir(parents=True)
    home.chmod(0o755)
    (home / "postgres-binaries").chmod(0o755)

    user = _use(home, path=closed)
    with _ending(user):
        _answer(user)
        program = Path(_postmaster(home).exe())
        user.communicate()
    # Only root's server runs as somebody else, who needs the copy.
    copied = os.geteuid() == 0
    assert program.is_relative_to(home / "postgres-binaries" if copied else closed)
    left = [path.name for path in (home / "postgres-binaries").iterdir()]
    assert left == [postgres_programs.version() if copied else "new-killed"]


def test_a_refused_setting_is_reported_with_the_log(home: Path) -> None:
    with pytest.raises(EmbeddedPostgresError) as caught:
        start_or_join(home, tuning={"work_mem": "plenty"})
    assert str(home / "postgres" / "server.log") in caught.value.sentence
    assert 'invalid value for parameter "work_mem": "plenty"' in caught.value.sentence


def test_settings_fit_the_machine_and_can_be_overridden(home: Path) -> None:
    gigabyte = 1024**3
    big, small = postgres_settings.tuned(24 * gigabyte), postgres_settings.tuned(gigabyte // 2)
    assert (big["shared_buffers"], big["effective_cache_size"]) == ("1024MB", "12288MB")
    assert (small["shared_buffers"], small["maintenance_work_mem"]) == ("128MB", "256MB")

    server = start_or_join(home, tuning={"work_mem": "5MB", "log_line_prefix": "it's %p\\ "})
    shown = {name: _value(server, f"show {name}") for name in ("work_mem", "log_line_prefix", "jit", "TimeZone")}
    assert shown == {"work_mem": "5MB", "log_line_prefix": "it's %p\\ ", "jit": "off", "TimeZone": "UTC"}
    server.release()


def test_databases_with_extensions_are_made_by_several_at_once(home: Path) -> None:
    extensions = ["pg_trgm", "unaccent", "citext", "pg_stat_statements", "btree_gin"]
    servers = [start_or_join(home) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda server: server.ensure_database("contacts of 360", extensions), servers))
    server = servers[0]
    with _connect(server, "contacts of 360") as connection:
        found = {name for (name,) in connection.execute("select extname from pg_extension")}
    assert found == {*extensions, "plpgsql"}
    locale = "select datlocprovider::text || datlocale from pg_database where datname = current_database()"
    assert _value(server, locale, "contacts of 360") == "bC.UTF-8"
    with pytest.raises(EmbeddedPostgresError, match="no_such_extension"):
        server.ensure_database("contacts of 360", ["no_such_extension"])
    for each in servers:
        each.release()


def test_settings_of_the_persons_own_server_do_not_reach_ours(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "PGSSLMODE": "require", "LC_ALL": "xx_XX"}.items():
        monkeypatch.setenv(name, value)
    server = start_or_join(home)
    server.ensure_database("own")
    assert server.alive()
    server.release()


def test_addresses_and_tools(home: Path) -> None:
    server = start_or_join(home)
    secret = (home / "postgres" / "password").read_text()
    place = f"postgres:{secret}@127.0.0.1:{server.port}"
    assert server.url() == f"postgresql+psycopg://{place}/appointment360"
    assert server.url("prefect", "asyncpg") == f"postgresql+asyncpg://{place}/prefect"
    assert server.url("a/b", "") == f"postgresql://{place}/a%2Fb"
    dump = subprocess.run([server.tool("pg_dump"), server.url("postgres", "")], capture_output=True, text=True)
    assert "PostgreSQL database dump complete" in dump.stdout, dump.stderr
    server.release()


def test_an_interrupted_start_leaves_no_server(home: Path) -> None:
    starter = _use(home)
    with _ending(starter):
        _eventually(lambda: (home / "postgres" / "server.log").exists(), "the server is launched")
        starter.send_signal(signal.SIGINT)
        starter.wait(120)
    assert _server_processes(home) == []


def test_importing_the_module_loads_nothing_slow() -> None:
    question = (
        "import sys, deploy.embedded_postgres as e; print({'psutil','psycopg','embedded_postgres'} & {*sys.modules})"
    )
    answer = subprocess.run([sys.executable, "-c", question], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"
