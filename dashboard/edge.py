"""The outermost layer of every request: what may come in, and which headers go out.

Pure ASGI: Starlette's BaseHTTPMiddleware would collect streamed answers before sending them.
"""

import base64
import hashlib
import logging
import re
import secrets
import time
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import streamlit
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard import access_log, browser_messages, rate_limits, request_metrics
from dashboard.access_log import ACTOR
from dashboard.api import problems
from dashboard.session import ADDRESS_HEADER, REQUEST_HEADER, SCHEME_HEADER, cookie_name
from models import logs, outages, sign_ins, timings
from models.errors import TooMany
from models.payments import gateway
from models.permissions import Actor
from models.settings import settings
from models.tallies import TALLY, Tally

log = logging.getLogger(__name__)

# Of Streamlit's own routes only what its pages need; the rest (metrics, an interface for agents) stays closed.
STREAMLIT_ROUTES = re.compile(r"/_stcore/(health|host-config|stream|upload_file/.+|bidi-components/.+)")
UPLOADS = "/_stcore/upload_file"
BEHIND_SIGN_IN = (UPLOADS, "/media")  # Streamlit asks nobody who they are there
OF_PERSONS = (*BEHIND_SIGN_IN, "/audit/", "/exports/", "/imports/", "/pay/", "/prefect/api/")  # others ask themselves
NEVER_STORED = (
    "/audit/", "/auth/", "/contacts/difference.csv", "/exports/", "/imports/", "/media/", "/pay/",
    "/performance/report.", "/quality/report.",
)  # fmt: skip
CHECKOUTS = re.compile(r"/pay/(order/[0-9]+|subscription)")  # the pages that open Razorpay's window, and no others
REQUEST_ID = "appointment360.request_id"  # where a request's scope keeps the number that its answer shows
GIVEN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")  # of a request, by the proxy in front
# Of the program's own files. A CDN passes these on with them: else browsers use them on pages of its own host only.
# nosemgrep: another-site-may-read
FOR_A_CDN = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def content_security_policy(besides: str = "") -> str:
    """Scripts only from this host, from that of the static files and from `besides`; the one inline script of
    Streamlit's page by its hash.

    `blob:` is how Streamlit loads components; its styles are inline throughout.
    """
    files = _host_of_static_files()
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    return "; ".join(
        [
            "default-src 'self'",
            " ".join(filter(None, ["script-src 'self' blob:", *(f"'sha256-{one}'" for one in hashes), files, besides])),
            "worker-src 'self' blob:",
            f"style-src 'self' 'unsafe-inline' {files}".rstrip(),
            " ".join(filter(None, ["img-src 'self' data: blob:", files, besides])),
            f"font-src 'self' data: {files}".rstrip(),
            " ".join(filter(None, ["connect-src 'self'", files, besides])),
            f"frame-src 'self' {besides}".rstrip(),
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


def _host_of_static_files() -> str:
    """Empty where it is this one."""
    parts = urlsplit(settings().static_url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def headers_of_checkouts() -> dict[str, str]:
    """Razorpay lets nobody else serve its checkout: its script comes from its own hosts, draws a frame of theirs, may
    ask the browser for its payment request there, and opens a bank's page in a window that has to find its way back.
    It serves registered sites only, so it is told which one asks, without the path.
    """
    hosts = gateway.checkout_hosts()
    return {
        "content-security-policy": content_security_policy(hosts),
        "cross-origin-opener-policy": "same-origin-allow-popups",
        "permissions-policy": f'camera=(), geolocation=(), microphone=(), payment=(self "{hosts}"), usb=()',
        "referrer-policy": "strict-origin-when-cross-origin",
    }


class Edge:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.headers = {
            "content-security-policy": content_security_policy(),
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, _with_short_failure(send))

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _identified(scope)
        line = access_log.Line(scope)
        answer = self._answering(scope, line.counting(send), request_id)
        if not scope["path"].startswith(("/api/", "/_stcore/", "/static/")):  # the API notes its own
            answer = _noting(scope, answer)
        failed = False
        try:
            if refusal := await _refusal(scope):
                await refusal(scope, receive, answer)
            else:
                await self.app(scope, receive, answer)
        except Exception as error:  # logged with the id that the answer's header shows
            failed = True
            if outages.is_away(error) and not line.status:
                await problems.away(Request(scope), error)(scope, receive, answer)
                return
            if not scope.get(problems.LOGGED):
                log.exception("request %s failed: %s %s", request_id, scope["method"], access_log.route_of(scope))
            if not line.whole:  # after a whole answer uvicorn would cut off what comes next through the connection
                raise
        finally:
            line.write(failed=failed)

    def _answering(self, scope: Scope, send: Send, request_id: str) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self.headers)
                if CHECKOUTS.fullmatch(scope["path"]):
                    headers.update(headers_of_checkouts())
                headers["x-request-id"] = request_id
                if settings().static_url and scope["path"].startswith("/static/"):
                    headers.update(FOR_A_CDN)
                if scope["scheme"] == "https":
                    headers["strict-transport-security"] = "max-age=31536000"
                if scope["path"].startswith(NEVER_STORED):
                    headers["cache-control"] = "no-store"
            await send(message)

        return answer

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streamlit's socket is open before sign-in, since the form needs it; to other sites' pages it is not."""
        if scope["path"] != "/_stcore/stream" or not same_origin(scope):
            await send({"type": "websocket.close", "code": 1008})
            return
        _identified(scope)
        try:
            with rate_limits.socket_of(_address(scope)), request_metrics.SOCKETS.track_inprogress():
                told = browser_messages.only_those_of_pages(receive)
                await self.app({**scope, "headers": _told(scope)}, told, send)
        except TooMany:
            await send({"type": "websocket.close", "code": 1013})


def _noting(scope: Scope, send: Send) -> Send:
    """Notes how long it took until the answer begins, where one of our own routes gives it: by the route's name, since
    its path may name somebody."""
    tally, began = Tally(), time.perf_counter()
    TALLY.set(tally)

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            route = scope.get("endpoint")
            if getattr(route, "__module__", "").startswith("dashboard."):
                by, seconds = scope.get(ACTOR), time.perf_counter() - began
                name = f"{scope['method']} {route.__module__.removeprefix('dashboard.')}.{route.__name__}"
                timings.note(
                    "web", name, seconds, tally, user_id=by.id if by else None, failed=message["status"] >= 500
                )
        await send(message)

    return answer


async def _refusal(scope: Scope) -> Response | None:
    """The answer to a request that goes no further; None lets it in."""
    path = scope["path"]
    if path.startswith("/_stcore") and not STREAMLIT_ROUTES.fullmatch(path):
        return PlainTextResponse("Not found.", 404)
    # Programs call /api with a token that no browser sends by itself, so no other site can make one call it.
    if scope["method"] not in SAFE_METHODS and not path.startswith("/api/") and not same_origin(scope):
        return PlainTextResponse("This request came from another site.", 403)
    try:
        rate_limits.count_address(_address(scope), path)
        actor = await signed_in(scope) if path.startswith(OF_PERSONS) else None
        if actor is not None:
            rate_limits.count_person(actor)
    except TooMany as error:
        return _too_many(scope, error)
    if path.startswith(BEHIND_SIGN_IN) and actor is None:
        return PlainTextResponse("Sign in first.", 401)
    if path.startswith(UPLOADS):
        return PlainTextResponse("No page of ours sends files here: they would be kept in memory.", 404)
    return None


def _too_many(scope: Scope, error: TooMany) -> Response:
    headers = {"retry-after": str(error.seconds)}
    if scope["path"].startswith("/api/"):  # whose programs read one kind of error
        return problems.answer(Request(scope), HTTPStatus.TOO_MANY_REQUESTS, error.sentence, headers=headers)
    return PlainTextResponse(error.sentence, HTTPStatus.TOO_MANY_REQUESTS, headers)


def same_origin(scope: Scope) -> bool:
    """Whether a page of this very host asks. Browsers send Origin with every such request, so none is no.

    Nor does a page that came over http, which anybody on its way may have written, ask over https. The other way round
    it is a proxy that does not tell us of its https.
    """
    headers = Headers(scope=scope)
    scheme, _, host = headers.get("origin", "").partition("://")
    return (
        scheme in (("https",) if is_secure(scope) else ("http", "https")) and bool(host) and host == headers.get("host")
    )


def is_secure(scope: Scope) -> bool:
    return scope["scheme"] in ("https", "wss")


def token(scope: Scope) -> str | None:
    """The session's token, only from the cookie whose name fits the request's scheme."""
    return HTTPConnection(scope).cookies.get(cookie_name(secure=is_secure(scope)))


async def signed_in(scope: Scope) -> Actor | None:
    """Who asks; looked up once for a request."""
    if ACTOR not in scope:
        scope[ACTOR] = await run_in_threadpool(sign_ins.actor_of, token(scope))
    found: Actor | None = scope[ACTOR]
    if found is not None:
        logs.bind(person_id=found.id)
    return found


def _identified(scope: Scope) -> str:
    """The request's number, on its answer and on every line that is logged for it: that of the proxy in front, so that
    its log and ours agree, where its word is taken. It is by uvicorn, which then puts the address that the proxy names
    in place of the proxy's own, without a port."""
    given = Headers(scope=scope).get("x-request-id", "")
    client = scope.get("client")
    believed = client is not None and client[1] == 0 and GIVEN_ID.fullmatch(given)
    scope[REQUEST_ID] = request_id = given if believed else secrets.token_hex(8)
    logs.bind(request_id=request_id)
    return request_id


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _told(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The handshake's headers with scheme, address and number as this server sees them, whatever a browser claimed."""
    scheme = "https" if is_secure(scope) else "http"
    ours = {SCHEME_HEADER: scheme, ADDRESS_HEADER: _address(scope), REQUEST_HEADER: scope[REQUEST_ID]}
    kept = [(name, value) for name, value in scope["headers"] if name.decode("latin-1") not in ours]
    return kept + [(name.encode(), value.encode()) for name, value in ours.items() if value]


def _with_short_failure(send: Send) -> Send:
    """A server that cannot start says why in a sentence, not in a page of traceback."""

    async def shortened(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed" and (text := message.get("message")):
            message = {**message, "message": text.strip().splitlines()[-1].partition(": ")[2] or text}
        await send(message)

    return shortened
