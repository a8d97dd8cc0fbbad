"""What a Prometheus server reads at `/metrics`: how the backups stand, and what this process uses.

Its bearer token is APPOINTMENT360_METRICS_TOKEN; where none is set there is no such page. No number is of a contact or
of a person. Names as https://prometheus.io/docs/practices/naming/ has them: seconds, bytes, moments in Unix time.
"""

import hmac
import re
from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dashboard import readiness
from dashboard.replica_metrics import Replica
from models import backup_alerts
from models.errors import Unavailable
from models.permissions import OPERATOR
from models.settings import settings

PLACE = re.compile(r" .*")  # “expiry s3://bucket/folder”: a label's values have to be few


class Backups(Collector):
    """What is not there has no sample: no age where no backup is."""

    def describe(self) -> Iterable[Metric]:
        return ()  # else the registry would ask the database when this module is imported

    def collect(self) -> Iterator[Metric]:
        health = backup_alerts.health(by=OPERATOR)
        yield _gauge("newest_age_seconds", "Since the newest backup was begun.", health.newest_age)
        yield _gauge("proven_age_seconds", "Since the newest one was begun that a drill proved.", health.proven_age)
        yield _gauge("restore_seconds", "What the drill of the newest proven one took.", health.restore_seconds)
        yield _gauge("stored_bytes", "Of all backups that are kept.", health.bytes)
        yield _gauge("alerts", "Faults of the backups that stand now.", len(health.faults))
        alert = GaugeMetricFamily(
            "appointment360_backup_alert", "1 for each kind of fault that stands.", labels=["kind"]
        )
        for kind in sorted({PLACE.sub("", kind) for kind in health.faults}):
            alert.add_metric([kind], 1)
        yield alert
        first, last = health.moments or (None, None)
        yield _gauge("first_moment_seconds", "The first to which can be restored.", first and first.timestamp())
        yield _gauge("last_moment_seconds", "The last to which can be restored.", last and last.timestamp())


def _gauge(name: str, told: str, value: float | None) -> Metric:
    gauge = GaugeMetricFamily(f"appointment360_backup_{name}", told)
    if value is not None:
        gauge.add_metric([], value)
    return gauge


REGISTRY = CollectorRegistry(auto_describe=False)
REGISTRY.register(Backups())
REGISTRY.register(Replica())
ProcessCollector(registry=REGISTRY)


async def metrics(request: Request) -> Response:
    """200, or 404 where nobody may read them, 401 without the token, 503 where the database cannot be asked."""
    wanted = settings().metrics_token
    if wanted is None:
        return PlainTextResponse("There are no metrics: set APPOINTMENT360_METRICS_TOKEN, and start again.\n", 404)
    shown = request.headers.get("authorization", "")
    if not hmac.compare_digest(shown.encode(), f"Bearer {wanted.get_secret_value()}".encode()):
        told = "Show the token of APPOINTMENT360_METRICS_TOKEN: Authorization: Bearer ...\n"
        return PlainTextResponse(told, 401, {"WWW-Authenticate": "Bearer"})
    try:
        body = await run_in_threadpool(_read)
    except Unavailable as error:
        return PlainTextResponse(f"{error.sentence}\n", 503)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


def _read() -> bytes:
    readiness.require()
    return generate_latest(REGISTRY)
