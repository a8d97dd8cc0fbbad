"""Whose value wins where a row of a file and a contact differ: for the whole file, and for single fields.

The conditions and values here are SQL over a staged row `s`, and both the plan and its commit are made of them: what
the plan says is what the commit writes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from models.contacts.mapping import field_named
from models.contacts.table import ABOUT_EMAIL, FULL_NAME
from models.errors import InvalidInput
from models.imports import Import, Keep

EXTRA = "extra"
ABOUT_ADDRESS = ABOUT_EMAIL["email"]


@dataclass(frozen=True)
class Policies:
    """`keep` for every field but those in `fields`. Under Keep.NEWER a row's moment is `row_at` of its staged form, in
    UTC, where rows are `dated` and this one has a clear date; else the `moment` of the file."""

    keep: Keep
    fields: Mapping[str, Keep]
    moment: datetime
    dated: bool = False

    def of(self, name: str) -> Keep:
        return self.fields.get(name, self.keep)

    def newer(self, contact: str) -> str:
        """SQL for whether the row is newer than the contact."""
        own = "coalesce(s.row_at AT TIME ZONE 'UTC', {0})" if self.dated else "{0}"
        return f"{own.format(_literal(self.moment))} > {contact}.updated_at"

    def wins(self, name: str, ours: str, contact: str) -> str:
        """SQL for whether a value that the row has for the field takes the place of `ours`, whatever both are."""
        return {
            Keep.THEIRS: "true",
            Keep.OURS: f"{ours} IS NULL",
            Keep.NEWER: f"({ours} IS NULL OR {self.newer(contact)})",
            Keep.NEVER: "false",
        }[self.of(name)]

    def value(self, name: str, ours: str, theirs: str, contact: str) -> str:
        """SQL for what the contact holds afterwards; `theirs` is NULL where the row says nothing."""
        return {
            Keep.THEIRS: f"coalesce({theirs}, {ours})",
            Keep.OURS: f"coalesce({ours}, {theirs})",
            Keep.NEWER: f"CASE WHEN {self.newer(contact)} THEN coalesce({theirs}, {ours}) "
            f"ELSE coalesce({ours}, {theirs}) END",
            Keep.NEVER: ours,
        }[self.of(name)]

    def value_about_address(self, name: str, said: str | None, contact: str) -> str:
        """SQL for what the contact holds afterwards of what is known of its e-mail address; `said` is the row's word on
        that, None where the file has no such column.

        What is known goes with the address: of another one only what the row says of it is, which is not written where
        its address is not.
        """
        ours = f"{contact}.{name}"
        kept = ours if said is None else self.value(name, ours, said, contact)
        brought = "NULL" if said is None or self.of(name) is Keep.NEVER else said
        address = f"{contact}.email"
        other = f"s.email IS NOT NULL AND {address} IS NOT NULL AND s.email IS DISTINCT FROM {address}"
        return (
            f"CASE WHEN {other} THEN CASE WHEN {self.wins('email', address, contact)} THEN {brought} ELSE {ours} END"
            f" ELSE {kept} END"
        )

    def merged_extra(self, ours: str, theirs: str, contact: str) -> str:
        """SQL for `extra` afterwards, key by key; both are jsonb and not NULL."""
        file_wins, ours_wins = f"{ours} || {theirs}", f"{theirs} || {ours}"
        return {
            Keep.THEIRS: file_wins,
            Keep.OURS: ours_wins,
            Keep.NEWER: f"CASE WHEN {self.newer(contact)} THEN {file_wins} ELSE {ours_wins} END",
            Keep.NEVER: ours,
        }[self.of(EXTRA)]


def of(found: Import) -> Policies:
    """Those of the import, as its rows are staged."""
    fields = {name: Keep(keep) for name, keep in found.keep_fields.items()}
    modified = found.upload_modified
    moment = found.created_at if modified is None else datetime.fromtimestamp(modified / 1000, UTC)
    return Policies(Keep(found.keep), fields, moment, dated=dates_rows(found))


def everywhere(keep: Keep) -> Policies:
    """The same for every field, of a file without a moment."""
    return Policies(keep, {}, datetime(1970, 1, 1, tzinfo=UTC))


def dates_rows(found: Import) -> bool:
    """Whether rows have moments of their own that matter."""
    return bool(found.dated_by) and Keep.NEWER in (found.keep, *found.keep_fields.values())


def fields_named(pairs: Iterable[tuple[str, Keep]]) -> dict[str, Keep]:
    """Field -> policy for names as people write them, "extra" included; a full name is its parts.

    Raises InvalidInput for an unknown one, and for one that is named twice.
    """
    found: dict[str, Keep] = {}
    for written, keep in pairs:
        name = EXTRA if written.strip().lower() == EXTRA else field_named(written)
        for part in ("first_name", "last_name") if name == FULL_NAME else (name,):
            if found.get(part, keep) is not keep:
                raise InvalidInput(f"Two policies are given for {part}: choose one.", field="keep_fields")
            found[part] = keep
    return found


def _literal(moment: datetime) -> str:
    return f"TIMESTAMPTZ '{moment.astimezone(UTC).isoformat()}'"
