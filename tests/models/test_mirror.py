"""The mirror against the database: the same answers, whatever is asked, whoever writes meanwhile."""

import random
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from models import kept
from models.contacts import (
    autocomplete,
    columnar,
    dictionaries,
    mirror,
    mirror_source,
    mirrored,
    own_mirror,
    search,
)
from models.contacts.mirror import Mirror
from models.contacts.mirrored import pages
from models.contacts.table import EMAIL_STATUSES, FIELDS, SENIORITIES, Contact
from models.database import Database, reading, writing
from models.fields import Kind
from models.filters import OPERATORS, SYSTEM, Filter, Filters, parse, visible_fields
from models.industries import Industry
from models.permissions import OPERATOR
from models.users import User
from tests import mirrors, people

ROWS = 400
TEXTS = [
    "Ann", "ann", "ANN", "Änne", "ÄNNE", "İstanbul", "ıstanbul", "Straße", "STRASSE", "Σίσυφος", "ΣΊΣΥΦΟΣ", "李雷",
    "O'Neil", "50%", "under_score", "back\\slash", "a b", "Ångström", "Å", "z", "Zoë", "🙂 smile", "~", "ß", "\t",
]  # fmt: skip
WORDS = [
    "an",
    "ä",
    "ss",
    "ß",
    "σ",
    "Σ",
    "i",
    "İ",
    "ı",
    "%",
    "_",
    "\\",
    "雷",
    "🙂",
    "zo",
    "com",
    "@",
    "one",
    " ",
    "~",
    "'",
]
LISTS = [
    ["AWS"], ["AWS", "SAP"], ["SAP", "AWS"], ["Ünïcode", "a,b", 'q"uote'], ["aws"], [""], ["{}", "NULL"], [],
    ["", ""], ["AWS", "AWS"],
]  # fmt: skip
NUMBERS = [0, 1, -5, 50, 51, 200, 2**31, 10**15]
AMOUNTS = [Decimal(one) for one in ("0", "0.01", "-7.5", "1000000", "999999999999.99")]
DAYS = [date(1900, 1, 1), date(2020, 2, 29), date(2026, 11, 27), date(1, 1, 1), date(9999, 12, 31)]
chance = random.Random(360)


def row(chance: random.Random, industries: list[int], owners: list[int]) -> dict[str, Any]:
    def some(values: list[Any]) -> Any:
        return None if chance.random() < 0.25 else chance.choice(values)

    values: dict[str, Any] = {}
    for one in FIELDS.values():
        values[one.column] = some(
            {
                Kind.LIST: LISTS, Kind.WHOLE: NUMBERS, Kind.MONEY: AMOUNTS, Kind.DATE: DAYS, Kind.FLAG: [True, False],
                Kind.INDUSTRY: industries, Kind.OWNER: owners,
            }.get(one.kind, TEXTS)
        )  # fmt: skip
    # Nearly different for everybody, so that no dictionary is worth it.
    values["email"] = some([f"{chance.choice(TEXTS).lower()}{chance.randrange(10**9)}@One.example"])
    values["notes"] = some([f"{chance.choice(TEXTS)} {chance.randrange(10**9)}"])
    values["seniority"], values["email_status"] = some(list(SENIORITIES)), some(list(EMAIL_STATUSES))
    values["created_at"] = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=chance.randrange(3000))
    values["updated_at"] = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(microseconds=chance.randrange(10**12))
    return values


@pytest.fixture
def filled(db: str) -> tuple[list[int], list[int]]:
    by = people.person(email="owner@example.com", name="Owner", role="analyst", by=OPERATOR)  # type: ignore[arg-type]
    assert by
    with writing(OPERATOR) as session:
        names = [{"name": name} for name in ("Software", "software services", "Änderung", "Zoo", *"ABCDEFGHIJ")]
        industries = list(session.scalars(insert(Industry).returning(Industry.id), names))
        owners = list(session.scalars(select(User.id)))
        session.execute(insert(Contact), [row(chance, industries, owners) for _ in range(ROWS)])
    return industries, owners


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    longest, near, few = dictionaries.LONGEST_MASK, pages.NEAR, pages.RANGE
    yield
    dictionaries.LONGEST_MASK, pages.NEAR, pages.RANGE = longest, near, few


@pytest.fixture
def following(filled: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setattr(mirror_source, "SHORT", 100)  # so that e-mail addresses and notes have no dictionaries
    with mirror.held(tmp_path, threads=2, memory="500MB") as made:
        assert made.wait(60)
        yield made


FILTERABLE = {name: FIELDS[name] for name in visible_fields(OPERATOR)} | {
    name: one for name, one in SYSTEM.items() if one.kind is not Kind.CHECK
}


@st.composite
def filter_(draw: st.DrawFn) -> Filter:
    one = FILTERABLE[draw(st.sampled_from(sorted(FILTERABLE)))]
    operator = draw(st.sampled_from([name for name, found in OPERATORS.items() if one.kind in found.kinds]))
    if operator == "empty":
        return Filter(one, operator, (draw(st.booleans()),), draw(st.sampled_from([0, 0, 0, 1, 2])))
    pool: list[Any] = {
        Kind.LIST: ["AWS", "SAP", "aws", "a,b", 'q"uote', "NULL", "Nobody's"], Kind.WHOLE: NUMBERS, Kind.MONEY: AMOUNTS,
        Kind.DATE: [*DAYS, date(2026, 1, 15), date(2026, 11, 5)], Kind.FLAG: [True, False],
        Kind.INDUSTRY: ["Software", "Zoo", "none"], Kind.OWNER: ["owner@example.com", "nobody@example.com"],
    }.get(one.kind, TEXTS)  # fmt: skip
    if operator in ("starts", "contains"):
        pool = WORDS + TEXTS
    number = 2 if operator == "between" else draw(st.integers(1, 3)) if OPERATORS[operator].arity == 0 else 1
    values = tuple(draw(st.sampled_from(pool)) for _ in range(number))
    return Filter(
        one, operator, tuple(sorted(values)) if number == 2 else values, draw(st.sampled_from([0, 0, 0, 1, 2]))
    )


FILTERS = st.builds(
    lambda filters, words: Filters(tuple(filters), " ".join(words).strip()),
    st.lists(filter_(), max_size=3),
    st.lists(st.sampled_from([word for word in WORDS if word.strip()]), max_size=1) | st.just([]),
)
SORTS = st.builds(
    lambda name, falling: ("-" if falling else "") + name,
    st.sampled_from([*FIELDS, "id", "created_at", "updated_at"]),
    st.booleans(),
)


COUNTED = (
    "country", "seniority", "industry", "owner", "tags", "email", "technologies", "employees", "is_active",
    "annual_revenue", "last_raised_at", "notes",
)  # fmt: skip


def both(view: mirror.View, filters: Filters) -> tuple[Any, Any]:
    where = filters.condition(by=OPERATOR)
    return mirrored.Mirrored(view, filters, OPERATOR), search._Stored(view.session, filters, where)


STATISTICS = ("total", "filled", "values", "months", "new", "new_since", "companies", "verified")
OTHERS = Filters((Filter(FIELDS["city"], "is", ("Ann", "ann", "Zoë", "z")),))


def check_overview(columnar: mirrored.Mirrored, stored: search.Engine) -> None:
    ours, theirs = (one.statistics(visible_fields(OPERATOR)) for one in (columnar, stored))
    assert [getattr(ours, one) for one in STATISTICS] == [getattr(theirs, one) for one in STATISTICS]
    assert list(ours.values["industry"].items()) == list(theirs.values["industry"].items())
    for one in ("average_employees", "average_revenue"):
        mine, other = getattr(ours, one), getattr(theirs, one)
        assert (mine is None) == (other is None)
        assert mine is None or abs(mine - other) < Decimal("0.001")


def check(filters: Filters, sort: str, number: int, size: int, names: list[str], beside: str = "") -> None:
    """Page and count, and what is asked `beside` them, which else are the facets of these names."""
    with mirrors.viewed() as view:
        columnar, stored = both(view, filters)
        listed = search._order(sort, OPERATOR, is_whole=False)
        first = (number - 1) * size
        page = stored.page(listed, first=first, size=size, total=None, then=len)
        assert columnar.page(listed, first=first, size=size, total=None, then=len) == page
        match beside or "facets":
            case "counts":
                columnar.know(None)
                assert columnar.count() == stored.count() == page[0]
                assert mirrored.counts(view, [filters, OTHERS, filters], by=OPERATOR) == [
                    page[0], search._count(view.session, OTHERS.condition(by=OPERATOR)), page[0],
                ]  # fmt: skip
            case "facets":
                check_facets(columnar, stored, names)
            case "around":
                after = listed.values(view.session, page[1][-1]) if page[1] else None
                assert columnar.following(listed, after, size) == stored.following(listed, after, size)
                if page[1]:
                    assert columnar.around(listed, page[1][-1]) == stored.around(listed, page[1][-1])
            case "overview":
                check_overview(columnar, stored)


def check_facets(columnar: mirrored.Mirrored, stored: search.Engine, names: list[str]) -> None:
    assert columnar.count_by(names[0], 100) == stored.count_by(names[0], 100), names[0]
    ranges = {"employees": [(1, 10), (11, 200), (201, None)]}
    assert columnar.count_by_each(names, ranges, 100) == stored.count_by_each(names, ranges, 100)


QUESTION: dict[str, Any] = {
    "filters": FILTERS, "sort": SORTS, "number": st.integers(1, 4), "size": st.sampled_from([1, 7, 50]),
    "names": st.lists(st.sampled_from(COUNTED), min_size=1, max_size=3, unique=True),
    "beside": st.sampled_from(["nothing"] * 7 + ["counts"] * 2 + ["facets"] * 3 + ["around"] * 3 + ["overview"]),
}  # fmt: skip


def questions(number: int, *phases: Phase) -> settings:
    checks = [HealthCheck.function_scoped_fixture]
    return settings(max_examples=number, deadline=None, suppress_health_check=checks, phases=phases or Phase)


@pytest.mark.parametrize("masked", [0, dictionaries.LONGEST_MASK])
@questions(900)
@given(**QUESTION)
def test_both_engines_give_the_same(following: Mirror, masked: int, **question: Any) -> None:
    """With the numbers of values as a text of bits and pages far from the begin, as where there are many contacts, and
    with the numbers as bits of one word. While many write another 200 are asked."""
    dictionaries.LONGEST_MASK = masked
    if not masked:
        pages.NEAR, pages.RANGE = 0, 4
    check(**question)


def test_a_page_may_lie_in_two_ranges_of_numbers(following: Mirror) -> None:
    pages.NEAR, pages.RANGE = 0, 4
    for number in range(1, 8):
        check(Filters(), "id", number, 7, [], "nothing")
        check(Filters(), "-id", number, 7, [], "nothing")


def test_an_edit_is_in_the_next_count(following: Mirror) -> None:
    filters = Filters((Filter(FIELDS["city"], "is", ("Atlantis",)),))
    assert search.count(filters, by=OPERATOR) == 0
    for number in range(1, 6):
        with writing(OPERATOR) as session:
            one = session.scalars(select(Contact.id).order_by(Contact.id).offset(number).limit(1)).one()
            session.execute(update(Contact).where(Contact.id == one).values(city="Atlantis"))
        assert search.count(filters, by=OPERATOR) == number
        check(filters, "-id", 1, 50, ["country"])
    with writing(OPERATOR) as session:
        session.execute(delete(Contact).where(Contact.city == "Atlantis"))
    assert search.count(filters, by=OPERATOR) == 0
    check(Filters(), "city", 1, 50, ["country"])


def write(seed: int, filled: tuple[list[int], list[int]], over: threading.Event) -> None:
    """Transactions of several parts, until it is over: some parts, and some transactions, are rolled back."""
    chance = random.Random(seed)
    while not over.is_set():
        with writing(OPERATOR) as session:
            for _ in range(chance.randint(1, 4)):
                saved = session.begin_nested()
                some = text("SELECT id FROM contacts ORDER BY random() LIMIT 3 FOR UPDATE SKIP LOCKED")
                ids = list(session.scalars(some))
                match chance.choice(["insert", "update", "delete"]):
                    case "insert":
                        session.execute(insert(Contact), [row(chance, *filled) for _ in range(chance.randint(1, 4))])
                    case "update":
                        session.execute(update(Contact).where(Contact.id.in_(ids)).values(city=chance.choice(TEXTS)))
                    case _:
                        session.execute(delete(Contact).where(Contact.id.in_(ids)))
                if chance.random() < 0.3:
                    saved.rollback()
                over.wait(chance.random() * 0.15)
            if chance.random() < 0.2:
                session.rollback()


def test_nothing_is_missed_while_many_write(
    following: Mirror, filled: tuple[list[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transactions that overlap, commit in another order than they began, or are rolled back in part or whole; the
    totals are added up meanwhile, and dictionaries do not stay in memory. Both engines are asked in one snapshot."""
    monkeypatch.setattr(columnar, "MOST_TOTALS", 200)
    monkeypatch.setattr(columnar, "SMALL", 15)
    monkeypatch.setattr(mirror_source, "GROWN", 1000)  # so that they are not chosen again for that
    asked: list[int] = []
    moves: set[int] = set()

    @questions(200, Phase.generate)  # what failed is told as it was: it is another question a moment later
    @given(**QUESTION)
    def ask(**question: Any) -> None:
        with reading() as session:
            moves.add(kept.moment_of(session).moves)
        asked.append(1)
        check(**question)

    over = threading.Event()
    with ThreadPoolExecutor(3) as writers:
        writing_now = [writers.submit(write, seed, filled, over) for seed in range(3)]
        try:
            ask()
        finally:
            over.set()
    for one in writing_now:
        one.result()
    assert len(asked) >= 200
    assert len(moves) > 20, "they are asked of contacts that somebody changes again and again"
    with reading() as session:
        assert session.scalars(select(func.count()).select_from(Contact)).one() == search.count(Filters(), by=OPERATOR)


def named(name: str, operator: str, *values: Any) -> Filters:
    return Filters((Filter(FIELDS[name], operator, values),))


def test_several_that_are_counted_at_once_are_each_counted(following: Mirror) -> None:
    asked = [named("city", "contains", one) for one in ("a", "s", "nobody", "o")] + [named("tags", "has", "AWS")]
    with own_mirror.viewing() as view:
        assert view is not None
        stored = [both(view, one)[1].count() for one in asked]
        for dictionaries.LONGEST_MASK in (0, 63):
            assert mirrored.counts(view, asked, by=OPERATOR) == stored
    assert len(set(stored)) > 2


def test_a_list_may_have_a_member_that_is_nothing(following: Mirror) -> None:
    """No road of ours writes one, but whoever has the database may."""
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE contacts SET tags = '{AWS,NULL,n}', keywords = '{NULL}' WHERE id % 3 = 0"))
    for filters in (named("tags", "has", "AWS"), named("tags", "has", "n"), named("keywords", "empty", True)):
        check(filters, "id", 1, 50, ["tags"], "around")
    with own_mirror.viewing() as view:
        assert view is not None
        ours, theirs = both(view, Filters())
        assert dict(ours.count_by("tags", None)) == dict(theirs.count_by("tags", None))


def test_amounts_are_compared_to_the_last_digit(following: Mirror) -> None:
    amounts = ("0.005", "-7.505", "1E-35", "999999999999.9900000000000000000000001", "1E+12", "-1E-400", "0.01")
    with own_mirror.viewing() as view:
        assert view is not None
        for value in map(Decimal, amounts):
            for operator in ("is", "not", "gte", "lte", "between"):
                values = (Decimal("-7.5"), value) if operator == "between" else (value,)
                ours, theirs = both(view, named("annual_revenue", operator, *sorted(values)))
                assert ours.count() == theirs.count(), (operator, value)


def test_the_overview_is_the_same_where_no_text_has_a_dictionary(
    filled: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_source, "MOST_CODED", 0)
    with mirror.held(tmp_path / "copy", threads=2, memory="500MB") as made:
        assert made.wait(60)
        with own_mirror.viewing() as view:
            assert view is not None
            for filters in (Filters(), parse(["city.contains=a"], by=OPERATOR)):
                check_overview(*both(view, filters))


def test_what_is_typed_is_completed_from_all_values_commonest_first(following: Mirror) -> None:
    for name in ("city", "tags", "email", "seniority", "notes", "technologies"):
        check_completed(name)


def check_completed(name: str) -> None:
    value = f"unnest({name})" if FIELDS[name].kind is Kind.LIST else name
    every = text(
        f"SELECT value, count(*) FROM (SELECT {value} AS value FROM contacts) AS v WHERE value <> '' GROUP BY 1"
    )
    with reading() as session:
        numbers: dict[str, int] = dict(session.execute(every).all())  # type: ignore[arg-type]
    # Where every value stands nearly once the database's capitals are asked, to which “ß” is no “ss”.
    small = str.lower if name in ("email", "notes") else str.casefold
    for typed in ("", "a", "Ä", "s", "σ", "ann", "st", "nobody"):
        beginning = {one: number for one, number in numbers.items() if small(one).startswith(small(typed))}
        with own_mirror.viewing() as view:
            assert view is not None
            found = mirrored.Mirrored(view, Filters(), OPERATOR).completed(name, typed, 1000)
        if found is None:
            assert (name in ("email", "notes"), typed) == (True, "")
            continue
        assert [numbers[one] for one in found if one] == sorted(beginning.values(), reverse=True), typed
        completed = autocomplete.values(name, typed, most=3, by=OPERATOR)
        assert set(completed) <= numbers.keys()
        assert len(completed) == min(3, len({one.casefold() for one in beginning})), typed


@pytest.mark.parametrize("name", ["city", "tags", "email", "seniority", "notes", "technologies", "industry", "owner"])
def test_what_begins_so_is_counted_the_same_under_other_filters(following: Mirror, name: str) -> None:
    def counted(typed: str, chosen: Filters) -> list[tuple[Any, int]]:
        found = search.count_by(chosen, name, begins=typed, by=OPERATOR)
        assert [number for _, number in found] == sorted((number for _, number in found), reverse=True)
        assert found[:2] == search.count_by(chosen, name, begins=typed, by=OPERATOR, limit=2)
        return sorted(found)

    some = [parse(one, by=OPERATOR) for one in ([], ["seniority=VP", "seniority=Manager"], ["city.contains=a"])]
    asked = [(typed, chosen) for typed in ("a", "Ä", "so", "ann", "İ", "own", "nobody") for chosen in some]
    ours = [counted(*one) for one in asked]
    token = own_mirror._MAY_ASK.set(False)
    try:
        assert ours == [counted(*one) for one in asked]
    finally:
        own_mirror._MAY_ASK.reset(token)
    assert any(ours)


def test_what_is_completed_takes_one_connection_at_a_time(following: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    most = 0

    @contextmanager
    def counted() -> Iterator[Session]:
        nonlocal most
        held.append(1)
        most = max(most, len(held))
        try:
            with reading() as session:
                yield session
        finally:
            held.pop()

    for module in (autocomplete, own_mirror):
        monkeypatch.setattr(module, "reading", counted)
    assert len(autocomplete.values("email", "a", most=100, by=OPERATOR)) < 100, "both are asked"
    assert most == 1


PERSON = {
    "last_name": "Mayfield", "company": "Acme", "title": "Müller & Caçadõres", "country": "Peru",
    "email": "greta.o+hara@mayfield.example",
}  # fmt: skip
MEANT = {
    "mayfeld": "mayfield", "mayfieldd": "mayfield", "amyfield": "mayfield", "mayifeld": "mayfield",
    "myafield": "mayfield", "nayfield": "mayfield", "may(field": "mayfield", "mayfe": "mayfi",
    "acme": None, "may": None, "mayfield": None, "ayfield": None, "mxxfield": None, "x" * 70: None,
    "Mayfueld acme": "mayfield acme", "mayfeld nobody": None, "mayfield nobody": None,
    "mayfeld grtea": "mayfield greta", "great": "greta", "gretha": "greta",
    "grreta.o+hara@mayfield.example": "greta.o+hara@mayfield.example",
    "greta.o+hara@mayfeild.example": "greta.o+hara@mayfield.example",
    "greta.ohara@mayfield.example": "greta.o+hara@mayfield.example",
    "muller": "müller", "mülller": "müller", "cacadores": "caçadõres", "cacadõres": "caçadõres",
    "caacdores": "caçadõres", "mayfeld cacadores": "mayfield caçadõres",
}  # fmt: skip


@pytest.mark.parametrize("most_coded", [mirror_source.MOST_CODED, 0])  # with dictionaries, and of too many values
def test_one_wrong_letter_is_understood(
    filled: object, most_coded: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def understood(typed: Iterable[str], *country: str) -> dict[str, str | None]:
        asked = {one: replace(parse(country, by=OPERATOR), q=one) for one in typed}
        found = {one: search.meant(chosen, by=OPERATOR) for one, chosen in asked.items()}
        assert all(search.count(chosen, by=OPERATOR) for chosen in found.values() if chosen)
        return {one: chosen.q if chosen else None for one, chosen in found.items()}

    monkeypatch.setattr(mirror_source, "MOST_CODED", most_coded)
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [PERSON])
    some = {typed: MEANT[typed] for typed in ("mayfeld", "gretha", "mayfeld cacadores")}
    with mirror.held(tmp_path / "copy", threads=2, memory="500MB") as made:
        assert made.wait(60)
        assert understood(MEANT) == MEANT
        assert understood(some, "country=Peru") == some
        assert understood(some, "country=Chad") == dict.fromkeys(some), "nobody of Chad"
        with writing(OPERATOR) as session:
            session.execute(delete(Contact).where(Contact.last_name == "Mayfield"))
        assert understood(some) == dict.fromkeys(some), "nobody has it any more"


def test_of_two_that_can_be_meant_it_is_what_most_contacts_have(following: Mirror) -> None:
    """However many texts say so: one name of many people is one text of a dictionary."""
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"last_name": "Quarcía"}, *[{"last_name": "Quarcia"}] * 20])
    found = {typed: search.meant(Filters(q=typed), by=OPERATOR) for typed in ("Quracia", "quarciá")}
    assert {typed: one.q if one else None for typed, one in found.items()} == {
        "Quracia": "quarcia",
        "quarciá": "quarcia",
    }


def test_what_is_meant_is_not_told_of_columns_that_are_hidden(following: Mirror) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [PERSON])
    seen = replace(OPERATOR, columns=frozenset({"email", "country"}))
    assert search.meant(Filters(q="mayfiedl.example"), by=seen), "the e-mail has it"
    assert search.meant(Filters(q="muller"), by=OPERATOR)
    assert search.meant(Filters(q="muller"), by=seen) is None


def test_what_is_meant_takes_no_longer_than_people_wait(following: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(self: mirrored.Mirrored, word: str) -> list[list[str]]:
        self.view.cursor.execute("SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b").fetchall()
        return [[word]]

    monkeypatch.setattr(Database, "patience", 0.5)
    monkeypatch.setattr(mirrored.Mirrored, "meant", endless)
    assert search.meant(Filters(q="mayfeld"), by=OPERATOR) is None
