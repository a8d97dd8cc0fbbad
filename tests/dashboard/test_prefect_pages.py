"""Prefect's own screens through the web: for who may manage the server, with Prefect's sign-in, to look."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from prefect.server.api.ui import flow_runs, flows, schemas, task_runs

from dashboard import prefect_pages
from models.permissions import Role
from tests.dashboard.conftest import Site, served

SIGN_IN = "appointment360:secret"


class Prefect(BaseHTTPRequestHandler):
    """Stands in for Prefect 3.8's server with PREFECT_UI_SERVE_BASE=/prefect: it tells what it was asked."""

    def answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length).decode()
        told = {"asked": f"{self.command} {self.path}", "body": body, "cookie": self.headers.get("cookie")}
        if self.path == "/prefect/ui-settings":
            told = {"api_url": "http://127.0.0.1:4200/api", "auth": "BASIC", "default_ui": "v2"}
        expected = "Basic " + base64.b64encode(SIGN_IN.encode()).decode()
        is_known = self.headers.get("authorization") == expected
        self.send_response(200 if is_known else 401)
        self.send_header("content-type", "application/json")
        self.send_header("set-cookie", "theirs=1")
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def web(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Prefect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder: Path = tmp_path_factory.mktemp("web")
    address = f"http://127.0.0.1:{server.server_port}/api"
    with served(site.url, folder, PREFECT_API_URL=address, PREFECT_API_AUTH_STRING=SIGN_IN) as url:
        yield url
        server.shutdown()
        server.server_close()
        with httpx.Client(base_url=url, cookies={"session": site.token(Role.ADMIN)}) as admin:
            away = admin.get("/prefect/v2/dashboard")
            assert (away.status_code, "does not answer just now" in away.text) == (502, True)


@pytest.fixture
def admin(site: Site, web: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=web, cookies={"session": site.token(Role.ADMIN)}, headers={"origin": web}) as client:
        yield client


def test_its_screens_and_their_interface_are_passed_on_with_its_sign_in(admin: httpx.Client, web: str) -> None:
    screen = admin.get("/prefect/v2/runs/flow-run/1?tab=Logs")
    assert screen.json() == {"asked": "GET /prefect/v2/runs/flow-run/1?tab=Logs", "body": "", "cookie": None}
    assert "set-cookie" not in screen.headers
    assert "frame-ancestors 'none'" in screen.headers["content-security-policy"]
    found = admin.post("/prefect/api/flow_runs/filter", json={"limit": 3}).json()
    assert (found["asked"], json.loads(found["body"])) == ("POST /api/flow_runs/filter", {"limit": 3})
    settings = admin.get("/prefect/ui-settings").json()
    assert settings == {"api_url": f"{web}/prefect/api", "auth": None, "default_ui": "v2"}


def test_nothing_is_changed_there(admin: httpx.Client) -> None:
    for path in ("flow_runs/7/set_state", "deployments/", "flow_runs/filter/more"):
        refused = admin.post(f"/prefect/api/{path}")
        assert (refused.status_code, "on the screen Jobs" in refused.text) == (403, True), path
    for secret in ("block_documents/filter", "block_types/slug/aws/block_documents"):
        kept_back = [admin.get(f"/prefect/api/{secret}"), admin.post(f"/prefect/api/{secret}", json={})]
        assert {one.status_code for one in kept_back} == {403}
        assert "may be secret" in kept_back[0].text
    for method in ("DELETE", "PATCH", "PUT"):
        assert admin.request(method, "/prefect/api/flow_runs/filter").status_code == 405
    elsewhere = admin.post("/prefect/api/flow_runs/filter", headers={"origin": "http://evil.example"})
    assert elsewhere.status_code == 403


def test_whatever_its_screens_read_by_a_route_of_their_own_is_passed_on() -> None:
    """A newer Prefect may read by another one: its page of runs then stays empty, with an error."""
    paths = [route.path for module in (flow_runs, flows, schemas, task_runs) for route in module.router.routes
             if "POST" in route.methods]  # fmt: skip
    assert paths
    assert [path for path in paths if not prefect_pages.READS.fullmatch(path)] == []


def test_nobody_else_sees_them(site: Site, web: str) -> None:
    assert httpx.get(f"{web}/prefect/v2/dashboard").status_code == 401
    with httpx.Client(base_url=web, cookies={"session": site.token(Role.MANAGER)}) as manager:
        refused = manager.get("/prefect/api/flow_runs/7")
        assert (refused.status_code, "needs the role admin" in refused.text) == (403, True)
