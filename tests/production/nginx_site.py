"""A site as deploy/nginx installs it: a real nginx on ports of its own, before real instances of the web."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests import waiting
from tests.dashboard.conftest import server_environment
from tests.waiting import free_port

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "deploy" / "nginx" / "install.sh"
NAME = "contacts.test"
# In environments of their own: sslyze wants an older cryptography than the application has.
GIXY, SSLYZE = "gixy-ng==0.2.59", "sslyze==6.3.1"
PATIENCE = 300  # seconds: the machine may be busy


def tool(package: str, *command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "uv installs the tools of these tests."
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    words = [uv, "tool", "run", "--no-config", "--from", package, *command]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


@dataclass
class Instance:
    """One process of the web."""

    port: int
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / f"web-{self.port}.log"

    def start(self) -> None:
        command = [sys.executable, "-m", "deploy.cli", "run", "web", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=log, stderr=log)

    def wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"http://{self.address}/readyz").status_code == 200:
                    return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@dataclass
class Proxy:
    """The nginx. What it keeps is below `folder`."""

    folder: Path
    instances: list[str]
    http: int = field(default_factory=free_port)
    https: int = field(default_factory=free_port)

    @property
    def public(self) -> str:
        return f"{NAME}:{self.https}"

    @property
    def url(self) -> str:
        return f"https://{self.public}"

    @property
    def conf(self) -> Path:
        return self.folder / "etc" / "nginx.conf"

    @property
    def parts(self) -> Path:
        return self.folder / "etc" / "appointment360"

    @property
    def certificate(self) -> Path:
        return self.parts / "tls" / "current" / "fullchain.pem"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "NGINX_CONF": str(self.conf), "WEBROOT": str(self.folder / "webroot")}

    def install(self) -> None:
        places = [(f"--{name}", str(self.folder / name)) for name in ("etc", "run", "log", "cache", "webroot")]
        options = [
            ("--name", NAME), ("--listen", "127.0.0.1"), ("--http", str(self.http)), ("--https", str(self.https)),
            *(("--instance", one) for one in self.instances), *places,
        ]  # fmt: skip
        self.run(str(INSTALL), *(word for option in options for word in option))

    def run(self, *command: str) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def start(self) -> None:
        self.run("nginx", "-c", str(self.conf))

    def stop(self) -> None:
        """By its number, since `nginx -s` wants a configuration without a fault. Returns once it is gone."""
        pid = self.folder / "run" / "nginx.pid"
        os.kill(int(pid.read_text()), signal.SIGTERM)
        until(lambda: not pid.exists())

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log" / "access.log").read_text().splitlines()]

    def line_of(self, answer: httpx.Response) -> dict[str, Any]:
        """The line of the log; nginx writes it after the answer went out."""
        number = answer.headers["x-request-id"]
        return until(lambda: next((one for one in self.logged() if one["request_id"] == number), None))

    def client(self, *, from_address: str = "127.0.0.1", **more: Any) -> httpx.Client:
        """Asks for the site by its name, which no name server knows, and trusts its certificate only."""
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        transport = httpx.HTTPTransport(verify=trusted, local_address=from_address, http2=more.pop("http2", False))
        headers = {"Host": self.public, "Origin": self.url, **more.pop("headers", {})}
        hooks = {"request": [lambda request: request.extensions.update(sni_hostname=NAME)]}
        base = f"https://127.0.0.1:{self.https}"
        return httpx.Client(
            transport=transport, headers=headers, base_url=base, event_hooks=hooks, timeout=PATIENCE, **more
        )


def until(found: Any) -> Any:
    """What `found` returns, as soon as that is something."""
    return waiting.until("it came to that", found, within=PATIENCE)


@contextmanager
def proxy_before(*instances: str) -> Iterator[Proxy]:
    """Installed and running; its folder can be read by the user that nginx runs as."""
    folder = Path(tempfile.mkdtemp(prefix="appointment360-nginx-"))
    folder.chmod(0o755)
    proxy = Proxy(folder, list(instances))
    try:
        proxy.install()
        proxy.start()
        try:
            yield proxy
        finally:
            proxy.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def two_instances(database: str, folder: Path, **more: str) -> Iterator[tuple[Proxy, list[Instance]]]:
    """The whole site: two instances of the web on one database and one home, behind nginx."""
    ports = [free_port(), free_port()]
    with proxy_before(*(f"127.0.0.1:{port}" for port in ports)) as proxy:
        settings = {"HOME": str(folder), "PUBLIC_URL": proxy.url, "LOG_FORMAT": "json"} | more
        environment = server_environment(database, **{f"APPOINTMENT360_{name}": one for name, one in settings.items()})
        instances = [Instance(port, environment, folder) for port in ports]
        try:
            for instance in instances:
                instance.start()
            for instance in instances:
                instance.wait()
            yield proxy, instances
        finally:
            for instance in instances:
                if instance.process is not None:
                    instance.kill()
