import logging
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from dashboard import failures
from models.errors import Conflict, NotAllowed, NotFound, TooSlow, Unavailable


@pytest.mark.parametrize(
    ("error", "icon"),
    [
        (NotAllowed("You may not do this."), "lock"),
        (NotFound("There is no contact 7."), "search_off"),
        (Unavailable("The disk is full."), "cloud_off"),
        (Conflict("It changed."), "error"),
    ],
)
def test_our_own_errors_are_shown_as_they_stand(error: Any, icon: str) -> None:
    failure = failures.described(error)
    assert (failure.icon, failure.title, failure.reference) == (icon, error.sentence, "")


def test_what_was_not_foreseen_is_logged_under_the_reference_that_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        failure = failures.described(ValueError("secret details"))
    assert failure.body.endswith(f"Reference {failure.reference}.")
    assert "secret details" not in failure.title + failure.body
    [line] = caplog.records
    assert failure.reference in line.getMessage()
    assert line.exc_info is not None
    assert str(line.exc_info[1]) == "secret details"


def test_a_stopped_search_says_after_how_long_and_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    failure = failures.described(TooSlow(seconds=10))
    assert failure.title == "The search took longer than 10 seconds and was stopped"
    assert failure.body.startswith("Nothing was changed. Narrow it with a filter, or try again. Reference ")
    assert failure.reference in caplog.text


def from_database(error: type[DBAPIError], cause: type[psycopg.Error], *, invalidated: bool = False) -> DBAPIError:
    return error("SELECT 1", {}, cause("said by the server"), connection_invalidated=invalidated)


@pytest.mark.parametrize(
    "error",
    [
        from_database(OperationalError, psycopg.OperationalError),
        from_database(OperationalError, psycopg.errors.AdminShutdown),
        from_database(OperationalError, psycopg.errors.TooManyConnections),
        from_database(DBAPIError, psycopg.errors.ProtocolViolation, invalidated=True),
        NoConnectionFree("QueuePool limit"),
    ],
)
def test_a_database_that_is_away_is_named(error: Exception) -> None:
    assert failures.described(error).title == "The database does not answer"


@pytest.mark.parametrize(
    "error",
    [
        from_database(ProgrammingError, psycopg.errors.UndefinedTable),
        from_database(OperationalError, psycopg.errors.DiskFull),
    ],
)
def test_other_words_of_the_database_are_our_failure(error: Exception) -> None:
    assert failures.described(error).title == "Something went wrong on our side"
