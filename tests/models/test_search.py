"""Lists of contacts in pages and one by one, against the same list sorted in Python; and the indexes behind them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from deploy.embedded_postgres import Server
from models import database, filters
from models.contacts import order, search
from models.contacts.table import FIELDS, Contact
from models.errors import InvalidInput, NotAllowed, NotFound
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Role

ROWS = 5300
SIZE = 1000
LONG = ("", "status=active")  # lists that tests take for long ones
NARROW = Actor(None, "Nia", Role.ANALYST, ("first_name", "country"))
FILLED = f"""
    INSERT INTO industries (name) VALUES ('Oil'), ('Banking'), ('Ünion');
    INSERT INTO users (name, email, role) VALUES ('Zoe', 'zoe@example.com', 'admin'), ('Al', 'al@example.com', 'admin');
    INSERT INTO contacts (first_name, last_name, company, email, country, status, employees, annual_revenue, is_active,
        last_raised_at, technologies, industry_id, owner_id, created_at)
    SELECT 'First' || n, nullif('Last' || n % 40, 'Last7'), CASE WHEN n % 3 > 0 THEN chr(64 + n % 31) || 'é' || n END,
        'person' || n || '@example.com', CASE n % 5 WHEN 0 THEN 'Germany' WHEN 1 THEN 'France' END, 'active',
        nullif(n % 90, 8), nullif(n * 7 % 1000, 9), nullif(n % 3, 0) = 1, date '2020-01-01' + nullif(n % 400, 11),
        CASE n % 4 WHEN 0 THEN ARRAY['SAP', 'AWS'] WHEN 1 THEN ARRAY['SAP'] END,
        nullif(n % 4, 0), nullif(n % 3, 0), timestamptz '2026-01-01' + make_interval(secs => n / 1000)
    FROM generate_series(1, {ROWS}) AS numbered (n)"""


@pytest.fixture(scope="module")
def contacts(postgres: Server, migrated: str) -> Iterator[str]:
    """Once for the module: its tests leave the contacts as they are."""
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "lists" TEMPLATE "{migrated}"')
        database.bind(postgres.url("lists"))
        with psycopg.connect(postgres.url("lists", driver="")) as inside:
            inside.execute(FILLED)
        yield postgres.url("lists")
        database.engine().dispose()
        connection.execute('DROP DATABASE "lists" WITH (FORCE)')


def wanted(query: str, by: Actor = OPERATOR) -> Filters:
    return filters.parse_query(query, by=by)


def in_order(query: str, sort: str) -> list[int]:
    """The ids as they have to come, from the rows as exports read them."""
    name = sort.removeprefix("-")
    columns = [name] if name in FIELDS else ["created_at"]
    with database.reading() as session:
        rows = [row._mapping for row in session.execute(search.matching(wanted(query), columns, by=OPERATOR))]
    falling = sort.startswith("-")
    filled = sorted((row for row in rows if row[name] is not None), key=lambda row: (row[name], row["id"]))
    empty = [row for row in rows if row[name] is None]
    listed = [*filled[::-1], *empty[::-1]] if falling else [*filled, *empty]
    return [row["id"] for row in listed]


def in_pages(query: str, sort: str) -> list[int]:
    found: list[dict[str, Any]] = []
    first = search.page(wanted(query), columns=["id"], sort=sort, size=SIZE, by=OPERATOR)
    for number in range(1, first.pages + 1):
        page = search.page(wanted(query), columns=["id"], sort=sort, number=number, size=SIZE, by=OPERATOR)
        assert page.total == first.total
        found += page.rows
    assert len(found) == first.total == search.count(wanted(query), by=OPERATOR)
    return [row["id"] for row in found]


SORTS = [
    "id", "created_at", "last_name", "company", "employees", "annual_revenue", "last_raised_at", "is_active",
    "technologies", "industry", "owner", "postal_code",
]  # fmt: skip


LISTS = [(query, direction + name) for query in ("status=active", "country=Germany") for name in SORTS
         for direction in ("", "-")]  # fmt: skip
LISTS += [("", "-id"), ("", "-company"), ("industry=Oil&owner=al@example.com", "-industry"), ("industry=Oil", "owner")]


@pytest.fixture
def long_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are walked along, as those of more than order.FEW contacts."""
    monkeypatch.setattr(order, "FEW", -1)


@pytest.mark.parametrize(("query", "sort"), LISTS)
def test_pages_hold_the_list_in_its_order(contacts: str, query: str, sort: str, request: pytest.FixtureRequest) -> None:
    if query in LONG:
        request.getfixturevalue("long_lists")
    assert in_pages(query, sort) == in_order(query, sort)


@pytest.mark.parametrize("sort", ["id", "-id", "last_name", "-last_name", "company", "-company"])
def test_what_is_far_along_an_index_is_found_by_sorting(
    contacts: str, sort: str, long_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "NEAR", 200)
    for query in ("", "country=Germany", "first_name.starts=First1"):
        listed = in_order(query, sort)
        for number in (1, 2, 3, 9):
            page = search.page(wanted(query), columns=["id"], sort=sort, number=number, size=50, by=OPERATOR)
            assert [row["id"] for row in page.rows] == listed[(number - 1) * 50 : number * 50]


@pytest.mark.parametrize("sort", [direction + name for name in SORTS[4:] for direction in ("", "-")])
def test_the_look_that_counts_brings_the_first_pages_along(
    contacts: str, sort: str, long_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "SAMPLE", 60)  # of some hundred blocks, so that there is always a border
    walked: list[int] = []
    walked_to = order.Order._walked_to

    def counted(self: order.Order, session: Session, where: Any, first: int, size: int, total: int) -> list[int]:
        walked.append(first)
        return walked_to(self, session, where, first, size, total)

    monkeypatch.setattr(order.Order, "_walked_to", counted)
    listed = in_order("status=active", sort)
    for number in (1, 2, 3):
        search._totals.drop()  # how many there are is not known yet
        page = search.page(wanted("status=active"), columns=["id"], sort=sort, number=number, size=50, by=OPERATOR)
        assert (page.total, [row["id"] for row in page.rows]) == (ROWS, listed[(number - 1) * 50 : number * 50])
    assert bool(walked) == (sort.removeprefix("-") == "postal_code"), "where no contact has a value there is no border"


@pytest.mark.parametrize(
    "sort", ["-id", "company", "-company", "-industry", "created_at", "employees", "-technologies"]
)
@pytest.mark.parametrize("query", ["status=active", "country=Germany"])
def test_neighbours_lead_along_the_list(contacts: str, query: str, sort: str, request: pytest.FixtureRequest) -> None:
    if query in LONG:
        request.getfixturevalue("long_lists")
    listed = in_order(query, sort)
    around = [None, *listed, None]
    empty = len(in_order(f"{query}&{sort.removeprefix('-')}.empty=no", sort)) if sort.removeprefix("-") in FIELDS else 5
    for place in {0, 1, 77, empty - 1, empty % len(listed), len(listed) - 2, len(listed) - 1}:
        found = search.neighbours(wanted(query), sort=sort, contact_id=listed[place], by=OPERATOR)
        assert (found.previous, found.next) == (around[place], around[place + 2])
        assert (found.place, found.total) == (place + 1, len(listed))


def test_a_contact_that_no_longer_matches_has_the_neighbours_of_its_place(contacts: str) -> None:
    listed = in_order("country=Germany", "company")
    everything = in_order("", "company")
    place = everything.index(listed[5])
    found = search.neighbours(wanted("country=Germany"), sort="company", contact_id=everything[place + 1], by=OPERATOR)
    assert (found.previous, found.next, found.place, found.total) == (listed[5], listed[6], 7, len(listed))
    with pytest.raises(NotFound, match="There is no contact 999999"):
        search.neighbours(wanted(""), contact_id=999_999, by=OPERATOR)


def test_a_page_behind_the_last_is_empty_and_knows_how_many_there_are(contacts: str) -> None:
    for query, total in [("", ROWS), ("country=Germany", ROWS // 5), ("country=Nowhere", 0)]:
        page = search.page(wanted(query), number=5000, by=OPERATOR)
        assert (page.rows, page.total) == ([], total)


@pytest.mark.parametrize(
    "query",
    [
        "email=person77@example.com", "email=person77@example.com&country=Germany", "email.empty=yes", "contact=77",
        "email=person77@example.com&email=person78@example.com", "email.not=person77@example.com", "last_name=Last12",
        "last_name=Last12&company.starts=M", "company.empty=yes&last_name.empty=yes", "industry=Oil",
        "or1.email=person77@example.com&or2.last_name=Last12", "or1.email=person77@example.com&or2.country=Germany",
    ],
)  # fmt: skip
def test_what_an_index_finds_is_what_there_is(contacts: str, query: str) -> None:
    assert search.count(wanted(query), by=OPERATOR) == one_by_one(query, OPERATOR)


def test_what_is_named_is_found_by_its_index_and_counted_beside_the_rest(contacts: str) -> None:
    queries = ["email=person77@example.com", "country=Germany", "contact=77", "q=last12", "last_name=Last12"]
    asked = [wanted(query) for query in queries]
    with database.reading() as session:
        [[told]] = session.execute(text("SELECT pg_stat_get_xact_numscans('contacts_email'::regclass)")).all()
        assert search._counted(session, asked, OPERATOR) == [one_by_one(query, OPERATOR) for query in queries]
        [[found]] = session.execute(text("SELECT pg_stat_get_xact_numscans('contacts_email'::regclass)")).all()
    assert found - told == 1


def one_by_one(query: str, by: Actor) -> int:
    """The contacts for which the condition holds, looked at without any index."""
    with database.reading() as session:
        session.execute(text("SET LOCAL enable_bitmapscan = off"))
        session.execute(text("SET LOCAL enable_indexonlyscan = off"))
        session.execute(text("SET LOCAL enable_indexscan = off"))
        counted = select(func.count()).select_from(Contact).where(wanted(query, by).condition(by=by))
        return session.scalar(counted) or 0


@pytest.mark.parametrize(("query", "found"), [("q=first77", 11), ("q=person77", 0), ("q=first7 last7", 0)])
def test_free_text_looks_into_what_is_seen_alone(contacts: str, query: str, found: int) -> None:
    assert search.count(wanted(query, NARROW), by=NARROW) == found == one_by_one(query, NARROW)


def test_an_order_that_one_may_not_see_is_refused(contacts: str) -> None:
    with pytest.raises(NotAllowed, match="the column Company"):
        search.page(Filters(), sort="-company", by=NARROW)
    with pytest.raises(NotAllowed, match="the column Company"):
        search.neighbours(Filters(), sort="-company", contact_id=1, by=NARROW)
    with pytest.raises(InvalidInput, match="no field “shoe_size”"):
        search.page(Filters(), sort="shoe_size", by=OPERATOR)


@pytest.mark.parametrize("query", ["", "country=Germany", "or1.technologies=AWS&or2.employees.gte=80", "q=nobody"])
def test_counts_of_several_fields_are_those_of_each(contacts: str, query: str) -> None:
    names = ["country", "industry", "owner", "technologies", "last_name"]
    ranges = [(0, 9), (10, 19), (50, None)]
    found = search.count_by_each(wanted(query), names, ranges={"employees": ranges}, by=OPERATOR, limit=30)
    for name in names:
        single = search.count_by(wanted(query), name, by=OPERATOR)
        counts = {value: number for value, number in single if value is not None}
        assert dict(found[name]).items() <= counts.items()
        assert [number for _, number in found[name]] == sorted(counts.values(), reverse=True)[:30]
    for (low, high), number in found["employees"]:
        size = f"employees.gte={low}" if high is None else f"employees.between={low},{high}"
        assert number == search.count(wanted(f"{query}&{size}"), by=OPERATOR)


def test_a_page_does_not_wait_for_what_is_counted_beside_pages(contacts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = threading.Semaphore(0)
    monkeypatch.setattr(search, "_BESIDE", busy)
    with ThreadPoolExecutor(1) as somebody:
        counting = somebody.submit(search.count_by_each, wanted(""), ["country"], by=OPERATOR)
        assert search.page(wanted("country=Germany"), by=OPERATOR).total > 0
        assert not counting.done()
        busy.release()
        assert counting.result(10)["country"]


def test_counts_of_hidden_fields_are_refused(contacts: str) -> None:
    with pytest.raises(NotAllowed, match="the column Company"):
        search.count_by_each(Filters(), ["country", "company"], by=NARROW)
    with pytest.raises(NotAllowed, match="the column Employees"):
        search.count_by_each(Filters(), ["country"], ranges={"employees": [(1, 2)]}, by=NARROW)
