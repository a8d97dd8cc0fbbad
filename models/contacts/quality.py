"""What good contact data looks like: the rules that the declarations of the contact's fields imply.

They are chosen for how PostgreSQL counts them: all but uniqueness fit into one pass over the table. LIKE costs a fifth
of a regular expression there, and a bounded repetition such as {5,30} five times a plain one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement

from models.check_rules import ALL, MOST, NEARLY_ALL, TODAY, USUALLY, Demand, Rule, breaks
from models.contacts.table import FIELDS, Contact
from models.fields import Field, Kind

IDENTIFYING = ("first_name", "last_name", "email", "company")  # a contact has one of them at least
LONGEST = {"first_name": 100, "last_name": 100, "title": 300, "company": 300, "email": 254}  # 254: RFC 5321, 4.5.3.1.3
MOST_EMPLOYEES = 5_000_000  # twice the largest employer there is
MOST_MONEY = 1_000_000_000_000  # dollars; no company takes or raises as much in a year
FIRST_FUNDING = date(1900, 1, 1)
OTHER_HOSTS = {"twitter.com": ("x.com",), "facebook.com": ("fb.com",)}

# Nothing that imports accept (models.contacts.emails, values.PHONE) breaks these; they catch what came another way.
EMAIL = r'^("[ -~]+"|[^@\s]+)@([^@\s]+\.[^@\s.]+|[a-z]{2})$'
PHONE = r"^[+(0-9][0-9 ()./+,:#eExXtTnNsSiIoO-]*$"


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule for contacts, in the order of the fields."""
    return (_somebody(), *(rule for one in FIELDS.values() for rule in _of_field(one)), _external_id_once())


@cache
def named() -> dict[str, Rule]:
    return {rule.name: rule for rule in rules()}


def fields_of(rule: Rule) -> tuple[str, ...]:
    """The fields that the rule looks into."""
    return (rule.field,) if rule.field else IDENTIFYING


def broken_by(names: Iterable[str]) -> list[ColumnElement[bool]]:
    """For each of these rules what is true of the contacts that break it; of the others it is false."""
    return [breaks(named()[name], Contact.__table__) for name in names]


def _somebody() -> Rule:
    columns = tuple(FIELDS[name].column for name in IDENTIFYING)
    sentence = "A contact has a name, an e-mail or a company."
    return Rule("row_has_name_email_or_company", None, sentence, Demand.FILLED, columns, blocks=True)


def _external_id_once() -> Rule:
    one = FIELDS["contact_id"]
    return _rule(one, "is_unique", f"No two contacts have the same {one.title}.", Demand.ONCE, NEARLY_ALL)


def _of_field(one: Field) -> Iterator[Rule]:
    if one.kind is Kind.EMAIL:
        sentence = f"{one.title} is an e-mail address."
        yield _blocking(_rule(one, "is_an_address", sentence, Demand.MATCHES, pattern=EMAIL))
    if one.kind is Kind.PHONE:
        sentence = f"{one.title} is written in digits and the usual signs."
        yield _rule(one, "looks_like_a_phone", sentence, Demand.MATCHES, MOST, pattern=PHONE)
    if one.kind is Kind.URL:
        yield _web_address(one)
    if one.kind is Kind.CHOICE:
        yield _known_value(one)
    if one.kind in (Kind.WHOLE, Kind.MONEY):
        yield _blocking(_amount(one))
    if one.kind is Kind.DATE:
        sentence = f"{one.title} lies between {FIRST_FUNDING.year} and today."
        limits = {"least": FIRST_FUNDING, "most": TODAY}
        yield _blocking(_rule(one, "is_not_in_the_future", sentence, Demand.BETWEEN, NEARLY_ALL, **limits))
    if longest := LONGEST.get(one.name):
        sentence = f"{one.title} has at most {longest} characters."
        yield _rule(one, "is_not_too_long", sentence, Demand.LENGTH, most=longest)


def _rule(one: Field, suffix: str, sentence: str, demand: Demand, tolerance: float = ALL, **given: Any) -> Rule:
    return Rule(f"{one.name}_{suffix}", one.name, sentence, demand, (one.column,), given, tolerance)


def _blocking(rule: Rule) -> Rule:
    return replace(rule, blocks=True)


def _web_address(one: Field) -> Rule:
    if one.profile is None:
        sentence = f"{one.title} starts with http:// or https://."
        return _rule(one, "is_a_web_address", sentence, Demand.LIKE, NEARLY_ALL, patterns=["https://_%", "http://_%"])
    host = str(urlsplit(one.profile).hostname).removeprefix("www.")
    hosts = (host, *OTHER_HOSTS.get(host, ()))
    # The form that imports write comes first: most values then need a single comparison.
    starts = [f"{scheme}://{before}" for before in ("www.", "", "%.") for scheme in ("https", "http")]
    patterns = [f"{start}{name}/%" for start in starts for name in hosts]
    sentence = f"{one.title} leads to {' or '.join(hosts)}."
    return _rule(one, "is_on_its_site", sentence, Demand.LIKE, MOST, patterns=patterns)


def _known_value(one: Field) -> Rule:
    sentence = f"{one.title} is usually one of {', '.join(one.choices)}."
    return _rule(one, "is_a_known_value", sentence, Demand.ONE_OF, USUALLY, values=list(one.choices))


def _amount(one: Field) -> Rule:
    most = MOST_EMPLOYEES if one.kind is Kind.WHOLE else MOST_MONEY
    sentence = f"{one.title} is between 0 and {most:,}."
    return _rule(one, "is_plausible", sentence, Demand.BETWEEN, NEARLY_ALL, least=0, most=most)
