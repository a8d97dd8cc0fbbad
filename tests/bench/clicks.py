"""The contacts screen in a real Chromium: how long a click takes until other rows are painted, and the first paint."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

from tests.bench.limits import Measured
from tests.bench.people import token
from tests.bench.processes import METRICS, memory_of_web, until_mirrored
from tests.dashboard import chromium
from tests.dashboard.conftest import served

# Milliseconds from a click until the canvas of the table shows other rows, and, where the click filters, the pills
# beside it other numbers: looked at before each frame.
PAINTED = """(clicked, filters) => new Promise((resolve, reject) => {
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
    const numbers = () => filters
        ? Array.from(document.querySelectorAll('[data-testid="stButtonGroup"]'), one => one.textContent).join() : "";
    const before = rows(), counted = numbers(), started = performance.now();
    const look = () => {
        const now = rows();
        if (now !== null && now !== before && (!filters || numbers() !== counted)) resolve(performance.now() - started);
        else if (performance.now() - started > 30000) reject(new Error("the rows are still those from before"));
        else requestAnimationFrame(look);
    };
    clicked.click();
    requestAnimationFrame(look);
})"""
FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
# On and off: other rows each time.
PILLS = (
    "VP",
    "VP",
    "Manager",
    "Manager",
    "Verified",
    "C suite",
    "C suite",
    "Verified",
    "Entry",
    "51–200",
    "Entry",
    "51–200",
)
PATIENCE = 60_000  # ms


@dataclass(frozen=True)
class Seen:
    """Seconds, of `clicks` on pages and of those on `facets`, and the web's resident bytes afterwards."""

    first_paint: float
    form: float
    clicks: list[float]
    facets: list[float]
    web_memory: int


def measure(url: str, home: Path) -> Seen:
    """20 clicks on pages of the list and on seniorities, each after the one before is done with."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(url, Path(folder), APPOINTMENT360_HOME=str(home), **METRICS) as web,
        _page() as page,
    ):
        started = time.perf_counter()
        page.goto(web)
        page.get_by_label("Work e-mail").wait_for(timeout=PATIENCE)
        form = time.perf_counter() - started
        first_paint = page.evaluate(FIRST_PAINT) / 1000
        page.context.add_cookies([{"name": "session", "value": token(), "url": web}])
        page.goto(f"{web}/contacts")
        until_mirrored(web)
        clicks, facets = [*_pages(page)], [*_facets(page)]
        return Seen(first_paint, form, [*clicks, *_pages(page)], facets, memory_of_web())


def _pages(page: Page) -> Iterator[float]:
    for number in (2, 3, 4, 5, 6, 7):
        yield _painted(page, page.get_by_test_id("stPaginationPage").get_by_text(str(number), exact=True))


def _facets(page: Page) -> Iterator[float]:
    for name in PILLS:
        pill = page.get_by_test_id("stButtonGroup").locator("button", has_text=f"{name} ")
        yield _painted(page, pill, filters=True)


def _painted(page: Page, wanted: Locator, *, filters: bool = False) -> float:
    """Seconds."""
    page.locator(IDLE).wait_for(timeout=PATIENCE)
    page.wait_for_timeout(500)  # facets and caches of the click before are done with
    wanted.wait_for(timeout=PATIENCE)
    milliseconds: float = wanted.evaluate(PAINTED, filters)
    return milliseconds / 1000


def measured(seen: Seen) -> list[Measured]:
    return [
        Measured("first paint of the sign-in page, web just started", seen.first_paint * 1000, "ms", 2000),
        Measured("its form", seen.form * 1000, "ms"),
        *_clicked("pages until rows are painted", seen.clicks),
        *_clicked("facets until rows and numbers are painted", seen.facets),
        Measured("memory of the web afterwards", seen.web_memory / 2**20, "MB", 2048),
    ]


def _clicked(what: str, seconds: list[float]) -> list[Measured]:
    return [
        Measured(f"{len(seconds)} clicks on {what}, median", statistics.median(seconds) * 1000, "ms", 500),
        Measured("the longest of them", max(seconds) * 1000, "ms"),
    ]


@contextmanager
def _page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        path = chromium.executable(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()
