"""Two filters at once: what a saved view asks, and what somebody asks beside it.

In one filter a condition that is asked twice means any of its values. Here both have to hold.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from models.errors import InvalidInput
from models.filters import Filter, Filters, Values

MOST_GROUPS = 99  # that the syntax has numbers for


class _Apart(Exception):
    """Both cannot stand under one key."""


class _Nothing(InvalidInput):
    """Nothing can match both."""


def narrowed(first: Filters, second: Filters) -> Filters:
    """What matches both of them, as of the moment that the second names, or else the first.

    Raises InvalidInput where nothing can, or the syntax cannot say it.
    """
    required: dict[str, Filter] = {}
    apart: list[Filter] = []
    for one in (*first.required, *second.required):
        try:
            _put(required, one)
        except _Apart:
            apart.append(one)
    pairs = list(product(first.alternatives.values() or [[]], second.alternatives.values() or [[]]))
    if len(pairs) > MOST_GROUPS:
        raise InvalidInput(f"Together that has {len(pairs)} alternatives; {MOST_GROUPS} are the most: ask for fewer.")
    groups = _possible([*ours, *theirs, *apart] for ours, theirs in pairs)
    either = [replace(one, group=number) for number, group in enumerate(groups, 1) for one in group]
    words = " ".join(f"{first.q} {second.q}".split())
    return Filters((*required.values(), *either), words, second.as_of or first.as_of)


def _possible(asked: Iterable[list[Filter]]) -> list[list[Filter]]:
    """The alternatives without those that nothing can match. Raises InvalidInput where none is left."""
    found, impossible = [], None
    for conditions in asked:
        try:
            found.append(_group(conditions))
        except _Nothing as error:
            impossible = error
    if not found and impossible is not None:
        raise impossible
    return found


def _group(conditions: Iterable[Filter]) -> list[Filter]:
    """What must hold together in one alternative."""
    found: dict[str, Filter] = {}
    for one in conditions:
        plain = replace(one, group=0)
        try:
            _put(found, plain)
        except _Apart as error:
            raise InvalidInput(
                f"{plain.field.name} is asked too often to be asked once more: write one filter in place of the view."
            ) from error
    return list(found.values())


def _put(known: dict[str, Filter], one: Filter) -> None:
    before = known.get(one.key)
    known[one.key] = one if before is None else replace(one, values=_both(before, one))


def _both(first: Filter, second: Filter) -> Values:
    """The values under one key that mean both. Raises _Apart, InvalidInput (nothing can match both)."""
    ours, theirs = first.values, second.values
    if ours == theirs:
        return ours
    match first.operator:
        case "not":
            return tuple(dict.fromkeys((*ours, *theirs)))
        case "gte":
            return (max(ours[0], theirs[0]),)
        case "lte":
            return (min(ours[0], theirs[0]),)
        case "between":
            both: Values = max(ours[0], theirs[0]), min(ours[1], theirs[1])
            if both[0] <= both[1]:
                return both
        case "is":
            if both := tuple(value for value in ours if value in theirs):
                return both
        case "has" | "starts" | "contains":
            raise _Apart
    raise _Nothing(f"No contact can match both “{first.sentence()}” and “{second.sentence()}”.")
