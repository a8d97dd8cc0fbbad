"""What `/metrics` and `/readyz` tell of this instance's mirror of contacts; no metric where the settings want none.

An instance without one is ready: the database answers.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.contacts import own_mirror
from models.contacts.own_mirror import Phase


class Mirror(Collector):
    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        found = own_mirror.standing()
        if found is None:
            return
        progress = found.progress
        phases = GaugeMetricFamily("appointment360_mirror_phase", "1 for what it is about.", labels=["phase"])
        for phase in Phase:
            phases.add_metric([phase.value], float(progress.phase is phase))
        yield phases
        follows = progress.phase is Phase.FOLLOWING
        yield _gauge("following", "Whether it answers, and not the database.", float(follows))
        yield _gauge("contacts", "In it, or read so far.", found.contacts if follows else progress.done)
        yield _gauge("size_bytes", "Of its file on this instance's disk.", found.bytes)
        yield _gauge("behind_seconds", "Since it was last seen to have every change.", found.behind)


def _gauge(name: str, told: str, value: float | None) -> Metric:
    gauge = GaugeMetricFamily(f"appointment360_mirror_{name}", told)
    if value is not None:
        gauge.add_metric([], value)
    return gauge


def part() -> str:
    """For `/readyz`: “following”, “waiting: the reason”."""
    progress = own_mirror.progress()
    return f"{progress.phase.value}: {progress.fault}" if progress.fault else progress.phase.value
