"""What a Prometheus server reads at `/metrics`: requests of this instance, and what the database tells of the whole
house, workers included, which have no HTTP of their own.

Its bearer token is APPOINTMENT360_METRICS_TOKEN; where none is set there is no such page. No number is of a contact or
of a person. Names as https://prometheus.io/docs/practices/naming/ has them: seconds, bytes, moments in Unix time. Each
instance tells the house's numbers: whoever adds up instances takes their maximum. They are asked for once in FRESH
seconds; while the database is away, or stands still, they are missing, and `appointment360_ready` is 0.
"""

import hmac
import os
import re
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dashboard import readiness, request_metrics
from dashboard.flow_runs import signed_in
from dashboard.mirror_metrics import Mirror
from dashboard.replica_metrics import Replica
from models import backup_alerts, disks, server_numbers, timings
from models.errors import AppError
from models.permissions import OPERATOR
from models.settings import settings

PLACE = re.compile(r" .*")  # “expiry s3://bucket/folder”: a label's values have to be few
FRESH = 5.0  # seconds
CERTIFICATE_FRESH = 3600.0
SOON = 1.0  # seconds to wait for Prefect, and for a certificate
COUNTED = {
    "": ("times", "Carried out by this instance: screens, their parts, requests."),
    "_seconds": ("seconds", "That they took."),
    "_failed": ("failed", "Of them."),
    "_statements": ("statements", "That they asked of the database."),
    "_database_seconds": ("statement_seconds", "That the database took for them."),
}


def _gauge(name: str, told: str, value: float | None) -> Metric:
    gauge = GaugeMetricFamily(f"appointment360_{name}", told)
    if value is not None:
        gauge.add_metric([], value)
    return gauge


def _by(name: str, told: str, labels: list[str], values: dict[tuple[str, ...], float]) -> Metric:
    gauge = GaugeMetricFamily(f"appointment360_{name}", told, labels=labels)
    for key, value in sorted(values.items()):
        gauge.add_metric(key, value)
    return gauge


class Instance(Collector):
    """Of this process, whatever the database does."""

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        draining = readiness.draining()
        yield _gauge("ready", "Whether /readyz says so.", float(_Kept.usable and not draining))
        yield _gauge("draining", "Whether it is about to end.", float(draining))
        yield _gauge("prefect_up", "Whether Prefect's server answers, where one is set up.", _prefect())
        pool = server_numbers.pool()
        yield _gauge("pool_connections_used", "Of this instance to the database.", pool.used)
        yield _gauge("pool_connections_most", "That this instance may have.", pool.most)
        totals = timings.totals()
        for suffix, (name, told) in COUNTED.items():
            counter = CounterMetricFamily(f"appointment360_operations{suffix}", told, labels=["kind", "operation"])
            for (kind, operation), total in sorted(totals.items()):
                counter.add_metric([kind, operation], getattr(total, name))
            yield counter
        try:
            found = disks.all_here() if _Kept.usable else [disks.of_the_home()]
        except (OSError, AppError, DBAPIError, NoConnectionFree):  # the database is asked for its folder
            found = [disks.of_the_home()]
        yield _by("disk_free_bytes", "Of each disk of this machine, by what lies there.", ["holds"],
                  {(one.holds,): one.free for one in found})  # fmt: skip
        yield _by("disk_size_bytes", "Of the same.", ["holds"], {(one.holds,): one.total for one in found})
        yield _gauge("certificate_end_seconds", "When the certificate of the public address ends.", _Certificate.end())


class House(Collector):
    """What the database tells. What is not there has no sample: no age where no backup is."""

    def describe(self) -> Iterable[Metric]:
        return ()  # else the registry would ask the database when this module is imported

    def collect(self) -> Iterator[Metric]:
        yield from _backups(backup_alerts.health(by=OPERATOR))
        yield from _database(server_numbers.read())


def _backups(health: backup_alerts.Health) -> Iterator[Metric]:
    yield _gauge("backup_newest_age_seconds", "Since the newest backup was begun.", health.newest_age)
    yield _gauge("backup_proven_age_seconds", "Since the newest one was begun that a drill proved.", health.proven_age)
    yield _gauge("backup_restore_seconds", "What the drill of the newest proven one took.", health.restore_seconds)
    yield _gauge("backup_stored_bytes", "Of all backups that are kept.", health.bytes)
    yield _gauge("backup_alerts", "Faults of the backups that stand now.", len(health.faults))
    kinds = {(PLACE.sub("", kind),): 1.0 for kind in health.faults}
    yield _by("backup_alert", "1 for each kind of fault that stands.", ["kind"], kinds)
    first, last = health.moments or (None, None)
    yield _gauge("backup_first_moment_seconds", "The first to which can be restored.", first and first.timestamp())
    yield _gauge("backup_last_moment_seconds", "The last to which can be restored.", last and last.timestamp())


def _database(found: server_numbers.Numbers) -> Iterator[Metric]:
    yield _by("database_connections", "By what they do.", ["state"], _one(found.connections))
    yield _gauge("database_connections_most", "That the server allows.", found.connections_most)
    yield _gauge("database_size_bytes", "Of the whole database.", found.bytes)
    yield _gauge("database_oldest_transaction_seconds", "Of those that are open.", found.oldest_transaction)
    yield _gauge("database_replicas", "That follow the server now.", len(found.lags))
    yield _by("database_replication_lag_seconds", "Of each.", ["replica"], _one(found.lags))
    yield _by("imports", "By state.", ["state"], _one(found.imports))
    yield _by("import_rows", "Of the imports in each state.", ["state"], _one(found.import_rows))
    yield _gauge(
        "imports_waiting", "That somebody wants to go on, and that no process has begun.", found.imports_waiting
    )
    yield _gauge("imports_oldest_waiting_seconds", "Of these.", found.imports_oldest_waiting)
    yield _by("flow_runs", "That wait or run now.", ["flow", "state"], {**found.runs})
    yield _gauge("flow_runs_oldest_waiting_seconds", "Of these.", found.runs_oldest_waiting)
    yield _by("flow_runs_ended", "In the last hour, by how.", ["flow", "state"], {**found.runs_ended})
    yield _gauge("mails_waiting", "To be sent.", found.mails_waiting)
    yield _gauge("mails_oldest_waiting_seconds", "Of these.", found.mails_oldest_waiting)
    yield _gauge("mails_given_up", "After all tries.", found.mails_given_up)


def _one(values: dict[str, int] | dict[str, float]) -> dict[tuple[str, ...], float]:
    return {(key,): float(value) for key, value in values.items()}


class _Certificate:
    """Of the public address, as a browser gets it; asked for seldom."""

    known: float | None = None
    asked = -CERTIFICATE_FRESH
    lock = threading.Lock()

    @classmethod
    def end(cls) -> float | None:
        """A moment; None where the address is none of https, or does not answer."""
        parts = urlsplit(settings().public_url or "")
        if parts.scheme != "https" or not parts.hostname:
            return None
        with cls.lock:
            if time.monotonic() - cls.asked >= CERTIFICATE_FRESH:
                cls.asked, cls.known = time.monotonic(), _ends(parts.hostname, parts.port or 443)
            return cls.known


def _ends(host: str, port: int) -> float | None:
    try:
        shown = ssl.get_server_certificate((host, port), timeout=SOON)
        return x509.load_pem_x509_certificate(shown.encode()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


def _prefect() -> float | None:
    address = os.environ.get("PREFECT_API_URL")
    if not address:
        return None
    try:
        with signed_in(address, patience=SOON) as prefect:
            return float(prefect.get("health").is_success)
    except httpx.HTTPError:
        return 0.0


INSTANCE, HOUSE = CollectorRegistry(auto_describe=False), CollectorRegistry(auto_describe=False)
INSTANCE.register(Instance())
INSTANCE.register(Mirror())
ProcessCollector(registry=INSTANCE)
HOUSE.register(Replica())
HOUSE.register(House())


class _Kept:
    """What was read last: several who ask at once, or soon after each other, cost the database one look."""

    lock = threading.Lock()
    text = b""
    read = -FRESH
    usable = False  # whether the database was, before it


def may_read(request: Request) -> bool:
    wanted = settings().metrics_token
    if wanted is None:
        return False
    shown = request.headers.get("authorization", "")
    return hmac.compare_digest(shown.encode(), f"Bearer {wanted.get_secret_value()}".encode())


async def metrics(request: Request) -> Response:
    """200, or 404 where nobody may read them, 401 without the token."""
    if settings().metrics_token is None:
        return PlainTextResponse("There are no metrics: set APPOINTMENT360_METRICS_TOKEN, and start again.\n", 404)
    if not may_read(request):
        told = "Show the token of APPOINTMENT360_METRICS_TOKEN: Authorization: Bearer ...\n"
        return PlainTextResponse(told, 401, {"WWW-Authenticate": "Bearer"})
    text = await run_in_threadpool(_read, await readiness.database_fault() is None)
    if text is None:
        return PlainTextResponse("Another one is told, which takes long: the database may stand still.\n", 503)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _read(usable: bool) -> bytes | None:
    """None where the one who asks for them now does not come to an end: each who waited would hold a thread."""
    if not _Kept.lock.acquire(timeout=FRESH):
        return None
    try:
        if time.monotonic() - _Kept.read >= FRESH:
            _Kept.usable = usable
            _Kept.text, _Kept.read = _asked(), time.monotonic()
        return generate_latest(request_metrics.REGISTRY) + _Kept.text
    finally:
        _Kept.lock.release()


def _asked() -> bytes:
    instance = generate_latest(INSTANCE)
    if not _Kept.usable:
        return instance
    try:
        return instance + generate_latest(HOUSE)
    except (DBAPIError, NoConnectionFree, AppError):  # it went away meanwhile
        return instance
