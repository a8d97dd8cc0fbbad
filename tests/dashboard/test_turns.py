"""Who draws waits for who draws already, but never for long."""

import threading

import pytest

from dashboard import turns


def test_one_draws_after_the_other() -> None:
    order: list[str] = []
    began = threading.Event()

    def second() -> None:
        began.set()
        with turns.turn():
            order.append("second")

    other = threading.Thread(target=second)
    with turns.turn():
        other.start()
        began.wait()
        other.join(0.1)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_who_fails_or_hangs_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError), turns.turn():
        raise ZeroDivisionError
    assert not turns._drawing.locked()
    monkeypatch.setattr(turns, "PATIENT", 0.01)
    with turns.turn():  # one that hangs
        with turns.turn():
            assert turns._drawing.locked()
        assert turns._drawing.locked(), "who had none has given none back"
    assert not turns._drawing.locked()
