"""What `/metrics` tells of the replica on which contacts are browsed; nothing where there is none."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models import replica


class Replica(Collector):
    """No sample of the lag where it does not answer, or follows another database."""

    def describe(self) -> Iterable[Metric]:
        return ()  # else the registry would ask the database when this module is imported

    def collect(self) -> Iterator[Metric]:
        health = replica.health()
        if health is None:
            return
        lag = GaugeMetricFamily("appointment360_replica_lag_seconds", "How far it is behind the database.")
        if health.lag is not None:
            lag.add_metric([], health.lag)
        yield lag
        asked = CounterMetricFamily(
            "appointment360_replica_questions", "What became of those that it might have answered.", labels=["outcome"]
        )
        for outcome, number in health.outcomes.items():
            asked.add_metric([outcome.value], number)
        yield asked
