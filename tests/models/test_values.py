import re
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.contacts import amounts, blanks, dates, emails, links, values
from models.contacts.table import FIELDS
from models.contacts.values import joined, parse
from models.errors import InvalidInput
from models.fields import Kind

WRONG = InvalidInput

MONEY: dict[str, Any] = {
    "$5.2M": "5200000", "1,234": "1234", "5200000.0": "5200000", "$1.2bn": "1200000000", "12k": "12000",
    "1.234,56": "1234.56", "1.234.567": "1234567", "1,234.56": "1234.56", "1 234 567,8": "1234567.8",
    "1'234'567": "1234567", "12,34,567": "1234567", "12,5": "12.5", "$ 3,5 Mio.": "3500000",
    "USD 5.2 million": "5200000", "5.2E+06": "5200000", "$1.234M": "1234000", "1234.567": "1234.57",
    "0.125": "0.13", "0.005": "0.01", "US$ 10": "10", "1\xa0234\xa0$": "1234", "5M US$": "5000000",
    "0": "0", "250.": "250", ".5": "0.5",
    "2 Crore": "20000000", "9999999999999.99": "9999999999999.99",
    "1.234": WRONG, "$1.234": WRONG, "10000000000000": WRONG, "1e99": WRONG, "-5": WRONG, "1..2": WRONG, "5.2X": WRONG,
    "€1.2bn": WRONG, "€ 3,5 Mio.": WRONG, "1\xa0234\xa0€": WRONG, "£5": WRONG, "3m EUR": WRONG, "CHF 1'000": WRONG,
    "A$ 10": WRONG, "$5M CAD": WRONG, "Rs. 5 lakh": WRONG,
    "$1M - $10M": WRONG, "1,23,4": WRONG, "1.2.3": WRONG, "M": WRONG, "$": WRONG, "٣": WRONG, "9" * 4000: WRONG,
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "1,234": 1234, "5200.0": 5200, "250": 250, "0": 0, "1.234.567": 1234567, "1 234": 1234, "1.234,00": 1234,
    "51-200": WRONG, "10,001+": WRONG, "5.5": WRONG, "1.234": WRONG, "5.000": WRONG, "12k": WRONG, "-3": WRONG,
    "1" + "0" * 15: WRONG, "about 50": WRONG,
}  # fmt: skip
DAYS: dict[str, Any] = {
    "2024-03-05": "2024-03-05", "2024-03-05T22:36:33+00:00": "2024-03-05", "2020-01-10 10:00": "2020-01-10",
    "2016-04-18 13:51:14": "2016-04-18", "2024-03-05T23:59:59.123Z": "2024-03-05", "05 Mar 2024": "2024-03-05",
    "Mar 5, 2024": "2024-03-05", "March 5th 2024 10:22 PM": "2024-03-05", "5-Mar-2024": "2024-03-05",
    "2024/03/05": "2024-03-05", "2024.3.5": "2024-03-05", "05.03.2024": "2024-03-05", "5. März 2024": "2024-03-05",
    "1 février 2024": "2024-02-01", "25/04/2020": "2020-04-25", "04/25/2020": "2020-04-25", "3/3/2020": "2020-03-03",
    "29 Feb 2024": "2024-02-29", "29-02-2024": "2024-02-29",
    "03/04/2020": WRONG, "03-04-2020": WRONG, "29 Feb 2023": WRONG, "31/04/2020": WRONG, "13/14/2020": WRONG,
    "2024-13-01": WRONG, "2024-02-30": WRONG, "March 2024": WRONG, "2024": WRONG, "45356": WRONG, "5 Foo 2024": WRONG,
    "3/4/20": WRONG, "0024-03-05": WRONG, "tomorrow": WRONG,
}  # fmt: skip
FLAGS: dict[str, Any] = {
    "yes": True, "TRUE": True, "1": True, "y": True, "X": True, "1.0": True, "Ja": True, "active": True,
    "no": False, "False": False, "0": False, "N": False, "nein": False, "inactive": False,
    "maybe": WRONG, "2": WRONG,
}  # fmt: skip
PHONES: dict[str, Any] = {
    "'+44 20 7946 0958": "+44 20 7946 0958", "5577357804": "5577357804", "5577357804.0": "5577357804",
    "+1-417-270-5301x238": "+1-417-270-5301x238", "(202) 224-3441 ext. 5": "(202) 224-3441 ext. 5",
    "202.224.3441 #12": "202.224.3441 #12", "+49 (0)211 / 12-34": "+49 (0)211 / 12-34", "555–1234": "555-1234",
    "tel:+1 202": WRONG, "tel:+12025550123": "+12025550123", "+1\xa0202  5550123": "+1 202 5550123",
    "1234": WRONG, "1" * 21: WRONG, "1-800-FLOWERS": WRONG, "202-224-3441; 202-224-3442": WRONG, "5.58E+09": WRONG,
    "ann@example.com": WRONG, "+": WRONG, "٣٤٥٦٧٨٩": WRONG,
}  # fmt: skip
WEBSITES: dict[str, Any] = {
    "acme.com": "https://acme.com", "HTTP://Acme.COM/": "http://acme.com", "https://acme.com/": "https://acme.com",
    "www.acme.com/Path?a=1": "https://www.acme.com/Path?a=1", "https://müller.de": "https://müller.de",
    "http://access-board.gov": "http://access-board.gov", "https://acme.com:8080/x#y": "https://acme.com:8080/x#y",
    "//acme.com": "https://acme.com", "acme.com.": "https://acme.com", "http://linkedin.com/jobs": "https://linkedin.com/jobs",
    "https://a_b.example.com": "https://a_b.example.com",
    "acme": WRONG, "@acme": WRONG, "info@acme.com": WRONG, "javascript:alert(1)": WRONG, "ftp://acme.com": WRONG,
    "1.5": WRONG, "http://10.0.0.1/": WRONG, "acme dot com": WRONG, "https://acme.com/a b": WRONG, "http://": WRONG,
    "-acme.com": WRONG, "acme..com": WRONG, "05.03.2024": WRONG,
}  # fmt: skip
ANN = "https://www.linkedin.com/in/ann-smith"
LINKEDIN_PEOPLE: dict[str, Any] = {
    "http://www.linkedin.com/in/ann-smith": ANN, "https://uk.linkedin.com/in/ann-smith/": ANN,
    "linkedin.com/in/ann-smith?trk=people&x=1": ANN, "www.LinkedIn.com/IN/ann-smith/de": ANN, "in/ann-smith": ANN,
    "/in/ann-smith/": ANN, "ann-smith": ANN, "@ann-smith": ANN, f"{ANN}#about": ANN,
    "https://www.linkedin.com/sales/lead/A,B?x=1": "https://www.linkedin.com/sales/lead/A,B",
    "https://www.linkedin.com/in/ann%20smith": "https://www.linkedin.com/in/ann%20smith",
    "https://xing.com/profile/Ann": "https://xing.com/profile/Ann", "acme.com": WRONG, "linkedin.com": "https://linkedin.com",
    "Ann Smith": WRONG,
}  # fmt: skip
OTHER_PROFILES = {
    ("company_linkedin_url", "https://www.linkedin.com/company/acme/about/"): "https://www.linkedin.com/company/acme",
    ("company_linkedin_url", "company/acme"): "https://www.linkedin.com/company/acme",
    ("company_linkedin_url", "acme"): "https://www.linkedin.com/company/acme",
    ("twitter_url", "@acme"): "https://twitter.com/acme",
    ("twitter_url", "SenatorCantwell"): "https://twitter.com/SenatorCantwell",
    ("twitter_url", "http://www.x.com/acme/"): "https://www.x.com/acme",
    ("twitter_url", "twitter.com/acme"): "https://twitter.com/acme",
    ("facebook_url", "senator.smith"): "https://www.facebook.com/senator.smith",
    ("facebook_url", "facebook.com/senator"): "https://facebook.com/senator",
    ("facebook_url", "http://facebook.com/profile.php?id=1"): "https://facebook.com/profile.php?id=1",
    ("facebook_url", "www.acme.com"): WRONG,
}
LISTS: dict[str, Any] = {
    "C-Suite, Sales": ["C-Suite", "Sales"], "a;b, c": ["a", "b, c"], "* mine ::: Friends": ["* mine", "Friends"],
    '"VIP","Blog"': ["VIP", "Blog"], '"VIP, gold", "Blog"': ["VIP, gold", "Blog"],
    '["a", "b, c", null, 3]': ["a", "b, c", "3"], '["N/A"]': ["N/A"],
    "a,b , a,,": ["a", "b"], "one\ntwo": ["one", "two"], "Acme": ["Acme"], "[draft], x": ["[draft]", "x"],
    '[["a"]]': ['[["a"]]'], '"open, b': ['"open', "b"], '5" pipe, b': ['5" pipe', "b"], ",": None, "[]": None,
}  # fmt: skip
KINDS = {
    "annual_revenue": {text: Decimal(one) if isinstance(one, str) else one for text, one in MONEY.items()},
    "employees": WHOLE,
    "last_raised_at": {text: date.fromisoformat(one) if isinstance(one, str) else one for text, one in DAYS.items()},
    "is_active": FLAGS,
    "work_direct_phone": PHONES,
    "website": WEBSITES,
    "person_linkedin_url": LINKEDIN_PEOPLE,
    "tags": LISTS,
    "seniority": {
        "c SUITE": "C suite",
        "vp": "VP",
        "Chief of All": "Chief of All",
        "head_of": "head_of",
        "c_suite": "C suite",
        "C-Suite": "C suite",
        "_vp": "_vp",
    },
    "email": {"Ann <Ann@Example.com>": "ann@example.com", "ann@gmail": WRONG, "ann": WRONG},
    "first_name": {" Ann\xa0": "Ann", "None": "None", "Na": "Na", "A\nB": "A\nB", "N\x00ul": "Nul"},
    "industry": {" Banking ": "Banking"},
    "owner": {"Ann Smith": "Ann Smith"},
}
CASES = [(name, text, expected) for name, cases in KINDS.items() for text, expected in cases.items()]
CASES += [(name, text, expected) for (name, text), expected in OTHER_PROFILES.items()]


def test_no_two_choices_of_a_field_are_read_alike() -> None:
    for field in FIELDS.values():
        assert len({values.choice_key(one) for one in field.choices}) == len(field.choices)


@pytest.mark.parametrize(("name", "text", "expected"), CASES, ids=[f"{name}-{text[:40]!r}" for name, text, _ in CASES])
def test_a_value_is_read_or_refused(name: str, text: str, expected: Any) -> None:
    if expected is WRONG:
        with pytest.raises(InvalidInput) as refused:
            parse(FIELDS[name], text)
        assert refused.value.sentence.startswith(f"{FIELDS[name].title}: “{text}” ")
    else:
        found = parse(FIELDS[name], f" {text}\t")
        assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(("name", "text", "expected"), CASES, ids=[f"{name}-{text[:40]!r}" for name, text, _ in CASES])
def test_what_was_read_is_read_again_as_the_same(name: str, text: str, expected: Any) -> None:
    if expected is WRONG or expected is None:
        return
    field = FIELDS[name]
    written = joined(expected) if isinstance(expected, list) else str(expected)
    assert parse(field, written) == expected


@pytest.mark.parametrize("name", FIELDS)
def test_words_for_nothing(name: str) -> None:
    for text in ("", "  ", "N/A", "n/a", "-", "–", "(blank)", "null", "NULL", "#N/A", "\xa0\ufeff"):
        assert parse(FIELDS[name], text) is None
    free_text = FIELDS[name].kind is Kind.TEXT
    assert parse(FIELDS[name], "None") == ("None" if free_text else None)


def test_the_day_is_first_when_somebody_says_so() -> None:
    field = FIELDS["last_raised_at"]
    assert parse(field, "03/04/2020", day_first=True) == date(2020, 4, 3)
    assert parse(field, "03/04/2020", day_first=False) == date(2020, 3, 4)
    assert parse(field, "2020-03-04", day_first=True) == date(2020, 3, 4)
    for text, said in (("25/04/2020", False), ("04/25/2020", True)):
        with pytest.raises(InvalidInput, match="is not a date"):
            parse(field, text, day_first=said)
    with pytest.raises(InvalidInput, match="day first or the month first; write it as 2026-03-31"):
        parse(field, "03/04/2020")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("25/04/2020", True),
        ("04/25/2020 10:00", False),
        ("03/04/2020", None),
        ("13/14/2020", None),
        ("2020-04-25", None),
    ],
)
def test_one_text_says_which_number_is_the_day(text: str, said: bool | None) -> None:
    assert dates.says_day_first(text) is said


def test_a_point_that_may_part_thousands_is_explained() -> None:
    with pytest.raises(InvalidInput, match=r"Its point could part thousands or decimals: write 1234 or 1\.23\.$"):
        parse(FIELDS["annual_revenue"], "$1.234")
    with pytest.raises(InvalidInput, match=r"for example 250\)\.$"):
        parse(FIELDS["employees"], "51-200")


@pytest.mark.parametrize("text", ["€ 3m", "3,5 Mio. EUR", "£5", "$5M CAD", "€1.234", "Rs. 5 lakh"])
def test_no_other_currency_becomes_dollars(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"is in another currency: amounts are kept in US dollars \(write 3000000\)"):
        parse(FIELDS["annual_revenue"], text)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00")).map(blanks.trimmed).filter(bool)


@given(
    st.lists(
        CELLS | st.sampled_from(["a, b", "x;y", '"q"', "[1]", "a ::: b", '["a"]', "1", "-"]), min_size=1, unique=True
    )
)
@settings(max_examples=300, deadline=None)
def test_a_list_that_was_written_is_read_as_the_same(elements: list[str]) -> None:
    assert parse(FIELDS["tags"], joined(elements)) == elements


def test_lists_are_written_plainly_where_they_can_be() -> None:
    assert joined(["C-Suite", "Sales"]) == "C-Suite, Sales"
    assert joined(["Sales, EMEA"]) == '["Sales, EMEA"]'


@given(st.sampled_from(sorted(FIELDS)), st.text(max_size=40))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    try:
        found = parse(FIELDS[name], text)
    except InvalidInput:
        return
    assert found is None or found is False or found == 0 or found


PATTERNS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name)
    for module, names in {
        amounts: ("POINT", "COMMA", "AMBIGUOUS", "MONEY", "ANY_MONEY"),
        dates: ("UNDECIDED",),
        emails: ("SIMPLE",),
        links: ("URL", "LINKEDIN", "SECURE_HOST", "HANDLE", "FACEBOOK_HANDLE"),
        values: ("PHONE", "PHONE_DIGITS", "PHONE_FLOAT"),
    }.items()
    for name in names
} | {f"dates.FORMS {form.groups} {number}": form.pattern for number, form in enumerate(dates.FORMS)}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_match_the_same_in_duckdb(name: str) -> None:
    texts = [text.lower() for _, text, _ in CASES] + [text for _, text, _ in CASES]
    pattern = PATTERNS[name]
    rows = duckdb.execute(
        "SELECT t FROM unnest($1) AS one(t) WHERE regexp_full_match(t, $2)", [texts, pattern]
    ).fetchall()
    matched = [text for text in texts if re.fullmatch(pattern, text)]
    assert sorted(text for (text,) in rows) == sorted(matched)
    assert matched
