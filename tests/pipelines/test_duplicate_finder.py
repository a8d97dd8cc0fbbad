"""The finder against tables whose duplicates are known, and what it does with few records, odd ones and hubs."""

import json
from pathlib import Path

import duckdb
import pytest

from pipelines.duplicate_finder import blocking, linking
from pipelines.duplicate_finder.description import Meaning
from tests.pipelines import labelled
from tests.pipelines.labelled import CSV_EXAMPLE, FAKE_1000, FEBRL, described

PEOPLE = described(
    first_name=Meaning.FIRST_NAME, last_name=Meaning.LAST_NAME, email=Meaning.EMAIL, company=Meaning.ORGANISATION
)


@pytest.mark.shared_data
def test_fake_1000(shared_data: Path) -> None:
    _, score = labelled.linked(labelled.fake_1000(shared_data), FAKE_1000)
    assert score.f1 >= 0.93


@pytest.mark.shared_data
def test_febrl3(shared_data: Path) -> None:
    _, score = labelled.linked(labelled.febrl3(shared_data), FEBRL)
    assert score.f1 >= 0.99


@pytest.mark.shared_data
def test_csv_example_is_better_than_the_same_email(shared_data: Path) -> None:
    source = labelled.csv_example(shared_data)
    _, score = labelled.linked(source, CSV_EXAMPLE)
    assert score.f1 >= 0.84
    assert score.f1 > labelled.by_email(source, "email_address").f1


def people(*rows: tuple[str | None, ...]) -> duckdb.DuckDBPyConnection:
    connection = labelled.table("SELECT 0 AS id, '' AS first_name, '' AS last_name, '' AS email, '' AS company LIMIT 0")
    for number, row in enumerate(rows, 1):
        connection.execute("INSERT INTO source VALUES (?, ?, ?, ?, ?)", [number, *row])
    return connection


def pairs(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    found = connection.execute(f"SELECT left_id, right_id FROM {linking.PAIRS} ORDER BY ALL")
    return found.fetchall()


def test_in_a_few_contacts_the_obvious_is_found() -> None:
    few = people(
        ("Zoë", "Müller", "zoe@acme.example", "Acme GmbH"),
        ("Zoe", "Muller", "zoe@acme.example", "ACME"),
        ("Ben", "Ito", "ben@acme.example", "Acme"),
        ("Ito", "Ben", "ben@acme.example", None),
        ("Rosa", "Diaz", "info@acme.example", "Acme"),
        (None, None, None, "Acme"),
        (None, None, None, None),
    )
    found = linking.link(few, PEOPLE, "source")
    assert pairs(few) == [(1, 2), (3, 4)]
    assert (found.records, found.pairs, found.clusters) == (7, 2, 2)
    reasons = json.loads(few.execute(f"SELECT reasons FROM {linking.PAIRS} WHERE left_id = 3").fetchall()[0][0])
    told = {one["of"]: one["found"] for one in reasons}
    assert told == {"name": "first and last name swapped", "email": "the same", "company": None}
    assert [one["bits"] > 5 for one in reasons if one["found"]] == [True, True]


@pytest.mark.parametrize("number", [0, 1])
def test_none_or_one_is_no_error(number: int) -> None:
    source = people(*[("Ann", "Lee", "ann@acme.example", "Acme")][:number])
    assert linking.link(source, PEOPLE, "source").pairs == 0


def test_what_somebody_knows_better_is_left_out() -> None:
    twice = people(*[("Ann", "Lee", "ann@acme.example", "Acme")] * 2)
    twice.execute("CREATE TABLE apart AS SELECT 1 AS left_id, 2 AS right_id")
    assert linking.link(twice, PEOPLE, "source", apart="apart").pairs == 0
    assert linking.link(twice, PEOPLE, "source").pairs == 1


def test_a_key_that_many_share_makes_no_pairs() -> None:
    """A hundred thousand with the address of a help desk are five billion pairs."""
    hub = labelled.table(
        "SELECT i AS id, 'F' || i AS first_name, 'L' || i AS last_name, 'help@desk.example' AS email, 'Desk' AS company"
        f" FROM range({blocking.TELLING + 1}) AS t(i)"
    )
    assert linking.link(hub, PEOPLE, "source").compared == 0


def test_the_same_contacts_give_the_same_answer() -> None:
    made = """SELECT i AS id, 'F' || i % 97 AS first_name, 'L' || i % 89 AS last_name,
        'f' || i % 97 || '@' || 'co' || i % 53 || '.example' AS email, 'Co ' || i % 53 AS company
        FROM range(900) t(i)"""
    answers = [linking.link(labelled.table(made), PEOPLE, "source") for _ in range(2)]
    assert answers[0] == answers[1]
