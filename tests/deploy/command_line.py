"""Commands as processes of their own, on a test's database."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from models.database import libpq_url

PROJECT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "deploy.cli"]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """The one JSON object on stdout; an error here means that there was more, or less."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Cli:
    """Runs commands on the test's database."""

    url: str
    home: Path
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DATABASE_URL": self.url, "APPOINTMENT360_HOME": str(self.home), **self.more}

    def __call__(self, *arguments: str | Path, given: str = "") -> Ended:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=PROJECT, env=self.environment, input=given, capture_output=True, text=True,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=PROJECT, env=self.environment, stdout=pipe, stderr=pipe, text=True
        )

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(libpq_url(self.url), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def on_a_terminal(cli: Cli, arguments: list[str], answer: str, columns: int = 100) -> str:
    """What the command prints when a person sits there and types `answer`."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=PROJECT, env={**cli.environment, "COLUMNS": str(columns), "TERM": "xterm"},
        stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, answer.encode())
    printed = b""
    try:
        while piece := os.read(ours, 65536):
            printed += piece
    except OSError:  # Linux's word for the end of a terminal
        pass
    process.wait()
    os.close(ours)
    return printed.decode()


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
