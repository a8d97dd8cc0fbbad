"""What a merge puts into the contact that stays: proposed by completeness and newness, chosen by a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.contacts.records import Record
from models.contacts.table import ABOUT_EMAIL, FIELDS
from models.errors import InvalidInput
from models.fields import Kind

ALL = 0  # in place of a contact's number: the values of all of them together
UNITABLE = frozenset(
    {name for name, field in FIELDS.items() if field.kind is Kind.LIST} | {"notes"}
)  # lists, and notes one below the other
STAYING = ("first_name", "last_name")  # of the one that stays, where it has any: no name is made of two
FOLLOWS = {told: field for field, names in ABOUT_EMAIL.items() for told in names}
"""Fields that come with another: what is known of an e-mail address is true of that one alone."""


@dataclass(frozen=True)
class Proposal:
    """`choices` gives each field on which the contacts differ the number of that whose value is taken, or ALL."""

    survivor_id: int
    records: tuple[Record, ...]
    choices: dict[str, int]

    def values(self, name: str) -> dict[int, Any]:
        return {record.id: record.values[name] for record in self.records}


def propose(records: Sequence[Record], survivor_id: int | None = None) -> Proposal:
    """The fuller one stays, of two that are equally full the older, with its name. Lists and notes that differ are
    united; of other values that of the contact that changed last is taken, and none where another one has something."""
    survivor = survivor_id or max(records, key=lambda one: (_fullness(one), -one.created_at.timestamp(), -one.id)).id
    choices = {name: found for name in FIELDS if (found := _proposed(name, records, survivor)) is not None}
    return Proposal(survivor, tuple(records), choices | _following(choices, survivor))


def completed(records: Sequence[Record], survivor_id: int, choices: Mapping[str, int]) -> dict[str, int]:
    """The choices, and what is proposed for the fields that they leave open.

    Raises InvalidInput for a field that does not exist, cannot be united, or a contact that is not among them.
    """
    ids = {record.id for record in records}
    for name, chosen in choices.items():
        if name not in FIELDS:
            raise InvalidInput(f"There is no field “{name[:60]}” to choose.", field=f"choices.{name[:60]}")
        if chosen == ALL and name not in UNITABLE:
            raise InvalidInput(
                f"{FIELDS[name].title} cannot hold the values of several contacts: choose one of them.",
                field=f"choices.{name}",
            )
        if chosen != ALL and chosen not in ids:
            raise InvalidInput(
                f"{FIELDS[name].title} cannot come from contact {chosen}: it is not merged.", field=f"choices.{name}"
            )
    made = propose(records, survivor_id).choices | dict(choices)
    return made | _following(made, survivor_id)


def united(name: str, values: Sequence[Any]) -> Any:
    """Each member, or paragraph, once, in the order in which they come."""
    known = [value for value in values if value]
    if FIELDS[name].kind is Kind.LIST:
        return list(dict.fromkeys(one for value in known for one in value)) or None
    return "\n\n".join(dict.fromkeys(known)) or None


def _fullness(record: Record) -> int:
    return sum(value is not None for value in record.values.values())


def _proposed(name: str, records: Sequence[Record], survivor_id: int) -> int | None:
    values = {record.id: record.values[name] for record in records}
    if len({repr(value) for value in values.values()}) < 2:
        return None
    if name in UNITABLE:
        return ALL
    if name in STAYING and values[survivor_id] is not None:
        return survivor_id
    known = [record for record in records if values[record.id] is not None]
    return max(known, key=lambda one: (one.updated_at, one.id == survivor_id, one.id)).id


def _following(choices: Mapping[str, int], survivor_id: int) -> dict[str, int]:
    return {told: choices.get(field, survivor_id) for told, field in FOLLOWS.items()}
