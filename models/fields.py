"""How a contact field is declared: once, beside its column, as `field("Email", ...)`.

From the declaration follow the table, the header aliases of imports, normalisation and row rules, the quality
suite, the filters, the forms, the export columns and the permission group.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, ForeignKey, Integer, Numeric, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import MappedColumn, mapped_column
from sqlalchemy.types import TypeEngine


class Kind(StrEnum):
    """What a field's values are; decides parsing, rules, filters and the control in a form."""

    TEXT = "text"
    CHOICE = "choice"  # text with few values; the known ones are spelled as declared
    LIST = "list"
    EMAIL = "email"
    PHONE = "phone"
    WHOLE = "whole number"
    MONEY = "money"
    DATE = "date"
    URL = "url"
    FLAG = "yes/no"
    INDUSTRY = "industry"  # reference to industries, read and written by name
    OWNER = "owner"  # reference to users, read by name or e-mail
    CHECK = "check"  # of no field: a rule of data quality that the contact breaks


class Group(StrEnum):
    """The unit of column permission, and the heading in forms."""

    PERSON = "person"
    REACH = "reach"
    COMPANY = "company details"  # not "company": that is a field, and permissions name both
    FINANCE = "finance"
    LOCATION = "location"
    COMPANY_LOCATION = "company location"
    SIGNALS = "signals"
    LINKS = "links"
    EXTERNAL = "external"
    OURS = "ours"


COLUMN_TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.LIST: ARRAY(Text),
    Kind.WHOLE: BigInteger(),
    Kind.MONEY: Numeric(15, 2),
    Kind.DATE: Date(),
    Kind.FLAG: Boolean(),
    Kind.INDUSTRY: Integer(),
    Kind.OWNER: Integer(),
}
REFERENCES = {Kind.INDUSTRY: "industries.id", Kind.OWNER: "users.id"}
# What a value looks like in JSON, where a field declares none of its own.
EXAMPLES: dict[Kind, Any] = {
    Kind.EMAIL: "ann.archer@example.com",
    Kind.PHONE: "+49 30 901820",
    Kind.WHOLE: 250,
    Kind.MONEY: "1250000.00",
    Kind.DATE: "2026-03-31",
    Kind.URL: "https://example.com",
    Kind.FLAG: True,
    Kind.LIST: ["Sales", "Europe"],
    Kind.INDUSTRY: "Software",
    Kind.OWNER: "owner@example.com",
}


@dataclass(frozen=True)
class Drift:
    """How far the values of an import may be from those of the accepted ones before it: what goes beyond stands out,
    and stops the commit until somebody accepts it. None: nobody looks. Shares are of 1; see data_checks/drift.py."""

    empty: float | None = 0.15  # by how much more, or less, of the rows have no value
    shape: float | None = 0.5  # population stability index of the lengths of texts, of numbers, or of years
    new: float | None = None  # values, of a field that has few different ones, that never came before
    most: float | None = None  # by how much more of the values are one and the same (of e-mails: one domain)
    free: float | None = None  # by how much more, or less, of the e-mail addresses are free ones
    swapped: float | None = None  # by how much more its commonest values are those of another such field
    changed: float | None = 0.6  # by how much more of the contacts that the file knows get another value
    holds: tuple[str, ...] = ()  # fields whose words stand in many of the values: Smith in smith@example.com
    held: float = 0.5  # of the values in which they stood before as many do so no more


# Beside most fields nothing is said of it. A text with few values is looked at by them, a long one by its length.
DRIFTS = {
    Kind.TEXT: Drift(new=0.15, most=0.5),
    Kind.CHOICE: Drift(new=0.1, most=0.5),
    Kind.LIST: Drift(empty=0.25, shape=1.0),
    Kind.EMAIL: Drift(empty=0.1, most=0.25, free=0.25, holds=("first_name", "last_name", "company", "website")),
    Kind.PHONE: Drift(empty=0.2),
    Kind.WHOLE: Drift(empty=0.2),
    Kind.MONEY: Drift(empty=0.2),
    Kind.DATE: Drift(empty=0.2),
    Kind.URL: Drift(empty=0.2, holds=("first_name", "last_name", "company")),
    Kind.FLAG: Drift(shape=None, new=0.1, most=0.5),
    Kind.INDUSTRY: Drift(new=0.15, most=0.5),
    Kind.OWNER: Drift(empty=0.25, shape=None, new=0.5),
}


@dataclass(frozen=True)
class Beside:
    """A header that means the field only in a file that also has the header `other` (LinkedIn's "URL")."""

    header: str
    other: str


def beside(header: str, other: str) -> Beside:
    return Beside(header, other)


@dataclass(frozen=True)
class Field:
    """One contact field. `name` is its word in filters, mappings and files; `column` the table's column.

    `label` is its header in files, as other systems write it; `title` what people read, on screens and in sentences.
    """

    label: str
    group: Group
    kind: Kind = Kind.TEXT
    headers: tuple[str | Beside, ...] = ()
    choices: tuple[str, ...] = ()
    profile: str | None = None  # URL fields: the address before a bare handle ("@acme" -> "https://x.com/acme")
    longest: int | None = None  # characters that a value, or a list's member, has at most; a longer one does not fit
    name: str = ""
    column: str = ""
    shown: str | None = None  # the title where it is not the label
    drift: Drift = Drift()
    # What a value looks like, where its kind's is a poor one; left out of the hash, which a list has none of.
    example: Any = attribute(default=None, compare=False)

    @property
    def shown_example(self) -> Any:
        """As JSON has it: the declared one, else the first choice, else the kind's."""
        if self.example is not None:
            return self.example
        return self.choices[0] if self.choices else EXAMPLES.get(self.kind, self.title)

    @property
    def title(self) -> str:
        return self.shown or self.label.removeprefix("# ")

    @property
    def is_text(self) -> bool:
        return self.kind in (Kind.TEXT, Kind.CHOICE, Kind.EMAIL, Kind.PHONE, Kind.URL)


@dataclass(frozen=True)
class Derived:
    """A value shown to people and computed from fields."""

    label: str
    parts: tuple[str, ...] = attribute(default=())


def field(
    label: str,
    group: Group,
    kind: Kind = Kind.TEXT,
    *headers: str | Beside,
    choices: tuple[str, ...] = (),
    profile: str | None = None,
    longest: int | None = None,
    shown: str | None = None,
    drift: Mapping[str, Any] | None = None,
    example: Any = None,
    **column: Any,
) -> MappedColumn[Any]:
    """A nullable column of the kind's type that carries its Field; `headers` are the labels other systems give it.

    `drift` names what of its kind's Drift is different here.
    """
    drifts = replace(DRIFTS[kind], **(drift or {}))
    declared = Field(label, group, kind, headers, choices, profile, longest, shown=shown, drift=drifts, example=example)
    reference = [ForeignKey(REFERENCES[kind])] if kind in REFERENCES else []
    return mapped_column(COLUMN_TYPES.get(kind, Text()), *reference, nullable=True, info={"field": declared}, **column)
