"""Which pairs are compared at all: those that share a key. To compare each of a million with each is not possible.

A key that many records share (the address of a help desk, a city) tells little, and its pairs grow with the square: it
serves only where at most so many records have it. So there are never more pairs than a multiple of the records.
"""

from dataclasses import dataclass

from splink import block_on
from splink.internals.blocking_rule_creator import BlockingRuleCreator

from pipelines.duplicate_finder import preparation
from pipelines.duplicate_finder.description import Description, Meaning

EMAILS = (Meaning.EMAIL, Meaning.WORK_EMAIL)
TELLING, WEAK = 60, 12  # records that may share a key


@dataclass(frozen=True)
class Key:
    """`parts` are SQL; a record that lacks one of them has no such key. `proves`: who shares the key and a name, or
    in a table without names the key alone, is the same for nearly certain."""

    parts: tuple[str, ...]
    most: int
    proves: bool = False

    @property
    def expression(self) -> str:
        """A number in place of the values: those of a million records are short, and compared at once."""
        known = " AND ".join(f"({part}) IS NOT NULL" for part in self.parts)
        joined = " || chr(31) || ".join(f"({part})::varchar" for part in self.parts)
        return f"CASE WHEN {known} THEN hash({joined}) END"


def keys(description: Description) -> list[Key]:
    """The surest first: a pair is found by the first that it shares."""
    found = [Key((one.name,), TELLING, proves=True) for one in description.of(Meaning.KEY, *EMAILS)]
    found += [Key((one.name,), TELLING, proves=description.has_full_name) for one in description.of(Meaning.DATE)]
    if description.of(Meaning.PHONE):
        found += [Key((f"{preparation.PHONES}[{place}]",), WEAK) for place in (1, 2)]
    if description.has_full_name:
        found += _by_name(description)
    if description.of(*EMAILS):
        found.append(Key((preparation.LOCAL_PART,), WEAK))
    alone = description.of(Meaning.ADDRESS, Meaning.ORGANISATION)
    if len(alone) > 1 and not description.has_full_name:
        found.append(Key(tuple(one.name for one in alone), TELLING, proves=True))
    return found + [Key((one.name,), WEAK) for one in alone]


def _by_name(description: Description) -> list[Key]:
    first, last = description.of(Meaning.FIRST_NAME)[0].name, description.of(Meaning.LAST_NAME)[0].name
    # least() passes over what is missing: without the second part a single name would be its own pair.
    either_way = Key((f"least({first}, {last})", f"greatest({first}, {last})", f"{first} || {last}"), TELLING)
    found = [either_way]
    for other in _beside_a_name(description):
        found += [
            Key((last, other), WEAK),
            Key((first, other), WEAK),
            Key((f"left({first}, 3)", f"left({last}, 3)", other), WEAK),
        ]
    return [*found, Key((last,), WEAK), Key((first,), WEAK)]


def _beside_a_name(description: Description) -> list[str]:
    named = description.of(Meaning.ORGANISATION, Meaning.PLACE, Meaning.DATE, Meaning.ADDRESS, Meaning.CODE)
    domain = [preparation.MAIL_DOMAIN] if description.of(*EMAILS) else []
    return [one.name for one in named] + domain


def column(place: int) -> str:
    return f"key_{place}"


def rules(description: Description) -> list[BlockingRuleCreator]:
    return [block_on(column(place)) for place in range(len(keys(description)))]


def proofs(description: Description) -> list[str]:
    """Conditions on a pair `l` and `r` that hold for nearly none but duplicates."""
    names = [one.name for one in description.of(Meaning.FIRST_NAME, Meaning.LAST_NAME)]
    name = f" AND ({' OR '.join(f'l.{one} = r.{one}' for one in names)})" if description.has_full_name else ""
    places = [place for place, key in enumerate(keys(description)) if key.proves]
    return [f"l.{column(place)} = r.{column(place)}{name}" for place in places]


def lessons(description: Description) -> list[str]:
    """Conditions on a pair `l` and `r` under which so many are duplicates that the rest can be learned from them. Each
    names the fields that its pairs share in any case: those are learned from the others."""
    found = []
    for place, key in enumerate(keys(description)):
        if key.proves:
            shared = [f"l.{part} = r.{part}" for part in key.parts]
            found.append(" AND ".join([*shared, f"l.{column(place)} = r.{column(place)}"]))
    if description.has_full_name:
        full, name = preparation.FULL_NAME, column(_place_of_name(description))
        found.append(f"l.{full} = r.{full} AND l.{name} = r.{name}")
    return found


def _place_of_name(description: Description) -> int:
    return next(place for place, key in enumerate(keys(description)) if key.parts[0].startswith("least("))


def with_keys(description: Description, source: str) -> str:
    """SELECT of `source` with its keys beside: NULL where a key is not known, or too many share it."""
    made = [f"{key.expression} AS {column(place)}" for place, key in enumerate(keys(description))]
    shared = [
        f"CASE WHEN count(*) OVER (PARTITION BY {name}) BETWEEN 2 AND {key.most} THEN {name} END AS {name}"
        for name, key in ((column(place), key) for place, key in enumerate(keys(description)))
    ]
    return f"SELECT * REPLACE ({', '.join(shared)}) FROM (SELECT *, {', '.join(made)} FROM {source})"
