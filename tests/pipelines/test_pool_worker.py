"""How long a worker that is told to end waits, in all: for what it runs, and then for what it does beside that."""

import asyncio
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from models.settings import settings
from pipelines import pool_worker, sweep


@pytest.fixture(autouse=True)
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "stop", lambda: None)  # the rounds of this process's other tests


async def left(*, runs: int, signals: int) -> float:
    """Seconds, with so many runs that do not end, and so many more signals."""
    limiter, again = anyio.CapacityLimiter(4), asyncio.Queue[None]()
    for number in range(runs):
        limiter.acquire_on_behalf_of_nowait(number)
    for _ in range(signals):
        again.put_nowait(None)
    worker: Any = SimpleNamespace(limiter=limiter)
    return await pool_worker._drained(worker, again)


@pytest.mark.parametrize(("runs", "signals", "some"), [(0, 0, True), (1, 0, False), (1, 1, False), (0, 1, False)])
def test_the_rounds_get_what_the_runs_have_left(
    runs: int, signals: int, some: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "drain_seconds", 1 if runs else 300)
    assert bool(asyncio.run(left(runs=runs, signals=signals))) is some
