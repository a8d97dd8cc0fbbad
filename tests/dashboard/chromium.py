"""Finds a Chromium, or installs one: without it the browser tests fail, they are never skipped."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import FloatRect, Locator, Page, expect, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DEBIAN = Path("/usr/bin/chromium")
PATIENCE = 60_000  # ms: the machine may be busy
expect.set_options(timeout=PATIENCE)


def executable(playwrights_own: str) -> str:
    """The path of a Chromium; `playwrights_own` is where Playwright keeps the one it installed, if it did."""
    if found := _found(playwrights_own):
        return found
    tried = _install()
    if found := _found(playwrights_own):
        return found
    raise AssertionError(f"The browser tests need Chromium, and none could be installed. Set CHROMIUM.\n{tried}")


def box(of: Locator) -> FloatRect:
    """Where it is on the page; one that is just painted anew is waited for."""
    for _ in range(PATIENCE // 100):
        if (found := of.bounding_box()) is not None:
            return found
        of.page.wait_for_timeout(100)
    raise AssertionError(f"{of} has no place on the page.")


def wait_for_copied(page: Page, pattern: str) -> None:
    """Until the clipboard holds what `pattern`, of JavaScript, matches: it is written just after the page says so."""
    holds = "async pattern => new RegExp(`^(${pattern})$`).test(await navigator.clipboard.readText())"
    page.wait_for_function(holds, arg=pattern)


def _found(playwrights_own: str) -> str | None:
    named = os.environ.get("CHROMIUM")
    if named:
        assert Path(named).is_file(), f"CHROMIUM={named}: there is no such file."
        return named
    return next((str(path) for path in (Path(playwrights_own), DEBIAN) if path.is_file()), None)


def _install() -> str:
    """Debian's package for root, else or if that fails Playwright's own; returns what the commands said."""
    said = ""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
            said += _run(command, quiet)
    if not DEBIAN.is_file():
        said += _run([sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ))
    return said


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-500:]}{done.stderr[-1000:]}\n"


@contextmanager
def english_page(timeout: float) -> Iterator[Page]:
    """A page of a person in Britain, whose steps take at most so many milliseconds."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(playwright.chromium.executable_path), args=FLAGS
        )
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
        context.set_default_timeout(timeout)
        yield context.new_page()
        browser.close()
