"""SQL that tells of each field whether it still holds what was written to it, and what it then goes back to.

It speaks of a contact at three moments: `b` as it was before the writing, `a` as the writing left it, and `c` as it is.
A field that the writing changed goes back where `c` holds what `a` held, and stays where it holds something else; what
holds the value of `b` already is neither. A value that went away and came back counts as never changed.

An e-mail address and what is known of it go together: of an address that somebody found something out about since, both
stay, and what was known of one address never comes to another.
"""

from collections.abc import Callable, Iterable

from models.contacts.table import ABOUT_EMAIL, FIELDS
from models.fields import REFERENCES

EXTRA = "extra"  # goes back key by key
NAMES = (*FIELDS, EXTRA)
_ADDRESSES = {told: address for address, tells in ABOUT_EMAIL.items() for told in tells}


def put_back() -> str:
    """text[] of the fields that go back."""
    return _listed(_goes_back)


def staying() -> str:
    """text[] of the fields that were written and hold something else by now."""
    return _listed(_stays)


def differing() -> str:
    """text[] of the fields in which `c` is not as `a`."""
    return _listed(lambda name: _differs(name, "c", "a"))


def changes(names: str, versions: str) -> str:
    """bigint[]: for each field in the text[] `names`, in its order, the greatest of the `versions` in whose place came
    what `c` holds; of the rows `h` that an aggregate goes over."""

    def newest(name: str) -> str:
        moved = " OR ".join(_differs(one, "h", "c") for one in _together(name))
        return f"CASE WHEN '{name}' = ANY ({names}) THEN max({versions}) FILTER (WHERE {moved}) END"

    return f"array_remove(ARRAY[{', '.join(map(newest, NAMES))}], NULL)"


def references(table: str) -> str:
    """Joins that find what an older version `table` refers to, as far as that is still there."""

    def joined(name: str) -> str:
        referred, key = _referred(name)
        return f"LEFT JOIN {referred} {_alias(name)} ON {_alias(name)}.{key} = {table}.{_column(name)}"

    return " ".join(joined(name) for name in FIELDS if FIELDS[name].kind in REFERENCES)


def as_before(table: str) -> dict[str, str]:
    """Column -> SQL of its value in the version `table`, beside `references`."""
    return {_column(name): _older(name, table) for name in NAMES}


def partly_as_before(names: str) -> dict[str, str]:
    """Column of contacts -> SQL of its new value, where the fields in the text[] `names` go back to `b`."""

    def value(name: str) -> str:
        older = "extra_put_back(b.extra, a.extra, contacts.extra)" if name == EXTRA else _older(name, "b")
        return f"CASE WHEN '{name}' = ANY ({names}) THEN {older} ELSE contacts.{_column(name)} END"

    return {_column(name): value(name) for name in NAMES}


def _goes_back(name: str) -> str:
    if name == EXTRA:
        return f"{_differs(EXTRA, 'a', 'b')} AND extra_put_back(b.extra, a.extra, c.extra) IS DISTINCT FROM c.extra"
    untouched = [_differs(name, "a", "b"), *(_same(one, "c", "a") for one in (name, *ABOUT_EMAIL.get(name, ())))]
    if address := _ADDRESSES.get(name):
        untouched.append(f"({_goes_back(address)} OR {_same(address, 'c', 'b')})")
    return " AND ".join(untouched)


def _stays(name: str) -> str:
    if name == EXTRA:
        return f"{_differs(EXTRA, 'a', 'b')} AND {_differs(EXTRA, 'c', 'a')} AND extra_stays(b.extra, a.extra, c.extra)"
    written = f"{_differs(name, 'a', 'b')} AND {_differs(name, 'c', 'b')}"
    if len(_together(name)) > 1:
        return f"{written} AND NOT ({_goes_back(name)})"
    return f"{written} AND {_differs(name, 'c', 'a')}"


def _together(name: str) -> tuple[str, ...]:
    """The field with those whose value goes with its own."""
    address = _ADDRESSES.get(name, name)
    return (address, *ABOUT_EMAIL.get(address, ()))


def _listed(condition: Callable[[str], str], names: Iterable[str] = NAMES) -> str:
    cases = ", ".join(f"CASE WHEN {condition(name)} THEN '{name}' END" for name in names)
    return f"array_remove(ARRAY[{cases}]::text[], NULL)"


def _differs(name: str, one: str, other: str) -> str:
    return f"{one}.{_column(name)} IS DISTINCT FROM {other}.{_column(name)}"


def _same(name: str, one: str, other: str) -> str:
    return f"{one}.{_column(name)} IS NOT DISTINCT FROM {other}.{_column(name)}"


def _column(name: str) -> str:
    return FIELDS[name].column if name in FIELDS else name


def _older(name: str, table: str) -> str:
    refers = name in FIELDS and FIELDS[name].kind in REFERENCES
    return f"{_alias(name)}.{_referred(name)[1]}" if refers else f"{table}.{_column(name)}"


def _referred(name: str) -> tuple[str, str]:
    table, _, key = REFERENCES[FIELDS[name].kind].partition(".")
    return table, key


def _alias(name: str) -> str:
    return f"older_{name}"
