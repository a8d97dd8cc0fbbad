"""Errors to a Sentry, where APPOINTMENT360_SENTRY_DSN names one; without it its library is not loaded.

What leaves the house is what the log has, too: of an error its type and its place, words only where they are ours, the
route of a request, and the ids of request, person and run. Sentry's own integrations, which gather addresses, headers,
cookies, queries and statements with their values, stay off but for two: one hears what is logged as an error, the other
sends it before a process ends.
"""

import logging
from typing import TYPE_CHECKING, Any

from models import logs
from models.errors import InvalidInput
from models.settings import settings

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

# All of an event that is sent; whatever a later version of the library gathers stays here.
KEPT = (
    "event_id", "timestamp", "level", "logger", "platform", "release", "environment", "exception", "tags", "sdk",
)  # fmt: skip
KEPT_OF_FRAMES = ("filename", "abs_path", "function", "module", "lineno", "in_app")
IDS = ("request_id", "person_id", "run_id", "flow", "route")


def begin(part: str) -> None:
    """Let this process report, where that is wanted. Where a setting means nothing, whoever starts tells that."""
    try:
        secret = settings().sentry_dsn
    except InvalidInput:
        return
    if secret is None:
        return
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        secret.get_secret_value(),
        environment=settings().environment,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, event_level=logging.ERROR),
            AtexitIntegration(callback=lambda pending, timeout: None),  # what is under way is sent before the end
        ],
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        send_default_pii=False,
        max_breadcrumbs=0,
        server_name="",
        send_client_reports=False,
        before_send=scrubbed,
    )
    sentry_sdk.set_tag("part", part)


def scrubbed(event: "Event", hint: "Hint") -> "Event | None":
    """The event with what is in KEPT, and the words of its errors as the log has them."""
    found: dict[str, Any] = {name: event[name] for name in KEPT if name in event}  # type: ignore[literal-required]
    error = hint.get("exc_info", (None, None, None))[1]
    told = event.get("exception", {}).get("values", [])
    if error is None or not told:  # a line without an error: its words may be anybody's
        return None
    words = {_name(one["type"]): one.get("message", "") for one in logs.chain(error)}
    found["exception"] = {"values": [_bare(one, words) for one in told]}
    found["tags"] = {**event.get("tags", {}), **{name: str(value) for name, value in logs.ids().items() if name in IDS}}
    record = hint.get("log_record")
    if record is not None and isinstance(getattr(record, "route", None), str):
        found["tags"]["route"] = record.route
    return found  # type: ignore[return-value]


def _bare(told: dict[str, Any], words: dict[str, str]) -> dict[str, Any]:
    name = told.get("type") or "Error"
    frames = (told.get("stacktrace") or {}).get("frames", [])
    bare = [{part: frame[part] for part in KEPT_OF_FRAMES if part in frame} for frame in frames]
    found = {"type": name, "module": told.get("module"), "value": words.get(name, ""), "mechanism": {
        "type": (told.get("mechanism") or {}).get("type", "logging"), "handled": True,
    }}  # fmt: skip
    return {**found, "stacktrace": {"frames": bare}} if bare else found


def _name(qualified: str) -> str:
    return qualified.rpartition(".")[2]
