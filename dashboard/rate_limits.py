"""How much one address, and one person, may ask of this process; beyond it the answer says when to come back.

Counted in memory, for each instance by itself: this wards off floods. What has to hold over all instances, such as
tries to sign in, is counted in the database by its operation.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from models.errors import TooMany
from models.networks import neighbourhood
from models.permissions import Actor
from models.settings import settings

# What pages consist of, and what looks whether the process lives: cheap, and asked for in bunches.
FREE = (
    "/static/", "/app/static/", "/component/", "/_stcore/bidi-components/", "/_stcore/health", "/_stcore/host-config",
    "/healthz", "/readyz", "/prefect/v2/assets/",
)  # fmt: skip
_counts = FixedWindowRateLimiter(MemoryStorage())
_sockets: Counter[str] = Counter()


def count_address(address: str, path: str) -> None:
    """Raises TooMany."""
    if not path.startswith(FREE):
        _count(settings().requests_per_address, "address", neighbourhood(address), "from your address")


def count_person(by: Actor) -> None:
    """Raises TooMany."""
    _count(settings().requests_per_person, "person", str(by.id), "of yours")


@contextmanager
def socket_of(address: str) -> Iterator[None]:
    """Holds one of the address's sockets, of which each browser tab has one. Raises TooMany."""
    key = neighbourhood(address)
    if _sockets[key] >= settings().sockets_per_address:
        raise TooMany("Too many tabs are open from your address. Close some, and reload.", seconds=5)
    _sockets[key] += 1
    try:
        yield
    finally:
        _sockets[key] -= 1
        if not _sockets[key]:
            del _sockets[key]


def _count(times: int, kind: str, key: str, whose: str) -> None:
    limit = RateLimitItemPerMinute(times)
    if _counts.hit(limit, kind, key):
        return
    seconds = max(1, round(_counts.get_window_stats(limit, kind, key).reset_time - time.time()))
    raise TooMany(f"Too many requests {whose}. Try again in {seconds} s.", seconds=seconds)
