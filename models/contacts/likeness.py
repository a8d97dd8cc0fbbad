"""Contacts that may be the one that somebody is typing: found while they type, by the indexes of contacts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, and_, any_, bindparam, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from models.contacts import values
from models.contacts.table import FIELDS, Contact
from models.database import asked_in, compiled, reading
from models.errors import InvalidInput
from models.filters import visible_fields
from models.permissions import Actor, Permission, require

MOST = 5
SHOWN = ("first_name", "last_name", "title", "company", "email")
REASONS = {"contact_id": "same external id", "email": "same e-mail", "person_linkedin_url": "same LinkedIn"}
CERTAIN = tuple(REASONS)
"""Fields of which no two people have the same value; nearly so: a desk's e-mail address is shared."""
_contacts = Contact.__table__.c


@dataclass(frozen=True)
class Alike:
    """A contact that shares something with what was typed; `reason` says what: “same e-mail, same LinkedIn”.

    What the reader may not see is None; a contact without a name goes by its e-mail or its number.
    """

    id: int
    name: str
    title: str | None
    company: str | None
    email: str | None
    reason: str


def alike(texts: Mapping[str, str], *, besides: int | None = None, by: Actor) -> list[Alike]:
    """At most five, the surest first. `texts` are a form's; `besides` is the contact that is being edited.

    Nothing is compared or told that `by` may not see. Raises NotAllowed.
    """
    require(by, Permission.CONTACTS_READ)
    with reading() as session:
        return _found(session, list(_conditions(_typed(texts, by))), besides or 0, by)


def certain(session: Session, texts: Mapping[str, str], *, by: Actor) -> Alike | None:
    """The contact that has one of the CERTAIN values of a form's `texts`, as far as `by` may see them."""
    keys = dict(same(texts, by=by))
    if not keys:
        return None
    shown = tuple(name for name in SHOWN if name in visible_fields(by))
    statement, given = looking(tuple(keys), shown)
    return next(iter(_together(asked_in(session, statement, {**given, **keys}))), None)


def certain_of_many(session: Session, many: Mapping[int, Mapping[str, str]], *, by: Actor) -> dict[int, Alike]:
    """`certain` for each of many forms, by their places; in one look for each of the CERTAIN fields."""
    seen = [name for name in CERTAIN if name in visible_fields(by)]
    typed = {place: {name: _key(name, texts.get(name, "")) for name in seen} for place, texts in many.items()}
    found: dict[int, Alike] = {}
    for name in seen:
        there = _those_with(session, name, {keys[name] for keys in typed.values()} - {None}, by)
        for place, keys in typed.items():
            if (key := keys[name]) is not None and key in there:
                found.setdefault(place, there[key])
    return found


def same(texts: Mapping[str, str], *, by: Actor) -> list[tuple[str, str]]:
    """What of a form no other contact may have: (field, value), as it is compared."""
    seen = [name for name in CERTAIN if name in visible_fields(by)]
    return [(name, key) for name in seen if (key := _key(name, texts.get(name, ""))) is not None]


def _key(name: str, text: str) -> str | None:
    value: str | None = _parsed(name, text)
    return value.lower() if value is not None and name == "person_linkedin_url" else value


def _those_with(session: Session, name: str, keys: set[Any], by: Actor) -> dict[str, Alike]:
    """Value -> the oldest contact that has it."""
    if not keys:
        return {}
    column = _compared(name)
    shown = [_contacts[one] for one in SHOWN if one in visible_fields(by)]
    rows = select(_contacts.id, column.label("key"), *shown).where(column == any_(literal(sorted(keys), ARRAY(Text))))
    oldest = rows.ext(distinct_on(column)).order_by(column, _contacts.id)
    return {row["key"]: _told(row, REASONS[name]) for row in session.execute(oldest).mappings()}


def _found(session: Session, conditions: list[tuple[str, ColumnElement[bool]]], besides: int, by: Actor) -> list[Alike]:
    seen = [name for name in SHOWN if name in visible_fields(by)]
    shown = [_contacts[name] for name in seen]
    searches = [
        select(_contacts.id, literal(rank).label("rank"), literal(reason).label("reason"), *shown)
        .where(condition, _contacts.id != besides)
        .order_by(_contacts.id)
        .limit(MOST)
        for rank, (reason, condition) in enumerate(conditions)
    ]
    if not searches:
        return []
    # Each in its own brackets: every one of them has its limit.
    together = union_all(*(select(one.subquery()) for one in searches)).subquery()
    return _together(session.execute(select(together).order_by(together.c.rank, together.c.id)).mappings().all())


@lru_cache(maxsize=100)
def looking(names: tuple[str, ...], shown: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Built once: who has one of the values of these of the CERTAIN fields, which are its parameters."""
    columns = [_contacts[name] for name in shown]
    searches = [
        select(_contacts.id, literal(rank).label("rank"), literal(REASONS[name]).label("reason"), *columns)
        .where(_compared(name) == bindparam(name, ""))
        .order_by(_contacts.id)
        .limit(MOST)
        for rank, name in enumerate(names)
    ]
    together = union_all(*(select(one.subquery()) for one in searches)).subquery()
    return compiled(select(together).order_by(together.c.rank, together.c.id))


def _compared(name: str) -> Any:
    return func.lower(_contacts[name]) if name == "person_linkedin_url" else _contacts[name]


def _together(found: Sequence[Mapping[Any, Any]]) -> list[Alike]:
    """One for each contact, with all of its reasons, the surest first."""
    reasons: dict[int, list[str]] = {}
    for row in found:
        reasons.setdefault(row["id"], []).append(row["reason"])
    rows = {row["id"]: row for row in found}
    return [_told(rows[contact_id], ", ".join(reasons[contact_id])) for contact_id in list(reasons)[:MOST]]


def _told(row: Mapping[Any, Any], reason: str) -> Alike:
    name = " ".join(part for part in (row.get("first_name"), row.get("last_name")) if part)
    known = {part: row.get(part) for part in ("title", "company", "email")}
    return Alike(id=row["id"], name=name or row.get("email") or f"Contact {row['id']}", **known, reason=reason)


def _typed(texts: Mapping[str, str], by: Actor) -> dict[str, Any]:
    return {name: _parsed(name, texts.get(name, "")) for name in visible_fields(by)}


def _conditions(typed: Mapping[str, Any]) -> Iterator[tuple[str, ColumnElement[bool]]]:
    if external := typed.get("contact_id"):
        yield REASONS["contact_id"], _contacts.contact_id == external
    if email := typed.get("email"):
        yield REASONS["email"], _contacts.email == email
    if linkedin := typed.get("person_linkedin_url"):
        yield REASONS["person_linkedin_url"], func.lower(_contacts.person_linkedin_url) == linkedin.lower()
    names = [name for name in ("first_name", "last_name") if typed.get(name)]
    if names and (company := typed.get("company")):
        same = [func.lower(_contacts[name]) == func.lower(typed[name]) for name in names]
        key = "last_name" if "last_name" in names else "company"
        # An index holds names as they are spelled: the usual spellings are looked up in it, capitals aside.
        spelled = _contacts[key].in_(_spellings(typed[key]))
        yield "same name and company", and_(spelled, *same, func.lower(_contacts.company) == func.lower(company))


def _spellings(text: str) -> list[str]:
    return list(dict.fromkeys([text, text.title(), text.upper(), text.lower(), text.capitalize()]))


def _parsed(name: str, text: str) -> Any:
    """The value; None while what is typed is not one yet."""
    try:
        return values.parse(FIELDS[name], text) if text else None
    except InvalidInput:
        return None
