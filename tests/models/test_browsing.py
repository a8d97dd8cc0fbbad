"""The indexes of browsing: made again where they are missing, or were left half built."""

import psycopg
import pytest

from models import database
from models.contacts import browsing
from models.database import BROWSING_LOCK, libpq_url

ALL = sorted(browsing.INDEXES)


def valid(url: str) -> list[str]:
    with psycopg.connect(libpq_url(url)) as connection:
        found = connection.execute(
            """SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
               WHERE i.indrelid = 'contacts'::regclass AND i.indisvalid AND c.relname = ANY(%s)""",
            [ALL],
        )
        return sorted(name for (name,) in found)


def run(url: str, *statements: str) -> None:
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_what_is_missing_is_built_and_nothing_else(db: str) -> None:
    assert valid(db) == ALL
    assert browsing.ensure_indexes() == []
    run(db, "DROP INDEX contacts_words, contacts_browsed")
    assert browsing.ensure_indexes() == ["contacts_browsed", "contacts_words"]
    assert valid(db) == ALL


def test_an_index_that_was_left_half_built_is_built_anew(db: str) -> None:
    run(db, "INSERT INTO contacts (first_name) VALUES ('Ann'), ('Ann')", "DROP INDEX contacts_lists")
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(db, "CREATE UNIQUE INDEX CONCURRENTLY contacts_lists ON contacts (first_name)")
    assert "contacts_lists" not in valid(db)
    assert browsing.ensure_indexes() == ["contacts_lists"]
    assert valid(db) == ALL


def test_of_two_at_once_one_builds(db: str) -> None:
    run(db, "DROP INDEX contacts_words")
    with psycopg.connect(libpq_url(db)) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [BROWSING_LOCK])
        assert browsing.ensure_indexes() == []
        other.execute("SELECT pg_advisory_unlock(%s)", [BROWSING_LOCK])  # its process may outlive the connection
    assert browsing.ensure_indexes() == ["contacts_words"]
    with database.engine().connect() as connection:  # the same connection, without the lock of the last round
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar() == 0


def test_an_older_value_that_is_too_long_costs_one_index_only(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "_impossible", set())
    noise = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 200) AS numbered (n))"
    run(db, "DROP INDEX contacts_browsed, contacts_lists", f"INSERT INTO contacts (email_status) VALUES ({noise})")
    assert browsing.ensure_indexes() == ["contacts_lists"]
    assert browsing.ensure_indexes() == []
    assert valid(db) == ["contacts_lists", "contacts_words"]


def test_what_an_import_added_is_merged(db: str) -> None:
    pages = "SELECT count(*) FROM contacts WHERE technologies @> '{SAP}'"
    run(db, "INSERT INTO contacts (technologies) SELECT '{SAP}' FROM generate_series(1, 500)")
    assert browsing.ensure_indexes() == []
    with psycopg.connect(libpq_url(db)) as connection:
        left = connection.execute("SELECT gin_clean_pending_list('contacts_lists')").fetchone()
        assert (left, connection.execute(pages).fetchone()) == ((0,), (500,))
