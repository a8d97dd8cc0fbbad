"""Hosts of a test: each a network of its own with a name of its own, which reaches the services at one address."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.command_line import COMMAND, PROJECT

LONGEST = 20.0  # seconds in which what was killed is gone


def ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Host:
    """`address` is where this machine reaches it. What it keeps is in its `home`, which no other host sees."""

    name: str
    network: str
    address: str
    home: Path
    cable: str

    def start(self, *arguments: str, environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
        """`appointment360 ARGUMENTS` there."""
        named = ["unshare", "--uts", "sh", "-c", f'hostname {self.name} && exec "$@"', "sh"]
        with log.open("ab") as told:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.network, *named, *COMMAND, *arguments],
                env=environment | {"APPOINTMENT360_HOME": str(self.home)},
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
            )

    def processes(self) -> list[int]:
        return [int(one) for one in ip("netns", "pids", self.network).split()]

    def lose_power(self) -> None:
        """Its processes are gone, and nobody hears of it: no connection is closed."""
        ip("link", "set", self.cable, "down")
        self.die()

    def die(self) -> None:
        """Every process of it is killed."""
        end = time.monotonic() + LONGEST
        while found := self.processes():
            assert time.monotonic() < end, found
            for one in found:
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            time.sleep(0.05)


@contextmanager
def hosts(folder: Path, *names: str) -> Iterator[tuple[str, list[Host]]]:
    """The address of this machine that all of them reach, and the hosts; at the end nothing is left of them."""
    assert shutil.which("ip"), "The package iproute2 makes networks."
    number = os.getpid() % 200 + 20
    services = f"10.{number}.0.1"
    with ExitStack() as left:
        ip("address", "add", f"{services}/32", "dev", "lo")
        left.callback(ip, "address", "del", f"{services}/32", "dev", "lo")
        # What is for a host whose cable is out goes nowhere: the default route would take it to others.
        nowhere = ("unreachable", f"10.{number}.0.0/16", "metric", "4096")
        ip("route", "add", *nowhere)
        left.callback(ip, "route", "del", *nowhere)
        made = []
        for place, name in enumerate(names, start=1):
            network, here, there = f"a360-{number}-{place}", f"10.{number}.{place}.1", f"10.{number}.{place}.2"
            ip("netns", "add", network)
            left.callback(ip, "netns", "del", network)
            outside = f"a360v{number}p{place}"
            host = Host(name, network, there, folder / name, outside)
            left.callback(host.die)
            ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", network)
            left.callback(ip, "link", "del", outside)
            ip("address", "add", f"{here}/30", "dev", outside)
            ip("link", "set", outside, "up")
            ip("-n", network, "address", "add", f"{there}/30", "dev", "eth0")
            ip("-n", network, "link", "set", "eth0", "up")
            ip("-n", network, "link", "set", "lo", "up")
            ip("-n", network, "route", "add", "default", "via", here)
            made.append(host)
        yield services, made
