"""Reading the audit log: by who, what, on what and when, a page at a time or as a file; newest first.

Of contacts a reader sees here the fields that they may see elsewhere, and searches no others.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, Text, and_, func, literal, select, tuple_

from models import accounts, audit, csv_lines, filters
from models.audit import AuditLine, Event
from models.contacts.table import FIELDS, SEARCHED
from models.database import LARGEST_BIGINT, reading, writing
from models.errors import AppError, InvalidInput
from models.filters import visible_fields
from models.permissions import OPERATOR, RAZORPAY, Actor, Permission, require
from models.users import User

NOBODY = "nobody"  # who tries to sign in
NAMELESS = (OPERATOR.name, NOBODY, RAZORPAY.name)  # actors who are no user
LONGEST_WORDS = 200  # characters
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2999, 12, 31)  # calendars have room around them
HEADERS = ("At (UTC)", "Who", "Event", "On what", "From", "Before", "After", "More")
KEYS = ("who", "event", "about", "since", "until", "q")  # of an address
# Whose before and after go by the fields of contacts.
ON_CONTACTS = frozenset(
    {
        Event.CONTACT_CREATED,
        Event.CONTACT_CHANGED,
        Event.CONTACT_DELETED,
        Event.CONTACT_RESTORED,
        Event.CONTACTS_CHANGED,
    }
)
OF_A_FIELD = ("added", "removed")  # beside "field": its values


@dataclass(frozen=True)
class Wanted:
    """Which lines. `who` is a user's e-mail, or one of NAMELESS; `about` one subject (“import 17”), or all of a kind
    (“import”); days are whole, in UTC, and a
    moment counts itself; every one of the `words` stands in the line."""

    who: str = ""
    events: tuple[str, ...] = ()
    about: str = ""
    since: date | datetime | None = None
    until: date | datetime | None = None
    words: str = ""

    def pairs(self) -> list[tuple[str, str]]:
        """As an address holds it, for `parse`."""
        single = {
            "who": self.who,
            "about": self.about,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "q": self.words,
        }
        return [("event", event) for event in self.events] + [(key, value) for key, value in single.items() if value]

    def query(self) -> str:
        return urlencode(self.pairs())

    @property
    def is_turned(self) -> bool:
        """Whether its last day is before its first one."""
        first, last = day_of(self.since), day_of(self.until)
        return first is not None and last is not None and first > last

    def __bool__(self) -> bool:
        return bool(self.pairs())


@dataclass(frozen=True)
class Line:
    """One line, as its reader may see it. `before` and `after` hold what differs; `hidden` says that something is left
    out, since it is of fields of contacts that the reader may not see."""

    id: int
    at: datetime
    who: str
    actor_id: int | None
    address: str | None
    event: str
    subject: str
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    hidden: bool = False

    @property
    def label(self) -> str:
        return audit.label(self.event)

    @property
    def on(self) -> tuple[str, str]:
        """The subject's kind and its name: (“import”, “17”)."""
        kind, _, name = self.subject.partition(" ")
        return kind, name


def parse(pairs: Iterable[tuple[str, str]]) -> Wanted:
    """From an address or the command line. Raises InvalidInput, naming what cannot be read."""
    found: dict[str, Any] = {}
    events: list[str] = []
    for key, value in pairs:
        text = " ".join(value.replace("\x00", "").split())
        if key not in KEYS:
            raise InvalidInput(f"The audit log has no filter “{key}”. Filters are: {', '.join(KEYS)}.", field=key)
        if key == "event":
            events.append(_event(text))
        elif key in ("since", "until"):
            found[key] = _day(key, text) if text else None
        elif len(text) > LONGEST_WORDS:
            raise InvalidInput(f"{key} has {len(text):,} characters; {LONGEST_WORDS} are the most.", field=key)
        else:
            found["words" if key == "q" else key] = text
    return Wanted(events=tuple(dict.fromkeys(events)), **found)


def page(wanted: Wanted, *, before_id: int | None = None, size: int = 50, by: Actor) -> tuple[list[Line], bool]:
    """At most `size` lines, those that are older than the line `before_id`, where it is given, and whether there are
    more. Raises NotAllowed, InvalidInput (nobody has that e-mail)."""
    require(by, Permission.AUDIT_READ)
    with reading() as session:
        found = list(session.scalars(statement(wanted, before_id=before_id, by=by).limit(size + 1)))
        return [_read(line, by) for line in found[:size]], len(found) > size


def get(line_id: int, *, by: Actor) -> Line | None:
    """One line. Raises NotAllowed."""
    require(by, Permission.AUDIT_READ)
    with reading() as session:
        found = session.get(AuditLine, line_id) if 0 < line_id <= LARGEST_BIGINT else None
        return _read(found, by) if found else None


def people(*, by: Actor) -> dict[str, str]:
    """What `who` may be -> what people call them: the e-mail addresses of users, and NAMELESS. Raises NotAllowed."""
    require(by, Permission.AUDIT_READ)
    with reading() as session:
        named = session.execute(select(User.email, User.name).order_by(func.lower(User.name), User.id)).all()
    return {row.email: row.name for row in named} | {name: name.capitalize() for name in NAMELESS}


def as_csv(wanted: Wanted, *, noted: bool = True, by: Actor) -> Iterator[str]:
    """The lines of a CSV file, streamed; `noted`, that `by` took them is written to the log first.

    Before, after and the rest are JSON objects; cells that a spreadsheet would run as a formula get an apostrophe.
    Raises NotAllowed, InvalidInput.
    """
    require(by, Permission.AUDIT_READ)
    chosen = statement(wanted, by=by)
    if noted:
        with writing(by) as session:
            audit.write(session, Event.AUDIT_LOG_EXPORTED, "audit log", by=by, filter=wanted.query())
    return _csv(chosen, by)


def statement(wanted: Wanted, *, before_id: int | None = None, by: Actor) -> Select[AuditLine]:
    """The question that `page` asks, without its limit; each of the log's indexes ends in its order."""
    lines = select(AuditLine).where(*_conditions(wanted, by))
    if before_id is not None:
        last = select(AuditLine.at, AuditLine.id).where(AuditLine.id == min(before_id, LARGEST_BIGINT)).subquery()
        place = select(last.c.at).scalar_subquery(), select(last.c.id).scalar_subquery()
        lines = lines.where(tuple_(AuditLine.at, AuditLine.id) < tuple_(*place))
    return lines.order_by(AuditLine.at.desc(), AuditLine.id.desc())


def _conditions(wanted: Wanted, by: Actor) -> Iterator[ColumnElement[bool]]:
    if wanted.who in NAMELESS:
        yield and_(AuditLine.actor_id.is_(None), AuditLine.actor_name == wanted.who)
    elif wanted.who:
        yield AuditLine.actor_id == _user_id(wanted.who)
    if wanted.events:
        yield AuditLine.event.in_(wanted.events) if len(wanted.events) > 1 else AuditLine.event == wanted.events[0]
    if wanted.about:
        kind, _, name = wanted.about.partition(" ")
        yield AuditLine.subject == wanted.about if name or kind == "contacts" else _of_kind(kind)
    if wanted.since:
        yield AuditLine.at >= _begins(wanted.since)
    if wanted.until:
        moment = isinstance(wanted.until, datetime)
        yield AuditLine.at <= wanted.until if moment else AuditLine.at < _begins(wanted.until) + timedelta(days=1)
    for word in wanted.words.split():
        yield _searched(by).icontains(word, autoescape=True)


def _of_kind(kind: str) -> ColumnElement[bool]:
    return AuditLine.subject.startswith(f"{kind} ", autoescape=True)


def _searched(by: Actor) -> ColumnElement[str]:
    """The details as well only for who may see all that can stand there."""
    details = AuditLine.details if by.columns is None else literal(None, AuditLine.details.type)
    words: ColumnElement[str] = func.audit_words(AuditLine.actor_name, AuditLine.subject, details, type_=Text)
    return words


def _user_id(email: str) -> int:
    with reading() as session:
        found = session.scalar(select(User.id).where(User.email == accounts.looked_up(email)))
    if found is None:
        raise InvalidInput(
            f"Nobody has the e-mail “{email}”. Who did it is an e-mail, or: {', '.join(NAMELESS)}.", field="who"
        )
    return found


def _csv(chosen: Select[AuditLine], by: Actor) -> Iterator[str]:
    yield csv_lines.line(HEADERS)
    with reading() as session:
        for stored in session.scalars(chosen.execution_options(yield_per=1000)):
            line = _read(stored, by)
            parts = [
                json.dumps(part, ensure_ascii=False) if part else "" for part in (line.before, line.after, line.more)
            ]
            at = line.at.astimezone(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
            yield csv_lines.line([at, line.who, line.label, line.subject, line.address or "", *parts])
            session.expunge(stored)


def _read(line: AuditLine, by: Actor) -> Line:
    told = dict(line.details or {})
    before, after = _named(told.pop("before", None)), _named(told.pop("after", None))
    both = [name for name in (*FIELDS, *sorted({*before, *after} - {*FIELDS})) if name in before or name in after]
    differing = [name for name in both if before.get(name) != after.get(name)]
    kept = _seen(line.event, differing, told, by)
    if not all(_may_read_filter(part, visible_fields(by), by) for part in (before, after)):
        kept -= {"filter", "query"}
    return Line(
        id=line.id,
        at=line.at,
        who=line.actor_name,
        actor_id=line.actor_id,
        address=line.address,
        event=line.event,
        subject=line.subject,
        before={name: before[name] for name in differing if name in before and name in kept},
        after={name: after[name] for name in differing if name in after and name in kept},
        more={name: value for name, value in told.items() if value is not None and name in kept},
        hidden=len(kept) < len({*differing, *told}),
    )


def _named(values: Any) -> dict[str, Any]:
    if values is None:
        return {}
    return dict(values) if isinstance(values, Mapping) else {"value": values}


def _seen(event: str, differing: Collection[str], told: Mapping[str, Any], by: Actor) -> set[str]:
    """Of the names in a line those whose values `by` may see."""
    everything = {*differing, *told}
    if by.columns is None:
        return everything
    seen = set(visible_fields(by))
    hidden = {name for name in differing if name not in seen} if event in ON_CONTACTS else set[str]()
    if told.get("field") not in {None, *seen}:
        hidden |= set(OF_A_FIELD)
    if not _may_read_filter(told, seen, by):
        hidden |= {"filter", "query"}
    if any(name == "extra" or name in FIELDS.keys() - seen for name in told.get("columns") or ()):
        hidden |= {"sha256", "bytes"}  # of a file of few values they tell them to who tries all that there can be
    return everything - hidden


def _may_read_filter(told: Mapping[str, Any], seen: Collection[str], by: Actor) -> bool:
    """Whether a filter of contacts names fields that `by` sees only: it may hold their values."""
    try:
        asked = filters.parse_query(told.get("query") or "", by=by)
    except AppError:
        return False
    return not asked.q or set(SEARCHED) <= set(seen)


def _event(text: str) -> str:
    known = {event.value.casefold(): event.value for event in Event}
    if text.casefold() not in known:
        raise InvalidInput(f"There is no event “{text}”. Events are: {', '.join(known.values())}.", field="event")
    return known[text.casefold()]


def _day(key: str, text: str) -> date | datetime:
    """A day, or a moment, which is in UTC where it has no zone: a + in an address arrives as a blank."""
    try:
        if len(text) <= len("2026-11-30"):
            told = day = date.fromisoformat(text)
        else:
            moment = datetime.fromisoformat(re.sub(r" ([0-9:]{4,5})$", r"+\1", text) if "T" in text else text)
            told = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
            day = told.date()
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{key}={text}: write a day like 2026-11-30, or a moment like 2026-11-30T09:30:00Z.", field=key
        ) from error
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidInput(f"{key}={text}: give a day from {FIRST_DAY:%Y} to {LAST_DAY:%Y}.", field=key)
    return told


def _begins(at: date) -> datetime:
    return at if isinstance(at, datetime) else datetime.combine(at, time(), UTC)


def day_of(at: date | None) -> date | None:
    """The day on which a bound lies, in UTC, for calendars."""
    return at.date() if isinstance(at, datetime) else at
