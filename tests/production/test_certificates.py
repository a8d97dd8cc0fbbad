"""Certificates from their first day to their renewal: certbot and nginx as deploy/ sets them up, and an authority of
the tests' own (pebble), which asks for its proof as Let's Encrypt does."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from cryptography import x509

from tests.production.authority import DAYS, Authority, authority_for
from tests.production.nginx_site import NAME, ROOT, SSLYZE, Proxy, proxy_before, tool, until

pytestmark = pytest.mark.deploy
CERTIFICATES = ROOT / "deploy" / "certificates"


@dataclass
class Site:
    proxy: Proxy
    authority: Authority
    folder: Path

    def places(self) -> list[str]:
        return [word for one in ("config", "work", "logs") for word in (f"--{one}-dir", str(self.folder / one))]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.proxy.environment, "REQUESTS_CA_BUNDLE": str(self.authority.own)}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def obtain(self) -> subprocess.CompletedProcess[str]:
        asked = [NAME, "admin@example.com", "--server", self.authority.url]
        return self.run(str(CERTIFICATES / "obtain.sh"), *asked, *self.places())

    def renew(self) -> subprocess.CompletedProcess[str]:
        """As certbot's timer does it, but before it is due."""
        return self.run("certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew", *self.places())

    def served(self, trusting: Path | None = None) -> x509.Certificate:
        """What a browser that asks for the name is shown."""
        context = ssl.create_default_context(cafile=str(trusting)) if trusting else ssl._create_unverified_context()
        with (
            socket.create_connection(("127.0.0.1", self.proxy.https)) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
        assert shown
        return x509.load_der_x509_certificate(shown)

    def serial(self) -> int:
        return self.served().serial_number


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("certificates")
    with proxy_before("127.0.0.1:9") as proxy, authority_for(proxy.http, folder) as authority:
        yield Site(proxy, authority, folder)


@pytest.fixture(scope="module")
def first(site: Site) -> int:
    """The serial number of what was served before any was issued."""
    return site.serial()


@pytest.fixture(scope="module")
def issued(site: Site, first: int) -> int:
    before = psutil.Process(int((site.proxy.folder / "run" / "nginx.pid").read_text())).children()
    done = site.obtain()
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: not any(one.is_running() for one in before))  # until then some of them answer, too
    assert site.serial() != first
    return site.serial()


def test_nginx_starts_without_one(site: Site, first: int) -> None:
    placeholder = x509.load_pem_x509_certificate(site.proxy.certificate.read_bytes())
    assert placeholder.issuer == placeholder.subject
    assert placeholder.serial_number == first


def test_the_first_is_issued_and_served(site: Site, issued: int) -> None:
    shown = site.served(trusting=site.authority.root)  # also whether it is for this name
    assert shown.serial_number == issued
    assert (shown.not_valid_after_utc - shown.not_valid_before_utc).days in (DAYS - 1, DAYS)


def test_tls_is_what_mozilla_calls_intermediate(site: Site, issued: int) -> None:
    words = ["--mozilla_config", "intermediate", "--sni", NAME, "--certinfo_ca_file", str(site.authority.root)]
    done = tool(SSLYZE, "sslyze", *words, f"127.0.0.1:{site.proxy.https}", folder=site.folder)
    assert "OK - Compliant" in done.stdout, done.stdout + done.stderr


def test_what_lasts_is_not_asked_for_again(site: Site, issued: int) -> None:
    done = site.obtain()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no action taken" in done.stdout
    assert site.serial() == issued


def test_a_renewal_is_served_and_nobody_is_refused(site: Site, issued: int) -> None:
    seen: list[int] = []
    failures: list[Exception] = []
    over = threading.Event()

    def visit() -> None:
        while not over.is_set():
            try:
                seen.append(site.served(trusting=site.authority.root).serial_number)
            except OSError as error:
                failures.append(error)

    before = site.serial()
    visitors = [threading.Thread(target=visit) for _ in range(2)]
    for one in visitors:
        one.start()
    try:
        until(lambda: seen)
        done = site.renew()
        until(lambda: seen[-1] != before)
    finally:
        over.set()
        for one in visitors:
            one.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert failures == []
    renewed = x509.load_pem_x509_certificate(site.proxy.certificate.read_bytes()).serial_number
    assert set(seen) == {before, renewed}


def test_one_that_nginx_does_not_take_is_put_back(site: Site, issued: int, tmp_path: Path) -> None:
    before = site.serial()
    (tmp_path / "fullchain.pem").write_bytes(site.proxy.certificate.read_bytes())
    key = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run([*key, "-out", str(tmp_path / "privkey.pem")], check=True, capture_output=True)
    environment = {**site.proxy.environment, "RENEWED_LINEAGE": str(tmp_path)}
    done = subprocess.run([CERTIFICATES / "renewed.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith(f"nginx does not take the certificate in {tmp_path}; the one before stays.\n")
    site.proxy.run("nginx", "-t", "-q", "-c", str(site.proxy.conf))
    site.proxy.run("nginx", "-c", str(site.proxy.conf), "-s", "reload")
    assert site.serial() == before


def test_a_second_installation_keeps_it(site: Site, issued: int) -> None:
    before = site.serial()
    site.proxy.install()
    site.proxy.run("nginx", "-c", str(site.proxy.conf), "-s", "reload")
    assert site.serial() == before
