"""What counts as blank in a cell: characters to trim, and words that stand for nothing."""

from models.fields import Kind

# Spaces of all widths, line ends, control characters, and the invisible marks that copied text brings along.
BLANKS = "".join(map(chr, range(0x21))) + (
    "\x7f\x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
SPACES = " \xa0\u2009\u202f"  # the spaces that people put inside numbers and phones

# Compared in lower case. "NA" is missing on purpose: it is Namibia.
EMPTY_WORDS = (
    "", "-", "--", "–", "—", "n/a", "#n/a", "(blank)", "(empty)", "null", "(null)", "\\n",
    "#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!",
)  # fmt: skip
# Only where the field is not free text: there "None" may be an answer and "N.A." somebody's initials.
EMPTY_VALUES = (
    *EMPTY_WORDS, "none", "nan", "nil", "n.a.", "na", "unknown", "?", ".", "undefined", "not available", "0000-00-00"
)  # fmt: skip


def trimmed(text: str) -> str:
    return text.strip(BLANKS)


def empty_words(kind: Kind) -> tuple[str, ...]:
    """The lower-case words that mean "no value" in a field of that kind."""
    return EMPTY_WORDS if kind is Kind.TEXT else EMPTY_VALUES


def is_empty(kind: Kind, text: str) -> bool:
    return trimmed(text).lower() in empty_words(kind)
