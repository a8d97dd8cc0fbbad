"""Splink's comparisons for each meaning. Every level says in plain words what it found.

`m` is the share of true duplicates that fall into a level, `u` that of pairs that are none, as people's data usually
has them. They hold where a base has too few records to learn from, and steady what is learned where it has enough.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import splink.comparison_library as cl

from pipelines.duplicate_finder import preparation
from pipelines.duplicate_finder.description import Described, Description, Meaning

UNKNOWN = "not known of both"
NAME = "name"


@dataclass(frozen=True)
class Level:
    """`words` is what a person reads. `common` is the column of which frequent values weigh less."""

    words: str
    condition: str
    m: float
    u: float
    common: str | None = None

    @property
    def same(self) -> str | None:
        """The column that is the same where the level holds, if it wants nothing else."""
        column, _, rest = self.condition.partition("_l = ")
        return column if rest == f"{column}_r" else None


@dataclass(frozen=True)
class Compared:
    """What is compared as one; `lacking` is the condition under which nothing can be said."""

    name: str
    title: str
    lacking: str
    levels: tuple[Level, ...]

    @property
    def words(self) -> list[str]:
        """By Splink's number of the level: 0 is the last, the highest the first."""
        return [level.words for level in reversed(self.levels)]

    def creator(self, *, by_frequency: bool) -> cl.CustomComparison:
        told = [{"sql_condition": self.lacking, "label_for_charts": UNKNOWN, "is_null_level": True}]
        return cl.CustomComparison(
            output_column_name=self.name,
            comparison_levels=[*told, *(_told(level, by_frequency) for level in self.levels)],
        )


def compared(description: Description) -> Iterator[Compared]:
    """One for each field, but first and last name together, and all phones together."""
    if description.has_full_name:
        first, last = description.of(Meaning.FIRST_NAME)[0].name, description.of(Meaning.LAST_NAME)[0].name
        neither = f"coalesce({first}_l, {last}_l) IS NULL OR coalesce({first}_r, {last}_r) IS NULL"
        yield Compared(NAME, "Name", neither, _full_name(first, last))
    if description.of(Meaning.PHONE):
        phones = preparation.PHONES
        yield Compared(phones, "Phones", _lacks(phones), _phones(phones))
    for field in description.fields:
        together = (Meaning.FIRST_NAME, Meaning.LAST_NAME) if description.has_full_name else ()
        if field.meaning not in (*together, Meaning.PHONE):
            yield Compared(field.name, field.title, _lacks(field.name), _LEVELS[field.meaning](field))


def _told(level: Level, by_frequency: bool) -> dict[str, object]:
    one: dict[str, object] = {
        "sql_condition": level.condition,
        "label_for_charts": level.words,
        "m_probability": level.m,
        "u_probability": level.u,
    }
    if level.common and by_frequency:
        one |= {"tf_adjustment_column": level.common, "tf_adjustment_weight": 1.0}
    return one


def _lacks(name: str) -> str:
    return f"{name}_l IS NULL OR {name}_r IS NULL"


def _same(name: str) -> str:
    return f"{name}_l = {name}_r"


def _alike(name: str, least: float) -> str:
    return f"jaro_winkler_similarity({name}_l, {name}_r) >= {least}"


def _typed_wrong(name: str, most: int = 1) -> str:
    return f"damerau_levenshtein({name}_l, {name}_r) <= {most}"


def _full_name(first: str, last: str) -> tuple[Level, ...]:
    swapped = f"{first}_l = {last}_r AND {last}_l = {first}_r"
    begins = f"{_same(last)} AND (starts_with({first}_l, {first}_r) OR starts_with({first}_r, {first}_l))"
    one_alike = f"{_alike(last, 0.88)} OR {_alike(first, 0.88)}"
    return (
        Level("the same name", _same(preparation.FULL_NAME), 0.58, 1e-5, preparation.FULL_NAME),
        Level("first and last name swapped", swapped, 0.03, 1e-6),
        Level("the same last name, a shorter first name", begins, 0.04, 2e-5, last),
        Level("nearly the same name", f"{_alike(first, 0.88)} AND {_alike(last, 0.88)}", 0.14, 5e-5),
        Level("the same last name only", _same(last), 0.09, 2e-3, last),
        Level("the same first name only", _same(first), 0.06, 5e-3, first),
        Level("one of both names nearly the same", one_alike, 0.04, 2e-2),
        Level("different names", "ELSE", 0.02, 0.97),
    )


def _email(field: Described) -> tuple[Level, ...]:
    name, local = field.name, preparation.LOCAL_PART
    return (
        Level("the same", _same(name), 0.5, 1e-6, name),
        Level("the same before the @", _same(local), 0.14, 1e-4, local),
        Level("nearly the same", _alike(name, 0.9), 0.15, 2e-4),
        Level("nearly the same before the @", _alike(local, 0.9), 0.05, 1e-3),
        Level("different", "ELSE", 0.16, 0.998),
    )


def _work_email(field: Described) -> tuple[Level, ...]:
    name = field.name
    as_long = f"abs(length({name}_l) - length({name}_r)) <= 1"
    return (
        Level("the same", _same(name), 0.5, 1e-6, name),
        Level("one character differs", f"{as_long} AND {_typed_wrong(name)}", 0.1, 1e-5),
        Level("different", "ELSE", 0.4, 0.999),
    )


def _date(field: Described) -> tuple[Level, ...]:
    name = field.name
    return (
        Level("the same", _same(name), 0.75, 1e-4, name),
        Level("one digit differs", _typed_wrong(name), 0.12, 2e-3),
        Level("two digits differ", _typed_wrong(name, 2), 0.05, 2e-2),
        Level("the same year", f"left({name}_l, 4) = left({name}_r, 4)", 0.03, 1e-2),
        Level("different", "ELSE", 0.05, 0.96),
    )


def _key(field: Described) -> tuple[Level, ...]:
    name = field.name
    # The lengths first: to compare long addresses letter by letter takes longest.
    as_long = f"length({name}_l) >= 6 AND abs(length({name}_l) - length({name}_r)) <= 1"
    return (
        Level("the same", _same(name), 0.6, 1e-7),
        Level("one character differs", f"{as_long} AND {_typed_wrong(name)}", 0.05, 1e-4),
        Level("different", "ELSE", 0.35, 0.999),
    )


def _text(field: Described) -> tuple[Level, ...]:
    name = field.name
    return (
        Level("the same", _same(name), 0.6, 1e-3, name),
        Level("nearly the same", _alike(name, 0.92), 0.12, 1e-3),
        Level("alike", _alike(name, 0.8), 0.08, 5e-3),
        Level("different", "ELSE", 0.2, 0.993),
    )


def _place(field: Described) -> tuple[Level, ...]:
    name = field.name
    return (
        Level("the same", _same(name), 0.75, 1e-2, name),
        Level("nearly the same", _typed_wrong(name), 0.08, 5e-3),
        Level("different", "ELSE", 0.17, 0.985),
    )


def _single_name(field: Described) -> tuple[Level, ...]:
    name = field.name
    return (
        Level("the same", _same(name), 0.75, 2e-3, name),
        Level("nearly the same", _alike(name, 0.88), 0.12, 1e-2),
        Level("different", "ELSE", 0.13, 0.988),
    )


def _phones(phones: str) -> tuple[Level, ...]:
    return (
        Level("one in common", f"list_has_any({phones}_l, {phones}_r)", 0.6, 1e-5),
        Level("different", "ELSE", 0.4, 0.999),
    )


_LEVELS = {
    Meaning.FIRST_NAME: _single_name,
    Meaning.LAST_NAME: _single_name,
    Meaning.EMAIL: _email,
    Meaning.WORK_EMAIL: _work_email,
    Meaning.DATE: _date,
    Meaning.KEY: _key,
    Meaning.ORGANISATION: _text,
    Meaning.ADDRESS: _text,
    Meaning.WORDS: _text,
    Meaning.PLACE: _place,
    Meaning.CODE: _place,
}
