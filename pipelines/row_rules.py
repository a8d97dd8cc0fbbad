"""From text cells to typed values, in DuckDB: one SQL expression per field.

Each kind has a quick form in SQL for the values nearly all files hold, and calls `values.parse`, the one
specification, for the others. Both give the same value: a test holds them together.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

import duckdb
from duckdb.func import FunctionNullHandling

from models.contacts import dates, values
from models.contacts.blanks import BLANKS, empty_words
from models.contacts.emails import SIMPLE, SIMPLE_LOCAL_MAX, SIMPLE_MAX
from models.contacts.table import FIELDS, LONGEST
from models.errors import InvalidInput
from models.fields import Field, Kind
from models.spreadsheet_formulas import MARKED

DUCKDB_TYPES = {
    Kind.LIST: "VARCHAR[]",
    Kind.WHOLE: "BIGINT",
    Kind.MONEY: "DECIMAL(15,2)",
    Kind.DATE: "DATE",
    Kind.FLAG: "BOOLEAN",
}
SEVERAL = " ::: "  # Google's separator of several values in one cell
PLAIN_PHONE = r"\+?\(?[0-9]{1,4}\)?(?:[ -][0-9]{2,5}){2,3}|\+?[0-9]{7,15}"  # 5 to 19 digits
PLAIN_WEBSITE = r"https?://[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.[a-z]{2,20}"
PLAIN_LINKEDIN = r"https?://(?:www\.)?linkedin\.com/(?:in|company)/[A-Za-z0-9_-]+/?"
_PLAIN_WORDS = "[A-Za-z0-9&/+_()-]+(?: [A-Za-z0-9&/+_()-]+)*"
PLAIN_LIST = f"{_PLAIN_WORDS}(?:, {_PLAIN_WORDS})*"
SOCIAL_HOSTS = ("linkedin.com", "facebook.com", "fb.com", "twitter.com", "/x.com", ".x.com")
MOST_ODD_KEPT = 50_000  # parsed odd values remembered per field
LONGEST_ODD_KEPT = 64  # characters; longer ones seldom repeat, and would fill the memory
LINKEDIN_GROWS = 12  # bytes at most that its one spelling adds to an address


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def trimmed(column: str) -> str:
    """SQL for the text of a raw column without blanks around it."""
    blanks = quoted(BLANKS.replace("\x00", ""))
    # Nothing, or printable ASCII at both ends: nothing to trim. Trimming the rest costs ten times as much.
    plain = f"{column} >= '!' AND {column} <= '~' AND {column}[-1] >= '!' AND {column}[-1] <= '~'"
    return f"CASE WHEN {plain} OR {column} = '' THEN {column} ELSE trim({column}, {blanks}) END"


def meaning(text: str, kind: Kind) -> str:
    """SQL for the trimmed `text`: NULL for a word that means nothing; the apostrophe before a formula goes."""
    words = [word for word in empty_words(kind) if word]
    longest = max(len(word.encode()) for word in words) + 2  # "\u212a", of three bytes, is a k in small letters
    nothing = f"({text} = '' OR lower({text}) IN ({', '.join(map(quoted, words))}))"
    # Nearly every value is longer than those words and starts with no apostrophe (the sign before the bracket); after
    # the apostrophe that Apollo writes before a phone's plus there is nothing to trim.
    return f"""CASE WHEN strlen({text}) > {longest} AND {text} >= '(' THEN {text}
        WHEN strlen({text}) <= {longest} AND {nothing} THEN NULL
        WHEN starts_with({text}, '''+') THEN substr({text}, 2)
        WHEN starts_with({text}, '''') AND regexp_matches({text}, {quoted(MARKED)}) THEN {trimmed(f"substr({text}, 2)")}
        ELSE {text} END"""


def register(connection: duckdb.DuckDBPyConnection, names: Sequence[str], *, day_first: bool | None) -> None:
    """Make the slow form of each field callable as `odd_<field>` in this connection."""
    for name in names:
        field = FIELDS[name]
        if field.kind in DUCKDB_TYPES or field.kind in (Kind.EMAIL, Kind.PHONE, Kind.URL):
            connection.create_function(
                f"odd_{name}",
                _odd(field, day_first),
                ["VARCHAR"],
                DUCKDB_TYPES.get(field.kind, "VARCHAR"),
                null_handling=FunctionNullHandling.SPECIAL,
            )


def register_moments(connection: duckdb.DuckDBPyConnection, *, day_first: bool | None) -> None:
    """Make the slow form of moments callable as `odd_moment`."""

    @lru_cache(maxsize=MOST_ODD_KEPT)
    def read(text: str) -> datetime | None:
        try:
            return dates.moment(text, day_first=day_first)
        except dates.UndecidedDate:
            return None

    def odd(text: str | None) -> datetime | None:
        return None if text is None or len(text) > LONGEST_ODD_KEPT else read(text)

    connection.create_function("odd_moment", odd, ["VARCHAR"], "TIMESTAMP", null_handling=FunctionNullHandling.SPECIAL)


def moment(text: str) -> str:
    """SQL for the moment, in UTC, that the trimmed text names; NULL where it is not clear."""
    plain = "[12][0-9]{3}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,6})?)?Z?)?"
    quick = f"CASE WHEN {_full(text, plain)} THEN try_cast(rtrim({text}, 'Z') AS TIMESTAMP) END"
    return f"CASE WHEN {text} IS NULL THEN NULL ELSE coalesce({quick}, odd_moment({text})) END"


Value = date | Decimal | int | bool | str | list[str] | None


def _odd(field: Field, day_first: bool | None) -> Callable[[str | None], Value]:
    def parsed(text: str) -> Value:
        try:
            return values.parse(field, text, day_first=day_first)  # type: ignore[no-any-return]  # typed by field kind
        except InvalidInput:
            return None

    remembered = lru_cache(maxsize=MOST_ODD_KEPT)(parsed)

    def looked_up(text: str | None) -> Value:
        if text is None:
            return None
        return remembered(text) if len(text) <= LONGEST_ODD_KEPT else parsed(text)

    return looked_up


def value(name: str, text: str) -> str:
    """SQL for the typed value of the trimmed text `text` (an SQL expression); NULL where it does not parse.

    A list's members stand in the column `s_<field>`: see split_list.
    """
    field = FIELDS[name]
    odd = f"odd_{name}({text})"
    match field.kind:
        case Kind.EMAIL:
            lowered = f"lower({text})"
            # Beyond ASCII DuckDB and Python do not agree on small letters.
            plain = f"strlen({text}) = length({text}) AND {simple_email(lowered)}"
            return f"""CASE WHEN {simple_email(text)} THEN {text} WHEN {plain} THEN {lowered}
                WHEN contains({text}, '@') OR contains({text}, '%') THEN {odd} END"""
        case Kind.PHONE:
            return f"CASE WHEN {text} IS NULL THEN NULL WHEN {_full(text, PLAIN_PHONE)} THEN {text} ELSE {odd} END"
        case Kind.WHOLE:
            return _cast(text, "[0-9]{1,14}", "BIGINT", odd)
        case Kind.MONEY:
            return _cast(text, r"[0-9]{4,12}|[0-9]{1,12}\.[0-9]{1,2}", "DECIMAL(15,2)", odd)
        case Kind.DATE:
            return _cast(text, "[12][0-9]{3}-[0-9]{2}-[0-9]{2}", "DATE", odd)
        case Kind.FLAG:
            return f"CASE lower({text}) WHEN 'true' THEN true WHEN 'false' THEN false ELSE {odd} END"
        case Kind.URL:
            quick = _url(text, odd, field.profile or "")
            if not field.longest:
                return quick
            return f"CASE WHEN strlen({text}) > {field.longest - LINKEDIN_GROWS} THEN {odd} ELSE {quick} END"
        case Kind.LIST:
            return _list(text, f"s_{name}", odd)
        case Kind.CHOICE:
            keys = ((values.choice_key(known), known) for known in field.choices)
            spelled = " ".join(f"WHEN {quoted(key)} THEN {quoted(known)}" for key, known in keys)
            blanks = quoted(" " * len(values.BETWEEN_WORDS))
            key = f"translate(lower({text}), {quoted(values.BETWEEN_WORDS)}, {blanks})"
            return f"CASE {key} {spelled} ELSE {_short(field, text)} END"
        case _:
            return _short(field, text)


def _short(field: Field, text: str) -> str:
    if not field.longest:
        return text
    return f"CASE WHEN strlen({text}) <= {field.longest} OR length({text}) <= {field.longest} THEN {text} END"


def simple_email(lowered: str) -> str:
    return (
        f"({_full(lowered, SIMPLE)} AND strlen({lowered}) <= {SIMPLE_MAX}"
        f" AND strpos({lowered}, '@') <= {SIMPLE_LOCAL_MAX + 1})"
    )


def _full(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, {quoted(pattern)})"


def _repeated(text: str, pattern: str) -> str:
    """The same as `_full`, for columns whose values repeat.

    Of what cannot fail, DuckDB evaluates each entry of a column's dictionary once, not each row; the functions that
    match can fail, and casts without TRY.
    """
    return f"regexp_extract({text}, {quoted(f'^(?:{pattern})$')}) <> ''"


def _cast(text: str, pattern: str, sql_type: str, odd: str) -> str:
    plain = f"CASE WHEN {_repeated(text, pattern)} THEN try_cast({text} AS {sql_type}) END"
    return f"CASE WHEN {text} IS NULL THEN NULL ELSE coalesce({plain}, {odd}) END"


def _url(text: str, odd: str, profile: str) -> str:
    social = " OR ".join(f"ends_with({text}, '{host}')" for host in SOCIAL_HOSTS)
    website = f"WHEN {_full(text, PLAIN_WEBSITE)} AND NOT ({social}) THEN {text}"
    path = f"substr({text}, strpos({text}, 'linkedin.com/'))"
    linkedin = f"""WHEN contains({text}, 'linkedin.com/')
        THEN CASE WHEN NOT {_full(text, PLAIN_LINKEDIN)} THEN {odd}
             WHEN ends_with({text}, '/') THEN 'https://www.' || {path}[:-2] ELSE 'https://www.' || {path} END"""
    # They exclude each other; what the field is for comes first.
    likely = f"{linkedin} {website}" if "linkedin" in profile else f"{website} {linkedin}"
    return f"CASE WHEN {text} IS NULL THEN NULL {likely} ELSE {odd} END"


def split_list(text: str) -> str:
    """SQL for the members of a list that is plain, repeated ones included; NULL for any other text."""
    members = f"string_split({text}, ', ')"
    longest = f"list_max(list_transform({members}, lambda one: strlen(one)))"
    short = f"(strlen({text}) <= {LONGEST} OR {longest} <= {LONGEST})"
    return f"CASE WHEN {_repeated(text, PLAIN_LIST)} AND {short} THEN {members} END"


def _list(text: str, split: str, odd: str) -> str:
    # For as many members as cells have this is three times as fast as list_distinct.
    once = f"list_filter({split}, lambda one, place: list_position({split}, one) = place)"
    return f"CASE WHEN {split} IS NOT NULL THEN {once} WHEN {text} IS NULL THEN NULL ELSE {odd} END"


def day_first(connection: duckdb.DuckDBPyConnection, column: str) -> bool | None:
    """What the whole column says of dates like 03/04/2020: True day first, False month first, None when nothing does.

    A column that says both says nothing: its undecided dates stay as text.
    """
    said = {
        dates.says_day_first(text)
        for (text,) in connection.execute(
            f"""SELECT DISTINCT regexp_extract(trim({column}), '^[0-9]{{1,2}}[/-][0-9]{{1,2}}[/-][0-9]{{4}}')
                FROM raw WHERE regexp_matches({column}, '^ *[0-9]{{1,2}}[/-][0-9]{{1,2}}[/-][0-9]{{4}}')"""
        ).fetchall()
    } - {None}
    return said.pop() if len(said) == 1 else None
