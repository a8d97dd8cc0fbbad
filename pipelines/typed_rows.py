"""The SELECTs over the table raw of an opened file: trimmed texts, typed values, and what goes to extra."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from models.contacts.blanks import is_empty, trimmed
from models.contacts.table import FIELDS, FULL_NAME
from models.fields import Kind
from models.spreadsheet_formulas import unmarked
from pipelines import row_rules
from pipelines.row_rules import SEVERAL, quoted

EXTRA_HEADERS = ("Extra", "extra")  # our own exports carry what no field takes in it, as one JSON object
MOST_SEPARATE = 60  # leftover columns that get an expression each
BETWEEN_EMAILS = (",", ";", SEVERAL)
ANGLED_EMAIL = "[^<>@]*<[^<>]*>"  # Smith, Ann <ann@example.com>: one address


@dataclass(frozen=True)
class Source:
    """Where each value comes from: field -> header, and header -> column of the table raw; `left_out` go nowhere. The
    header `dated_by` says when a row was changed."""

    headers: tuple[str, ...]
    fields: Mapping[str, str]
    left_out: frozenset[str] = frozenset()
    dated_by: str | None = None

    def column(self, header: str) -> str:
        return f"c{self.headers.index(header)}"

    @property
    def direct(self) -> tuple[str, ...]:
        """The fields that have a header of their own, in declared order."""
        return tuple(name for name in FIELDS if name in self.fields)

    @property
    def mapped(self) -> tuple[str, ...]:
        """The fields that get values: the direct ones, and both names where the file has one for both."""
        split = ("first_name", "last_name") if FULL_NAME in self.fields else ()
        return tuple(name for name in FIELDS if name in self.fields or name in split)

    @property
    def leftover(self) -> tuple[str, ...]:
        used = {*self.fields.values(), *self.left_out, self.extra}
        return tuple(header for header in self.headers if header not in used)

    @property
    def extra(self) -> str | None:
        """The header of the column that an export of ours wrote `extra` into."""
        used = {*self.fields.values(), *self.left_out}
        return next((one for one in EXTRA_HEADERS if one in self.headers and one not in used), None)

    @property
    def is_wide(self) -> bool:
        return len(self.leftover) > MOST_SEPARATE

    def header(self, name: str) -> str:
        return self.fields.get(name) or self.fields[FULL_NAME]


def texts(source: Source, names: Sequence[str], *, whole: bool = False, table: str = "raw") -> str:
    """SELECT of line and the trimmed text `t_<field>` of each of `names`, NULL where it means nothing.

    `whole` adds `x<number>` for each leftover header (in a wide file the list `x` of all of them), and `extra_text`.
    """
    inner, outer = ["line"], ["line"]

    def add(alias: str, header: str, kind: Kind) -> None:
        inner.append(f"{row_rules.trimmed(source.column(header))} AS {alias}")
        outer.append(f"{row_rules.meaning(alias, kind)} AS {alias}")

    for name in names:
        if name in source.fields:
            add(f"t_{name}", source.fields[name], FIELDS[name].kind)
    if FULL_NAME in source.fields:
        add("full_name", source.fields[FULL_NAME], Kind.TEXT)
    if whole and source.is_wide:
        cells = ", ".join(source.column(header) for header in source.leftover)
        inner.append(f"[{cells}] AS x")
        outer.append("x")
    elif whole:
        for place, header in enumerate(source.leftover):
            add(f"x{place}", header, Kind.TEXT)
        if source.extra:
            add("extra_text", source.extra, Kind.TEXT)
    if whole and source.dated_by:
        add("dated", source.dated_by, Kind.DATE)
    named = f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {table})"
    if FULL_NAME not in source.fields:
        return named
    return f"SELECT *, {_FIRST_NAME} AS t_first_name, {_LAST_NAME} AS t_last_name FROM ({named})"


# "Ann Lee Brown" and "Brown, Ann Lee": the last word is the last name, unless a comma says otherwise.
_FIRST_NAME = r"""CASE WHEN contains(full_name, ',')
    THEN nullif(trim(substr(full_name, strpos(full_name, ',') + 1)), '')
    ELSE coalesce(nullif(regexp_extract(full_name, '^(.*\S)\s+\S+$', 1), ''), full_name) END"""
_LAST_NAME = r"""CASE WHEN contains(full_name, ',') THEN nullif(trim(split_part(full_name, ',', 1)), '')
    ELSE nullif(regexp_extract(full_name, '^.*\S\s+(\S+)$', 1), '') END"""


def values(source: Source, names: Sequence[str], *, whole: bool = False, table: str = "raw") -> str:
    """SELECT of `texts` with the typed value `v_<field>` beside each of `names`; owners come from the table owners."""
    firsts = [f"{_first_of_several(name)} AS f_{name}" for name in names]
    # Split here, once: an expression that stands twice is computed twice.
    firsts += [f"{row_rules.split_list(f't_{name}')} AS s_{name}" for name in names if FIELDS[name].kind is Kind.LIST]
    typed = [f"{row_rules.value(name, f'f_{name}')} AS v_{name}" for name in names if name != "owner"]
    owner = "LEFT JOIN owners o ON o.key = lower(t_owner)" if "owner" in names else ""
    if owner:
        typed.append("o.email AS v_owner")
    return f"""SELECT {", ".join(["s.*", *typed])}
        FROM (SELECT {", ".join(["*", *firsts])} FROM ({texts(source, names, whole=whole, table=table)})) s {owner}"""


def _first_of_several(name: str) -> str:
    """Of a cell with several e-mails or phones, the first; the whole cell then also goes to extra."""
    text = f"t_{name}"
    if FIELDS[name].kind is Kind.EMAIL:
        several = " OR ".join(f"contains({text}, '{between}')" for between in BETWEEN_EMAILS)
        return f"""CASE WHEN ({several})
            AND NOT starts_with({text}, '"') AND NOT regexp_full_match({text}, '{ANGLED_EMAIL}')
            THEN trim(regexp_extract({text}, '^(.*?)(?:{"|".join(BETWEEN_EMAILS)})', 1)) ELSE {text} END"""
    if FIELDS[name].kind is Kind.PHONE:
        return f"CASE WHEN contains({text}, '{SEVERAL}') THEN split_part({text}, '{SEVERAL}', 1) ELSE {text} END"
    return text


def rows(source: Source, table: str = "raw") -> str:
    """SELECT of the staging table's columns: line, every mapped field, `extra` as JSON text, and `warned`, the headers
    whose value went to extra since their field could not take it (NULL for none)."""
    fields = ", ".join(["line", *(f"v_{name} AS {name}" for name in source.mapped)])
    lost = {source.header(name): (f"t_{name}", _not_taken(name)) for name in source.direct if _may_fail(name)}
    if FULL_NAME in source.fields:
        lost[source.fields[FULL_NAME]] = ("full_name", _not_taken("last_name"))
    narrow = () if source.is_wide else source.leftover
    entries = [(header, f"x{place}") for place, header in enumerate(narrow)]
    entries += [(header, f"CASE WHEN {condition} THEN {text} END") for header, (text, condition) in lost.items()]
    conditions = {header: condition for header, (_, condition) in lost.items()}
    # Most rows have nothing for `extra`: whether one has is asked first, and its JSON built only then.
    filled = ["lost", *(f"x{place} IS NOT NULL" for place in range(len(narrow)))]
    extra = _json(entries, source.is_wide, source.extra is not None, "true" if source.is_wide else " OR ".join(filled))
    moment = f"{row_rules.moment('dated')} AS row_at, " if source.dated_by else ""
    return f"""SELECT {fields}, {moment}{extra} AS extra, {_warned(conditions)} AS warned
        FROM (SELECT *, {" OR ".join(conditions.values()) or "false"} AS lost
              FROM ({values(source, source.mapped, whole=True, table=table)}))"""


def _may_fail(name: str) -> bool:
    return FIELDS[name].kind not in (Kind.TEXT, Kind.CHOICE, Kind.INDUSTRY) or FIELDS[name].longest is not None


def _not_taken(name: str) -> str:
    several = f" OR f_{name} <> t_{name}" if FIELDS[name].kind in (Kind.EMAIL, Kind.PHONE) else ""
    return f"(t_{name} IS NOT NULL AND (v_{name} IS NULL{several}))"


def _json(entries: Sequence[tuple[str, str]], is_wide: bool, has_extra: bool, filled: str) -> str:
    """SQL for the JSON object of the entries that are not NULL, as text; NULL for none, which is so unless `filled`."""
    members = [f"""{quoted(_json_key(header))} || to_json({text}) || ','""" for header, text in entries]
    if is_wide:
        members.append("leftover_members(x)")
    if not members and not has_extra:
        return "NULL::VARCHAR"
    joined = f"nullif(rtrim(concat('', {', '.join(members)}), ','), '')" if members else "NULL"
    built = f"CASE WHEN {filled} THEN '{{' || {joined} || '}}' END"
    if not has_extra:
        return built
    # Of a key that comes twice jsonb takes the last: what this file says.
    return f"""CASE WHEN extra_text IS NULL THEN {built}
        ELSE nullif('{{' || concat_ws(',', extra_members(extra_text), {built}[2:-2]) || '}}', '{{}}') END"""


def extra_members(text: str | None) -> str | None:
    """What the SQL of `rows` calls: the members of a JSON object as they stand; any other text as the member "Extra".

    Postgres takes less for JSON than DuckDB and Python do: no NaN, no NUL, no half of a character.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
        written = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        value, written = None, b""
    if isinstance(value, dict) and b"\\u0000" not in written:
        return text.strip()[1:-1].strip() or None
    return f'"Extra":{json.dumps(text, ensure_ascii=False)}'


def leftover_members(source: Source) -> Callable[[list[str | None]], str | None]:
    """For a wide file, what `leftover_members(x)` calls: the filled cells as JSON members with a comma after each.

    An expression for each of thousands of columns would take gigabytes.
    """
    keys = [_json_key(header) for header in source.leftover]

    def members(cells: list[str | None]) -> str | None:
        filled = (
            (key, trimmed(unmarked(trimmed(cell))))
            for key, cell in zip(keys, cells, strict=True)
            if cell and not is_empty(Kind.TEXT, cell)
        )
        return "".join(f"{key}{json.dumps(text, ensure_ascii=False)}," for key, text in filled) or None

    return members


def _json_key(header: str) -> str:
    return json.dumps(header, ensure_ascii=False) + ":"


def _warned(conditions: Mapping[str, str]) -> str:
    if not conditions:
        return "NULL::VARCHAR[]"
    cases = ", ".join(f"CASE WHEN {condition} THEN {quoted(header)} END" for header, condition in conditions.items())
    return f"CASE WHEN lost THEN list_filter([{cases}], lambda one: one IS NOT NULL) END"
