"""Loading Great Expectations in less time: what it imports and a check never touches is loaded when it is touched.

altair draws its pages, boto3 reads its S3 stores, scipy.stats compares distributions: a quarter of the import's time
and a third of its memory. Nothing is taken away: the first access to one of them loads it, by importlib's LazyLoader.
It is meant for a process whose only work are checks, and changes how these modules load in all of it.
"""

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType

DEFERRED = ("altair", "boto3", "scipy.stats")


class _Deferring(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in DEFERRED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


@contextmanager
def deferring() -> Iterator[None]:
    """Within the block the modules DEFERRED are only noted; each loads at its first use, then or later."""
    finder = _Deferring()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def load_checks() -> None:
    """Import what runs checks, quietly: no usage statistics leave the machine, no idle threads of the maths library."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # also: a process with threads is not safely forked
    with deferring():
        import data_checks.run

        data_checks.run.get_ready()
