"""What the machine has, and gets back."""

import sys

import psutil
import pytest

from models import machine


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps what is freed")
def test_freed_memory_goes_back_though_something_behind_it_is_in_use() -> None:
    own = psutil.Process()
    held = [bytearray(b"x" * 100_000) for _ in range(2_000)]
    last = held.pop()
    held.clear()
    before = own.memory_info().rss
    machine.give_back_memory()
    assert before - own.memory_info().rss > 100_000_000
    assert len(last) == 100_000
