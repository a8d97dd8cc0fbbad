"""The rule for e-mail addresses against isemail's suite, and the short way in SQL against the rule.

What isemail calls an error is refused and what it calls valid (with or without a DNS warning) is accepted. Between the
two lie addresses that some standard allows; DECIDED says for each diagnosis what we do, and why.
"""

import re
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES, validate_email
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.contacts.emails import SIMPLE, SIMPLE_LOCAL_MAX, SIMPLE_MAX, is_simple, normalised, problem

ACCEPTED, REFUSED = True, False
DECIDED = {
    "RFC5321_QUOTEDSTRING": (ACCEPTED, "SMTP delivers it; all but the empty one, which names no mailbox (#43)"),
    "RFC5321_ADDRESSLITERAL": (REFUSED, "an IP address is a machine, not a company, and soon another machine"),
    "RFC5321_TLD": (REFUSED, "mail at a generic top-level domain is forbidden: ann@org is a slip"),
    "RFC5321_TLDNUMERIC": (REFUSED, "no top-level domain is a number: a bare IP address, or a slip"),
    "RFC5321_IPV6DEPRECATED": (REFUSED, "an IP address, and in a deprecated form"),
    "CFWS_COMMENT": (REFUSED, "a comment is part of a message's header, not of an address that SMTP takes"),
    "CFWS_FWS": (REFUSED, "blanks around are no part of the address; `normalised` trims them before"),
    "DEPREC_CFWS_NEAR_AT": (REFUSED, "blanks or comments at the @: deprecated, SMTP does not take them"),
    "DEPREC_COMMENT": (REFUSED, "a comment amid the address: deprecated, SMTP does not take it"),
    "DEPREC_CTEXT": (REFUSED, "a comment with control characters"),
    "DEPREC_FWS": (REFUSED, "blanks amid the address: deprecated; around it, `normalised` trims them before"),
    "DEPREC_LOCALPART": (REFUSED, "several words of which some are quoted: deprecated, mail programs refuse it"),
    "DEPREC_QP": (REFUSED, "control characters"),
    "DEPREC_QTEXT": (REFUSED, "control characters"),
    "RFC5322_DOMAIN": (REFUSED, "signs in the domain that no host name has"),
    "RFC5322_DOMAINLITERAL": (REFUSED, "brackets without an IP address: SMTP does not take it"),
    "RFC5322_DOMLIT_OBSDTEXT": (REFUSED, "the same, with obsolete signs"),
    "RFC5322_IPV6_2X2XCOLON": (REFUSED, "a malformed IP address"),
    "RFC5322_IPV6_BADCHAR": (REFUSED, "a malformed IP address"),
    "RFC5322_IPV6_COLONEND": (REFUSED, "a malformed IP address"),
    "RFC5322_IPV6_COLONSTRT": (REFUSED, "a malformed IP address"),
    "RFC5322_IPV6_GRPCOUNT": (REFUSED, "a malformed IP address"),
    "RFC5322_IPV6_MAXGRPS": (REFUSED, "a malformed IP address"),
    "RFC5322_LABEL_TOOLONG": (REFUSED, "no host name has a label beyond 63 characters"),
    "RFC5322_DOMAIN_TOOLONG": (REFUSED, "no host name is that long"),
    "RFC5322_LOCAL_TOOLONG": (REFUSED, "mail servers need not take more than 64 characters before the @"),
    "RFC5322_TOOLONG": (REFUSED, "mail servers need not take more than 254 characters"),
}
EXCEPTIONS = {"43": REFUSED}
# Errors of isemail's that are ours too as they stand, but whose only fault are line ends around the address.
MENDED_BY_TRIMMING = {
    "99", "127", "128", "132", "141", "142", "143", "145", "146", "147", "150", "151", "152", "154", "155", "156",
}  # fmt: skip


def suite(shared_data: Path) -> list[tuple[str, str, str, str]]:
    """Number, address, category and diagnosis of each case; its U+2400 pictures stand for control characters."""
    tests = ElementTree.parse(shared_data / "corpora/isemail/test/tests.xml").getroot().iter("test")
    return [
        (
            one.get("id", ""),
            re.sub("[\u2400-\u2421]", lambda found: chr(ord(found[0]) - 0x2400), one.findtext("address") or ""),
            (one.findtext("category") or "").removeprefix("ISEMAIL_"),
            (one.findtext("diagnosis") or "").removeprefix("ISEMAIL_"),
        )
        for one in tests
    ]


@pytest.mark.shared_data
def test_isemails_errors_are_refused_and_its_valid_ones_accepted(shared_data: Path) -> None:
    cases = suite(shared_data)
    assert len(cases) == 164
    wrong = [
        (number, address, diagnosis, problem(address))
        for number, address, category, diagnosis in cases
        if (category == "ERR" and problem(address) is None)
        or (category in ("VALID_CATEGORY", "DNSWARN") and problem(address) is not None)
    ]
    assert wrong == []


@pytest.mark.shared_data
def test_between_valid_and_error_each_diagnosis_is_decided(shared_data: Path) -> None:
    found = defaultdict(list)
    for number, address, category, diagnosis in suite(shared_data):
        if category not in ("ERR", "VALID_CATEGORY", "DNSWARN"):
            expected = EXCEPTIONS.get(number, DECIDED[diagnosis][0])
            found[diagnosis].append((number, (problem(address) is None) == expected))
    assert [(diagnosis, number) for diagnosis, cases in found.items() for number, fits in cases if not fits] == []
    assert set(found) == set(DECIDED)


@pytest.mark.shared_data
def test_trimming_mends_only_blanks_around(shared_data: Path) -> None:
    errors = [(number, address) for number, address, category, _ in suite(shared_data) if category == "ERR"]
    mended = {number: address for number, address in errors if problem(normalised(address)) is None}
    assert set(mended) == MENDED_BY_TRIMMING
    assert {address.strip() for address in mended.values()} == {"test@iana.org"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", "it is empty"),
        ("(blank)", "it has no @"),
        ("@example.com", "it has nothing before the @"),
        ("ann@", "it has nothing after the @"),
        (" ann@example.com", "it has blanks around it"),
        ("ann smith@example.com", "it has a blank in it"),
        ("ann@b@example.com", "it has more than one @"),
        ("ann@example..com", "it has two dots in a row"),
        ("ann@gmail", "the domain has no dot"),
        ("root@localhost", "the domain has no dot"),
        ("ann@1.2.3.4", "the domain ends in a number"),
        ('"ännchen"@example.com', "the quoted part holds other than plain letters, digits and signs"),
        ("ann@[1.2.3.4]", "a bracketed IP address after the @-sign is not allowed here"),
        ("ann,bob@example.com", "the email address contains invalid characters before the @-sign: ','"),
    ],
)
def test_a_problem_is_named(address: str, expected: str) -> None:
    assert problem(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "o'brien@example.ie",
        "jörg@müller.de",
        "ann@corp.local",
        "a!b@x.invalid",
        "ann@example.com.test",
        "ann@io",
        "x@co-uk.io",
    ],
)
def test_living_addresses_pass(address: str) -> None:
    assert problem(address) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Ann@Example.COM\r\n", "ann@example.com"),
        ("\ufeffann@example.com\xa0", "ann@example.com"),
        ("mailto:Ann@example.com?subject=Hi", "ann@example.com"),
        ("Ann Smith <Ann@Example.com>", "ann@example.com"),
        ('"Smith, Ann" <mailto:ann@example.com>', "ann@example.com"),
        ("Jörg@XN--MLLER-KVA.de", "jörg@müller.de"),
        ("jo\u0308rg@mu\u0308ller.de", "jörg@müller.de"),
        ('"ann"@example.com', "ann@example.com"),
        ("ann!x@Corp.Local", "ann!x@corp.local"),
        ("(Blank)", "(blank)"),
        ("1 < 2 > 1", "1 < 2 > 1"),
    ],
)
def test_normalised(text: str, expected: str) -> None:
    assert normalised(text) == expected


@given(
    st.one_of(st.text(max_size=30), st.emails(), st.from_regex(r"[^@]{1,9}@(xn--)?[^@]{1,9}\.[a-z]{2}", fullmatch=True))
)
@settings(max_examples=300, deadline=None)
def test_normalising_is_done_once(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    if problem(text) is None:
        assert problem(once) is None


# Letters and signs from which hyphens at all places, "xn--" and dots in a row come up often.
SHORT_WAY = st.builds(
    "{}@{}.{}".format,
    st.text("ab0._%+-", min_size=1, max_size=12),
    st.lists(st.text("abxn0-", min_size=1, max_size=7), min_size=1, max_size=3).map(".".join),
    st.text("abcdio", min_size=1, max_size=4),
).filter(is_simple)


@given(SHORT_WAY)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_the_library_agrees_with_the_short_way(address: str) -> None:
    assert_accepted(address)


@given(st.from_regex(SIMPLE, fullmatch=True).filter(is_simple))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_the_library_agrees_with_all_of_the_short_way(address: str) -> None:
    assert_accepted(address)


def assert_accepted(address: str) -> None:
    """By the library itself: `problem` does not ask it about simple addresses."""
    if address.rpartition(".")[2] in SPECIAL_USE_DOMAIN_NAMES:
        return
    validated = validate_email(
        address, check_deliverability=False, globally_deliverable=False, test_environment=True, strict=True
    )
    assert validated.normalized == normalised(address) == address
    assert problem(address) is None


@pytest.mark.parametrize(
    ("address", "simple"),
    [
        ("ann.smith+news@mail.example.co.uk", True),
        ("a" * 64 + "@example.com", True),
        ("a" * 65 + "@example.com", False),
        ("a@" + "b" * 63 + ".com", True),
        ("a@" + "b" * 64 + ".com", False),
        ("a@" + ".".join(["b" * 60] * 4) + ".comcomc", True),
        ("a@" + ".".join(["b" * 60] * 4) + ".comcomcom", False),
        (".ann@example.com", False),
        ("ann.@example.com", False),
        ("an..n@example.com", False),
        ("ann@-example.com", False),
        ("ann@example-.com", False),
        ("ann@a-b.c--d.com", True),
        ("ann@ab--c.com", False),
        ("ann@xn--mller-kva.de", False),
        ("ann@ab-.com", False),
        ("ann@abc-.com", False),
        ("ann@a.com", True),
        ("ann@ab.com", True),
        ("ann@a-b.com", True),
        ("ann@ab-c.com", True),
        ("ann@example.c", False),
        ("ann@example.c0", False),
        ("ann@example.com\n", False),
        ("Ann@example.com", False),
        ("jörg@example.com", False),
    ],
)
def test_the_short_way_is_the_same_in_duckdb(address: str, simple: bool) -> None:
    matched = duckdb.execute(
        "SELECT regexp_full_match($1, $2) AND strlen($1) <= $3 AND strpos($1, '@') <= $4",
        [address, SIMPLE, SIMPLE_MAX, SIMPLE_LOCAL_MAX + 1],
    ).fetchall()
    assert (matched, is_simple(address)) == ([(simple,)], simple)
