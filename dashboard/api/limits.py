"""How many requests a person's programs may make in an hour, over all instances, and the headers that say so.

An instance takes some from the database at a time: near the limit one by one, far from it more, so that most requests
cost no write.
"""

import threading
import time
from dataclasses import dataclass

from models import request_hours
from models.errors import TooMany
from models.permissions import Actor
from models.settings import settings

LEFT = "appointment360.api_left"  # where a request's scope keeps its Left
AT_ONCE = 20
NEAR = 200  # requests before the limit, from which on they are taken one by one


@dataclass(frozen=True)
class Left:
    """What the answer's headers say: `left` requests of `limit` in the next `seconds`."""

    limit: int
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.left),
            "ratelimit-reset": str(self.seconds),
        }


@dataclass
class _Held:
    """What this instance took of a person's hour and has not used: `free`, of `taken` in all."""

    free: int
    taken: int
    until: float  # of time.monotonic()


_held: dict[int, _Held] = {}
_lock = threading.Lock()


def count(by: Actor) -> Left:
    """One request more. Raises TooMany, which says when the hour is over."""
    assert by.id is not None
    limit = settings().requests_per_hour
    with _lock:
        held = _held.get(by.id)
        if held is not None and held.until > time.monotonic() and held.free > 0:
            held.free -= 1
            return _left(held, limit)
    near = held is None or held.taken > limit - NEAR
    taken = request_hours.take(by.id, wanted=1 if near else AT_ONCE, limit=limit)
    with _lock:
        held = _Held(0, taken.taken, time.monotonic() + taken.seconds)
        _held[by.id] = held
        if taken.granted == 0:
            seconds = max(1, round(taken.seconds))
            raise TooMany(
                f"You have made {limit:,} requests in this hour, which is your limit. Try again in {seconds} s.",
                seconds=seconds,
            )
        held.free = taken.granted - 1
        return _left(held, limit)


def _left(held: _Held, limit: int) -> Left:
    return Left(limit, max(0, limit - held.taken + held.free), max(1, round(held.until - time.monotonic())))


def forget() -> None:
    """Give up what this instance holds, as its end does: it counts as used."""
    with _lock:
        _held.clear()
