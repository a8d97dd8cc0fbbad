"""What the web logs of a request: who asked for which route, never the path or the query.

They hold links that open an account, what people search for, and names.
"""

import logging
import re
import time

import streamlit.logger
from starlette.types import Message, Scope, Send

from dashboard import request_metrics
from dashboard.api import problems
from models import fault_reports, logs

log = logging.getLogger(__name__)

ACTOR = "appointment360.actor"  # where a request's scope keeps who asks by a cookie
ASKED_OFTEN = frozenset({"/healthz", "/readyz", "/metrics", "/_stcore/health"})  # by machines, every few seconds
SOCKETS = re.compile(r'.*"WebSocket |connection (open|closed)')  # uvicorn tells addresses with them
CONVERTED = re.compile(r":\w+\}")  # what reads a part of the path
FAILED = 500


class Line:
    """Of one request, written when its answer has ended."""

    def __init__(self, scope: Scope) -> None:
        self.scope, self.began = scope, time.perf_counter()
        self.status, self.bytes, self.answered, self.whole = 0, 0, 0.0, False
        request_metrics.IN_FLIGHT.inc()

    def counting(self, send: Send) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status, self.answered = message["status"], time.perf_counter() - self.began
            elif message["type"] == "http.response.body":
                self.bytes += len(message.get("body", b""))
            await send(message)
            self.whole = message["type"] == "http.response.body" and not message.get("more_body")

        return counted

    def write(self, *, failed: bool = False) -> None:
        """An answer that was never begun is Starlette's 500 where it `failed`, else its reader hung up."""
        route, seconds = route_of(self.scope), time.perf_counter() - self.began
        status = self.status or (FAILED if failed else 0)
        request_metrics.IN_FLIGHT.dec()
        request_metrics.note(route, status, self.answered or seconds)
        by = self.scope.get(ACTOR) or self.scope.get(problems.ACTOR)
        told = logs.fields({
            "method": self.scope["method"], "route": route, "status": status, "seconds": round(seconds, 4),
            "bytes": self.bytes, "person_id": by.id if by is not None else None,
        })  # fmt: skip
        log.log(logging.DEBUG if route in ASKED_OFTEN else logging.INFO, "request", extra=told)


def route_of(scope: Scope) -> str:
    """The pattern of the route that answers, such as “/api/v1/contacts/{contact_id}”; “none” where no route does."""
    path = getattr(scope.get("route"), "path", None)
    return CONVERTED.sub("}", f"{scope.get('root_path', '')}{path}") if path else "none"


class WithoutQuery(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(one.partition("?")[0] if isinstance(one, str) else one for one in record.args)
        return True


class WithoutSockets(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not SOCKETS.match(str(record.msg))


def begin() -> None:
    """Let the web's process log, and with it the libraries that would do so by themselves."""
    logs.begin("web")
    logs.take_printed()
    fault_reports.begin("web")
    for name in ("uvicorn.access", "uvicorn.error"):  # requests, and sockets
        logging.getLogger(name).addFilter(WithoutQuery())
    logging.getLogger("uvicorn.error").addFilter(WithoutSockets())
    logs.take_over("uvicorn", "uvicorn.error")
    requests = logging.getLogger("uvicorn.access")  # Line tells of them; uvicorn looks whether somebody listens
    requests.handlers.clear()
    requests.propagate = False
    streamlit.logger.setup_formatter = _by_ours
    streamlit.logger.update_formatter()


def _by_ours(logger: logging.Logger) -> None:
    """In place of Streamlit's, which gives each of its loggers a handler."""
    logger.handlers.clear()
    logger.propagate = logger.name != "uvicorn.access"
