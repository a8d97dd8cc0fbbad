"""The set-wise rules in SQL against models.contacts.values, which is the specification of every value."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.contacts import values
from models.contacts.blanks import BLANKS, is_empty, trimmed
from models.contacts.table import FIELDS
from models.errors import InvalidInput
from models.fields import Kind
from models.spreadsheet_formulas import marked, unmarked
from pipelines import row_rules
from tests.models.test_values import CASES

NAMES = [name for name in FIELDS if FIELDS[name].kind is not Kind.OWNER]  # owners are looked up, not parsed
# One field of each kind, and all addresses, since they differ by their site.
ONE_EACH = [
    *{FIELDS[name].kind: name for name in NAMES}.values(),
    *(name for name in NAMES if FIELDS[name].kind is Kind.URL),
]


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    row_rules.register(connection, NAMES, day_first=None)
    yield connection
    connection.close()


def in_sql(connection: duckdb.DuckDBPyConnection, name: str, texts: list[str]) -> list[Any]:
    """The typed values of raw cells, by the expressions that the import uses."""
    kind = FIELDS[name].kind
    return [
        value
        for (value,) in connection.execute(
            f"""SELECT {row_rules.value(name, "meant")} FROM (
                SELECT *, {row_rules.split_list("meant")} AS s_{name} FROM (
                SELECT place, {row_rules.meaning("bare", kind)} AS meant FROM (
                    SELECT place, {row_rules.trimmed("cell")} AS bare
                    FROM (SELECT unnest($1) AS cell, generate_subscripts($1, 1) AS place))))
            ORDER BY place""",
            [texts],
        ).fetchall()
    ]


def parsed(name: str, text: str) -> Any:
    """What the specification makes of a cell: an apostrophe that a spreadsheet put there is none of the value's.

    `'-` is a dash that is meant, where any text is a value.
    """
    field, bare = FIELDS[name], trimmed(text)
    if is_empty(field.kind, bare):
        return None
    bare = trimmed(unmarked(bare))
    if is_empty(field.kind, bare) and field.kind in (Kind.TEXT, Kind.CHOICE, Kind.INDUSTRY):
        return bare
    if is_empty(field.kind, bare) and field.kind is Kind.LIST:
        return values.split(bare)
    try:
        return values.parse(field, bare)
    except InvalidInput:
        return None


def agree(connection: duckdb.DuckDBPyConnection, name: str, texts: list[str]) -> None:
    found = dict(zip(texts, in_sql(connection, name, texts), strict=True))
    assert found == {text: parsed(name, text) for text in texts}


EXAMPLES = sorted({text.replace("\x00", "") for _, text, _ in CASES})


@pytest.mark.parametrize("name", NAMES)
def test_every_example_means_the_same_in_every_field(duck: duckdb.DuckDBPyConnection, name: str) -> None:
    agree(duck, name, EXAMPLES)
    agree(duck, name, [f" \t{text.upper()}\xa0" for text in EXAMPLES])
    agree(duck, name, [f"'{text}" for text in EXAMPLES])


@pytest.mark.parametrize(("name", "text", "expected"), [case for case in CASES if case[0] != "owner"])
def test_examples_are_what_they_are_in_the_specification(
    duck: duckdb.DuckDBPyConnection, name: str, text: str, expected: Any
) -> None:
    [found] = in_sql(duck, name, [text.replace("\x00", "")])
    assert found == (None if isinstance(expected, type) else expected)


BORDERS = [
    "BİLGİ@FIRMA.COM.TR", "İnfo@example.com", "C ſuite", "Gueſſed", "(blan\u212a)", "un\u212anown",
    *(f"http://linkedin.com/in/{'a' * count}" for count in (264, 265, 276, 277, 278)),
    *(text for count in (300, 301) for text in ("a" * count, f"b, {'a' * count}", f"ö; {'ö' * count}")),
    ", ".join(f"word {number}" for number in range(60)),
]  # fmt: skip


@pytest.mark.parametrize("name", ONE_EACH)
def test_what_lies_at_the_borders_means_the_same(duck: duckdb.DuckDBPyConnection, name: str) -> None:
    """Letters whose small form is another in DuckDB, and addresses whose one spelling is too long."""
    agree(duck, name, BORDERS)


LETTERS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=25)
NUMBERLIKE = st.text("0123456789.,' $€kKmMbn-+()exE%/", max_size=14)
DATELIKE = st.from_regex(r"[0-3]?[0-9][-/. ](Jan|mar|1?[0-9])[-/. ](20)?[0-2][0-9]( 1?[0-9]:30)?", fullmatch=True)
EMAILLIKE = st.from_regex(r"[aA-zZ.\"+-]{0,5}@([a-cA-C-]{1,4}\.){0,2}[a-zA-Z]{0,3}", fullmatch=True)
URLLIKE = st.from_regex(
    r"(https?://|HTTP://|//)?(www\.)?([a-cA-C-]{1,3}|linkedin|facebook|x|fb)(\.com|\.de)?(/(in|company))?(/[a-zA-Z?#.é]{0,4})?",
    fullmatch=True,
)
LISTLIKE = st.text("ab ,;\"[]':\n", max_size=12)
WORDS = st.sampled_from(["N/A", "none", "NULL", "-", "'-", "(Blank)", "TRUE", "no", "'=1", "''", "'s", "VP", "na", "?"])
CELLS = LETTERS | NUMBERLIKE | DATELIKE | EMAILLIKE | URLLIKE | LISTLIKE | WORDS


@given(texts=st.lists(CELLS | CELLS.map(lambda text: f"'{text}"), min_size=20, max_size=60, unique=True))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_text_means_the_same(duck: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    for name in ONE_EACH:
        agree(duck, name, texts)


@given(texts=st.lists(LETTERS.map(trimmed).filter(bool), min_size=1, max_size=50, unique=True))
@settings(max_examples=50, deadline=None)
def test_what_a_spreadsheet_must_not_run_comes_back_as_it_was(
    duck: duckdb.DuckDBPyConnection, texts: list[str]
) -> None:
    texts = [text for text in texts if not is_empty(Kind.TEXT, text)]
    assert in_sql(duck, "notes", [marked(text) for text in texts]) == texts


def test_every_blank_is_trimmed(duck: duckdb.DuckDBPyConnection) -> None:
    cells = [f"{blank}a{blank}b{blank}" for blank in BLANKS if blank != "\x00"]
    assert in_sql(duck, "notes", cells) == [f"a{blank}b" for blank in BLANKS if blank != "\x00"]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["03/04/2020", "25/04/2020"], True),
        (["03/04/2020", "04/25/2020 10:00"], False),
        (["03/04/2020", None, "", "soon"], None),
        (["25/04/2020", "04/25/2020"], None),
        ([" 25-04-2020"], True),
        (["2020-04-25"], None),
    ],
)
def test_a_whole_column_says_which_number_is_the_day(cells: list[str | None], said: bool | None) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE raw AS SELECT unnest($1::VARCHAR[]) AS c0", [cells])
        assert row_rules.day_first(connection, "c0") is said


@pytest.mark.parametrize(("day_first", "expected"), [(True, "2020-04-03"), (False, "2020-03-04"), (None, "None")])
def test_undecided_dates_follow_the_column(day_first: bool | None, expected: str) -> None:
    with duckdb.connect() as connection:
        row_rules.register(connection, ["last_raised_at"], day_first=day_first)
        assert str(in_sql(connection, "last_raised_at", ["03/04/2020"])[0]) == expected
