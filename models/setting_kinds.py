"""What kinds of values settings have, beyond pydantic's own: each refuses with a sentence what it cannot be."""

import re
from datetime import timedelta
from email.utils import parseaddr
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from models import schedule_times
from models.errors import InvalidInput

OFF = "off"  # for what does not run by schedule
PLAIN_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/\[\]-]+")
CONTACT = re.compile(r"https://[!-~]+|[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")
DATABASE_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")


def _sender(value: str) -> str:
    if "@" not in parseaddr(value)[1] or not value.isprintable():
        raise ValueError("give an address, or a name and <an address>")
    return value


def _web_address(value: str | None) -> str | None:
    parts = urlsplit(value or "https://localhost")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("give an address that begins with https:// or http://")
    return value


def _files_address(value: str | None) -> str | None:
    """It stands in pages and in what browsers are allowed, so it has no other characters than addresses need there."""
    if value and not PLAIN_ADDRESS.fullmatch(_web_address(value) or ""):
        raise ValueError("give an address without a query, such as https://cdn.example.com/contacts")
    return value and value.rstrip("/")


def _contact(value: str | None) -> str | None:
    """It stands in a line of its own, so it has no other characters than an address of mail or of a page needs."""
    if value is not None and not CONTACT.fullmatch(value):
        raise ValueError("give an address such as security@example.com, or of a page that begins with https://")
    return value


def _networks(value: str) -> str:
    """Only what a request's own address can be compared with: a name would match nobody, and `*` everybody."""
    wanted = [one.strip() for one in value.split(",") if one.strip()]
    for one in wanted:
        try:
            ip_network(one)
        except ValueError as error:
            raise ValueError(f"“{one}” is no address or network, such as 10.0.0.5 or 10.0.0.0/24") from error
    return ",".join(wanted)


def _sign_in(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not all(value.get_secret_value().partition(":")):
        raise ValueError("give user:password")
    return value


def _database(value: SecretStr | None) -> SecretStr | None:
    """What libpq or SQLAlchemy say of an address that they cannot read quotes it, with its password."""
    if value is None:
        return None
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    url = value.get_secret_value()
    scheme, _, rest = url.partition("://")
    try:
        given = conninfo_to_dict(f"postgresql://{rest}")
        [int(port) for port in str(given.get("port") or "").split(",") if port]
    except (ProgrammingError, ValueError):
        given = {}
    if scheme not in DATABASE_SCHEMES or not given.get("dbname"):
        raise ValueError(
            "write it as postgresql://user:password@host:5432/database, and what is no letter or digit in the "
            "password as %40, for an @"
        ) from None
    return value


def _sentry(value: SecretStr | None) -> SecretStr | None:
    """Its library would end the process that loads it, and quote what it was given."""
    if value is None:
        return None
    parts = urlsplit(value.get_secret_value())
    key, _, host = parts.netloc.rpartition("@")
    if parts.scheme not in ("http", "https") or not key or not host or not parts.path.rpartition("/")[2].isdecimal():
        raise ValueError("write it as Sentry shows it: https://KEY@HOST/NUMBER") from None
    return value


def _moments(value: str | None) -> str | None:
    if value is None or value.strip().lower() == OFF:
        return value and OFF
    try:
        return schedule_times.parsed(value, "UTC", soonest=timedelta(minutes=1))
    except InvalidInput as error:
        raise ValueError(f"{error.sentence} “{OFF}” turns it off") from error


def _zone(value: str) -> str:
    try:
        schedule_times.zone(value)
    except InvalidInput as error:
        raise ValueError(error.sentence) from error
    return value


Sender = Annotated[str, AfterValidator(_sender)]
FilesAddress = Annotated[str | None, AfterValidator(_files_address)]
WebAddress = Annotated[str | None, AfterValidator(_web_address)]
Contact = Annotated[str | None, AfterValidator(_contact)]
Networks = Annotated[str, AfterValidator(_networks)]
SignIn = Annotated[SecretStr | None, AfterValidator(_sign_in)]
SentryAddress = Annotated[SecretStr | None, AfterValidator(_sentry)]
DatabaseAddress = Annotated[SecretStr | None, AfterValidator(_database)]
Moments = Annotated[str | None, AfterValidator(_moments)]
Zone = Annotated[str, AfterValidator(_zone)]
