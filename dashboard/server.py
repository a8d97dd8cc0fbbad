"""The web as one ASGI application, with DATABASE_URL set:
`uvicorn dashboard.server:app --http dashboard.bounded_http:BoundedHttp`.

One worker per process: Streamlit keeps its sessions in memory. More traffic takes more instances with sticky sessions.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from dashboard import (
    access_log,
    downloads,
    edge,
    failures,
    mail_delivery,
    metrics,
    mirror_metrics,
    pay,
    places,
    prefect_pages,
    readiness,
    security_txt,
    uploads,
)
from dashboard.api import api, limits
from dashboard.front_page import front_page
from dashboard.session import cookie_name
from models import awaited, database, garbage, kept_listener, outages, sign_ins, timings
from models.contacts import own_mirror
from models.database import LARGEST_ID
from models.errors import InvalidInput, Unavailable
from models.settings import settings
from models.sign_ins import SignInRefused


class Id(Convertor[int]):
    """A number of any length: one that no column holds is that of nobody, not an error."""

    regex = "[0-9]+"

    def convert(self, value: str) -> int:
        digits = value.lstrip("0") or "0"
        return min(int(digits), LARGEST_ID) if len(digits) <= len(str(LARGEST_ID)) else LARGEST_ID

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("id", Id())

SCRIPT = Path(__file__).parent / "app.py"  # .streamlit/ and static/ are found beside it
MAX_BODY = 4096  # bytes of a sign-in request


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    url = settings().database_url
    if url is None:
        raise Unavailable("The web needs a database: set DATABASE_URL, or start everything with `appointment360 up`.")
    database.bind(url.get_secret_value(), patience=settings().search_seconds, replica=settings().replica)
    garbage.not_sought_in_what_is_loaded()
    with timings.keeping(), mail_delivery.delivering(), kept_listener.listening(), own_mirror.mirroring():
        async with awaited.opened(), prefect_pages.opened():
            with readiness.drained_before_its_end():
                yield {}
    limits.give_back()
    database.unbind()


async def open_session(request: Request) -> Response:
    """Trade a ticket for the session cookie: 204, or 400, 401, 415."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        return JSONResponse({"error": "Send JSON."}, 415)
    try:
        ticket = await _ticket(request)
        address = request.client.host if request.client else None
        device = request.headers.get("user-agent")
        token = await run_in_threadpool(sign_ins.redeem_ticket, ticket, address=address, device=device)
    except InvalidInput as error:
        return JSONResponse({"error": error.sentence}, 400)
    except SignInRefused as error:
        return JSONResponse({"error": error.sentence}, 401)
    answer = Response(status_code=204)
    secure = edge.is_secure(request.scope)
    lasts = await run_in_threadpool(sign_ins.lasts, token)
    answer.set_cookie(
        cookie_name(secure=secure),
        token,
        max_age=int(lasts.total_seconds()) if lasts else None,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return answer


async def _ticket(request: Request) -> str:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise InvalidInput(f"A sign-in request has at most {MAX_BODY:,} bytes.")
    try:
        ticket = json.loads(body)["ticket"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput('Send {"ticket": "..."}.') from error
    if not isinstance(ticket, str):
        raise InvalidInput("The ticket is a text.")
    return ticket


async def close_session(request: Request) -> Response:
    await run_in_threadpool(sign_ins.sign_out, edge.token(request.scope))
    answer = Response(status_code=204)
    secure = edge.is_secure(request.scope)
    answer.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="lax")
    return answer


async def healthz(_: Request) -> Response:
    """Whether the process is up, whatever it depends on."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Whether requests can be served. Who shows the token of the metrics is told of each part, Prefect included."""
    fault = await readiness.fault()
    told: dict[str, Any] = {"status": fault or "ok"}
    if metrics.may_read(request):
        prefect = await prefect_pages.answers()
        told["parts"] = {
            "database": "away" if await readiness.database_fault() else "ok",
            "disk": "full" if readiness.is_full() else readiness.disk(),
            "draining": readiness.draining(),
            "mirror": mirror_metrics.part(),
            "prefect": {None: "not set up", True: "ok", False: "away"}[prefect],
        }
    return JSONResponse(told, 503 if fault else 200, {"retry-after": str(outages.AGAIN)} if fault else None)


access_log.begin()
app = st.App(
    SCRIPT,
    lifespan=lifespan,
    middleware=[Middleware(edge.Edge)],
    on_script_error=failures.show,
    routes=[
        Mount("/api/v1", api),
        Route("/auth/session", open_session, methods=["POST"]),
        Route("/auth/sign-out", close_session, methods=["POST"]),
        Route("/exports/{export_id:id}/file", downloads.export_file),
        Route("/audit/log.csv", downloads.audit_log),
        Route("/quality/report.{kind}", downloads.quality_report),
        Route("/contacts/difference.csv", downloads.difference),
        Route("/performance/report.html", downloads.performance_report),
        Route("/imports/uploads", uploads.begin, methods=["POST"]),
        Route("/imports/{import_id:id}/upload", uploads.look),
        Route("/imports/{import_id:id}/upload", uploads.receive, methods=["PUT"]),
        Route("/imports/{import_id:id}/upload/complete", uploads.complete, methods=["POST"]),
        Route("/imports/{import_id:id}/{file}", downloads.import_rows),
        Route("/pay/pay.js", pay.script),
        Route("/pay/order/{order_id:id}", pay.order),
        Route("/pay/order/{order_id:id}/return", pay.order_returned, methods=["POST"]),
        Route("/pay/order/{order_id:id}/done", pay.order_done),
        Route("/pay/order/{order_id:id}/state", pay.order_state),
        Route("/pay/receipt/{number:id}", pay.receipt),
        Route("/pay/subscription", pay.subscription),
        Route("/pay/subscription/return", pay.subscription_returned, methods=["POST"]),
        Route("/pay/subscription/done", pay.subscription_done),
        Route("/pay/subscription/state", pay.subscription_state),
        Route("/prefect/{path:path}", prefect_pages.screens, methods=prefect_pages.METHODS),
        *(Route(places.path(name), front_page) for name in places.PLACES),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics.metrics),
        Route(security_txt.PATH, security_txt.page),
    ],
)
