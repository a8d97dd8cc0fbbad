"""An empty Debian 13 with systemd as its first process, in a network of its own from which nothing of this machine is
reached, but Debian's and PyPI's packages are."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from models import kernel_locks
from tests.production.booted import FIRST, Booted
from tests.production.containers import CERTIFICATES, STORAGE, base, inspected, podman, stand_in

# The image that the containers' tests have, without what stands there for the program's Python. systemd 257 runs on the
# older kind of control groups only where it is told to.
MACHINE = """\
FROM {base}
RUN rm -rf /usr/local/* && apt-get update -qq \\
    && apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus iproute2 procps \\
    && rm -rf /var/lib/apt/lists/* && touch /etc/.empty
ENV SYSTEMD_PROC_CMDLINE="systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
"""


@dataclass
class EmptyMachine(Booted):
    """`folders` are this machine's, by where they are there; `names` are those that lead to it."""

    folders: dict[str, Path]
    names: tuple[str, ...] = ()

    def boot(self) -> None:
        with kernel_locks.held(STORAGE.with_suffix(".lock")):
            made = base()
        image = stand_in("localhost/appointment360-machine:trixie", MACHINE.format(base=made), {})
        mounts = [f"--volume={place}:{there}" for there, place in self.folders.items()]
        mounts += [f"--add-host={name}:127.0.0.1" for name in self.names]
        command = ["run", "-d", f"--name={self.name}", "--hostname=contacts", "--network=slirp4netns"]
        command += ["--systemd=always", "--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", *mounts]
        podman(*command, image, "sh", "-c", FIRST)
        self.until("systemd runs", lambda: self.run("systemctl", "is-system-running", check=False) == "running")
        if CERTIFICATES.is_file():  # whom this machine believes where packages come from
            podman("cp", CERTIFICATES, f"{self.name}:{CERTIFICATES}")

    def believe(self, *certificates: Path) -> None:
        more = "".join(one.read_text() for one in certificates)
        self.run("tee", "-a", str(CERTIFICATES), given=more)

    def follow(self, block: str, **given: str) -> str:
        """Run it as root would, told what this machine is about where packages come from; what it printed."""
        own = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_INDEX", "SSL_CERT_"))}
        told = [f"--env={name}={value}" for name, value in {**own, **given, "HOME": "/root"}.items()]
        return podman("exec", *told, self.name, "sh", "-euc", block).stdout

    @property
    def network(self) -> str:
        """Where its network is found by this machine's programs."""
        return f"/proc/{inspected('container', self.name)['State']['Pid']}/ns/net"


def downloads() -> Path:
    """What uv has downloaded before, so that it is not downloaded anew."""
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "the tests are started by uv"
    return Path(subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip())
