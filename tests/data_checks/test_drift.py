"""The judgement by itself, on made-up profiles: what stands out, what is usual, and what chance explains."""

import random
from collections import Counter
from math import log
from typing import Any

import pytest

from data_checks import drift, measures
from data_checks.drift_words import percent, short
from models.contacts.table import FIELDS
from models.import_findings import Finding, Severity
from models.import_profiles import Baseline, Profile

HEADERS = ("company", "email")


def profile(number: int = 1, rows: int = 1000, *, outcome: dict[str, int] | None = None, **columns: Any) -> Profile:
    """An import in which everything is new; a column not given in full has the rows that it says, and no more."""
    told = {name: one if isinstance(one, dict) else {"filled": one, "sampled": 0} for name, one in columns.items()}
    counted = {"created": rows, "updated": 0, "unchanged": 0, "duplicates": 0, "rejected": 0} | (outcome or {})
    return Profile(number, HEADERS, told, rows, rows - counted["rejected"], counted)


def valued(*values: tuple[str, int], part: str = "values") -> dict[str, Any]:
    total = sum(number for _, number in values)
    return {"filled": total, "sampled": total, "different": len(values), part: [[*one] for one in values]}


def judged(now: Profile, *earlier: Profile, is_same: bool = True) -> list[Finding]:
    return drift.judge(now, Baseline(earlier, is_same))[0]


def names(found: list[Finding]) -> list[str]:
    return [one.name for one in found]


def test_a_share_is_told_beside_those_before() -> None:
    [found] = judged(profile(9, email=810), *(profile(number, email=980) for number in range(5)))
    assert found.sentence == "E-mail is empty in 19 % of the rows; in the 5 imports before it was 2 %."
    assert (found.severity, found.strength) == (Severity.MEDIUM, 1.7)
    assert found.details["rows"] == {"of": "empty", "field": "email"}
    [fuller] = judged(profile(9, email=980), profile(email=500))
    assert (fuller.name, fuller.stops) == ("email_empty", False), "to have more values is no harm"


def test_what_came_once_and_was_accepted_is_usual() -> None:
    assert judged(profile(9, email=810), profile(email=980), profile(email=800), profile(email=980)) == []
    assert names(judged(profile(9, email=810), profile(email=980), profile(email=980))) == ["email_empty"]


def test_newer_imports_count_more_and_a_large_one_not_more_than_all_others() -> None:
    large = profile(rows=1_000_000, email=1_000_000)
    [found] = judged(profile(9, email=100), profile(email=600), profile(email=600), large)
    assert found.details["before"] == pytest.approx(0.31, abs=0.01)


def test_a_few_rows_do_not_cry_wolf() -> None:
    assert judged(profile(9, rows=40, email=34), profile(email=980)) == [], "6 of 40 may be chance"
    assert names(judged(profile(9, rows=40, email=20), profile(email=980))) == ["email_empty"]


def test_another_source_gives_hints_of_what_is_far_off() -> None:
    found = judged(profile(9, email=100, company=600), profile(email=980, company=980), is_same=False)
    assert [(one.name, one.severity) for one in found] == [
        ("email_empty", Severity.LOW),
        ("company_empty", Severity.LOW),
    ]
    assert not any(one.stops for one in found)


def test_values_that_never_came_are_named() -> None:
    usual = valued(("Germany", 900), ("France", 100))
    now = profile(country=valued(("Germany", 700), ("Austria", 300)))
    [found] = judged(now, profile(country=usual))
    assert found.sentence == "Country has a value that never came before, in 30 % of the filled rows."
    assert found.details["examples"] == [["Austria", 300]]


def test_a_country_a_month_is_usual_where_each_import_brought_one() -> None:
    months = [profile(country=valued((one, 1000))) for one in ("France", "Germany", "Spain")]
    assert names(judged(profile(country=valued(("Italy", 1000))), months[0])) == ["country_unknown"]
    assert judged(profile(country=valued(("Italy", 1000))), *months) == []


def test_one_value_or_domain_that_suddenly_has_most() -> None:
    usual = profile(country=valued(("Germany", 900), ("France", 100)))
    now = profile(country=valued(("Germany", 50), ("France", 950)))
    assert names(judged(now, usual)) == ["country_leading"]
    domains = valued(*((f"d{number}.example", 10) for number in range(30)), part="domains")
    many = valued(("d1.example", 700), ("d2.example", 300), part="domains")
    [found] = judged(profile(email=many), profile(rows=300, email=domains))
    assert (found.name, found.details["examples"]) == ("email_leading", [["d1.example", 700]])


def test_new_contacts_where_a_source_brings_known_ones() -> None:
    updates = {"created": 50, "unchanged": 950}
    settled = [profile(number, outcome=updates, company=1000) for number in range(3)]
    [found] = judged(profile(9, company=1000), *settled)
    assert found.sentence == "100 % of the rows make new contacts; in the 3 imports before 5 % did."
    assert judged(profile(9, company=1000), *settled[:2]) == [], "after two of them nobody knows"


def test_a_torn_file_has_far_fewer_rows() -> None:
    whole = [profile(number, rows=rows, company=rows) for number, rows in enumerate((9_000, 10_000, 9_500))]
    [found] = judged(profile(9, rows=900, company=900), *whole)
    assert found.sentence == "The file has 900 rows; in the 3 imports before it had 9,000 to 10,000."
    assert judged(profile(9, rows=4_000, company=4_000), *whole) == []


def test_the_stability_index_is_the_formulas() -> None:
    ours, theirs = {1: 50, 2: 50}, {1: 90, 2: 10}
    assert measures.stability_index(ours, theirs) == pytest.approx(-0.4 * log(0.5 / 0.9) + 0.4 * log(0.5 / 0.1))
    assert measures.stability_index(ours, ours) == 0


def test_chance_hardly_ever_makes_the_index_as_large() -> None:
    seeded = random.Random(360)

    def sample(number: int) -> dict[int, float]:
        return dict(Counter(min(9, int(seeded.expovariate(0.4))) for _ in range(number)))

    pairs = [(sample(60), sample(200)) for _ in range(500)]
    beyond = [
        ours for ours, theirs in pairs if measures.stability_index(ours, theirs) > measures.by_chance(ours, theirs)
    ]
    assert len(beyond) <= 1, "with so few values the distribution is only nearly that"
    ours, theirs = sample(60), {bucket + 4: number for bucket, number in sample(200).items()}
    assert measures.stability_index(ours, theirs) > measures.by_chance(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs", "differ"),
    [
        ((5, 10), (50, 100), False),
        ((6, 40), (20, 1000), False),
        ((16, 40), (2, 100), True),
        ((200, 1000), (20, 1000), True),
        ((1, 0), (1, 2), False),
    ],
)
def test_two_shares_differ_only_beyond_chance(ours: tuple[int, int], theirs: tuple[int, int], differ: bool) -> None:
    assert measures.proportions_differ(*ours, *theirs) is differ


def test_shares_and_sizes_in_words() -> None:
    assert [percent(share) for share in (0, 0.0001, 0.004, 0.19, 1)] == [
        "none",
        "less than 0.1 %",
        "0.4 %",
        "19 %",
        "100 %",
    ]
    assert [short(number) for number in (7, 1500, 32e6, 3.2e9)] == ["7", "1.5k", "32M", "3.2B"]


def test_each_field_has_the_thresholds_of_its_kind_but_where_it_says_otherwise() -> None:
    assert FIELDS["email"].drift.empty == 0.1
    assert FIELDS["first_name"].drift.swapped == FIELDS["last_name"].drift.swapped is not None
    assert FIELDS["notes"].drift.new is None
    for one in FIELDS.values():
        assert set(one.drift.holds) <= FIELDS.keys()


def test_a_size_in_the_middle_is_given_as_its_limits_which_are_all_that_is_known() -> None:
    def shaped(name: str, bucket: int) -> Profile:
        return profile(**{name: {"filled": 1000, "sampled": 1000, "different": 1, "shape": [[bucket, 1000]]}})

    [fives] = judged(shaped("employees", 1), shaped("employees", 4))
    assert fives.sentence == (
        "Employees is of another size: 4 to 9 in the middle; in the import before 100 to 316."
    )  # fmt: skip
    [none] = judged(shaped("employees", -1), shaped("employees", 0))
    assert none.sentence == "Employees is of another size: less than 1 in the middle; in the import before 1 to 3."
    [longer] = judged(shaped("title", 25), shaped("title", 9))
    assert longer.sentence == (
        "Title is of other lengths: 25 to 29 characters in the middle; in the import before 9 characters."
    )
    [longest] = judged(shaped("title", 200), shaped("title", 9))
    assert "200 or more characters in the middle" in longest.sentence
