"""How many requests a person's programs may make in an hour, over all instances, and the headers that say so.

An instance takes some from the database at a time, one by one near the limit, so that most requests cost no write; what
it has not used within a moment it gives back, for whichever instance needs it.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from models import request_hours, sign_in_failures
from models.errors import TooMany
from models.permissions import Actor
from models.settings import settings

log = logging.getLogger(__name__)

LEFT = "appointment360.api_left"  # where a request's scope keeps its Left
AT_ONCE = 20
NEAR = 200  # requests before the limit, from which on they are taken one by one
IDLE = 2.0  # seconds after which an instance gives back what it has not used


@dataclass(frozen=True)
class Left:
    """What the answer's headers say: `left` requests of `limit` in the next `seconds`. `allowed`: this one is."""

    limit: int
    left: int
    seconds: int
    allowed: bool

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.left),
            "ratelimit-reset": str(self.seconds),
        }

    def require(self) -> None:
        """Raises TooMany, which says when the hour is over."""
        if not self.allowed:
            raise TooMany(
                f"You have made {self.limit:,} requests in this hour, which is your limit. "
                f"Try again in {self.seconds:,} s.",
                seconds=self.seconds,
            )


@dataclass
class _Held:
    """What this instance took of a person's hour and has not used: `free`, of `taken` in all."""

    free: int
    taken: int
    began_at: datetime
    until: float  # of time.monotonic(), as `used`
    used: float


_held: dict[int, _Held] = {}
_lock = threading.Lock()
_timers: list[threading.Timer] = []  # one, while something is held


def count(by: Actor) -> Left:
    """One request more, where it is allowed."""
    assert by.id is not None
    limit, now = settings().requests_per_hour, time.monotonic()
    if (left := counted(by)) is not None:
        return left
    with _lock:
        held = _held.get(by.id)
        seldom = held is None or held.used < now - IDLE
    taken = request_hours.take(by.id, at_once=1 if seldom else AT_ONCE, near=NEAR, limit=limit)
    with _lock:
        held = _Held(taken.granted, taken.taken, taken.began_at, now + taken.seconds, now)
        before = _held.get(by.id)
        if before is not None and before.began_at == held.began_at:
            held.free += before.free  # of another thread, which took some meanwhile
            held.taken = max(held.taken, before.taken)
        allowed = held.free > 0
        held.free -= allowed
        _held[by.id] = held
        if held.free and not _timers:
            _look_later()
        return _left(held, limit, allowed=allowed)


def counted(by: Actor) -> Left | None:
    """`count` of one that this instance holds already; None where the database has to be asked."""
    assert by.id is not None
    now = time.monotonic()
    with _lock:
        held = _held.get(by.id)
        if held is None or held.until <= now or held.free <= 0:
            return None
        held.free, held.used = held.free - 1, now
        return _left(held, settings().requests_per_hour, allowed=True)


@contextmanager
def sign_in(request: Request) -> Iterator[None]:
    """Whatever comes of it, the answer says how often sign-ins from the address may still fail in this hour."""
    try:
        yield
    finally:
        address = request.client.host if request.client else None
        if address:
            limit, left, seconds = sign_in_failures.left_of(address)
            request.scope[LEFT] = Left(limit, left, seconds, allowed=True)


def give_back(*, idle: float = 0.0) -> None:
    """Return what was not used for so many seconds; all of it, where the instance stops."""
    with _lock:
        over = [user for user, held in _held.items() if held.used <= time.monotonic() - idle]
        returned = {user: _held.pop(user) for user in over}
    try:
        for user, held in returned.items():
            if held.free and held.until > time.monotonic():
                request_hours.give_back(user, held.began_at, held.free)
    except Exception:  # whatever it was: what could not be given back counts as used
        log.exception("requests could not be given back")


def forget() -> None:
    """As if this instance held nothing: for who changes the database under it."""
    with _lock:
        _held.clear()
        for timer in _timers:
            timer.cancel()
        _timers.clear()


def _left(held: _Held, limit: int, *, allowed: bool) -> Left:
    left = max(0, limit - held.taken + held.free)
    return Left(limit, left if allowed else 0, max(1, round(held.until - time.monotonic())), allowed)


def _look_later() -> None:
    timer = threading.Timer(IDLE / 2, _look)
    timer.daemon = True
    _timers[:] = [timer]
    timer.start()


def _look() -> None:
    give_back(idle=IDLE)
    with _lock:
        _timers.clear()
        if any(held.free for held in _held.values()):
            _look_later()
