"""`uv run python -m tests.shots [--rows N] [--folder DIR] [--only NAME]`: pictures of every screen, to look at.

Each with no contacts, with the sample and with N made-up contacts (100,000 by default); light and dark, 1440 and 820
pixels wide. Starts its own Postgres and web in a home that it removes again.
"""

import argparse
import csv
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from deploy.embedded_postgres import start_or_join
from models import database, flow_schedules, migrations
from models.permissions import OPERATOR, Role
from pipelines import schedule
from tests import people
from tests.bench import data
from tests.bench.processes import command
from tests.dashboard import chromium
from tests.dashboard.conftest import PASSWORD, served

SAMPLE = Path(__file__).parent / "samples" / "legislators.csv"
DATABASE = "appointment360"  # as the command line calls it
EMAIL = "nadia@example.com"
SIZES = {"1440": (1440, 900), "820": (820, 1100)}
SCREENS = {
    "overview": "",
    "contacts": "contacts",
    "contacts-filtered": "contacts?or1.seniority=VP&or1.country=Germany&or2.employees.gte=500",
    "contacts-nothing": "contacts?title=Nobody",
    "contacts-error": "contacts?countri=Germany",
    "views": "views",
    "contacts-as-of": "contacts?as_of=import:1",
    "contact": "contact?id=5",
    "difference": "difference?from=before:1",
    "contact-new": "contact?new=1",
    "contact-none": "contact?id=abc",
    "duplicates": "duplicates",
    "imports": "imports",
    "import": "imports?id=1",
    "import-plan": "imports?id=2",
    "mappings": "mappings",
    "watched": "watched",
    "exports": "exports",
    "quality": "quality",
    "jobs": "jobs",
    "backups": "backups",
    "industries": "industries",
    "profile": "profile",
    "plans": "plans",
    "payments": "payments",
    "payment-events": "payments?part=events",
    "payment-comparison": "payments?part=comparison",
    "prices": "payments?part=prices",
    "users": "users",
    "performance": "performance",
    "housekeeping": "housekeeping",
    "audit": "audit",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.shots", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="0 leaves the made-up contacts out")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "shots")
    parser.add_argument("--only", nargs="*", choices=SCREENS, default=list(SCREENS))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with _home() as home, _browser() as browser:
        many = home / "many.csv"
        for state, file in (("empty", None), ("sample", SAMPLE), ("many", many)):
            if file == many:
                if not options.rows:
                    continue
                data.write(many, options.rows)
            _shoot_all(browser, home / state, state, file, options)


def _shoot_all(browser: Browser, home: Path, state: str, file: Path | None, options: argparse.Namespace) -> None:
    home.mkdir(mode=0o755)
    server = start_or_join(home)
    try:
        server.ensure_database(DATABASE)
        migrations.upgrade(server.url())
        database.bind(server.url())
        people.person(email=EMAIL, name="Nadia Okafor", role=Role.ADMIN, password=PASSWORD, by=OPERATOR)
        flow_schedules.write(schedule.entries())
        if file:
            command(home, "import", str(file), "--yes")
            command(home, "import", str(_written_next(file, home / "webinar-november.csv")), "--dry-run")
            command(home, "check")
            for job in ("house", "backup", "report"):
                command(home, job)
                command(home, job)
        with served(server.url(), home, APPOINTMENT360_HOME=str(home)) as web:
            for theme in ("light", "dark"):
                for size, (width, height) in SIZES.items():
                    page = _signed_in(
                        browser, web, theme, width, height, options.folder / f"sign-in-{theme}-{size}.png"
                    )
                    for name in options.only:
                        page.goto(f"{web}/{SCREENS[name]}")
                        _settle(page)
                        page.screenshot(path=options.folder / f"{name}-{state}-{theme}-{size}.png")
                    page.context.close()
    finally:
        database.engine().dispose()
        server.release()


def _signed_in(browser: Browser, web: str, theme: str, width: int, height: int, picture: Path) -> Page:
    page = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, locale="en-GB", timezone_id="Europe/London"
    ).new_page()  # fmt: skip
    page.goto(web)
    page.get_by_label("Work e-mail").wait_for()
    page.wait_for_timeout(300)
    page.screenshot(path=picture)
    page.get_by_label("Work e-mail").fill(EMAIL)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nadia Okafor")).to_be_visible(timeout=60_000)
    return page


def _settle(page: Page) -> None:
    """Until the script has run and nothing moves any more."""
    page.get_by_test_id("stMainBlockContainer").wait_for()
    page.wait_for_timeout(500)
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(timeout=60_000)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=60_000)  # charts load their library first
    page.wait_for_timeout(700)


def _written_next(file: Path, next_file: Path) -> Path:
    """What the same source sends some weeks later: every third person, and half of those with another title."""
    with file.open(encoding="utf-8", newline="") as before, next_file.open("w", encoding="utf-8", newline="") as after:
        rows = csv.DictReader(before)
        writer = csv.DictWriter(after, rows.fieldnames or ())
        writer.writeheader()
        for number, row in enumerate(rows):
            if number % 3 == 0:
                writer.writerow(row | ({"Title": f"Acting {row['Title']}"} if number % 2 else {}))
    return next_file


@contextmanager
def _home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="appointment360-shots-"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = chromium.executable(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        yield browser
        browser.close()


if __name__ == "__main__":
    main()
