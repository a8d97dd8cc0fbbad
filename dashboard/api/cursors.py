"""Where a keyset page ended, as one word for the next request; it is good for the same filter and order alone."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from models.database import LARGEST_BIGINT
from models.errors import InvalidInput

# Kinds of keys that JSON has not, and lists: beside each key stands the name of its kind.
READ: dict[str, Callable[[Any], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "Decimal": Decimal,
    "list": lambda members: [str(member) for member in members],
}
LONGEST = 4000  # characters


def written(keys: Sequence[Any], asked: str) -> str:
    """`asked` is what the keys belong to: the filter and the order.

    Raises InvalidInput for keys that are too long to be sent back, as whole notes are.
    """
    told = [[type(key).__name__, key if isinstance(key, list) else str(key)] if _is_read(key) else key for key in keys]
    whole = json.dumps([_mark(asked), told], ensure_ascii=False, separators=(",", ":"))
    cursor = base64.urlsafe_b64encode(whole.encode(errors="replace")).decode().rstrip("=")
    if len(cursor) > LONGEST:
        raise InvalidInput(
            "sort: the page ends at a value that is too long to go on from: take another order.", field="sort"
        )
    return cursor


def read(cursor: str, asked: str, name: str = "after") -> list[Any]:
    """Raises InvalidInput for what no page gave, or a page of another filter or order."""
    try:
        whole = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        mark, told = whole
        keys = [READ[key[0]](key[1]) if isinstance(key, list) else key for key in told]
        if "\x00" in "".join(key for key in keys if isinstance(key, str)).encode().decode():
            raise ValueError(cursor)
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError, RecursionError) as error:
        raise InvalidInput(f"{name}: this is no “next” of a page before.", field=name) from error
    if mark != _mark(asked):
        raise InvalidInput(f"{name}: it belongs to another filter or order. Begin again without it.", field=name)
    if not keys or type(keys[-1]) is not int or not 0 < keys[-1] <= LARGEST_BIGINT:
        raise InvalidInput(f"{name}: this is no “next” of a page before.", field=name)
    return keys


def _is_read(key: Any) -> bool:
    return type(key).__name__ in READ


def _mark(asked: str) -> str:
    return hashlib.sha256(asked.encode()).hexdigest()[:12]
