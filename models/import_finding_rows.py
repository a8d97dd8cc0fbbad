"""The rows of an import that a finding is about: a page of them, and all of them as a CSV file.

They are read from the staging table, so only until the import is committed; those that did not come in are kept.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import audit, csv_lines, import_findings, imports
from models.audit import Event
from models.contacts import staging
from models.contacts.table import FIELDS
from models.database import reading, writing
from models.errors import NotAllowed, NotFound
from models.fields import Kind
from models.free_mail import FREE_MAIL
from models.import_rejects import GENERAL
from models.imports import Import
from models.permissions import Actor

BESIDE = ("first_name", "last_name", "email", "company")  # fields that tell whose row it is
MEASURES = {
    Kind.LIST: "cardinality({0})", Kind.DATE: "extract(year FROM {0})", Kind.WHOLE: "{0}", Kind.MONEY: "{0}",
}  # fmt: skip
LENGTH = "length({0})"


@dataclass(frozen=True)
class Rows:
    """`headers` are the titles of the fields, after the line's number; each row a line and its values as text."""

    headers: tuple[str, ...]
    rows: list[tuple[int, tuple[str | None, ...]]]
    total: int


@dataclass(frozen=True)
class _Wanted:
    """FROM and WHERE of the rows, and what of them is shown as title -> SQL."""

    source: str
    condition: str
    shown: dict[str, str]
    values: dict[str, Any]


def page(import_id: int, name: str, *, number: int, size: int, by: Actor) -> Rows:
    """Page `number` (from 1) of the rows that the finding `name` is about; none where it is about no rows, or they are
    contacts by now. Raises NotAllowed, also where the values of the file are hidden, and NotFound."""
    found, wanted = _wanted(import_id, name, by)
    with reading() as session:
        if wanted is None or not _is_there(session, found, wanted):
            return Rows((), [], 0)
        total = session.scalar(text(f"SELECT count(*) {wanted.source} {wanted.condition}"), wanted.values)
        limits = {"size": size, "offset": (number - 1) * size}
        rows = session.execute(text(f"{_select(wanted)} LIMIT :size OFFSET :offset"), wanted.values | limits)
        return Rows(tuple(wanted.shown), [(line, tuple(values)) for line, *values in rows], total or 0)


def as_csv(import_id: int, name: str, *, by: Actor, noted: bool = True) -> Iterator[str]:
    """The lines of a CSV file of them; that `by` took them is `noted` in the audit log. Raises as `page` does."""
    found, wanted = _wanted(import_id, name, by)
    if noted:
        with writing(by) as session:
            audit.write(session, Event.IMPORT_ROWS_DOWNLOADED, f"import {import_id}", by=by, finding=name)
    return _lines(found, wanted)


def _lines(found: Import, wanted: _Wanted | None) -> Iterator[str]:
    with reading() as session:
        if wanted is None or not _is_there(session, found, wanted):
            return
        yield csv_lines.line(["Line", *wanted.shown])
        rows = session.execute(text(_select(wanted)), wanted.values, execution_options={"yield_per": 1000})
        for line, *values in rows:
            yield csv_lines.line([str(line), *(value or "" for value in values)])


def _select(wanted: _Wanted) -> str:
    shown = "".join(f", ({value})::text" for value in wanted.shown.values())
    return f"SELECT line{shown} {wanted.source} {wanted.condition} ORDER BY line"


def _wanted(import_id: int, name: str, by: Actor) -> tuple[Import, _Wanted | None]:
    found = imports.get(import_id, by=by)
    if why := imports.why_hidden(found, by=by):
        raise NotAllowed(why)
    with reading() as session:
        findings = import_findings.seen_by(by, import_findings.of_import(session, import_id))
    one = next((one for one in findings if one.name == name), None)
    if one is None:
        raise NotFound(f"Nothing of the name {name[:60]} stands out about import {import_id}.")
    chosen = one.details.get("rows")
    if not chosen:
        return found, None
    if chosen["of"] in ("rejected", "duplicate"):
        return found, _refused(import_id, chosen)
    return found, _staged(found, [*one.fields], chosen)


def _refused(import_id: int, chosen: dict[str, Any]) -> _Wanted:
    condition, values = "WHERE import_id = :import AND kind = :kind", {"import": import_id, "kind": chosen["of"]}
    if why := chosen.get("reason"):
        general = "reason"
        for pattern, words in GENERAL:
            general = f"regexp_replace({general}, '{pattern}', '{words}', 'g')"
        literal = general.replace(":", r"\:")  # no parameters
        condition, values = f"{condition} AND {literal} = :why", values | {"why": why}
    shown = {"Why": "reason", "Column": "header", "Value": "value", "Cells": "cells"}
    return _Wanted("FROM import_rejects", condition, shown, values)


def _staged(found: Import, fields: list[str], chosen: dict[str, Any]) -> _Wanted:
    source = f"FROM {staging.SCHEMA}.{staging.rows_table(found.id)} s"
    if chosen["of"] in ("changed", "action"):
        source += f" JOIN {staging.SCHEMA}.{staging.plan_table(found.id)} p USING (line)"
    mapped = found.mapping or {}
    names = [*fields, *(name for name in BESIDE if name not in fields and name in {*mapped, *_split(mapped)})]
    shown = {FIELDS[name].title: _as_text(name) for name in names}
    condition, values = CONDITIONS[chosen["of"]](chosen)
    return _Wanted(source, f"WHERE {condition}", shown, values)


def _split(mapped: dict[str, str]) -> tuple[str, ...]:
    return ("first_name", "last_name") if "full_name" in mapped else ()


def _as_text(name: str) -> str:
    return f"array_to_string(s.{name}, ', ')" if FIELDS[name].kind is Kind.LIST else f"s.{name}"


def _is_there(session: Session, found: Import, wanted: _Wanted) -> bool:
    table = f"{staging.SCHEMA}.{staging.rows_table(found.id)}"
    return table not in wanted.source or bool(
        session.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": table})
    )


Condition = tuple[str, dict[str, Any]]


def _of_sizes(chosen: dict[str, Any]) -> Condition:
    """The lengths, numbers or years that more values have than before."""
    name = chosen["field"]
    measure = MEASURES.get(FIELDS[name].kind, LENGTH).format(f"s.{name}")
    parts: list[str] = []
    values: dict[str, Any] = {}
    for place, (low, high) in enumerate(chosen["between"]):
        limits = [f"{measure} {sign} :v{place}{end}" for sign, end, limit in ((">=", "l", low), ("<", "h", high))
                  if limit is not None]  # fmt: skip
        values |= {f"v{place}l": low, f"v{place}h": high}
        parts.append(f"({' AND '.join(limits) or f'{measure} IS NOT NULL'})")
    return " OR ".join(parts) or f"s.{name} IS NOT NULL", {key: one for key, one in values.items() if one is not None}


def _of_values(chosen: dict[str, Any]) -> Condition:
    name = chosen["field"]
    if FIELDS[name].kind is Kind.FLAG:
        return f"s.{name} = ANY(:values)", {"values": [value == "yes" for value in chosen["values"]]}
    return f"s.{name} = ANY(:values)", {"values": chosen["values"]}


def _domain(chosen: dict[str, Any]) -> str:
    return f"substring(s.{chosen['field']} from '[^@]*$')"


def _apart(chosen: dict[str, Any]) -> Condition:
    """Both are there, and the one does not stand in the other: as import_profile.py looks, accents aside."""
    name, word = chosen["field"], chosen["word"]
    letters = "regexp_replace(lower({0}), '[^a-z0-9]', '', 'g')"
    if FIELDS[word].kind is Kind.URL:
        host = rf"substring(s.{word} from '//(?\:www[.])?([^/]*)')"
        found = letters.format(host)
    else:
        found = f"substring(lower(s.{word}) from '[a-z0-9]{{3,}}')"
    return f"position({found} in {letters.format(f's.{name}')}) = 0", {}


CONDITIONS: dict[str, Callable[[dict[str, Any]], Condition]] = {
    "empty": lambda chosen: (f"s.{chosen['field']} IS NULL", {}),
    "filled": lambda chosen: (f"s.{chosen['field']} IS NOT NULL", {}),
    "sizes": _of_sizes,
    "values": _of_values,
    "domains": lambda chosen: (f"{_domain(chosen)} = ANY(:domains)", {"domains": chosen["values"]}),
    "free": lambda chosen: (f"{_domain(chosen)} = ANY(:domains)", {"domains": sorted(FREE_MAIL)}),
    "not free": lambda chosen: (f"{_domain(chosen)} <> ALL(:domains)", {"domains": sorted(FREE_MAIL)}),
    "apart": _apart,
    "changed": lambda chosen: (
        f"EXISTS (SELECT FROM unnest(p.changes) AS change WHERE {staging.NAME} = :field)",
        {"field": chosen["field"]},
    ),
    "action": lambda chosen: ("(p.action = 'create') = :creates", {"creates": chosen["action"] == "create"}),
}
