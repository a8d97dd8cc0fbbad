"""Merging many groups of contacts at once that are surely the same, as proposed; and taking all of it apart again."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.contacts import editing, merging, records
from models.contacts.merge_choice import propose
from models.duplicates import pairs
from models.duplicates.pairs import Wanted
from models.duplicates.runs import require_reviewing
from models.errors import Conflict, InvalidInput
from models.permissions import Actor

MOST = 100  # groups at a time: somebody waits
LEAST = 20.0  # bits, a million to one: what is less sure is looked at pair by pair


@dataclass(frozen=True)
class Sure:
    """The groups of contacts that hang together by open pairs of such a weight, the surest MOST of them."""

    groups: tuple[tuple[int, ...], ...]

    @property
    def contacts(self) -> int:
        return sum(map(len, self.groups))


def sure(least: float, *, by: Actor) -> Sure:
    """Raises NotAllowed, InvalidInput (less than LEAST)."""
    require_reviewing(by)
    if least < LEAST:
        raise InvalidInput(
            f"Merged at once is only what weighs {LEAST:.0f} or more: look at the others pair by pair.", field="least"
        )
    found = pairs.page(Wanted(least=least), size=MOST, by=by)
    return Sure(tuple(group for group in _together([one.ids for one in found]) if len(group) <= merging.MOST))


def merge(least: float, *, expected: int, by: Actor) -> list[int]:
    """Merge them in one transaction, each as it is proposed, with an audit line of its own; the merges' numbers.

    `expected` is how many groups were confirmed. Raises NotAllowed, InvalidInput, Conflict (there are more or fewer by
    now, or one changed meanwhile; nothing is merged).
    """
    found = sure(least, by=by)
    if len(found.groups) != expected:
        raise Conflict(f"Confirmed were {expected:,} groups, but there are {len(found.groups):,} by now: look again.")
    done = []
    with editing.editing(by) as session:
        for group in found.groups:
            made = propose([records.read_in(session, one, by=by) for one in group])
            versions = {record.id: record.version for record in made.records}
            done.append(merging.merge_in(session, made.survivor_id, versions, {}, by=by))
    return done


def unmerge(merge_ids: Sequence[int], *, by: Actor) -> int:
    """Take these merges apart, the newest first; how many contacts came back. Raises as merging.unmerge does."""
    require_reviewing(by)
    return sum(len(merging.unmerge(one, by=by).restored) for one in sorted(merge_ids, reverse=True))


def _together(edges: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """The connected groups, in the order of their surest pair."""
    group_of: dict[int, list[int]] = {}
    for one, other in edges:
        first, second = group_of.setdefault(one, [one]), group_of.setdefault(other, [other])
        if first is not second:
            first += second
            group_of.update(dict.fromkeys(second, first))
    return [tuple(sorted(group)) for group in {id(group): group for group in group_of.values()}.values()]
