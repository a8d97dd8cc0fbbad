"""What somebody chose for an import's columns and made no plan of yet: kept for the person and the import until then.

It outlives an expired session, a closed tab and a restart of the web.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from models import preferences
from models.contacts import mapping, policies
from models.imports import Import, Keep, MatchRule
from models.permissions import Actor, Permission, require
from models.preferences import Preference


@dataclass(frozen=True)
class Chosen:
    """`columns` is header -> field for the headers that fill one; those `left_out` go nowhere, the others to extra.
    `keep_fields` holds the fields, and perhaps "extra", for which another policy than `keep` was chosen; `dated_by` is
    the header of the rows' moments, "" for that of the file."""

    columns: dict[str, str]
    match: MatchRule
    keep: Keep
    left_out: tuple[str, ...] = ()
    keep_fields: dict[str, Keep] = field(default_factory=dict)
    dated_by: str = ""


@dataclass(frozen=True)
class Draft:
    at: datetime
    chosen: Chosen


def stored(found: Import) -> Chosen:
    """What the import itself has, as it was proposed or last planned."""
    columns = {header: name for name, header in (found.mapping or {}).items()}
    keep_fields = {name: Keep(keep) for name, keep in found.keep_fields.items()}
    left_out = tuple(found.left_out)
    return Chosen(columns, MatchRule(found.match), Keep(found.keep), left_out, keep_fields, found.dated_by or "")


def checked(chosen: Chosen, headers: Sequence[str]) -> Chosen:
    """As it is kept for a file with these headers. Raises InvalidInput for columns and fields that there are not."""
    mapping.chosen(chosen.columns, headers, chosen.left_out)
    if chosen.dated_by:
        mapping.check_header(chosen.dated_by, headers)
    return replace(chosen, keep_fields=policies.fields_named(chosen.keep_fields.items()))


def find(import_id: int, *, by: Actor) -> Draft | None:
    """What `by` chose, of fields that there still are. Raises NotAllowed."""
    require(by, Permission.IMPORTS_RUN)
    kept = preferences.get(_name(import_id), by=by)
    if not kept:
        return None
    columns = {header: name for header, name in kept["columns"].items() if name in mapping.TARGETS}
    left_out = tuple(kept.get("left_out", ()))
    keep_fields = {name: Keep(keep) for name, keep in kept.get("keep_fields", {}).items()}
    chosen = Chosen(
        columns, MatchRule(kept["match"]), Keep(kept["keep"]), left_out, keep_fields, kept.get("dated_by", "")
    )
    return Draft(datetime.fromisoformat(kept["at"]), chosen)


def keep(import_id: int, chosen: Chosen, *, by: Actor) -> None:
    """In place of an older draft. Raises NotAllowed."""
    require(by, Permission.IMPORTS_RUN)
    draft = {
        "at": datetime.now(UTC).isoformat(), "columns": chosen.columns, "left_out": chosen.left_out,
        "match": chosen.match, "keep": chosen.keep, "keep_fields": chosen.keep_fields, "dated_by": chosen.dated_by,
    }  # fmt: skip
    preferences.put(_name(import_id), draft, by=by)


def forget(import_id: int, *, by: Actor) -> None:
    """Raises NotAllowed."""
    require(by, Permission.IMPORTS_RUN)
    preferences.forget(_name(import_id), by=by)


def remove(session: Session, import_id: int, *, of: Actor | None = None) -> None:
    """Forget it in the caller's transaction: once `of` has a plan of it, or everybody's, once the import is over."""
    drafts = delete(Preference).where(Preference.name == _name(import_id))
    session.execute(drafts.where(Preference.user_id == of.id) if of else drafts)


def _name(import_id: int) -> str:
    return f"columns of import {import_id}"
