"""Which e-mail addresses are accepted, and how they are written: one rule for imports, forms and the API.

The syntax is email-validator's, without asking the DNS: whether mail arrives is what the field Email Status is for, so
`.local` and `.test` pass. On top of it, where isemail's diagnoses (https://isemail.info) leave the choice:

- a quoted local part ("ann smith"@example.com) is accepted, since SMTP delivers it; an empty one ("") names no mailbox,
  and with other than printable ASCII in it isemail calls it an error;
- a domain of one label is accepted when it is a country's (ann@io): ICANN forbids mail at generic top-level domains, so
  ann@gmail or ann@org is a slip;
- an IP address as domain, in brackets or bare, and a numeric top-level domain are refused: a machine, not a company;
- comments, blanks, several quoted words and control characters are refused: deprecated, or no address by themselves;
- the limits of RFC 5321 hold: 64 characters before the @, 63 in a label, 254 in all.
"""

import re
import unicodedata
from urllib.parse import unquote

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, ValidatedEmail, validate_email

from models.contacts.blanks import trimmed

_ALNUM = "[a-z0-9]"
_INNER = "[a-z0-9-]"
# Two hyphens in third and fourth place mark encoded (xn--) and reserved labels, which need email-validator's look.
_LABEL = f"{_ALNUM}(?:{_INNER}{{0,2}}{_ALNUM})?|{_ALNUM}{_INNER}(?:{_ALNUM}{_INNER}|-{_ALNUM}){_INNER}{{0,58}}{_ALNUM}"
SIMPLE = rf"[a-z0-9_%+-]+(?:\.[a-z0-9_%+-]+)*@(?:(?:{_LABEL})\.)+[a-z]{{2,63}}"
"""RE2 and Python. A lower-case value that matches it whole, is at most SIMPLE_MAX long and has its @ at most at place
SIMPLE_LOCAL_MAX + 1 has no problem and is normalised as it stands. The two lengths are no regular expression's job."""
SIMPLE_MAX = 254
SIMPLE_LOCAL_MAX = 64

_ANGLED = re.compile(r"[^<>]*<([^<>]*@[^<>]*)>")
_SIMPLE = re.compile(SIMPLE)


def is_simple(address: str) -> bool:
    """Whether the short way (SIMPLE and the two lengths) accepts the address; SQL says the same."""
    return (
        _SIMPLE.fullmatch(address) is not None and len(address) <= SIMPLE_MAX and address.index("@") <= SIMPLE_LOCAL_MAX
    )


def problem(address: str) -> str | None:
    """What is wrong with an address, as a clause ("the domain has no dot"), or None when it is acceptable.

    The address is judged as it stands: blanks around it are a problem, which `normalised` would take away.
    """
    if is_simple(address):
        return None
    if found := _plain_problem(address):
        return found
    try:
        validated = _validated(address)
    except EmailNotValidError as error:
        sentence = str(error).rstrip(".")
        return sentence[:1].lower() + sentence[1:]
    return _quoted_problem(address) or _domain_problem(validated.ascii_domain or validated.domain)


def normalised(address: str) -> str:
    """The address as it is stored: without blanks around it, "mailto:" and a display name, in lower case.

    International domains are kept readable (xn--mller-kva.de becomes müller.de) and needless quotes are dropped, so
    that one mailbox has one spelling. What is no address comes back trimmed and in lower case.
    """
    text = _unwrapped(trimmed(address))
    if is_simple(text.lower()):
        return text.lower()
    lowered = unicodedata.normalize("NFC", text.lower())
    if problem(lowered):
        return lowered
    mailbox, _, domain = _validated(lowered).normalized.lower().rpartition("@")
    return f"{mailbox}@{_with_end(domain, _end(lowered))}"


def with_ascii_domain(address: str) -> str:
    """An acceptable address with its domain as the DNS has it: müller.de becomes xn--mller-kva.de."""
    if address.isascii():
        return address
    validated = _validated(address)
    mailbox = address.rpartition("@")[0]
    return f"{mailbox}@{_with_end(validated.ascii_domain or validated.domain, _end(address))}"


def _unwrapped(text: str) -> str:
    if angled := _ANGLED.fullmatch(text):
        text = trimmed(angled[1])
    if text[:7].lower() == "mailto:":
        text = trimmed(unquote(text[7:].partition("?")[0]))
    return text


def _end(address: str) -> str:
    """The last label of the domain."""
    return re.split("[@.]", address)[-1]


def _with_end(address: str, end: str) -> str:
    """The address or domain with another last label, where that label is one that the library refuses by name."""
    return address[: -len(_end(address))] + end if end.lower() in SPECIAL_USE_DOMAIN_NAMES else address


def _validated(address: str) -> ValidatedEmail:
    if _end(address).lower() in SPECIAL_USE_DOMAIN_NAMES:
        address = address[: -len(_end(address))] + "test"
    return validate_email(
        address,
        check_deliverability=False,
        globally_deliverable=False,
        test_environment=True,
        allow_quoted_local=True,
        strict=True,
    )


def _plain_problem(address: str) -> str | None:
    """The frequent slips, in shorter words than the library's."""
    local, at, domain = address.rpartition("@")
    if not address:
        return "it is empty"
    if not at:
        return "it has no @"
    if not local:
        return "it has nothing before the @"
    if not domain:
        return "it has nothing after the @"
    if address != trimmed(address):
        return "it has blanks around it"
    if '"' in local or "(" in address or "[" in domain:
        return None
    if "@" in local:
        return "it has more than one @"
    if any(character.isspace() for character in address):
        return "it has a blank in it"
    if ".." in address:
        return "it has two dots in a row"
    return None


def _quoted_problem(address: str) -> str | None:
    local = address.rpartition("@")[0]
    if len(local) > SIMPLE_LOCAL_MAX:  # the library counts without the quotes
        return f"it has more than {SIMPLE_LOCAL_MAX} characters before the @"
    if local.startswith('"') and not local.isascii():
        return "the quoted part holds other than plain letters, digits and signs"
    return None


def _domain_problem(domain: str) -> str | None:
    *before, last = domain.split(".")
    if last.isdigit():
        return "the domain ends in a number"
    if not before and not (len(last) == 2 and last.isalpha()):
        return "the domain has no dot"
    return None
