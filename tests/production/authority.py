"""A certificate authority of the tests' own (pebble), which asks for its proof as Let's Encrypt does."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.production.nginx_site import until
from tests.waiting import free_port

DAYS = 90


@dataclass
class Authority:
    """A running pebble, `url` being its directory, and the certificate that proves it to certbot."""

    url: str
    own: Path
    root: Path


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


@contextmanager
def authority_for(http: int, folder: Path, *, network: str = "/proc/self/ns/net") -> Iterator[Authority]:
    """It runs in that network, believes every name to be at 127.0.0.1, and asks there at the port `http`."""
    there = ["nsenter", f"--net={network}"]
    own, key, root = folder / "own.pem", folder / "own.key", folder / "root.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=authority"]
    subprocess.run(
        [*make, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(own)],
        check=True,
        capture_output=True,
    )
    names, asked, managed = free_port(), free_port(), free_port()
    settings = {
        "listenAddress": f"127.0.0.1:{asked}",
        "managementListenAddress": f"127.0.0.1:{managed}",
        "certificate": str(own),
        "privateKey": str(key),
        "httpPort": http,
        "tlsPort": free_port(),
        "certificateValidityPeriod": DAYS * 86_400,
    }
    config = folder / "pebble.json"
    config.write_text(json.dumps({"pebble": settings}))
    resolver = [
        *there,
        "pebble-challtestsrv",
        "-dns01",
        f"127.0.0.1:{names}",
        "-http01",
        "",
        "-https01",
        "",
        "-tlsalpn01",
        "",
    ]
    resolver += ["-defaultIPv6", "", "-management", f"127.0.0.1:{free_port()}"]
    pebble = [*there, "pebble", "-config", str(config), "-dnsserver", f"127.0.0.1:{names}"]
    with (
        running(resolver, folder / "names.log"),
        running(pebble, folder / "pebble.log", PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT="0"),
    ):

        def roots() -> str:
            asked = [*there, "curl", "-fsS", "--cacert", str(own), f"https://127.0.0.1:{managed}/roots/0"]
            return subprocess.run(asked, capture_output=True, text=True).stdout

        root.write_text(until(roots))
        yield Authority(f"https://127.0.0.1:{asked}/dir", own, root)
