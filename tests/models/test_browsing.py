"""The indexes that served browsing: none is there, and what an older program builds of them beside this one goes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from models.contacts import browsing
from models.database import BROWSING_LOCK, libpq_url
from tests.table_locks import until_waited_for

LEFT = [
    "contacts_company", "contacts_contact_id", "contacts_email", "contacts_industry", "contacts_last_name",
    "contacts_linkedin", "contacts_pkey",
]  # fmt: skip
BUILT = "CREATE INDEX contacts_lists ON contacts USING gin (technologies, keywords, tags, departments)"


def there(url: str) -> list[str]:
    with psycopg.connect(libpq_url(url)) as connection:
        found = connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'contacts'::regclass"
        )
        return sorted(name for (name,) in found)


def run(url: str, *statements: str) -> None:
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_only_what_something_else_needs_is_there(db: str) -> None:
    assert there(db) == LEFT
    assert browsing.drop_former() == []


def test_what_an_older_program_builds_is_dropped_also_where_it_did_not_end(db: str) -> None:
    run(db, "INSERT INTO contacts (first_name) VALUES ('Ann'), ('Ann')", BUILT)
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(db, "CREATE UNIQUE INDEX CONCURRENTLY contacts_words ON contacts (first_name)")
    assert set(there(db)) == {*LEFT, "contacts_lists", "contacts_words"}
    assert browsing.drop_former() == ["contacts_lists", "contacts_words"]
    assert there(db) == LEFT


def test_it_keeps_nobody_waiting_while_they_are_built_or_contacts_are_in_use(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "PATIENCE", "200ms")
    run(db, BUILT)
    with psycopg.connect(libpq_url(db)) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [BROWSING_LOCK])
        assert browsing.drop_former() == []
        other.execute("SELECT pg_advisory_unlock(%s)", [BROWSING_LOCK])
        other.execute("SELECT FROM contacts")  # and does not end
        assert browsing.drop_former() == []
        read = threading.Thread(target=run, args=(db, "SELECT FROM contacts"))
        read.start()
        read.join(10)
        assert not read.is_alive(), "nothing waits for the table any more"
    assert browsing.drop_former() == ["contacts_lists"]
    assert there(db) == LEFT


def test_where_it_and_another_wait_for_each_other_it_gives_way(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "PATIENCE", "60s")
    run(db, BUILT)
    with ThreadPoolExecutor() as beside, psycopg.connect(libpq_url(db)) as other:
        other.execute("SELECT FROM contacts")
        dropping = beside.submit(browsing.drop_former)
        until_waited_for(db, "contacts")
        other.execute("SELECT pg_advisory_xact_lock(%s)", [BROWSING_LOCK])
        assert dropping.result() == []
    assert browsing.drop_former() == ["contacts_lists"]
