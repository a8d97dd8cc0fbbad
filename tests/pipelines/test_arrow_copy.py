"""What ADBC knows of a database is read once for the copies that follow each other, and released after the last."""

from collections.abc import Iterator

import adbc_driver_postgresql
import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcConnection, AdbcDatabase, Error

from models.database import libpq_url
from pipelines import arrow_copy
from pipelines.arrow_copy import copy_in, copy_out, known


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[AdbcDatabase]]:
    """Every database that ADBC got to know; none of them is left open."""
    connect, opened = adbc_driver_postgresql.connect, []

    def noted(url: str) -> AdbcDatabase:
        opened.append(connect(url))
        return opened[-1]

    monkeypatch.setattr(adbc_driver_postgresql, "connect", noted)
    yield opened
    arrow_copy._release_last()
    assert not [one for one in opened if answers(one)]


def answers(database: AdbcDatabase) -> bool:
    try:
        with AdbcConnection(database):
            return True
    except Error:
        return False


def test_copies_into_one_database_read_its_types_once(db: str, opened: list[AdbcDatabase]) -> None:
    rows = pa.table({"name": ["Mining", "Milling"]})
    copy_in(libpq_url(db), "industries", rows.to_reader())
    assert copy_out(libpq_url(db), "SELECT name FROM industries ORDER BY name DESC") == rows
    assert len(opened) == 1


def test_a_table_made_since_is_found(db: str, opened: list[AdbcDatabase]) -> None:
    copy_out(libpq_url(db), "CREATE TABLE later AS SELECT 'x'::text AS name, ARRAY['1'] AS marks")
    copy_in(libpq_url(db), "later", pa.table({"name": ["y"], "marks": [["2", "3"]]}).to_reader())
    found = copy_out(libpq_url(db), "SELECT marks FROM later ORDER BY name")
    assert found.to_pydict() == {"marks": [["1"], ["2", "3"]]}
    assert len(opened) == 1


def test_another_database_releases_the_last_once_nobody_uses_it(db: str, opened: list[AdbcDatabase]) -> None:
    one, other = libpq_url(db), f"{libpq_url(db)}?application_name=other"
    with known(one) as first:
        with known(other):
            assert answers(first)
        assert answers(first)
        with known(one) as again:
            assert again is not first
    assert [answers(database) for database in opened] == [False, False, True]


def test_a_database_that_is_away_is_asked_for_again(db: str, opened: list[AdbcDatabase]) -> None:
    nowhere = libpq_url(db).rpartition("/")[0] + "/nowhere"
    with pytest.raises(Error, match="nowhere"), known(nowhere):
        pass
    assert copy_out(libpq_url(db), "SELECT 1 AS one").to_pydict() == {"one": [1]}
