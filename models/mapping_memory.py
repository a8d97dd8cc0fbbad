"""What is known of a file by its headers: the mapping that files of this kind had before.

A file has the same kind as another when it has the same columns, in whatever order and spelling ("First Name" is
FIRST_NAME). Its mapping is then taken as it was, and the import goes straight to its plan. Where up to a fifth of the
columns are other ones, or a single one, the mapping is proposed for what is the same, and a person looks first. Columns
that are only numbered, in a file without a header, say nothing of its kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Float, Integer, cast, column, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from models import import_drafts, mapping_contents
from models.accounts import User
from models.contacts import mapping as field_mapping
from models.contacts.mapping import NAME_PARTS
from models.contacts.table import FULL_NAME
from models.database import by_id, reading
from models.import_drafts import Chosen
from models.imports import Import, Recall
from models.mapping_contents import RememberedMapping
from models.permissions import Actor

MOST_OTHERS = 0.2  # of all columns, which may be new or gone
MOST_NAMED = 50  # columns that are named as new or gone
HEADER_KEYS = ("dated_by",)  # of Chosen, beside its columns: what holds a header


class How(StrEnum):
    SAME = "same"  # a file of the same kind
    LIKE = "like"  # nearly: somebody should look
    CHOSEN = "chosen"  # a person said so


@dataclass(frozen=True)
class Bound:
    """What a mapping says for other headers: `chosen` for those that are known, `new` ones, and those that are gone."""

    chosen: Chosen
    new: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class Recalled:
    """The mapping that a file has by what is remembered. `told` is kept with the import: {"how": a How, "name": of the
    mapping or None, "file": the last that had it, "by": whose it is or None, "at": ISO time of its last use, "new" and
    "gone": headers}."""

    mapping_id: int
    mapping: field_mapping.Mapping
    rules: dict[str, Any]
    told: dict[str, Any]

    @property
    def how(self) -> How:
        return How(self.told["how"])


def recall(headers: Sequence[str], proposed: field_mapping.Mapping, wanted: Recall, *, by: Actor) -> Recalled | None:
    """The mapping for a file with these headers, completed by what is `proposed` for new columns; None where nothing
    like it is known to `by`."""
    with reading() as session:
        if wanted.mapping_id is not None:
            kept, how = by_id(session, RememberedMapping, wanted.mapping_id), How.CHOSEN
        else:
            kept, how = _known(session, headers, by)
        if kept is None:
            return None
        bound = bind(mapping_contents.restored(kept.chosen), kept.headers, headers)
        owner = session.scalar(select(User.name).where(User.id == kept.owner_id)) if kept.owner_id != by.id else None
        told = {
            "how": how, "name": kept.name, "file": kept.file_name, "by": owner,
            "at": (kept.used_at or kept.changed_at).isoformat(),
            "new": bound.new[:MOST_NAMED], "gone": bound.gone[:MOST_NAMED],
        }  # fmt: skip
        said = mapping_contents.rules(bound.chosen)
        rules = {name: value for name, value in said.items() if name not in _fixed(wanted)}
        return Recalled(kept.id, _completed(bound, proposed, headers), rules, told)


def remember(session: Session, found: Import, by: Actor, *, committed: bool) -> bool:
    """Note, in the caller's transaction, that the import was planned or committed with what it has; returns whether
    that is what its remembered mapping says.

    Where that is what a remembered mapping says, it was used; else it is `by`'s last one for these headers. One that
    was committed is not replaced by one that is only planned.
    """
    headers = list((found.opened or {}).get("headers", ()))
    if not headers or is_numbered(headers):
        return False
    chosen = import_drafts.stored(found)
    if _is_used(session, found, headers, chosen, committed):
        return True
    found.mapping_id = _replaced(session, found, headers, chosen, by, committed)
    return False


def bind(chosen: Chosen, before: Sequence[str], headers: Sequence[str]) -> Bound:
    """What was chosen for the headers `before`, for others: by their name, or else by their letters where these are
    unmistakable on both sides."""
    here = _places(before, headers)
    known = set(here.values())
    columns = {here[header]: name for header, name in chosen.columns.items() if header in here}
    left_out = tuple(here[header] for header in chosen.left_out if header in here)
    more: dict[str, Any] = {
        name: here.get(getattr(chosen, name), "") for name in HEADER_KEYS if getattr(chosen, name, "")
    }
    return Bound(
        replace(chosen, columns=columns, left_out=left_out, **more),
        tuple(header for header in headers if header not in known),
        tuple(header for header in before if header not in here),
    )


def is_numbered(headers: Sequence[str]) -> bool:
    """Whether the columns have no names of their own: those that opening gives them."""
    return all(header == f"Column {number}" for number, header in enumerate(headers, 1))


def is_sure(told: Mapping[str, Any] | None) -> bool:
    """Whether the import was mapped by what is remembered, and nothing of the file is new to that or missing."""
    return told is not None and told["how"] != How.LIKE and not told["new"] and not told["gone"]


def sentence(told: Mapping[str, Any]) -> str:
    """“Mapped as last time: Apollo”, in plain text."""
    called = f"“{told['name']}”" if told.get("name") else f"as {told['file']} was"
    if told["how"] == How.CHOSEN:
        return f"Mapped by {called}." if told.get("name") else f"Mapped {called}."
    whose = f", by {told['by']}" if told.get("by") else ""
    if told["how"] == How.LIKE:
        return f"Nearly the columns of {told['name'] or told['file']}{whose}: {differences(told)}. Look at the mapping."
    return f"Mapped as last time: {told['name'] or told['file']}{whose}."


def rules_sentence(rules: Mapping[str, Any]) -> str:
    """“Rules: match auto, keep ours, title theirs, dated by “Changed”.”, of `mapping_contents.rules`, in plain text."""
    said: list[str] = []
    for name, value in rules.items():
        if isinstance(value, dict):
            said += [f"{field} {policy}" for field, policy in value.items()]
        elif value:
            said.append(f"dated by “{value}”" if name == "dated_by" else f"{name} {value}")
    return f"Rules: {', '.join(said)}."


def differences(told: Mapping[str, Any]) -> str:
    """Which columns are new, and which are gone, in plain text."""
    parts = [
        f"{word} {', '.join(f'“{header}”' for header in told[key][:3])}" + (" and more" if len(told[key]) > 3 else "")
        for key, word in (("new", "new is"), ("gone", "missing is"))
        if told.get(key)
    ]
    return "; ".join(parts)


def _fixed(wanted: Recall) -> set[str]:
    """What no mapping changes. Whoever says whose value stays means every field: a remembered policy of a single one
    would write over what shall be kept."""
    return {*wanted.fixed, *(("keep_fields",) if "keep" in wanted.fixed else ())}


def _known(session: Session, headers: Sequence[str], by: Actor) -> tuple[RememberedMapping | None, How]:
    if is_numbered(headers):
        return None, How.SAME
    kept, seen = RememberedMapping, mapping_contents.seen_by(by)
    own_first: tuple[ColumnElement[Any], ...] = (
        kept.owner_id.is_not_distinct_from(by.id).desc(),
        kept.committed_at.desc().nulls_last(),
        kept.used_at.desc().nulls_last(),
        kept.id.desc(),
    )
    same = select(kept).where(seen, kept.signature == mapping_contents.signature(headers)).order_by(*own_first).limit(1)
    if (found := session.scalar(same)) is not None:
        return found, How.SAME
    labels = sorted(set(mapping_contents.labels(headers)))
    given = cast(literal(labels, ARRAY(Text)), ARRAY(Text))
    one = func.unnest(kept.labels).column_valued("one")
    common = select(func.count(one.distinct())).where(one == func.any(given)).scalar_subquery()
    union = cast(func.cardinality(kept.labels) + len(labels) - common, Float)
    others = union - common
    near = (common > 0) & ((others <= 1) | (others <= MOST_OTHERS * union))
    like = select(kept).where(seen, near).order_by(others, *own_first).limit(1)
    return session.scalar(like), How.LIKE


def _places(before: Sequence[str], headers: Sequence[str]) -> dict[str, str]:
    """Header of before -> header of now."""
    there = set(headers)
    found = {header: header for header in before if header in there}
    taken = set(found.values())
    old = _by_label(header for header in before if header not in found)
    new = _by_label(header for header in headers if header not in taken)
    for label, was in old.items():
        now = new.get(label, [])
        if len(was) == len(now) == 1:
            found[was[0]] = now[0]
    return found


def _by_label(headers: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for header in headers:
        found.setdefault(mapping_contents.label(header), []).append(header)
    return found


def _completed(bound: Bound, proposed: field_mapping.Mapping, headers: Sequence[str]) -> field_mapping.Mapping:
    """With what is proposed for new columns, where their field is free."""
    columns, new = dict(bound.chosen.columns), set(bound.new)
    for name, header in proposed.fields.items():
        if header in new and name not in columns.values():
            columns[header] = name
    names = set(columns.values())
    if FULL_NAME in names and names & set(NAME_PARTS):
        columns = {header: name for header, name in columns.items() if header not in new or name != FULL_NAME}
        if FULL_NAME in columns.values():
            columns = {h: name for h, name in columns.items() if h not in new or name not in NAME_PARTS}
    left_out = (*bound.chosen.left_out, *(header for header in proposed.left_out if header in new))
    return field_mapping.chosen(columns, headers, left_out)


def _is_used(session: Session, found: Import, headers: Sequence[str], chosen: Chosen, committed: bool) -> bool:
    """Whether the mapping that the import was given says what it has by now."""
    kept = by_id(session, RememberedMapping, found.mapping_id or 0, locked=True)
    if kept is None or kept.signature != mapping_contents.signature(headers):
        return False
    if bind(mapping_contents.restored(kept.chosen), kept.headers, headers).chosen != chosen:
        return False
    kept.used_at, kept.file_name = func.now(), found.file_name
    if committed:
        kept.committed_at = func.now()
    return True


def _replaced(
    session: Session, found: Import, headers: Sequence[str], chosen: Chosen, by: Actor, committed: bool
) -> int | None:
    """The id of the person's last one for these headers, which this is from now on; None where it stays another."""
    kept = RememberedMapping
    values = {
        "headers": list(headers), "labels": mapping_contents.labels(headers), "chosen": mapping_contents.stored(chosen),
        "file_name": found.file_name, "changed_at": func.now(), "used_at": func.now(),
        "committed_at": func.now() if committed else None,
    }  # fmt: skip
    made = insert(kept).values(owner_id=by.id, signature=mapping_contents.signature(headers), **values)
    written = made.on_conflict_do_update(
        index_elements=[func.coalesce(column("owner_id", Integer), 0), kept.signature],
        index_where=kept.name.is_(None),
        set_=values,
        where=None if committed else kept.committed_at.is_(None),
    )
    return session.scalar(written.returning(kept.id))
