"""The contacts screen in a real Chromium: how long a click takes until other rows are painted, and the first paint."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.sync_api import Locator, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from models import sign_ins, users
from models.permissions import OPERATOR, Role
from tests.dashboard import chromium
from tests.dashboard.conftest import served

# Milliseconds from a click until the canvas of the table shows other rows: looked at before each frame.
PAINTED = """clicked => new Promise((resolve, reject) => {
    const rows = () => {
        const canvas = document.querySelector('[data-testid="stDataFrame"] canvas');
        if (!canvas || !canvas.width) return null;
        const pixels = canvas.getContext('2d').getImageData(60, 50, 600, 300).data;
        let sum = 0, ink = 0;
        for (let place = 0; place < pixels.length; place += 4) {
            sum = (sum * 31 + pixels[place]) | 0;
            if (pixels[place + 3] && pixels[place] < 128) ink += 1;
        }
        return ink > 200 ? sum : null;
    };
    const before = rows(), started = performance.now();
    const look = () => {
        const now = rows();
        if (now !== null && now !== before) resolve(performance.now() - started);
        else if (performance.now() - started > 30000) reject(new Error("the rows are still those from before"));
        else requestAnimationFrame(look);
    };
    clicked.click();
    requestAnimationFrame(look);
})"""
FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
PILLS = ("VP", "VP", "Manager", "Manager", "C suite", "C suite", "Entry", "Entry")  # on and off: other rows each time
PATIENCE = 60_000  # ms


@dataclass(frozen=True)
class Seen:
    """Seconds, and the web's resident bytes afterwards."""

    first_paint: float
    form: float
    clicks: list[float]
    web_memory: int


def measure(url: str, home: Path) -> Seen:
    """20 clicks on pages of the list and on seniorities, each after the one before is done with."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(url, Path(folder), APPOINTMENT360_HOME=str(home)) as web,
        _page() as page,
    ):
        started = time.perf_counter()
        page.goto(web)
        page.get_by_label("Work e-mail").wait_for(timeout=PATIENCE)
        form = time.perf_counter() - started
        first_paint = page.evaluate(FIRST_PAINT) / 1000
        _sign_in(page, web)
        page.goto(f"{web}/contacts")
        clicks = [milliseconds / 1000 for milliseconds in _clicks(page)]
        memory = max(
            process.memory_info().rss
            for process in psutil.Process().children(recursive=True)
            if "uvicorn" in " ".join(process.cmdline())
        )
    return Seen(first_paint, form, clicks, memory)


def _clicks(page: Page) -> Iterator[float]:
    for number in (2, 3, 4, 5, 6, 7):
        yield _painted(page, page.get_by_test_id("stPaginationPage").get_by_text(str(number), exact=True))
    for name in PILLS:
        yield _painted(page, page.get_by_test_id("stButtonGroup").locator("button", has_text=f"{name} "))
    for number in (2, 3, 4, 5, 6, 7):
        yield _painted(page, page.get_by_test_id("stPaginationPage").get_by_text(str(number), exact=True))


def _painted(page: Page, wanted: Locator) -> float:
    page.locator(IDLE).wait_for(timeout=PATIENCE)
    page.wait_for_timeout(500)  # facets and caches of the click before are done with
    wanted.wait_for(timeout=PATIENCE)
    milliseconds: float = wanted.evaluate(PAINTED)
    return milliseconds


def _sign_in(page: Page, web: str) -> None:
    person, _ = users.add(email=f"{time.time_ns()}@example.com", name="Clicking", role=Role.ADMIN, by=OPERATOR)
    token = sign_ins.redeem_ticket(sign_ins.issue_ticket(person.actor()), address=None, device=None)
    page.context.add_cookies([{"name": "session", "value": token, "url": web}])


def show(seen: Seen) -> None:
    table = Table("in Chromium", "measured", "limit")
    table.add_row("first paint of the sign-in page, web just started", f"{seen.first_paint:.2f} s", "2 s")
    table.add_row("its form", f"{seen.form:.2f} s", "")
    middle, longest = statistics.median(seen.clicks) * 1000, max(seen.clicks) * 1000
    table.add_row(f"{len(seen.clicks)} clicks until rows are painted, median", f"{middle:.0f} ms", "500 ms")
    table.add_row("the longest of them", f"{longest:.0f} ms", "")
    table.add_row("memory of the web afterwards", f"{seen.web_memory // 2**20} MB", "600 MB")
    Console(width=120).print(table)


@contextmanager
def _page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        path = chromium.executable(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()
