"""Which column of a file is which field: proposed from the declared headers, changed by the person.

Labels are compared by their letters and digits alone ("First Name", "FIRST_NAME" and "firstName" are one). For each
field the aliases are tried in the declared order, so "Job Title" beats "Title" where a file has both.
"""

import re
from collections.abc import Collection, Iterable, Sequence, Set
from collections.abc import Mapping as Pairs
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from models.contacts.blanks import is_empty, trimmed
from models.contacts.table import FIELDS, FULL_NAME, FULL_NAME_HEADERS, SYSTEM_HEADERS
from models.errors import InvalidInput
from models.fields import Beside, Field, Kind
from models.import_rejects import HEADERS as REJECT_HEADERS

TARGETS = (*FIELDS, FULL_NAME)
# Headers that say when somebody last changed the row.
DATING_HEADERS = (
    "Updated At", "Last Updated", "Last Updated At", "Last Modified", "Last Modified Date", "Last Modified Time",
    "Modified Time", "Modified At", "Modified On", "Modified Date", "Date Modified", "Last Changed", "Changed At",
    "Updated", "Updated On", "Last Activity", "Last Activity Date", "Geändert am", "Zuletzt geändert", "Änderungsdatum",
    "Date de modification", "Fecha de modificación",
)  # fmt: skip
MOST_LISTED = 60  # names in an error message
NAME_PARTS = ("first_name", "last_name")

# Headers that say "an address" without saying whose: what stands in the column decides.
ADDRESS_HEADERS = (
    "URL", "Link", "Website", "Web Page", "Website 1 - Value", "Website URL", "Homepage", "Profile", "Profile URL",
    "Profile Link", "Social Profile", "LinkedIn", "LinkedIn URL", "LinkedIn Profile", "LinkedIn Link",
)  # fmt: skip
SITES = {
    "person_linkedin_url": re.compile(r"(?i)(?:https?://)?(?:[a-z]+\.)?linkedin\.com/(?:in|pub|sales)/.+"),
    "company_linkedin_url": re.compile(r"(?i)(?:https?://)?(?:[a-z]+\.)?linkedin\.com/(?:company|school|showcase)/.+"),
    "facebook_url": re.compile(r"(?i)(?:https?://)?(?:[a-z]+\.)?(?:facebook|fb)\.com/.+"),
    "twitter_url": re.compile(r"(?i)(?:https?://)?(?:[a-z]+\.)?(?:twitter|x)\.com/.+"),
}
_COPY = re.compile(r"(.+) \(\d+\)")


@dataclass(frozen=True)
class Mapping:
    """`fields`: field name (or full_name) -> header. `leftover`: the headers that go to `extra`; `left_out`: those that
    go nowhere. `notes`: sentences."""

    fields: dict[str, str]
    leftover: tuple[str, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[str, ...]:
        """All headers of the file, the mapped ones first."""
        return (*dict.fromkeys(self.fields.values()), *self.leftover, *self.left_out)


@lru_cache(maxsize=10_000)  # every import compares all aliases of all fields again
def plain(label: str) -> str:
    """The letters and digits of a label, in lower case: what is compared."""
    return "".join(character for character in label.casefold() if character.isalnum())


def propose(headers: Sequence[str], samples: Sequence[Sequence[str | None]] = ()) -> Mapping:
    """The mapping that a person would expect. Each header serves one field at most. The columns that a file of rejects
    has of its own are left out.

    `headers` are unique names in the file's order; `samples` are rows with their cells in that order.
    """
    candidates = _by_label(headers)
    known = {name: aliases(field) for name, field in FIELDS.items()}
    beside = _first_matches(candidates, _besides(candidates))
    taken = set(beside.values())
    free = {label: header for label, header in candidates.items() if header not in taken}
    fields = {**_first_matches(free, known), **beside}
    fields, notes = _decided_by_values(fields, headers, samples, kept=taken)
    if not any(part in fields for part in NAME_PARTS):
        left = {label: header for label, header in free.items() if header not in fields.values()}
        fields |= _first_matches(left, {FULL_NAME: (FULL_NAME, *FULL_NAME_HEADERS)})
    left_out: tuple[str, ...] = ()
    if set(REJECT_HEADERS) <= set(headers):
        left_out = tuple(header for header in REJECT_HEADERS if header not in fields.values())
        notes.append("These are rows that an import refused: the columns that say so are left out.")
    if given_here := tuple(header for header in SYSTEM_HEADERS.values() if header in headers):
        left_out += given_here
        notes.append(f"Left out, since each contact here has its own: {', '.join(given_here)}.")
    return _mapping(fields, headers, (*notes, *_rivals(headers, fields, known)), left_out)


def changed(mapping: Mapping, overrides: Pairs[str, str], left_out: Iterable[str] | None = None) -> Mapping:
    """The mapping with FIELD -> HEADER changes, where an empty header leaves the field out; and with the headers
    `left_out` that go nowhere, in place of those that did.

    A header that another field had is taken from it: to fill two fields from one column is more often a slip than
    meant. Fields and headers are found like labels are. Raises InvalidInput for unknown ones, and for a change that
    wants one header for two fields, or for a field and for none.
    """
    headers = mapping.headers
    given_up = {header_named(header, headers) for header in (mapping.left_out if left_out is None else left_out)}
    wanted = {field_named(name): header_named(header, headers) for name, header in overrides.items()}
    given = [header for header in wanted.values() if header]
    if twice := next((header for header in given if given.count(header) > 1), None):
        names = " and ".join(name for name, header in wanted.items() if header == twice)
        raise InvalidInput(f"“{twice}” is given to {names}: a column fills one field.", field="columns")
    if left_out is None:
        given_up -= set(given)
    elif both := next((header for header in given if header in given_up), None):
        raise InvalidInput(f"“{both}” is to fill a field and to be left out: choose one of the two.", field="left_out")
    taken = {*given, *given_up}
    kept = {name: header for name, header in mapping.fields.items() if name not in wanted and header not in taken}
    fields = kept | {name: header for name, header in wanted.items() if header}
    if FULL_NAME not in wanted and any(part in fields for part in NAME_PARTS):
        fields.pop(FULL_NAME, None)
    elif FULL_NAME in fields and any(part in fields for part in NAME_PARTS):
        raise InvalidInput(
            f"{FULL_NAME} is split into first and last name, so it cannot stand beside them: read those from no "
            "column.",
            field="columns",
        )
    touched = {
        header for name in {*wanted, *mapping.fields} if (header := mapping.fields.get(name)) != fields.get(name)
    }
    notes = [note for note in mapping.notes if not any(f"“{header}”" in note for header in {*given, *touched})]
    return _mapping(fields, headers, notes, given_up)


def chosen(columns: Pairs[str, str], headers: Sequence[str], left_out: Iterable[str] = ()) -> Mapping:
    """The mapping that a person chose column by column: header -> field, for the headers that fill one, and those that
    are left out.

    Raises InvalidInput for names that are not there, two columns for one field, a full name beside its parts, and a
    column that fills a field and is left out.
    """
    fields: dict[str, str] = {}
    given_up = set(left_out)
    for header in left_out:
        check_header(header, headers)
    if both := next((header for header in columns if header in given_up), None):
        raise InvalidInput(f"“{both}” is to fill a field and to be left out: choose one of the two.", field="left_out")
    for header, name in columns.items():
        check_header(header, headers)
        if name not in TARGETS:
            raise InvalidInput(f"There is no field “{name}”.", field="columns")
        if name in fields:
            raise InvalidInput(
                f"{label(name)} is to come from “{fields[name]}” and from “{header}”: a field is filled from one "
                "column. Keep the other one in extra.",
                field="columns",
            )
        fields[name] = header
    parts = [name for name in NAME_PARTS if name in fields]
    if FULL_NAME in fields and parts:
        raise InvalidInput(
            f"{label(FULL_NAME)} is split into first and last name, so it cannot stand beside {label(parts[0])}: "
            "keep one of the two in extra.",
            field="columns",
        )
    return _mapping(fields, headers, (), given_up)


def check_header(header: str, headers: Sequence[str]) -> None:
    """Raises InvalidInput where the file has no such column."""
    if header not in headers:
        raise InvalidInput(f"The file has no column “{header}”.", field="columns")


def dating(headers: Sequence[str]) -> str | None:
    """The header that says when a row was last changed, where one does."""
    candidates = _by_label(headers)
    return next((candidates[plain(one)] for one in DATING_HEADERS if plain(one) in candidates), None)


def label(name: str) -> str:
    """What people call one of TARGETS."""
    return FIELDS[name].title if name in FIELDS else "Full Name"


def check_fields(overrides: Pairs[str, str]) -> None:
    """Raises InvalidInput for an unknown field, before there is a file to look at."""
    for name in overrides:
        field_named(name)


def aliases(field: Field) -> tuple[str, ...]:
    """The field's plain aliases in order. Its label and name come first, unless it lists its label at a place."""
    listed = [alias for alias in field.headers if isinstance(alias, str)]
    own = [field.name] if field.label in listed else [field.label, field.name]
    own = [name for name in own if plain(name) not in {plain(alias) for alias in listed}]
    return (*own, *listed)


def _by_label(headers: Sequence[str]) -> dict[str, str]:
    """Plain label -> header, the first of equal ones; copies ("Email (2)" beside "Email") are left out."""
    found: dict[str, str] = {}
    names = set(headers)
    for header in headers:
        if plain(header) and _copied(header, names) == header:
            found.setdefault(plain(header), header)
    return found


def _copied(header: str, headers: Set[str]) -> str:
    """The header that this one repeats, or itself."""
    matched = _COPY.fullmatch(header)
    return matched[1] if matched and matched[1] in headers else header


def _besides(candidates: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The conditional aliases whose condition holds in a file with these labels."""
    present = set(candidates)
    return {
        name: tuple(one.header for one in field.headers if isinstance(one, Beside) and plain(one.other) in present)
        for name, field in FIELDS.items()
    }


def _first_matches(candidates: Pairs[str, str], wanted: Pairs[str, Iterable[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, labels in wanted.items():
        header = next((candidates[plain(label)] for label in labels if plain(label) in candidates), None)
        if header is not None and header not in found.values():
            found[name] = header
    return found


def _decided_by_values(
    fields: dict[str, str], headers: Sequence[str], samples: Sequence[Sequence[str | None]], *, kept: set[str]
) -> tuple[dict[str, str], list[str]]:
    """Give columns of addresses to the field of the site that all their sampled values lie on, where it is free."""
    fields, notes = dict(fields), []
    vague = {plain(label) for label in ADDRESS_HEADERS}
    for position, header in enumerate(headers):
        if plain(header) not in vague or header in kept:
            continue
        name = _site_of(row[position] for row in samples if position < len(row))
        if name is None or fields.get(name, header) != header:
            continue
        before = next((other for other, mapped in fields.items() if mapped == header), None)
        if before != name:
            fields.pop(before or "", None)
            fields[name] = header
            notes.append(f"“{header}” is taken as {FIELDS[name].title}, since its values are such addresses.")
    return fields, notes


def _site_of(cells: Iterable[str | None]) -> str | None:
    texts = [trimmed(cell) for cell in cells if cell is not None and not is_empty(Kind.URL, cell)]
    fitting = (name for name, site in SITES.items() if all(site.fullmatch(text) for text in texts))
    return next(fitting, None) if texts else None


def _rivals(headers: Sequence[str], fields: Pairs[str, str], known: Pairs[str, Iterable[str]]) -> list[str]:
    """A note for each column that would have filled a field, had another not come before it."""
    meant = {plain(alias): name for name, labels in known.items() for alias in labels}
    names, mapped = set(headers), set(fields.values())
    notes = []
    for header in headers:
        name = meant.get(plain(_copied(header, names)))
        if name is not None and name in fields and header not in mapped:
            notes.append(f"“{header}” goes to extra: {FIELDS[name].title} comes from “{fields[name]}”.")
    return notes


def _mapping(
    fields: Pairs[str, str], headers: Sequence[str], notes: Iterable[str], left_out: Collection[str]
) -> Mapping:
    used = {*fields.values(), *left_out}
    ordered = {name: fields[name] for name in TARGETS if name in fields}
    return Mapping(
        ordered,
        leftover=tuple(header for header in headers if header not in used),
        notes=tuple(notes),
        left_out=tuple(header for header in headers if header in left_out),
    )


def field_named(name: str) -> str:
    """The field, or full_name, that is meant by its name or label. Raises InvalidInput, with a guess."""
    known = {plain(field.label): name for name, field in FIELDS.items()} | {plain(target): target for target in TARGETS}
    if plain(name) in known:
        return known[plain(name)]
    raise InvalidInput(
        f"There is no field “{name}”.{_meant(name, TARGETS)} Fields are: {_listed(TARGETS)}.", field="columns"
    )


def header_named(header: str, headers: Sequence[str]) -> str:
    """The header as the file has it, by its exact name or else by its letters; "" for none."""
    if not trimmed(header) or header in headers:
        return trimmed(header)
    found = [one for one in headers if plain(one) == plain(header)]
    if len(found) == 1:
        return found[0]
    raise InvalidInput(
        f"The file has no column “{header}”.{_meant(header, headers)} Columns are: {_listed(headers)}.", field="columns"
    )


def _meant(word: str, known: Sequence[str]) -> str:
    spelled = {plain(one): one for one in known}
    close = get_close_matches(plain(word), spelled, n=1)
    return f" Did you mean “{spelled[close[0]]}”?" if close else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
