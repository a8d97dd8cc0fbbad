"""Download credits on their road through the screens, in a real Chromium."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, update

from models import exports
from models.database import writing
from models.exports import Export, State
from models.filters import parse
from models.permissions import OPERATOR, Role
from models.users import User
from tests import ledger
from tests.dashboard import chromium
from tests.dashboard.conftest import Site
from tests.dashboard.test_access import serious, settled
from tests.dashboard.test_in_a_browser import browser as browser
from tests.dashboard.test_in_a_browser import new_page as new_page
from tests.dashboard.test_in_a_browser import note

pytestmark = pytest.mark.browser
LIMIT = 40


@pytest.fixture
def page(new_page: Callable[[], Page], web: str, site: Site) -> Iterator[Page]:
    """The manager's, who may take out 40 contacts a month."""

    def limit(value: int | None) -> None:
        with writing(OPERATOR) as session:
            manager = User.id == site.people[Role.MANAGER].id
            session.execute(update(User).where(manager).values(download_limit=value))

    limit(LIMIT)
    page = new_page()
    page.context.add_cookies([{"name": "session", "value": site.token(Role.MANAGER), "url": web}])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield page
    limit(None)
    ledger.forget()


def tick(page: Page, place: int) -> None:
    settled(page)
    box = chromium.box(page.get_by_test_id("stDataFrame"))
    page.mouse.click(box["x"] + 16, box["y"] + 33 + 32 * place + 16)


def test_copying_asks_first_and_is_paid(page: Page, web: str, site: Site) -> None:
    page.goto(f"{web}/contacts?country=Germany&columns=email")
    note(page, f"1–50 of {site.in_germany}")
    page.get_by_role("button", name="Export", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(
        dialog.get_by_text(re.compile(f"This would take {site.in_germany} credits; you have 40 until 1 "))
    ).to_be_visible()
    expect(dialog.get_by_role("button", name=re.compile("^Export"))).to_be_disabled()
    settled(page)
    assert serious(page) == []
    dialog.get_by_role("button", name="Cancel").click()

    tick(page, 0)
    expect(page.get_by_text("1 selected")).to_be_visible()
    tick(page, 1)
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_role("button", name="content_copy").click()
    expect(dialog.get_by_text("You have 40 credits until")).to_be_visible()
    dialog.get_by_role("button", name="Copy 2 values").click()
    expect(dialog.get_by_text("Copied. It took 2 credits.")).to_be_visible()
    chromium.wait_for_copied(page, r"person\d+@\w+\.example\nperson\d+@\w+\.example")
    dialog.get_by_label("Close").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("link", name="Exports").click()
    expect(page.get_by_text("You have 38 credits until")).to_be_visible()


def test_an_export_is_run_again_and_compared(page: Page, web: str, site: Site) -> None:
    by = site.people[Role.MANAGER].actor()
    wanted = parse(["country=Germany"], by=by)
    old = exports.request(filters=wanted, columns=["title"], format="csv", ids=range(1, 30), by=by)

    def done(export_id: int, rows: int, sha256: str) -> None:
        values = {"state": State.DONE, "path": "x", "rows": rows, "bytes": 10, "sha256": sha256 * 32}
        with writing(OPERATOR) as session:
            finished = update(Export).where(Export.id == export_id).values(**values, finished_at=func.now())
            session.execute(finished)

    done(old, 12, "5e")
    page.goto(f"{web}/exports")
    settled(page)
    page.get_by_test_id("stDataFrame").click(position={"x": 16, "y": 52})
    expect(page.get_by_text("country=Germany", exact=True)).to_be_visible()
    page.get_by_role("button", name="Run again and compare").click()
    expect(page.get_by_text(f"It will be compared with export {old}.")).to_be_visible()
    [new, _] = exports.mine(by=by)
    done(new.id, 14, "7f")
    expect(page.get_by_text(f"The data changed since export {old}: 12 contacts then, 14 now.")).to_be_visible()
    settled(page)
    assert serious(page) == []
