"""An instance that is told to end, whose disk is full, or that has no Prefect: what balancers are told."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.dashboard.conftest import Site, served, server_command, server_environment
from tests.waiting import free_port

TOKEN = "a-token-of-the-monitoring"
NOWHERE = "http://127.0.0.1:1/api"
ENDS = {"status": "This instance is about to end."}


def status(address: str) -> int:
    try:
        return httpx.get(f"{address}/readyz", timeout=30).status_code
    except httpx.TransportError:
        return 0


def until_status(address: str, wanted: int) -> None:
    deadline = time.monotonic() + 120
    while (found := status(address)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@contextmanager
def instance(site: Site, folder: Path, **environment: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A ready one."""
    port, environment = free_port(), {"APPOINTMENT360_HOME": str(folder), **environment}
    with (folder / "web.log").open("ab") as log:
        process = subprocess.Popen(
            [*server_command(), "--port", str(port)], env=server_environment(site.url, **environment), cwd=folder,
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until_status(f"http://127.0.0.1:{port}", 200)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def test_it_serves_on_while_its_balancer_is_told(site: Site, tmp_path: Path) -> None:
    with instance(site, tmp_path, APPOINTMENT360_WEB_DRAIN_SECONDS="15") as (address, process):
        process.send_signal(signal.SIGTERM)
        until_status(address, 503)
        assert httpx.get(f"{address}/readyz").json() == ENDS
        assert httpx.get(f"{address}/healthz").status_code == 200
        assert httpx.get(f"{address}/api/v1/contacts").status_code == 401
        assert process.wait(60) in (0, -signal.SIGTERM)
        assert status(address) == 0
    assert "draining" in (tmp_path / "web.log").read_text()


def test_a_second_signal_ends_it_at_once_and_prefect_is_no_condition(site: Site, tmp_path: Path) -> None:
    more = {"PREFECT_API_URL": NOWHERE, "APPOINTMENT360_METRICS_TOKEN": TOKEN}
    with instance(site, tmp_path, APPOINTMENT360_WEB_DRAIN_SECONDS="600", **more) as (address, process):
        assert httpx.get(f"{address}/readyz").json() == {"status": "ok"}
        shown = httpx.get(f"{address}/readyz", headers={"authorization": f"Bearer {TOKEN}"})
        assert shown.status_code == 200
        parts = shown.json()["parts"]
        assert (parts["database"], parts["prefect"], parts["draining"]) == ("ok", "away", False)
        process.send_signal(signal.SIGTERM)
        until_status(address, 503)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


def test_with_a_full_disk_people_go_on_browsing(site: Site, tmp_path: Path) -> None:
    more = {"APPOINTMENT360_DISK_RESERVE": str(10**18), "APPOINTMENT360_METRICS_TOKEN": TOKEN}
    with served(site.url, tmp_path, **more) as address:
        shown = httpx.get(f"{address}/readyz", headers={"authorization": f"Bearer {TOKEN}"})
        assert (shown.status_code, shown.json()["parts"]["disk"]) == (200, "full")
