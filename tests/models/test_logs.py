"""What a process writes for an event, read from its stderr."""

import json
import subprocess
import sys

import pytest
from psycopg import OperationalError as DriverOperationalError
from sqlalchemy.exc import IntegrityError

from models import logs
from models.errors import InvalidInput, NotFound, Unavailable
from tests.dashboard.conftest import ROOT, server_environment

SECRET = "ann@example.com"


def logged(program: str, **environment: str) -> str:
    """What a process says on stderr that begins its log and does this."""
    begun = f"import logging, asyncio, threading, warnings\nfrom models import logs\nlogs.begin('test')\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", begun], env=server_environment(None, **environment), cwd=ROOT, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.stderr


@pytest.mark.parametrize(
    "program",
    [
        f"raise ValueError('{SECRET}')",
        f"threading.Thread(target=lambda: int('{SECRET}')).start()",
        f"async def fails(): raise ValueError('{SECRET}')\n"
        "async def main():\n    asyncio.ensure_future(fails())\n    await asyncio.sleep(0.1)\n"
        "asyncio.run(main())",
        f"warnings.warn('about {SECRET}')",
        f"logging.getLogger('boto3').warning('%s of %r', '{SECRET}', KeyError('{SECRET}'))",
    ],
    ids=["uncaught", "in a thread", "in a task", "warned", "of a library"],
)
def test_whatever_ends_up_in_the_log_is_a_line_of_json_without_data(program: str) -> None:
    [line] = logged(program, APPOINTMENT360_LOG_FORMAT="json").splitlines()
    said = json.loads(line)
    assert "ann" not in line
    assert said["part"] == "test"
    assert said["level"] in ("warning", "error", "critical")
    assert said["time"].endswith("Z")


def test_text_stays_one_line_whatever_is_in_it() -> None:
    said = logged("logging.getLogger('models.x').info('a %s', 'b\\n2026-01-01 ERROR: not ours')")
    assert said.endswith("INFO models.x: a b\\n2026-01-01 ERROR: not ours\n")
    assert said.count("\n") == 1


def test_the_level_is_that_of_the_setting() -> None:
    both = "logging.getLogger('models.x').info('one'); logging.getLogger('models.x').warning('two')"
    assert [line[-3:] for line in logged(both, APPOINTMENT360_LOG_LEVEL="warning").splitlines()] == ["two"]


def test_bound_ids_are_on_each_line() -> None:
    program = (
        "with logs.bound(run_id=7, flow='back-up', person_id=None):\n    logging.getLogger('models.x').info('in')\n"
        "logging.getLogger('models.x').info('after')"
    )
    inside, after = [json.loads(one) for one in logged(program, APPOINTMENT360_LOG_FORMAT="json").splitlines()]
    assert (inside["run_id"], inside["flow"], "person_id" in inside) == (7, "back-up", False)
    assert "run_id" not in after


def test_what_is_said_of_errors() -> None:
    quoting = Unavailable(f"The database refused {SECRET}.")
    quoting.__cause__ = IntegrityError("INSERT", None, ValueError(SECRET))
    lost = IntegrityError("SELECT", None, DriverOperationalError("connection failed: refused\nmore"))
    assert [logs.told(one) for one in (
        NotFound("There is no import 7."), InvalidInput(f"{SECRET} is no number."), quoting, lost,
        OSError(28, "No space left on device", f"/home/{SECRET}"), ValueError(SECRET),
        NotFound("There is no person with the address ann@example.com."),
    )] == [
        "NotFound: There is no import 7.", "InvalidInput", "Unavailable from IntegrityError",
        "IntegrityError: connection failed: refused", "OSError: No space left on device", "ValueError",
        "NotFound: There is no person with the address ….",
    ]  # fmt: skip
    program = (
        f"pg_restore: error: COPY failed\nDETAIL: Key (email)=({SECRET})\nCONTEXT: COPY contacts, line 3: {SECRET}"
    )
    assert logs.faults(program) == "pg_restore: error: COPY failed"


def test_what_is_said_again_and_again_is_counted() -> None:
    """But for what belongs to a request: each line of that counts."""
    again = "for _ in range(5): logging.getLogger('models.x').warning('%s is away', 'it')"
    told = [json.loads(line) for line in logged(again, APPOINTMENT360_LOG_FORMAT="json").splitlines()]
    assert [(one["event"], one.get("repeated")) for one in told] == [("it is away", None), ("it is away", 4)]
    of_one = f"with logs.bound(request_id='a'):\n    {again}"
    assert logged(of_one).count("it is away") == 5
