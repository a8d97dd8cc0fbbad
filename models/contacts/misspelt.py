"""What stands in the contacts where somebody typed a word with one wrong letter: one that is missing, too many, another
one, or changed places with its neighbour (Damerau, 1964). Accents count as no letters.

One wrong letter leaves a half of the word as it is, or changes the two letters in its middle. Texts that hold one of
these three are found as any part of a text is, by their signatures; of them at most LOOKED_AT are compared, whose
number bounds what it costs. So nothing is missed of a word whose halves few texts hold, as those of e-mail addresses
are; of a short one some texts are a sample, in which what many contacts have is found. A word begins where letters and
digits do: in the middle of one nothing is looked for.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, and_, case, func, literal_column, or_, select

SHORTEST, LONGEST = 4, 64  # letters of the word
LOOKED_AT = 100_000  # texts of each column
MOST = 5  # of each column
EDGE = r"[^\pL\pN]"


def plain(word: str) -> str:
    """Without accents, as strip_accents writes it."""
    kept = (letter for letter in unicodedata.normalize("NFD", word) if unicodedata.category(letter) != "Mn")
    return unicodedata.normalize("NFC", "".join(kept))


def pieces(word: str) -> list[str]:
    """One of them stands in whatever is the word but for one letter."""
    left, right = word[: len(word) // 2], word[len(word) // 2 :]
    return list(dict.fromkeys([left, right, f"{left[:-1]}{right[0]}{left[-1]}{right[1:]}"]))


def near(text: Column[Any], there: ColumnElement[bool], may: ColumnElement[bool], word: str) -> Select[Any]:
    """Rows of what is meant by `word`, which is `plain`: whether it differs in accents alone, whether it is a whole
    word of a text (else the begin of one), and the number of texts. Those are looked at that are `there`; `may` is
    whether one can be it that has no accents."""
    bare = func.strip_accents(text)
    is_accented = func.strlen(text) != func.length(text)
    holds = or_(*(func.contains(bare, one) for one in pieces(word)))
    looked = select(text.label("text"), bare.label("bare")).where(there, or_(may, and_(is_accented, holds)))
    looked_at = looked.limit(LOOKED_AT).cte("looked_at")
    pattern = _pattern(word)
    groups = [func.regexp_extract(looked_at.c.bare, pattern, literal_column(str(one))) for one in (1, 2)]
    whole, begun = (one.label(name) for one, name in zip(groups, ("whole", "begun"), strict=True))
    found = select(looked_at, whole, begun).cte("found")
    bare_one = case((found.c.whole != "", found.c.whole), else_=found.c.begun)
    place = func.strpos(found.c.bare, bare_one)
    as_it_stands = case(
        (
            func.length(found.c.bare) == func.length(found.c.text),
            func.substr(found.c.text, place, func.length(bare_one)),
        ),
        else_=bare_one,
    )
    parts = [as_it_stands.label("meant"), (bare_one == word).label("is_same"), (found.c.whole != "").label("is_whole")]
    named = select(*parts).where(bare_one != "").cte("named")
    number = func.count().label("number")
    counted = select(named.c.meant, named.c.is_same, named.c.is_whole, number).group_by(*named.c)
    return counted.order_by(named.c.is_same.desc(), named.c.is_whole.desc(), number.desc(), named.c.meant).limit(MOST)


def _pattern(word: str) -> str:
    either = "|".join(dict.fromkeys(_ways(word)))
    return f"(?:^|{EDGE})(?:({either})(?:$|{EDGE})|({either}))"


def _ways(word: str) -> Iterator[str]:
    """Patterns of the word, and of what it is but for one letter; the likelier first."""
    places = range(len(word))
    yield re.escape(word)
    for one in places[1:]:
        yield re.escape(f"{word[: one - 1]}{word[one]}{word[one - 1]}{word[one + 1 :]}")
    for one in places:
        yield rf"{re.escape(word[:one])}\S{re.escape(word[one + 1 :])}"
    for one in places[1:]:
        yield rf"{re.escape(word[:one])}\S{re.escape(word[one:])}"
    for one in places:
        yield re.escape(f"{word[:one]}{word[one + 1 :]}")
