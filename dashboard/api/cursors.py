"""Where a keyset page ended, as one word for the next request; it is good for the same filter and order alone."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from models.errors import InvalidInput

READ: dict[str, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "Decimal": Decimal,
}
LONGEST = 4000  # characters


def written(keys: Sequence[Any], asked: str) -> str:
    """`asked` is what the keys belong to: the filter and the order."""
    told = [[type(key).__name__, str(key)] if type(key).__name__ in READ else key for key in keys]
    whole = json.dumps([_mark(asked), told], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(whole.encode()).decode().rstrip("=")


def read(cursor: str, asked: str, name: str = "after") -> list[Any]:
    """Raises InvalidInput for what no page gave, or a page of another filter or order."""
    try:
        whole = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        mark, told = whole
        keys = [READ[key[0]](key[1]) if isinstance(key, list) else key for key in told]
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError, RecursionError) as error:
        raise InvalidInput(f"{name}: this is no “next” of a page before.") from error
    if mark != _mark(asked):
        raise InvalidInput(f"{name}: it belongs to another filter or order. Begin again without it.")
    if not keys or not isinstance(keys[-1], int):
        raise InvalidInput(f"{name}: this is no “next” of a page before.")
    return keys


def _mark(asked: str) -> str:
    return hashlib.sha256(asked.encode()).hexdigest()[:12]
