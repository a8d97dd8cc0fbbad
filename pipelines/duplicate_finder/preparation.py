"""Values in the form in which they are compared: one spelling for what is only written differently."""

from pipelines.duplicate_finder.description import Described, Description, Meaning

PHONES = "phones"
FULL_NAME = "full_name"
LOCAL_PART = "local_part"
MAIL_DOMAIN = "mail_domain"
# What companies are, in the languages in which files come; it says nothing of which company.
LEGAL_FORMS = (
    "gmbh", "mbh", "ag", "kg", "ohg", "ug", "inc", "incorporated", "llc", "llp", "ltd", "limited", "plc", "corp",
    "corporation", "co", "company", "sa", "sas", "sarl", "srl", "spa", "bv", "nv", "ab", "oy", "as", "aps", "pty",
    "pvt",
)  # fmt: skip
SAID_BY_PHONE = 9  # digits from its end: what stands before them is the country or a zero
SHORTEST_PHONE = 6


def prepared(description: Description, source: str) -> str:
    """SELECT from `source` of unique_id and the columns that comparisons and keys read."""
    columns = [f"{description.id} AS unique_id"]
    columns += [f"{_prepared(one)} AS {one.name}" for one in description.fields if one.meaning is not Meaning.PHONE]
    if phones := description.of(Meaning.PHONE):
        listed = ", ".join(_phone(one.name) for one in phones)
        columns.append(f"nullif(list_sort(list_distinct([{listed}])), []) AS {PHONES}")
    chosen = f"SELECT {', '.join(columns)} FROM {source}"
    derived = ["*"]
    if description.has_full_name:
        first, last = description.name(Meaning.FIRST_NAME), description.name(Meaning.LAST_NAME)
        derived.append(f"{first} || ' ' || {last} AS {FULL_NAME}")
    if email := description.name(Meaning.EMAIL, Meaning.WORK_EMAIL):
        derived.append(f"nullif(split_part({email}, '@', 1), '') AS {LOCAL_PART}")
        derived.append(f"nullif(split_part({email}, '@', 2), '') AS {MAIL_DOMAIN}")
    return f"SELECT {', '.join(derived)} FROM ({chosen})"


def _prepared(field: Described) -> str:
    match field.meaning:
        case Meaning.EMAIL | Meaning.WORK_EMAIL:
            return f"nullif(lower(trim({field.name}::varchar)), '')"
        case Meaning.KEY:
            return rf"nullif(regexp_replace(lower(trim({field.name}::varchar)), '^https?://(www\.)?|/+$', '', 'g'), '')"
        case Meaning.DATE:
            return rf"nullif(regexp_replace({field.name}::varchar, '\D', '', 'g'), '')"
        case Meaning.ORGANISATION:
            forms = "|".join(LEGAL_FORMS)
            spelled = _words(field.name)
            return rf"coalesce(nullif(trim(regexp_replace({spelled}, '\b({forms})\b', '', 'g')), ''), {spelled})"
        case _:
            return _words(field.name)


def _words(name: str) -> str:
    """Letters and digits in small letters without accents, with one space between words."""
    return rf"nullif(trim(regexp_replace(lower(strip_accents({name}::varchar)), '[^\p{{L}}\p{{N}}]+', ' ', 'g')), '')"


def _phone(name: str) -> str:
    digits = rf"regexp_replace({name}::varchar, '\D', '', 'g')"
    return f"CASE WHEN length({digits}) >= {SHORTEST_PHONE} THEN right({digits}, {SAID_BY_PHONE}) END"
