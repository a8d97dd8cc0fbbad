"""What good contact data looks like: the rules that the declarations of the contact's fields imply, in words and as
Great Expectations' expectations by name. This module knows the library's vocabulary and does not load it.

The expectations are chosen for how PostgreSQL counts them: all but uniqueness fit into one pass over the table. LIKE
costs a fifth of a regular expression there, and a bounded repetition such as {5,30} five times a plain one.
"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from models.check_results import Verdict
from models.contacts.table import FIELDS
from models.fields import Field, Kind
from models.import_findings import Finding, Severity

IDENTIFYING = ("first_name", "last_name", "email", "company")  # a contact has one of them at least
LONGEST = {"first_name": 100, "last_name": 100, "title": 300, "company": 300, "email": 254}  # 254: RFC 5321, 4.5.3.1.3
FEWEST_BLOCKED = 30  # values
MOST_EMPLOYEES = 5_000_000  # twice the largest employer there is
MOST_MONEY = 1_000_000_000_000  # dollars; no company takes or raises as much in a year
FIRST_FUNDING = date(1900, 1, 1)
OTHER_HOSTS = {"twitter.com": ("x.com",), "facebook.com": ("fb.com",)}

# Nothing that imports accept (models.contacts.emails, values.PHONE) breaks these; they catch what came another way.
EMAIL = r'^("[ -~]+"|[^@\s]+)@([^@\s]+\.[^@\s.]+|[a-z]{2})$'
PHONE = r"^[+(0-9][0-9 ()./+,:#eExXtTnNsSiIoO-]*$"

# A rule with a tolerance below ALL warns of a column that slipped, not of single values that are merely unusual.
ALL = 1.0
NEARLY_ALL = 0.99
MOST = 0.95
USUALLY = 0.8


@dataclass(frozen=True)
class Rule:
    """`expectation` over `columns`: at least the share `tolerance` of the filled values keep to it.

    `name` is stored with every result, and so never changes its meaning; `field` is None where the rule is about the
    whole row. One that `blocks` stops the commit of an import that breaks it until somebody accepts that.
    """

    name: str
    field: str | None
    sentence: str
    expectation: str
    columns: tuple[str, ...]
    kwargs: dict[str, Any] = attribute(default_factory=dict)
    tolerance: float = ALL
    blocks: bool = False

    def on(self, present: Set[str]) -> "Rule | None":
        """The rule for a table that has only the columns `present`; None where nothing of it is there."""
        kept = tuple(column for column in self.columns if column in present)
        return replace(self, columns=kept) if kept else None


def rules(today: date | None = None) -> list[Rule]:
    """Every rule for contacts, in the order of the fields; `today` is the last day that funding can lie on."""
    of_fields = (rule for one in FIELDS.values() for rule in _of_field(one, today or date.today()))
    return [_somebody(), *of_fields, _external_id_once()]


def broken(verdicts: Iterable[Verdict]) -> list[Finding]:
    """The broken rules that stop a commit, as what stands out. Where some values may break a rule, a few rows are too
    few to tell a wrong column from them."""
    return [
        _finding(one)
        for one in verdicts
        if not one.success and (details := one.details or {}).get("blocks")
        and (details["tolerance"] == ALL or one.checked >= FEWEST_BLOCKED)
    ]  # fmt: skip


def _finding(one: Verdict) -> Finding:
    details = one.details or {}
    share = one.failing / one.checked if one.checked else 1.0
    others = [] if one.field else list(IDENTIFYING)
    rows = "1 row breaks" if one.failing == 1 else f"{one.failing:,} rows break"
    return Finding(
        f"rule_{one.name}", one.field, Severity.HIGH, round(1 + share, 3), f"{rows} a rule: {details['sentence']}",
        {"now": share, "others": others, "examples": [[value, None] for value in details.get("examples", ())]},
    )  # fmt: skip


def _somebody() -> Rule:
    return Rule(
        "row_has_name_email_or_company",
        None,
        "A contact has a name, an e-mail or a company.",
        "ExpectAnyColumnToBeFilled",
        tuple(FIELDS[name].column for name in IDENTIFYING),
        blocks=True,
    )


def _external_id_once() -> Rule:
    one = FIELDS["contact_id"]
    return _rule(
        one, "is_unique", f"No two contacts have the same {one.title}.", "ExpectColumnValuesToBeUnique", NEARLY_ALL
    )


def _of_field(one: Field, today: date) -> Iterator[Rule]:
    if one.kind is Kind.EMAIL:
        yield _blocking(_rule(one, "is_an_address", f"{one.title} is an e-mail address.", _MATCHES, regex=EMAIL))
    if one.kind is Kind.PHONE:
        sentence = f"{one.title} is written in digits and the usual signs."
        yield _rule(one, "looks_like_a_phone", sentence, _MATCHES, MOST, regex=PHONE)
    if one.kind is Kind.URL:
        yield _web_address(one)
    if one.kind is Kind.CHOICE:
        yield _known_value(one)
    if one.kind in (Kind.WHOLE, Kind.MONEY):
        yield _blocking(_amount(one))
    if one.kind is Kind.DATE:
        sentence = f"{one.title} lies between {FIRST_FUNDING.year} and today."
        limits = {"min_value": FIRST_FUNDING, "max_value": today}
        yield _blocking(_rule(one, "is_not_in_the_future", sentence, _BETWEEN, NEARLY_ALL, **limits))
    if longest := LONGEST.get(one.name):
        sentence = f"{one.title} has at most {longest} characters."
        yield _rule(one, "is_not_too_long", sentence, "ExpectColumnValueLengthsToBeBetween", max_value=longest)


_MATCHES = "ExpectColumnValuesToMatchRegex"
_BETWEEN = "ExpectColumnValuesToBeBetween"
_LIKE = "ExpectColumnValuesToMatchLikePatternList"


def _rule(one: Field, suffix: str, sentence: str, expectation: str, tolerance: float = ALL, **kwargs: Any) -> Rule:
    return Rule(f"{one.name}_{suffix}", one.name, sentence, expectation, (one.column,), kwargs, tolerance)


def _blocking(rule: Rule) -> Rule:
    return replace(rule, blocks=True)


def _web_address(one: Field) -> Rule:
    if one.profile is None:
        patterns = ["https://_%", "http://_%"]
        return _rule(
            one, "is_a_web_address", f"{one.title} starts with http:// or https://.", _LIKE, NEARLY_ALL,
            like_pattern_list=patterns, match_on="any",
        )  # fmt: skip
    host = str(urlsplit(one.profile).hostname).removeprefix("www.")
    hosts = (host, *OTHER_HOSTS.get(host, ()))
    # The form that imports write comes first: most values then need a single comparison.
    starts = [f"{scheme}://{before}" for before in ("www.", "", "%.") for scheme in ("https", "http")]
    patterns = [f"{start}{name}/%" for start in starts for name in hosts]
    return _rule(
        one, "is_on_its_site", f"{one.title} leads to {' or '.join(hosts)}.", _LIKE, MOST,
        like_pattern_list=patterns, match_on="any",
    )  # fmt: skip


def _known_value(one: Field) -> Rule:
    sentence = f"{one.title} is usually one of {', '.join(one.choices)}."
    return _rule(one, "is_a_known_value", sentence, "ExpectColumnValuesToBeInSet", USUALLY, value_set=list(one.choices))


def _amount(one: Field) -> Rule:
    most = MOST_EMPLOYEES if one.kind is Kind.WHOLE else MOST_MONEY
    sentence = f"{one.title} is between 0 and {most:,}."
    return _rule(one, "is_plausible", sentence, _BETWEEN, NEARLY_ALL, min_value=0, max_value=most)
