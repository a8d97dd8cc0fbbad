"""What this instance counts of requests and sockets, since it began. A route is the pattern of its path."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry(auto_describe=False)

REQUESTS = Counter(
    "appointment360_requests", "Answered, by route and class of status.", ["route", "status"], registry=REGISTRY
)
SECONDS = Histogram(
    "appointment360_request_seconds",
    "Until the answer began.",
    ["route"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
IN_FLIGHT = Gauge("appointment360_requests_in_flight", "Being answered now.", registry=REGISTRY)
SOCKETS = Gauge("appointment360_sockets_open", "Tabs of browsers that are connected.", registry=REGISTRY)


def note(route: str, status: int, seconds: float) -> None:
    REQUESTS.labels(route, f"{status // 100}xx" if status else "none").inc()
    SECONDS.labels(route).observe(seconds)
