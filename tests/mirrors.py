"""A mirror of contacts of a test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models import filters
from models.contacts import mirror, own_mirror, search
from models.contacts.mirror import Mirror
from models.permissions import OPERATOR


@contextmanager
def running(folder: Path) -> Iterator[Mirror]:
    with mirror.held(folder, threads=1, memory="200MB") as made:
        assert made.wait(60)
        yield made


def answers() -> bool:
    """Whether the mirror does, not the database."""
    with own_mirror.looking() as view:
        return view is not None


def count(query: str = "") -> int:
    return search.count(filters.parse_query(query, by=OPERATOR), by=OPERATOR)
