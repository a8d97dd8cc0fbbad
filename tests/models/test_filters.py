from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from models import filters
from models.contacts import search
from models.contacts.table import FIELDS, Contact
from models.database import writing
from models.errors import InvalidInput, NotAllowed
from models.permissions import OPERATOR, Actor, Role

NARROW = Actor(1, "Ann", Role.ANALYST, frozenset({"country"}))

ROWS = [
    {"first_name": "A", "country": "Germany", "seniority": "VP", "employees": 10, "import_id": 4},
    {"first_name": "B", "country": "Germany", "seniority": "Entry", "employees": 900, "import_id": 4},
    {"first_name": "C", "country": "France", "seniority": "VP", "employees": 900, "import_id": None},
    {"first_name": "D", "country": "India", "seniority": None, "employees": None, "import_id": 5},
]


@pytest.fixture
def contacts(db: str) -> None:
    days = [1, 2, 3, 4]
    with writing(OPERATOR) as session:
        for row, day in zip(ROWS, days, strict=True):
            # The last instant of a day in UTC: in a server with another time zone it is another day.
            moment = datetime(2026, 3, day, 23, 59, 59, tzinfo=UTC)
            session.execute(insert(Contact).values(**row, created_at=moment, updated_at=moment))


def found(query: str) -> str:
    wanted = filters.parse_query(query, by=OPERATOR)
    page = search.page(wanted, columns=["first_name"], sort="id", by=OPERATOR)
    assert search.count(wanted, by=OPERATOR) == page.total == len(page.rows)
    return "".join(row["first_name"] for row in page.rows)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("or1.country=Germany&or2.employees.gte=500", "ABC"),
        ("or1.country=Germany&or1.seniority=VP&or2.country=France", "AC"),
        ("seniority=VP&or1.country=Germany&or2.employees.gte=500", "AC"),
        ("or3.country=Germany", "AB"),
        ("or1.country=India&or2.country=France&or2.country=Germany&q=b", "B"),
        ("or1.seniority.empty=yes&or2.employees.lte=10", "AD"),
    ],
)
def test_alternatives(contacts: None, query: str, names: str) -> None:
    assert found(query) == names


def test_two_spellings_of_one_condition_are_one(contacts: None) -> None:
    assert found("country=France&country.is=India&country.is=France") == "CD"
    wanted = filters.parse_query("tags=x&tags.has=y&tags=z", by=OPERATOR)
    assert wanted.pairs() == [("tags.has", "x"), ("tags.has", "y"), ("tags.has", "z")]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("added=2026-03-02", "B"),
        ("added=2026-03-02&added=2026-03-03", "BC"),
        ("added.not=2026-03-02", "ACD"),
        ("added.empty=yes", ""),
        ("added.gte=0001-01-01&added.lte=9999-12-31", "ABCD"),
        ("added.gte=2026-03-03", "CD"),
        ("added.between=2026-03-02,2026-03-03", "BC"),
        ("changed.lte=2026-03-01", "A"),
        ("import=4", "AB"),
        ("import=99999999999", ""),
        ("import.not=4", "CD"),
        ("import.empty=yes", "C"),
        ("contact.gte=1", "ABCD"),
        ("contact=999999999999999", ""),
    ],
)
def test_what_the_system_keeps_can_be_filtered_by(contacts: None, query: str, names: str) -> None:
    assert found(query) == names


def test_sentences_say_how_conditions_are_joined() -> None:
    def sentence(query: str) -> str:
        return filters.parse_query(query, by=OPERATOR).sentence()

    assert sentence("country=Germany&employees.gte=500") == "Country is Germany and Employees at least 500"
    assert sentence("country=India&or1.seniority=VP&or1.city=Pune&or2.employees.gte=500") == (
        "Country is India and either (Seniority is VP and City is Pune) or Employees at least 500"
    )
    assert sentence("or1.country=India&or1.country=France") == "(Country is India or France)"


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("country=India&country.is=France", "country=India&country=France"),
        ("tags=a&tags.has=b&tags.has=a", "tags.has=a&tags.has=b"),
        ("or1.country.is=India&or1.country=France", "or1.country=India&or1.country=France"),
        ("employees.gte=5&employees.gte=5", "employees.gte=5"),
        ("employees.gte=2.0", "employees.gte=2"),
    ],
)
def test_keys_that_mean_the_same_are_one_condition(query: str, canonical: str) -> None:
    assert filters.parse_query(query, by=OPERATOR).query() == canonical


@pytest.mark.parametrize(
    "query", ["or1.country=Germany&or12.added.gte=2026-01-01&tags=x&q=anna", "or2.employees.between=1%2C5&import=4"]
)
def test_a_query_is_read_back_as_it_was(query: str) -> None:
    wanted = filters.parse_query(query, by=OPERATOR)
    assert filters.parse_query(wanted.query(), by=OPERATOR) == wanted


def test_removing_one_alternative_keeps_the_same_field_of_another() -> None:
    wanted = filters.parse_query("country=India&or1.country=France&or2.country=Chad", by=OPERATOR)
    assert wanted.without("or1.country").query() == "country=India&or2.country=Chad"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("contry=Germany", "There is no field “contry” to filter by. Did you mean country?"),
        ("or1.contry=Germany", "There is no field “contry” to filter by. Did you mean country?"),
        ("or0.country=Germany", "There is no field “or0” to filter by."),
        ("or1=Germany", "There is no field “or1” to filter by."),
        (
            "employees.between=50,10",
            "employees.between=50,10: the first value is above the second, so nothing can be between.",
        ),
        ("added=yesterday", "added=yesterday: “yesterday” is no date (write 2026-03-31)."),
        ("import.contains=4", "“import.contains” does not fit: import takes "),
        ("employees.gte=2.9", "employees.gte=2.9: “2.9” is no whole number (write 250)."),
        ("employees.gte=5&employees.gte=9", "employees.gte takes one value, and there are two: 5 and 9."),
        ("tags.empty=yes&tags.empty=no", "tags.empty takes one value, and there are two: yes and no."),
        ("q=" + "x" * 10_000, "The search has 10,000 characters; 1,000 are the most."),
    ],
)
def test_what_does_not_fit_is_named(query: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as error:
        filters.parse_query(query, by=OPERATOR)
    assert error.value.sentence.startswith(sentence)


def test_an_alternative_does_not_reach_a_hidden_field() -> None:
    with pytest.raises(NotAllowed, match="You may not see the column E-mail"):
        filters.parse_query("or1.email=ann@example.com", by=NARROW)
    with pytest.raises(NotAllowed, match="You may not see the column E-mail"):
        filters.parse_query("or1.email=ann@example.com", by=OPERATOR).condition(by=NARROW)


def test_a_sentence_calls_a_field_as_screens_do_and_a_file_by_its_header() -> None:
    chosen = filters.parse(
        ["email_status=Verified", "annual_revenue.gte=50", "tags.has=VIP", "employees.lte=9"], by=OPERATOR
    )
    assert [one.sentence() for one in chosen.filters] == [
        "E-mail status is Verified", "Revenue at least 50", "Tags has VIP", "Employees at most 9",
    ]  # fmt: skip
    assert [FIELDS[name].label for name in ("email_status", "annual_revenue", "tags", "employees")] == [
        "Email Status", "Annual Revenue", "Lists", "# Employees",
    ]  # fmt: skip
