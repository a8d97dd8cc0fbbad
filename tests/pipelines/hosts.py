"""Hosts that share a Postgres and an S3, and no folder: each has a home of its own, below one folder of the tests."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from models import settings
from tests.pipelines import nanio, s3

ROOT = Path(__file__).parents[2]


@dataclass
class Hosts:
    """`warm` is the home of a checker, which all of them may ask; else each check loads one."""

    folder: Path
    warm: Path | None = None

    def home(self, name: str) -> Path:
        home = self.folder / name
        if not home.exists():
            home.mkdir()
            for way in [self.warm / "checks.key", self.warm / "checks.sock"] if self.warm else []:
                (home / way.name).symlink_to(way)
        return home

    @contextmanager
    def on(self, name: str) -> Iterator[Path]:
        """This process is on that host meanwhile."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("APPOINTMENT360_HOME", str(self.home(name)))
            settings.settings.cache_clear()
            yield self.home(name)
        settings.settings.cache_clear()

    def process(self, name: str, url: str, *command: str) -> "subprocess.Popen[bytes]":
        """Python with that command line, on that host."""
        told = {"DATABASE_URL": url, "APPOINTMENT360_HOME": str(self.home(name)), "PYTHONPATH": str(ROOT)}
        return subprocess.Popen([sys.executable, *command], env={**os.environ, **told}, cwd=ROOT)

    def files(self, name: str) -> list[str]:
        """What lies in its home, but the way to the checker."""
        home = self.home(name)
        found = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
        return sorted(found)


class Store:
    """An S3 that checks signatures, which can go away and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, nanio.free_port()
        self.running = ExitStack()

    @property
    def address(self) -> str:
        return f"s3://{s3.BUCKET}/site"

    def come(self) -> str:
        return self.running.enter_context(nanio.serving(self.folder, self.port))

    def go(self) -> None:
        self.running.close()


@contextmanager
def sharing(folder: Path) -> Iterator[Store]:
    """This process, and those that it starts, keep their files in an S3 meanwhile."""
    store = Store(folder)
    with pytest.MonkeyPatch.context() as patch:
        s3.use(store.come(), patch)
        s3.client(os.environ["APPOINTMENT360_S3_ENDPOINT"]).create_bucket(Bucket=s3.BUCKET)
        patch.setenv("APPOINTMENT360_FILES", store.address)
        settings.settings.cache_clear()
        try:
            yield store
        finally:
            store.go()
    settings.settings.cache_clear()
