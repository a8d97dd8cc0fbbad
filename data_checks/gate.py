"""The gate that an import's rows pass: asks for their check by a process that has Great Expectations loaded.

Loading it takes longer than the import of a small file. So a gate is opened when the work before the check begins:

    with Gate(home) as gate:
        ...  # the rows are staged
        verdicts = gate.check(url, table, schema)

Where `appointment360 up` runs, its warm checker answers (`python -m data_checks.gate`). Else the gate starts a process
of its own, which loads while the rows are staged. This module itself loads nothing heavy.
"""

import argparse
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from pathlib import Path
from types import TracebackType
from typing import IO

from data_checks import messages
from models import garbage, logs
from models.check_results import Verdict
from models.errors import AppError, Unavailable

LAST_LINES = 5
PATIENCE = 5.0  # seconds for a child to end by itself


class Gate:
    """Open it early, check once or several times, leave it: no process and no connection stays behind."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._warm: Connection[bytes, bytes] | None = None
        self._child: _Child | None = None

    def __enter__(self) -> "Gate":
        self._warm = _warm_checker(self._home)
        if self._warm is None:
            self._child = _Child()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._warm is not None:
            self._warm.close()
        if self._child is not None:
            self._child.close()
        self._warm = self._child = None

    def check(self, url: str, table: str, schema: str | None = None) -> list[Verdict]:
        """What each rule says of the table; see data_checks.run.check_table, whose errors these are, too.

        Raises Unavailable with its last words when the checker dies.
        """
        return self._answered(messages.request(url, table, schema))

    def check_everything(self, url: str) -> list[Verdict]:
        """What every rule says of contacts, industries and payments; see data_checks.run.check_everything."""
        return self._answered(messages.request(url, None, None))

    def _answered(self, asked: bytes) -> list[Verdict]:
        if self._warm is None and self._child is None:  # both serve one request only
            self._warm = _warm_checker(self._home)
        return messages.read_answer(self._from_warm(asked) or self._from_child(asked))

    def _from_warm(self, asked: bytes) -> bytes | None:
        """The warm checker's answer; None where there is none, or it died before it answered."""
        warm, self._warm = self._warm, None
        if warm is None:
            return None
        with warm:
            try:
                warm.send_bytes(asked)
                return warm.recv_bytes()
            except (EOFError, OSError):
                return None

    def _from_child(self, asked: bytes) -> bytes:
        child, self._child = self._child or _Child(), None
        try:
            return child.ask(asked)
        finally:
            child.close()


def _warm_checker(home: Path) -> "Connection[bytes, bytes] | None":
    """A connection to the warm checker, or None where none answers."""
    secret = messages.key(home)
    if secret is None:
        return None
    try:
        return Client(str(messages.address(home)), family="AF_UNIX", authkey=secret)
    except (OSError, EOFError, AuthenticationError):
        return None


class _Child:
    """A checker process for one request."""

    def __init__(self) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        root = str(Path(__file__).parents[1])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "data_checks.gate", "--once"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path},
        )

    def ask(self, asked: bytes) -> bytes:
        """Raises Unavailable when the process ends without an answer."""
        said, _ = self.process.communicate(asked)
        if not said.endswith(b"\n"):
            raise Unavailable(self._obituary())
        return said

    def close(self) -> None:
        """End the process, which has nothing to lose."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _obituary(self) -> str:
        code = self.process.wait()
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        last = " Its last words: " + " / ".join(line.strip() for line in lines) if lines else ""
        return f"The data checks did not finish: their process {ended}. Run the import or the check again.{last}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data_checks.gate", description="Checks tables for others.")
    parser.add_argument("--once", action="store_true", help="answer one request from standard input")
    parser.add_argument("--home", type=Path, default=os.environ.get("APPOINTMENT360_HOME"), help="the data directory")
    chosen = parser.parse_args(arguments)
    from data_checks import checker

    if chosen.once:
        return checker.once()
    if chosen.home is None:
        parser.error("give --home, or set APPOINTMENT360_HOME")
    try:
        return checker.serve(Path(chosen.home))
    except AppError as error:
        logs.begin("checker")
        logging.getLogger(__name__).error("%s", error.sentence)
        return 1


if __name__ == "__main__":
    garbage.seldom_sought()
    raise SystemExit(main())
