"""The only door for reading contacts in sets: pages, counts, facets, statistics, and the select that exports stream.

Filters with `as_of` are asked of contacts as they were then: see as_of.py.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from psycopg.rows import dict_row
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    any_,
    bindparam,
    func,
    literal,
    select,
)
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from models import awaited, kept, replica
from models.contacts import as_of, facets, order, own_mirror, statistics
from models.contacts.facets import Range
from models.contacts.history import newest_version
from models.contacts.order import NEAR, Neighbours, Order
from models.contacts.statistics import Statistics
from models.contacts.table import FIELDS, FULL_NAME, Contact
from models.database import asked, compiled, reading
from models.errors import InvalidInput, NotFound, TooSlow, about
from models.fields import REFERENCES, Kind
from models.filters import Filters, hidden_field, reference_names, visible_fields
from models.industries import Industry
from models.kept import Moment
from models.permissions import OPERATOR, Actor, Permission, require
from models.users import User

if TYPE_CHECKING:
    from models.contacts.mirror import View

MAX_PAGE_SIZE = 1000
NEWEST_FIRST = "-id"
SORTABLE_SYSTEM = ("id", "created_at", "updated_at")
# What columns of the list and filters are called -> what the list is sorted by.
SORTED_BY = {FULL_NAME: "last_name", "added": "created_at", "changed": "updated_at", "contact": "id"}
NAMED = ("email", "contact_id", "contact")  # one contact or a few have it, and an index finds it as it is written
MOST_TOTALS = 2000
BEGUN = frozenset({Kind.TEXT, Kind.CHOICE, Kind.LIST, Kind.EMAIL, Kind.URL, Kind.PHONE, *REFERENCES})  # are texts
# What is browsed is in memory. Several processes that read one index wait for each other at each of its pages.
COSTS = {
    "seq_page_cost": "0.1",
    "random_page_cost": "0.1",
    "parallel_tuple_cost": "0.02",
    "min_parallel_index_scan_size": "100GB",
}
# What stands beside a page is counted one at a time for two cores: a page that somebody waits for has the machine, and
# of twenty who count at once nobody is told that it took too long.
_BESIDE = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))
_totals = kept.Kept[int]("how many match", MOST_TOTALS)


@dataclass(frozen=True)
class Following:
    """`rows` as those of a Page; `after` are the keys of the last of them, None where nothing follows. `total` is the
    number of all that match, None where it was not asked for."""

    rows: list[dict[str, Any]]
    after: list[Any] | None
    total: int | None


@dataclass(frozen=True)
class Page:
    """`rows` are dicts of the chosen columns plus `id`; `total` is the exact count of all that match."""

    rows: list[dict[str, Any]]
    total: int
    number: int
    size: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.size))


@replica.browses
@own_mirror.asks
def page(
    filters: Filters,
    *,
    columns: list[str] | None = None,
    sort: str = NEWEST_FIRST,
    number: int = 1,
    size: int = 50,
    by: Actor,
) -> Page:
    """Page `number` (from 1) and the exact count, read from one snapshot.

    `sort` is a field, or "-field" for descending. Raises NotAllowed, InvalidInput.
    """
    require(by, Permission.CONTACTS_READ)
    if not 1 <= size <= MAX_PAGE_SIZE or number < 1:
        raise InvalidInput(f"Pages start at 1 and hold 1 to {MAX_PAGE_SIZE:,} contacts.", field="page")
    shown = chosen_columns(columns, by=by)
    asked, listed = _question(filters, by), _order(sort, by, is_whole=filters.as_of is not None)
    with _engine(filters, by, listed) as engine:
        at = engine.moment
        known = _totals.get(asked, at)
        found: dict[int, dict[str, Any]] = {}

        def read(ids: list[int]) -> None:
            # The ids first, the rows after: sorting 49 wide columns costs ten times as much as sorting ids.
            rows = select(Contact.id, *labelled(shown)).where(Contact.id.in_(ids))
            found.update({row.id: dict(row._mapping) for row in engine.session.execute(rows)})

        total, ids = engine.page(listed, first=(number - 1) * size, size=size, total=known, then=read)
    if known is None:
        _totals.put(asked, total, at)
    return Page([found[contact_id] for contact_id in ids], total, number, size)


@replica.browses
@own_mirror.asks
def following(
    filters: Filters,
    *,
    columns: list[str] | None = None,
    sort: str = NEWEST_FIRST,
    after: Sequence[Any] | None = None,
    size: int = 50,
    counted: bool = False,
    versioned: bool = False,
    by: Actor,
) -> Following:
    """A keyset page: the contacts after the one whose keys `after` are, in one order whatever comes or goes meanwhile.

    `counted`: with the exact number of all that match. `versioned`: each with the `version` that who changes it names.
    Raises NotAllowed, InvalidInput.
    """
    listed = _listed(filters, sort, size, by)
    names = tuple(chosen_columns(columns, by=by))
    if question := _near(filters, by.columns, names, versioned, listed, after, size):
        near = asked(*question, dict_row)
        if len(near) > size:
            return Following(near[:size], [near[size - 1]["id"]], count(filters, by=by) if counted else None)
    rows = _rows(names, versioned)
    with _engine(filters, by, listed) as engine:
        keys = engine.following(listed, after, size + 1)
        ids = [one[-1] for one in keys[:size]]
        found = {row.id: dict(row._mapping) for row in engine.session.execute(rows.where(Contact.id.in_(ids)))}
    total = count(filters, by=by) if counted else None
    return Following([found[one] for one in ids], keys[size - 1] if len(keys) > size else None, total)


async def following_soon(
    filters: Filters,
    *,
    columns: list[str] | None = None,
    sort: str = NEWEST_FIRST,
    after: Sequence[Any] | None = None,
    size: int = 50,
    versioned: bool = False,
    by: Actor,
) -> Following:
    """`following` for an event loop, without a number: a page that is near takes no thread."""
    listed = _listed(filters, sort, size, by)
    names = tuple(chosen_columns(columns, by=by))
    if question := _near(filters, by.columns, names, versioned, listed, after, size):
        near = await awaited.asked(*question, dict_row, is_long=True)
        if near is not None and len(near) > size:
            return Following(near[:size], [near[size - 1]["id"]], None)
    whole = partial(following, filters, columns=columns, sort=sort, after=after, size=size, versioned=versioned, by=by)
    return await asyncio.to_thread(whole)


def _listed(filters: Filters, sort: str, size: int, by: Actor) -> Order:
    """The order in which `by` goes through pages of that size. Raises NotAllowed, InvalidInput."""
    require(by, Permission.CONTACTS_READ)
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise InvalidInput(f"A page holds 1 to {MAX_PAGE_SIZE:,} contacts.", field="size")
    return _order(sort, by, is_whole=filters.as_of is not None)


@lru_cache(maxsize=200)
def _rows(columns: tuple[str, ...], versioned: bool) -> Select[Any]:
    """Built once for each choice: to put fifty columns together takes longer than to read fifty contacts."""
    version = [newest_version(Contact.__table__.c.id).label("version")] if versioned else []
    return select(Contact.id, *version, *labelled(list(columns)))  # type: ignore[return-value]  # so many columns


def _near(
    filters: Filters, seen: frozenset[str] | None, columns: tuple[str, ...], versioned: bool, listed: Order,
    after: Sequence[Any] | None, size: int,
) -> tuple[str, dict[str, Any]] | None:  # fmt: skip
    """The page by number in one statement, where it is among the next contacts and more follow: those that match may
    all be at the other end, and to look at each before them would take longer than to gather them. None for another
    order, and for the past. Raises InvalidInput where `after` is not that of such a page."""
    if filters.as_of or listed.key is not None:
        return None
    if after:
        listed.require_keys(after)
    statement, given = _next(filters, seen, columns, versioned, listed.falling, bool(after))
    return statement, {**given, "size": size + 1, **({"after": after[0]} if after else {})}


@lru_cache(maxsize=300)
def _next(
    filters: Filters,
    seen: frozenset[str] | None,
    columns: tuple[str, ...],
    versioned: bool,
    falling: bool,
    goes_on: bool,
) -> tuple[str, dict[str, Any]]:
    """Compiled once for each question: a program that reads all pages asks the same again and again."""
    where = filters.condition(by=replace(OPERATOR, columns=seen))
    number = Contact.__table__.c.id
    ends = func.max(number) + 1 if falling else func.min(number) - 1
    end: Any = bindparam("after", 0, BigInteger) if goes_on else select(ends).scalar_subquery()
    within = and_(number < end, number >= end - NEAR) if falling else and_(number > end, number <= end + NEAR)
    wanted = _rows(columns, versioned).where(where, within).order_by(number.desc() if falling else number)
    return compiled(wanted.limit(bindparam("size", 0, Integer)))


@replica.browses
@own_mirror.asks
def neighbours(filters: Filters, *, sort: str = NEWEST_FIRST, contact_id: int, by: Actor) -> Neighbours:
    """Where the contact stands among those that match, read from one snapshot.

    It need not match, or no longer: then it is where it would stand. Raises NotAllowed, InvalidInput, NotFound.
    """
    require(by, Permission.CONTACTS_READ)
    listed = _order(sort, by, is_whole=filters.as_of is not None)
    with _engine(filters, by, listed) as engine:
        try:
            return engine.around(listed, contact_id)
        except NoResultFound as error:
            raise NotFound(f"There is no contact {contact_id}: it was deleted.") from error


def those_of(filters: Filters, ids: Collection[int], *, by: Actor) -> frozenset[int]:
    """Which of the contacts with these ids match. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    among = Contact.id == any_(literal(list(ids), ARRAY(BigInteger)))
    with looking(filters, by) as session:
        return frozenset(session.scalars(select(Contact.id).where(among, filters.of_now.condition(by=by))))


@replica.browses
@own_mirror.asks
def count(filters: Filters, *, by: Actor) -> int:
    """Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    with _engine(filters, by) as engine:
        return engine.count()


@own_mirror.asks
def meant(filters: Filters, *, by: Actor) -> Filters | None:
    """For a search that finds nothing: the same with what was meant in place of each word that no contact of the other
    filters has, where one letter of it is wrong, or its accents are; it finds contacts. None where that is not so,
    where to find it takes too long, and where this process has no mirror.

    Raises NotAllowed.
    """
    require(by, Permission.CONTACTS_READ)
    if not filters.q or not own_mirror.can_answer(filters):
        return None
    try:
        with own_mirror.viewing() as view:
            return None if view is None else _meant(view, filters, by)
    except TooSlow:  # the answer that nothing matches is there all the same
        return None


def _meant(view: "View", filters: Filters, by: Actor) -> Filters | None:
    from models.contacts.mirrored import Mirrored, counts

    def having(*words: str) -> Filters:
        return replace(filters, q=" ".join(words))

    words = list(dict.fromkeys(filters.q.split()))
    numbers = counts(view, [having(word) for word in words], by=by)
    known = [word for word, number in zip(words, numbers, strict=True) if number]
    for word in (chosen := {word: "" for word in words if word not in known}):
        for alike in Mirrored(view, having(*known), by).meant(word):
            if found := _commonest(alike, counts(view, [having(*known, one) for one in alike], by=by)):
                chosen[word] = found
                break
        known.append(chosen[word])
    if not chosen or not all(chosen.values()):
        return None
    return having(*(chosen.get(word, word) for word in filters.q.split()))


def _commonest(words: Sequence[str], numbers: Sequence[int]) -> str:
    """The first of those that most contacts have; "" where none has any."""
    most = max(numbers)
    return words[numbers.index(most)] if most else ""


@replica.browses
@own_mirror.asks
def counts(asked: Sequence[Filters], *, by: Actor) -> list[int]:
    """`count` for each of them, read from one snapshot. What is kept is not counted again, and the rest takes one look
    at the contacts, however many they are. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    for one in asked:
        one.of_now.condition(by=by)  # what is kept may be of who sees more
    now = iter(_counts_of_now([one for one in asked if not one.as_of], by))
    return [count(one, by=by) if one.as_of else next(now) for one in asked]


def _counts_of_now(asked: Sequence[Filters], by: Actor) -> list[int]:
    questions = [_question(one, by) for one in asked]
    with _BESIDE, _beside(asked, by) as (session, count_all):
        at = kept.moment_of(session)
        numbers = _totals.get_all(questions, at)
        missing = [place for place, number in enumerate(numbers) if number is None]
        for place, number in zip(missing, count_all([asked[place] for place in missing]), strict=True):
            numbers[place] = number
    for place in missing:
        _totals.put(questions[place], numbers[place] or 0, at)
    return [number or 0 for number in numbers]


@contextmanager
def _beside(asked: Sequence[Filters], by: Actor) -> Iterator[tuple[Session, Callable[[Sequence[Filters]], list[int]]]]:
    """A snapshot, and what counts all that is asked of it."""
    if all(map(own_mirror.can_answer, asked)):
        with own_mirror.viewing() as view:
            if view is not None:
                from models.contacts import mirrored

                yield view.session, partial(mirrored.counts, view, by=by)
                return
    with looking(Filters(), by) as session:
        yield session, lambda some: _counted(session, some, by)


@replica.browses
def known_counts(asked: Sequence[Filters], *, by: Actor) -> list[int | None]:
    """Those of `counts` that need no counting; None for the others. Raises NotAllowed."""
    require(by, Permission.CONTACTS_READ)
    for one in asked:
        one.of_now.condition(by=by)
    questions = [_question(one, by) for one in asked]
    with replica.browsing() as session:
        return _totals.get_all(questions, kept.moment_of(session))


@replica.browses
@own_mirror.asks
def count_by(
    filters: Filters, name: str, *, begins: str = "", by: Actor, limit: int | None = None
) -> list[tuple[Any, int]]:
    """The field's values with their exact counts, commonest first; list fields count each element. With `begins` those
    of a text that begin so, capitals aside.

    Raises NotAllowed, InvalidInput (no such field).
    """
    require(by, Permission.CONTACTS_READ)
    _require_countable([name], "field", by)
    kind, begins = FIELDS[name].kind, begins.replace("\x00", "")
    if begins and kind not in BEGUN:
        raise InvalidInput(f"{FIELDS[name].title} is a {kind.value}: nothing begins it.", field="begins")
    with _BESIDE, _engine(filters, by) as engine:
        if kind not in REFERENCES:
            return engine.beginning(name, begins, limit) if begins else engine.count_by(name, limit)
        found = engine.count_by(name, None)
        names = reference_names(engine.session, kind)
    named = [(names.get(value), number) for value, number in found]
    return [(one, number) for one, number in named if (one or "").casefold().startswith(begins.casefold())][:limit]


@replica.browses
@own_mirror.asks
def count_by_each(
    filters: Filters,
    names: Sequence[str],
    *,
    ranges: Mapping[str, Sequence[Range]] | None = None,
    by: Actor,
    limit: int = 1000,
) -> dict[str, list[tuple[Any, int]]]:
    """`count_by` for several fields of few values in one look, without the empty ones; also numbers by their `ranges`.

    Raises NotAllowed, InvalidInput (no such field, or ranges of one that holds no numbers).
    """
    require(by, Permission.CONTACTS_READ)
    _require_countable(names, "fields", by)
    _require_countable(list(ranges or {}), "range", by)
    if wrong := [name for name in ranges or {} if FIELDS[name].kind not in (Kind.WHOLE, Kind.MONEY)]:
        raise InvalidInput(f"{FIELDS[wrong[0]].title} holds no numbers: there are no ranges of it.", field="range")
    with _BESIDE, _engine(filters, by) as engine:
        found = engine.count_by_each(names, ranges or {}, limit)
        for name in names:
            if FIELDS[name].kind in REFERENCES:
                referred = reference_names(engine.session, FIELDS[name].kind)
                found[name] = [(referred.get(value), number) for value, number in found[name]]
    return found


def _require_countable(names: Sequence[str], field: str, by: Actor) -> None:
    """Raises InvalidInput, NotAllowed."""
    if unknown := [name for name in names if name not in FIELDS]:
        seen = ", ".join(visible_fields(by))
        raise InvalidInput(f"There is no field “{unknown[0][:60]}” to count by. Fields are: {seen}.", field=field)
    with about(field):
        chosen_columns(list(names), by=by)


@replica.browses
@own_mirror.asks
def statistics_of(filters: Filters, *, by: Actor) -> Statistics:
    """The numbers of all contacts that match, read from one snapshot; nothing of what `by` may not see.

    Raises NotAllowed.
    """
    require(by, Permission.CONTACTS_READ)
    with _BESIDE, _engine(filters, by) as engine:
        return engine.statistics(visible_fields(by))


def matching(filters: Filters, columns: list[str], *, by: Actor) -> Select[Any]:
    """The rows of an export in the order they were created: `id` and the columns, references by name.

    Raises NotAllowed, InvalidInput.
    """
    require(by, Permission.CONTACTS_READ)
    chosen_columns(columns, by=by)
    rows = select(Contact.id, *labelled(columns)).where(filters.of_now.condition(by=by)).order_by(Contact.id)
    if not filters.as_of:
        return rows
    with reading() as session:
        at = as_of.resolve(session, filters.as_of)
    return rows.add_cte(as_of.contacts_at(at, by=by), nest_here=True)


def moment(filters: Filters, *, by: Actor) -> datetime | None:
    """What the filters' `as_of` means, by the database; None for now. Raises NotAllowed; InvalidInput where nothing can
    be asked of that moment."""
    require(by, Permission.CONTACTS_READ)
    if not filters.as_of:
        return None
    with reading() as session:
        return as_of.resolve(session, filters.as_of)


def chosen_columns(columns: list[str] | None, *, by: Actor) -> list[str]:
    """`columns`, or all that `by` may see. Raises InvalidInput for one unknown, NotAllowed for one hidden."""
    seen = visible_fields(by)
    if columns is None:
        return seen
    if unknown := [name for name in columns if name not in FIELDS and name not in SORTABLE_SYSTEM]:
        raise InvalidInput(f"There is no field “{unknown[0]}”. Fields are: {', '.join(seen)}.", field="fields")
    if hidden := [name for name in columns if name in FIELDS and name not in seen]:
        raise hidden_field(hidden[0], "fields")
    return columns


def ordered(sort: str, *, by: Actor) -> str:
    """`sort` by the name of the column that it means: “-created_at” for “-added”. Raises InvalidInput, which names what
    can be sorted by, and NotAllowed for what is hidden."""
    falling, wanted = sort.startswith("-"), sort.removeprefix("-")
    name = SORTED_BY.get(wanted, wanted)
    if name not in FIELDS and name not in SORTABLE_SYSTEM:
        seen = visible_fields(by)
        known = ", ".join([*(one for one, meant in SORTED_BY.items() if meant not in FIELDS or meant in seen), *seen])
        raise InvalidInput(f"There is no field “{wanted[:60]}” to sort by. Fields are: {known}.", field="sort")
    with about("sort"):
        chosen_columns([name], by=by)
    return f"-{name}" if falling else name


def labelled(columns: list[str]) -> list[ColumnElement[Any]]:
    """Each column under its field's name; industries and owners as text."""
    return [_readable(name).label(name) for name in columns]


def _readable(name: str) -> ColumnElement[Any]:
    if name not in FIELDS:
        return Contact.__table__.c[name]
    column = Contact.__table__.c[FIELDS[name].column]
    if FIELDS[name].kind is Kind.INDUSTRY:
        return select(Industry.name).where(Industry.id == column).correlate(Contact).scalar_subquery()
    if FIELDS[name].kind is Kind.OWNER:
        return select(User.email).where(User.id == column).correlate(Contact).scalar_subquery()
    return column


def _question(filters: Filters, by: Actor) -> Hashable:
    """What decides how many contacts match, besides the moment; what a person may see does only with a free text."""
    deleted = filters.as_of is not None and by.may(Permission.CONTACTS_EDIT)  # as_of.contacts_at
    return filters.query(), tuple(visible_fields(by)) if filters.q else (), deleted


def _is_named(filters: Filters) -> bool:
    return any(one.field.name in NAMED and one.operator == "is" for one in filters.required)


class Engine(Protocol):
    """What answers a question about the contacts that match: the database, or this process's mirror of it. Both give
    the same of one snapshot, which `session` has, at that moment."""

    session: Session

    @property
    def moment(self) -> Moment: ...

    def count(self) -> int: ...

    def page(
        self, listed: Order, *, first: int, size: int, total: int | None, then: Callable[[list[int]], None]
    ) -> tuple[int, list[int]]:
        """As Order.page; `then` is given the ids as soon as they are there."""

    def following(self, listed: Order, values: Sequence[Any] | None, size: int) -> list[list[Any]]: ...

    def around(self, listed: Order, contact_id: int) -> Neighbours: ...

    def count_by(self, name: str, limit: int | None) -> list[tuple[Any, int]]: ...

    def beginning(self, name: str, typed: str, limit: int | None) -> list[tuple[Any, int]]: ...

    def count_by_each(
        self, names: Sequence[str], ranges: Mapping[str, Sequence[Range]], limit: int
    ) -> dict[str, facets.Counts]: ...

    def statistics(self, seen: list[str]) -> Statistics: ...


class _Stored:
    """The database as an engine."""

    def __init__(self, session: Session, filters: Filters, where: ColumnElement[bool]) -> None:
        self.session, self.filters, self.where = session, filters, where

    @property
    def moment(self) -> Moment:
        return kept.moment_of(self.session)

    def count(self) -> int:
        return _count(self.session, self.where)

    def page(
        self, listed: Order, *, first: int, size: int, total: int | None, then: Callable[[list[int]], None]
    ) -> tuple[int, list[int]]:
        total, ids = listed.page(self.session, self.where, first=first, size=size, total=total)
        then(ids)
        return total, ids

    def following(self, listed: Order, values: Sequence[Any] | None, size: int) -> list[list[Any]]:
        return listed.following(self.session, self.where, values, size)

    def around(self, listed: Order, contact_id: int) -> Neighbours:
        return listed.around(self.session, self.where, contact_id)

    def count_by(self, name: str, limit: int | None) -> list[tuple[Any, int]]:
        return self._counted(name, "", limit)

    def beginning(self, name: str, typed: str, limit: int | None) -> list[tuple[Any, int]]:
        return self._counted(name, typed, limit)

    def _counted(self, name: str, typed: str, limit: int | None) -> list[tuple[Any, int]]:
        column = Contact.__table__.c[FIELDS[name].column]
        value = func.unnest(column) if FIELDS[name].kind is Kind.LIST else column
        matching = select(value.label("value")).where(self.where).subquery()
        number = func.count().label("count")
        counted = select(matching.c.value, number).group_by(matching.c.value)
        if typed:
            counted = counted.where(func.starts_with(func.lower(matching.c.value), func.lower(typed)))
        is_text = isinstance(column.type, (ARRAY, String))
        # Texts that stand equally often have one order, whatever the database's: the mirror has it, too.
        tied = matching.c.value.collate("C") if is_text else matching.c.value
        counted = counted.order_by(number.desc(), tied.asc().nulls_last()).limit(limit)
        return [(row[0], row[1]) for row in self.session.execute(counted)]

    def count_by_each(
        self, names: Sequence[str], ranges: Mapping[str, Sequence[Range]], limit: int
    ) -> dict[str, facets.Counts]:
        return facets.read(self.session, self.where, names, ranges, limit)

    def statistics(self, seen: list[str]) -> Statistics:
        at = as_of.resolve(self.session, self.filters.as_of) if self.filters.as_of else None
        return statistics.read(self.session, self.where, seen, at=at)


@contextmanager
def _engine(filters: Filters, by: Actor, listed: Order | None = None) -> Iterator[Engine]:
    """The mirror, where it can answer and is not slower: one contact that is named is found by an index."""
    where = filters.of_now.condition(by=by)
    if own_mirror.can_answer(filters) and not _is_named(filters):
        with own_mirror.viewing() as view:
            if view is not None and (listed is None or not listed.is_of_text or view.file.is_bytewise):
                from models.contacts.mirrored import Mirrored  # which loads DuckDB

                engine = Mirrored(view, filters, by)
                engine.know(_totals.get(_question(filters, by), view.moment))
                yield engine
                return
    with looking(filters, by) as session:
        yield _Stored(session, filters, where)


@contextmanager
def looking(filters: Filters, by: Actor) -> Iterator[Session]:
    """`browsing`, back at the filters' moment, for a planner that else takes each page of a table for one on a disk,
    and a list of 50,000 for one that is too long to be handed from one process to another."""
    with replica.browsing() as session:
        session.execute(select(*(func.set_config(name, cost, True) for name, cost in COSTS.items())))
        if filters.as_of:
            as_of.look_back(session, as_of.resolve(session, filters.as_of), by=by)
        yield session


def _order(sort: str, by: Actor, *, is_whole: bool) -> Order:
    asked = ordered(sort, by=by)
    listed = order.by(asked.removeprefix("-"), falling=asked.startswith("-"))
    return replace(listed, is_indexed=False, is_whole=True) if is_whole else listed


def _count(session: Session, where: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(Contact).where(where)) or 0


def _counted(session: Session, asked: Sequence[Filters], by: Actor) -> list[int]:
    """In one look at the contacts, but for those that name one contact or a few, which an index finds."""
    found = {place: _count(session, one.condition(by=by)) for place, one in enumerate(asked) if _is_named(one)}
    others = [place for place in range(len(asked)) if place not in found]
    if others:
        numbers = (func.count().filter(asked[place].condition(by=by)) for place in others)
        found |= zip(others, session.execute(select(*numbers).select_from(Contact)).one(), strict=True)
    return [found[place] for place in range(len(asked))]
