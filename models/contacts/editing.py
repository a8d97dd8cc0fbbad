"""What changes by hand have in common, of one contact or of many: the transaction, and values that people enter."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, ValidationResult
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models.contacts import countries, values
from models.contacts.table import FIELDS, Contact
from models.database import writing
from models.errors import InvalidInput, Unavailable
from models.fields import REFERENCES, Field, Kind
from models.filters import hidden_field, visible_fields
from models.industries import MEANINGS, Industry
from models.permissions import Actor, Permission, require
from models.users import User

PATIENCE = "10s"  # an import closes contacts to writers, thousands of changes some; who waits before a screen is told
BUSY = "An import, or a change of many contacts, is being written just now: try again in a minute."
LONGEST_TEXT = 100_000  # characters of one value
IDENTIFYING = ("first_name", "last_name", "email", "company")
NOBODY = "A contact needs a name, an e-mail or a company."
COMPANY_PHONES = ("company_phone", "corporate_phone")
LENGTHS = {
    ValidationResult.TOO_SHORT: "it is too short",
    ValidationResult.TOO_LONG: "it is too long",
    ValidationResult.INVALID_LENGTH: "no number there has so many digits",
    ValidationResult.INVALID_COUNTRY_CODE: "no country has its code",
}
UNREADABLE = {
    NumberParseException.TOO_LONG: "it is too long",
    NumberParseException.TOO_SHORT_NSN: "it is too short",
    NumberParseException.TOO_SHORT_AFTER_IDD: "it is too short",
}


@contextmanager
def editing(by: Actor) -> Iterator[Session]:
    """A transaction that changes contacts. Raises NotAllowed; Unavailable where others keep them closed."""
    require(by, Permission.CONTACTS_EDIT)
    try:
        with writing(by, lock_timeout=PATIENCE) as session:
            yield session
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            raise Unavailable(BUSY) from error
        raise


def editable(name: str, *, by: Actor) -> Field:
    """The field of that name. Raises InvalidInput for one that does not exist, NotAllowed for one that `by` may not
    see."""
    seen = visible_fields(by)
    if name in FIELDS and name not in seen:
        raise hidden_field(name)
    if name not in seen:
        raise InvalidInput(
            f"There is no field “{name[:60]}” to change. Fields are: {', '.join(seen)}.", field=name[:60]
        )
    return FIELDS[name]


def stored(session: Session, field: Field, entered: str | None, *, country: str | None = None) -> Any:
    """What the field's column holds for the text that a person entered; None for nothing.

    `country` is where a phone number without + is at home. Raises InvalidInput.
    """
    value = _parsed(field, entered or "", country)
    match field.kind:
        case Kind.INDUSTRY if value is not None:
            return _industry(session, field, value)
        case Kind.OWNER if value is not None:
            return _owner(session, field, value)
    return value


def problem(name: str, texts: Mapping[str, str]) -> str | None:
    """Why the text of the field `name` does not fit, as a sentence without the field's name; None where it does.

    For a form, while it is filled in: whether an industry and an owner exist is looked up only by `stored`.
    """
    field = FIELDS[name]
    try:
        _parsed(field, texts[name], country_of(name, texts))
    except InvalidInput as error:
        return error.sentence.removeprefix(f"{field.title}: ")
    return None


def _parsed(field: Field, entered: str, country: str | None) -> Any:
    if len(entered) > LONGEST_TEXT:
        raise InvalidInput(
            f"{field.title}: {len(entered):,} characters are more than {LONGEST_TEXT:,}.", field=field.name
        )
    # Half of a character, which no database takes, comes from programs that cut a text in its middle.
    value = values.parse(field, entered.encode(errors="replace").decode())
    if field.kind is Kind.PHONE and value is not None and (found := phone_problem(value, country)):
        raise InvalidInput(f"{field.title}: “{value}” cannot be a phone number: {found}.", field=field.name)
    return value


def as_text(name: str, value: Any) -> str:
    """The text from which `stored` makes the value again; "" for None. Industries and owners as they are read."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return values.joined(value) if value else ""
        case date():
            return value.isoformat()
    if FIELDS[name].kind is Kind.MONEY:
        return f"{value:f}".removesuffix(".00")
    return str(value)


def country_of(name: str, texts: Mapping[str, Any]) -> str | None:
    """Where the phone number in the field `name` is at home, as far as the contact says."""
    home, office = texts.get("country"), texts.get("company_country")
    return (office or home) if name in COMPANY_PHONES else (home or office)


def phone_problem(number: str, country: str | None) -> str | None:
    """Why nobody can have this number, as a clause; None where somebody can, or where its country is not known."""
    region = _region(country)
    if not number.startswith("+") and region is None:
        return None
    where = "" if number.startswith("+") else f" in {country}"
    try:
        parsed: PhoneNumber = phonenumbers.parse(number, region)
    except NumberParseException as error:
        return UNREADABLE.get(error.error_type, "no country has its code") + where
    if phonenumbers.is_possible_number(parsed):
        return None
    return LENGTHS.get(phonenumbers.is_possible_number_with_reason(parsed), "it has the wrong length") + where


def bring_back(session: Session, versions: str, parameters: dict[str, Any]) -> list[int]:
    """Insert the deleted contacts whose last versions `h` fulfil the SQL condition `versions`; returns their ids.

    They are touched at once: the version that this leaves, equal to the deleted one, says who restored it and when.
    """
    columns = [column.name for column in Contact.__table__.columns]
    fields = {field.column: field for field in FIELDS.values()}
    values = [still_there("h", fields[name]) if name in fields else f"h.{name}" for name in columns]
    inserted = session.scalars(
        text(
            f"""INSERT INTO contacts ({", ".join(columns)}) SELECT {", ".join(values)} FROM contact_history h
            WHERE {versions} AND h.replaced_how = 'delete'
                AND NOT EXISTS (SELECT FROM contact_history o WHERE o.id = h.id AND o.version_id > h.version_id)
            ON CONFLICT (id) DO NOTHING RETURNING id"""
        ),
        parameters,
    )
    ids = sorted(inserted)
    touched = text("UPDATE contacts SET updated_at = now() WHERE id = ANY (CAST(:ids AS bigint[]))")
    session.execute(touched, {"ids": ids})
    return ids


def still_there(table: str, field: Field) -> str:
    """SQL for an older value of the field: nothing, where what it refers to is gone by now."""
    if field.kind not in REFERENCES:
        return f"{table}.{field.column}"
    referred, _, key = REFERENCES[field.kind].partition(".")
    return f"(SELECT r.{key} FROM {referred} r WHERE r.{key} = {table}.{field.column})"


def _region(country: str | None) -> str | None:
    code = countries.code(country) if country else None
    return code if code in phonenumbers.SUPPORTED_REGIONS else None


def _industry(session: Session, field: Field, name: str) -> int:
    meant = select(MEANINGS.c.id).where(MEANINGS.c.key == func.lower(name))
    found = session.scalar(select(Industry).where(Industry.id.in_(meant)))
    if found is None:
        raise InvalidInput(
            f"{field.title}: there is no industry “{name}”. It can be created under Industries.", field=field.name
        )
    if not found.is_active:
        raise InvalidInput(
            f"{field.title}: “{found.name}” is no longer in use. It can be activated under Industries.",
            field=field.name,
        )
    return found.id


def _owner(session: Session, field: Field, email: str) -> int:
    found = session.scalar(select(User).where(func.lower(User.email) == email.lower()))
    if found is None or not found.is_active:
        raise InvalidInput(
            f"{field.title}: nobody with the e-mail “{email}” works here: give that of an active user.",
            field=field.name,
        )
    return found.id
