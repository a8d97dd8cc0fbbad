"""A PostgreSQL that is older than our programs: Debian's own, which knows less than they tell it, and puts texts into a
language's order where that is wanted."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert, text

from deploy import postgres_programs
from models import database, migrations, secret_files
from models.contacts import mirror, own_mirror, search
from models.contacts.mirrored import Mirrored
from models.contacts.table import Contact
from models.database import reading, writing
from models.filters import Filters
from models.permissions import OPERATOR
from tests.deploy.command_line import Cli
from tests.waiting import free_port

pytestmark = pytest.mark.deploy
PROGRAMS = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def address(open_folder: Path) -> Iterator[Callable[[str], str]]:
    """Of a database by its name, on a server that lives as long as the test."""
    folder, port, password = open_folder / "server", free_port(), secret_files.random()
    folder.mkdir()
    (folder / "password").write_text(password)
    user = postgres_programs.server_user(folder / "pgdata")
    if user is not None:
        for one in (folder, folder / "password"):
            os.chown(one, user.uid, user.gid)

    def run(program: str, *arguments: str | Path) -> None:
        output = open_folder / "printed.log"
        ended = postgres_programs.run(
            [PROGRAMS / program, "-D", folder / "pgdata", *arguments], output=output, user=user
        )
        assert ended == 0, output.read_text()

    run("initdb", "-U", "app", f"--pwfile={folder / 'password'}", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale")
    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    run("pg_ctl", "start", "-o", options, "-l", folder / "server.log")
    yield lambda database: f"postgresql://app:{password}@127.0.0.1:{port}/{database}"
    run("pg_ctl", "stop", "-m", "immediate")


@pytest.fixture
def old(address: Callable[[str], str], open_folder: Path) -> Cli:
    with psycopg.connect(address("postgres"), autocommit=True) as session:
        session.execute("CREATE DATABASE contacts TEMPLATE template0")
        session.execute("CREATE DATABASE restored TEMPLATE template0")
    cli = Cli(address("contacts"), open_folder / "home")
    assert cli("migrate").code == 0
    cli.sql("INSERT INTO contacts (first_name, email) VALUES ('Ada', 'ada@example.com')")
    return cli


def test_what_was_backed_up_is_restored(old: Cli, address: Callable[[str], str]) -> None:
    made = old("backup", "--json")
    assert (made.code, made.object.get("proven")) == (0, True), made.err
    into = address("restored")
    restored = old("restore", made.object["backup_id"], "--into", into, "--yes", "--json")
    assert (restored.code, restored.object.get("matches")) == (0, True), restored.err
    with psycopg.connect(into) as session:
        assert session.info.server_version // 10_000 == 15
        assert session.execute("SELECT email FROM contacts").fetchall() == [("ada@example.com",)]


def test_what_fails_beside_that_is_told(old: Cli) -> None:
    """A table's rule asks for a parameter that the copy does not know: in the words of what is no fault."""
    old.sql("ALTER DATABASE contacts SET custom.known = 'yes'")
    old.sql("ALTER TABLE contacts ADD CONSTRAINT known CHECK (current_setting('custom.known') = 'yes')")
    failed = old("backup", "--json")
    assert failed.code == 1
    assert "The backup could not be restored: pg_restore: error: COPY failed" in failed.object["error"]
    assert 'unrecognized configuration parameter "custom.known"' in failed.object["error"]
    [listed] = old("backups", "--json").object["backups"]
    assert listed["state"] == "failed"
    assert old.sql("SELECT datname FROM pg_database WHERE datname LIKE '%drill%'") == []


@pytest.fixture
def of_a_language(address: Callable[[str], str]) -> Iterator[None]:
    """The process's own database, in the order of English."""
    with psycopg.connect(address("postgres"), autocommit=True) as session:
        session.execute("CREATE DATABASE english TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'")
    migrations.upgrade(address("english"))
    database.bind(address("english"))
    yield
    database.engine().dispose()


@pytest.mark.usefixtures("of_a_language")
def test_the_mirror_leaves_a_language_s_order_to_the_database(tmp_path: Path) -> None:
    cities = ["b", "A", "a", "B", "Zoë", "ä", "z", "É", "e", None]
    with writing(OPERATOR) as session:
        rows = [{"city": city, "tags": city and [city, "Of all"], "employees": 7} for city in cities]
        session.execute(insert(Contact), rows * 2)
    with mirror.held(tmp_path, threads=1, memory="200MB") as made:
        assert made.wait(60)
        with reading() as session:
            ids = [list(session.scalars(text(f"SELECT id FROM contacts ORDER BY city {one} NULLS LAST, id {one}")))
                   for one in ("ASC", "DESC")]  # fmt: skip
        for sort, expected in zip(("city", "-city"), ids, strict=True):
            found = search.page(Filters(), columns=["city"], sort=sort, size=50, by=OPERATOR)
            assert [row["id"] for row in found.rows] == expected
        listed = search.page(Filters(), columns=["city"], sort="city", size=50, by=OPERATOR)
        assert [row["city"] for row in listed.rows][::2] == ["a", "A", "ä", "b", "B", "e", "É", "z", "Zoë", None]
        answering = {}
        for sort in ("city", "tags", "id", "employees"):
            with search._engine(Filters(), OPERATOR, search._order(sort, OPERATOR, is_whole=False)) as engine:
                answering[sort] = type(engine)
        assert answering == {"city": search._Stored, "tags": search._Stored, "id": Mirrored, "employees": Mirrored}
        for filters in (Filters(), Filters(q="a")):
            with own_mirror.viewing() as view:
                assert view is not None
                ours = Mirrored(view, filters, OPERATOR)
                theirs = search._Stored(view.session, filters, filters.condition(by=OPERATOR))
                for name in ("city", "tags"):
                    for most in (3, 5, 100):
                        assert ours.count_by(name, most) == theirs.count_by(name, most)
                        assert ours.count_by_each([name], {}, most) == theirs.count_by_each([name], {}, most)
