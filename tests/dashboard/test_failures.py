import logging

import pytest

from dashboard import failures
from models.errors import NotAllowed


def test_our_own_errors_are_shown_as_they_stand() -> None:
    assert failures.described(NotAllowed("You may not do this."))[0] == "You may not do this."


def test_what_was_not_foreseen_is_logged_under_the_reference_that_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        title, body = failures.described(ValueError("secret details"))
    reference = body.removesuffix(".").split()[-1]
    assert "secret details" not in title + body
    [line] = caplog.records
    assert reference in line.getMessage()
    assert line.exc_info is not None
    assert str(line.exc_info[1]) == "secret details"
