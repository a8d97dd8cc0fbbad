"""A mirror of contacts of a test's own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import insert

from models import filters
from models.contacts import mirror, own_mirror, search
from models.contacts.mirror import Mirror, View
from models.contacts.table import Contact
from models.database import writing
from models.permissions import OPERATOR
from tests.waiting import until

FILE = "*.duckdb"


def add(*cities: str) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"last_name": f"Of {city}", "city": city} for city in cities])


@contextmanager
def running(folder: Path) -> Iterator[Mirror]:
    with mirror.held(folder, threads=1, memory="200MB") as made:
        assert made.wait(60)
        yield made


@contextmanager
def viewed() -> Iterator[View]:
    """The mirror, once it is there: while others write on a busy machine the database may have to answer first."""
    with ExitStack() as kept:

        def there() -> View | None:
            with ExitStack() as trying:
                found = trying.enter_context(own_mirror.viewing())
                if found is not None:
                    kept.push(trying.pop_all())
                return found

        yield until("the mirror answers", there)


def answers() -> bool:
    """Whether the mirror does, not the database."""
    with own_mirror.viewing() as view:
        return view is not None


def count(query: str = "") -> int:
    return search.count(filters.parse_query(query, by=OPERATOR), by=OPERATOR)
