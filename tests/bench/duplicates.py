"""How well and how soon duplicates are found: on tables whose duplicates are known, and among made-up contacts, of
which a share is there twice as people's files have them twice: misspelled, shortened, swapped, under another address,
moved to another company."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg

from deploy.embedded_postgres import Server
from tests.bench.limits import Measured
from tests.bench.processes import command
from tests.conftest import SHARED_DATA
from tests.pipelines import labelled

SHARE = 0.05  # of the contacts, those that are there twice
TRUTH = "account_id"  # which contacts are the same; the finder does not read it
MB = 1024 * 1024
COLUMNS = (
    "first_name", "last_name", "title", "company", "email", "mobile_phone", "work_direct_phone",
    "person_linkedin_url", "city", "contact_id", TRUTH,
)  # fmt: skip
_SYLLABLES = [
    "an",
    "be",
    "ka",
    "mi",
    "ro",
    "la",
    "jo",
    "se",
    "ti",
    "na",
    "el",
    "do",
    "va",
    "ri",
    "lu",
    "sa",
    "he",
    "ma",
    "pe",
    "gu",
    "co",
    "fe",
    "ni",
    "ol",
]
_LAST = ["n", "s", "r", "l", "th"]
_ENDS = ["son", "er", "man", "ez", "ov", "ini"]
_TITLES = ("Account Manager", "VP Sales", "Chief Financial Officer", "Data Engineer", "Buyer", "Owner", "Consultant")
_CITIES = [
    "Berlin",
    "Paris",
    "Austin",
    "Pune",
    "Leeds",
    "Osaka",
    "Toronto",
    "Lyon",
    "Madrid",
    "Rome",
    "Boston",
    "Delhi",
]
_KINDS = ["Systems", "Labs", "Group", "Works", "Foods", "Logistics", "Health", "Energy"]


def known_tables() -> Iterator[Measured]:
    """By what the pairwise F1 of clusters lacks to 1, in thousandths."""
    if not (SHARED_DATA / "dedupe").is_dir():
        return
    for name, table, description, least in (
        ("fake_1000", labelled.fake_1000, labelled.FAKE_1000, 0.93),
        ("febrl3", labelled.febrl3, labelled.FEBRL, 0.99),
    ):
        _, score = labelled.linked(table(SHARED_DATA), description)
        yield Measured(f"F1 of {name} lacks to 1", 1000 * (1 - score.f1), "‰", 1000 * (1 - least))
    example = labelled.csv_example(SHARED_DATA)
    _, score = labelled.linked(example, labelled.CSV_EXAMPLE)
    baseline = labelled.by_email(example, "email_address").f1
    yield Measured(
        "F1 of csv_example lacks to 1 (at most: same e-mail)", 1000 * (1 - score.f1), "‰", 1000 * (1 - baseline)
    )


def made_up(home: Path, server: Server, rows: int) -> Iterator[Measured]:
    """So many contacts and their duplicates, in an empty base."""
    twice = fill(home, server, rows)
    found = command(home, "duplicates", "find")
    with psycopg.connect(server.url(driver="")) as connection:
        counted = connection.execute(
            f"""SELECT count(*), count(*) FILTER (WHERE l.{TRUTH} = r.{TRUTH}) FROM duplicate_pairs p
            JOIN contacts l ON l.id = left_id JOIN contacts r ON r.id = right_id"""
        ).fetchone()
    assert counted is not None
    pairs, right = counted
    yield Measured(
        f"{found.answer['contacts']:,} contacts, {found.answer['compared']:,} pairs weighed", found.seconds, "s", 300
    )
    yield Measured("peak memory", found.peak / MB, "MB", 4096)
    yield Measured(f"of {pairs:,} pairs found, right", 1000 * right / max(pairs, 1), "‰")
    yield Measured(f"of {twice:,} true ones, found", 1000 * right / max(twice, 1), "‰")


def fill(home: Path, server: Server, rows: int) -> int:
    """Writes them into contacts; returns how many are there twice."""
    file = home / "twice.csv"
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        _make(connection, rows)
        connection.execute(f"COPY (SELECT {', '.join(COLUMNS)} FROM everybody) TO '{file}' (HEADER)")
        [(twice,)] = connection.execute("SELECT count(*) FROM twice").fetchall()
    with psycopg.connect(server.url(driver="")) as connection, file.open("rb") as source:
        copied = f"COPY contacts ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv, HEADER)"
        with connection.cursor().copy(copied.encode()) as target:
            while block := source.read(MB):
                target.write(block)
    file.unlink()
    return int(twice)


def _picked(values: list[str] | tuple[str, ...], number: str) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"([{listed}])[1 + ({number} % {len(values)})::int]"


def _dice(of: str, salt: str) -> str:
    """A number that is the same for the same thing. As text: DuckDB's hash of several numbers is no good mix."""
    return f"hash({of}::text || '{salt}')"


def _make(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """The tables `once`, `twice` and `everybody`. Names and companies are as uneven as people's are."""
    companies = rows // 12 + 1
    connection.execute(
        f"""CREATE TABLE drawn AS SELECT i,
            (pow({_dice("i", "f")} % 100000 / 100000.0, 2) * 1500)::int AS f,
            (pow({_dice("i", "l")} % 1000000 / 1000000.0, 2) * 60000)::int AS l,
            (pow({_dice("i", "c")} % 1000000 / 1000000.0, 1.5) * {companies})::int AS c FROM range({rows}) AS t(i)"""
    )
    first = " || ".join(
        [_picked(_SYLLABLES, _dice("f", "a")), _picked(_SYLLABLES, _dice("f", "b")), _picked(_LAST, _dice("f", "c"))]
    )
    last = " || ".join([*(_picked(_SYLLABLES, _dice("l", salt)) for salt in "def"), _picked(_ENDS, _dice("l", "g"))])
    phone = "'+1 ' || (200 + {} % 700) || ' ' || (100 + {} % 900) || ' ' || lpad(({} % 10000)::text, 4, '0')"
    mobile = phone.format(*(_dice("i", salt) for salt in ("p1", "p2", "p3")))
    desk = phone.format(_dice("c", "p1"), _dice("c", "p2"), _dice("i", "p4"))
    connection.execute(
        f"""CREATE TABLE once AS SELECT i, c, i::text AS {TRUTH}, {_capital(first)} AS first_name,
            {_capital(last)} AS last_name, {_picked(_TITLES, _dice("i", "t"))} AS title,
            'Co' || c || ' ' || {_picked(_KINDS, _dice("c", "s"))} AS company,
            CASE WHEN {_dice("i", "e")} % 10 < 8 THEN lower(first_name || '.' || last_name)
                || CASE WHEN {_dice("i", "x")} % 3 = 0 THEN ({_dice("i", "y")} % 90)::text ELSE '' END
                || '@co' || c || '.example' END AS email,
            CASE WHEN {_dice("i", "m")} % 2 = 0 THEN {mobile} END AS mobile_phone,
            CASE WHEN {_dice("i", "w")} % 3 = 0 THEN {desk} END AS work_direct_phone,
            CASE WHEN {_dice("i", "k")} % 10 < 6 THEN 'https://www.linkedin.com/in/'
                || lower(first_name || '-' || last_name) || '-' || left(md5(i::text), 6) END AS person_linkedin_url,
            {_picked(_CITIES, _dice("c", "city"))} AS city, left(md5('c' || i), 24) AS contact_id
        FROM drawn"""
    )
    moved = f"({_dice('i', 'n')} % {companies})"
    connection.execute(
        f"""CREATE TABLE twice AS SELECT {TRUTH},
            CASE spelled WHEN 0 THEN left(first_name, 2) || substr(first_name, 4) WHEN 1 THEN left(first_name, 3)
                WHEN 2 THEN last_name WHEN 3 THEN left(first_name, 1) ELSE first_name END AS first_name,
            CASE spelled WHEN 2 THEN first_name WHEN 4 THEN left(last_name, 3) || substr(last_name, 5, 1)
                || substr(last_name, 4, 1) || substr(last_name, 6) ELSE last_name END AS last_name,
            CASE WHEN {_dice("i", "t2")} % 2 = 0 THEN title ELSE 'Senior ' || title END AS title,
            CASE reached WHEN 0 THEN 'Co' || {moved} || ' Works' WHEN 1 THEN company || ' GmbH' ELSE company END
                AS company,
            CASE reached WHEN 0 THEN lower(once.first_name || '.' || once.last_name) || '@co' || {moved} || '.example'
                WHEN 2 THEN lower(left(once.first_name, 1) || once.last_name) || '@mail.example' WHEN 3 THEN NULL
                WHEN 4 THEN replace(email, 'e', 'ee') ELSE email END AS email,
            CASE WHEN {_dice("i", "m2")} % 3 < 2 THEN mobile_phone END AS mobile_phone,
            CASE WHEN {_dice("i", "m3")} % 3 < 2 THEN replace(work_direct_phone, ' ', '-') END AS work_direct_phone,
            CASE WHEN {_dice("i", "m4")} % 2 = 0 THEN person_linkedin_url END AS person_linkedin_url,
            city, left(md5('d' || i), 24) AS contact_id
        FROM (SELECT *, {_dice("i", "k1")} % 8 AS spelled, {_dice("i", "k2")} % 6 AS reached FROM once) AS once
        WHERE {_dice("i", "dup")} % 1000 < {1000 * SHARE:.0f}"""
    )
    both = " UNION ALL ".join(f"SELECT {', '.join(COLUMNS)} FROM {table}" for table in ("once", "twice"))
    connection.execute(f"CREATE VIEW everybody AS {both}")


def _capital(word: str) -> str:
    return f"upper(left({word}, 1)) || substr({word}, 2)"
