"""Where things stand on the page and what is not there, measured in a real Chromium."""

from collections.abc import Callable

import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect

from models import exports
from models.exports import State
from models.filters import parse
from models.permissions import Role
from tests.dashboard.conftest import Site
from tests.dashboard.test_access import settled
from tests.dashboard.test_in_a_browser import browser as browser
from tests.dashboard.test_in_a_browser import new_page as new_page
from tests.waiting import until

pytestmark = pytest.mark.browser
TABLET = (820, 1180)


@pytest.fixture
def page(new_page: Callable[[], Page], web: str, site: Site) -> Page:
    """The manager's, signed in."""
    page = new_page()
    page.context.add_cookies([{"name": "session", "value": site.token(Role.MANAGER), "url": web}])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return page


def opened(page: Page, address: str, width: int = 1440, height: int = 900) -> Page:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(address)
    expect(page.get_by_test_id("stMainBlockContainer").get_by_role("heading", level=1)).to_be_visible()
    settled(page)
    return page


def box(part: Locator) -> FloatRect:
    found = part.bounding_box()
    assert found is not None
    return found


def tick_first(page: Page) -> None:
    table = box(page.get_by_test_id("stDataFrame"))
    page.mouse.click(table["x"] + 16, table["y"] + 48)
    expect(page.get_by_text("1 selected")).to_be_visible()


def test_on_a_tablet_the_sidebar_is_a_rail_that_opens_over_the_page(page: Page, web: str) -> None:
    opened(page, f"{web}/contacts", *TABLET)
    sidebar, main = page.get_by_test_id("stSidebar"), page.get_by_test_id("stMain")
    assert box(sidebar)["width"] < 60
    before = box(main)
    assert before["width"] > 750
    page.mouse.move(20, 300)
    expect(sidebar).to_have_css("width", "210px")
    assert box(main) == before
    page.mouse.move(500, 500)
    expect(sidebar).to_have_css("width", "49px")
    page.get_by_role("link", name="Imports").focus()
    page.keyboard.press("Tab")
    expect(sidebar).to_have_css("width", "210px")
    page.get_by_role("link", name="Industries").click()
    expect(page.get_by_role("heading", name="Industries", exact=True)).to_be_visible()


def test_on_a_tablet_the_pager_stays_beside_what_can_be_done_with_ticked_rows(page: Page, web: str) -> None:
    for width in (TABLET[0], 700):
        opened(page, f"{web}/contacts", width, TABLET[1])
        tick_first(page)
        pager, facet = box(page.get_by_test_id("stPagination")), box(page.get_by_test_id("stButtonGroup").first)
        done = box(page.get_by_role("button", name="More"))
        assert pager["x"] + pager["width"] <= width
        assert pager["y"] + pager["height"] < facet["y"]
        assert done["x"] + done["width"] <= pager["x"] or done["y"] + done["height"] <= pager["y"]


def test_on_a_tablet_what_can_be_done_with_an_export_is_in_sight(page: Page, web: str, site: Site) -> None:
    by = site.people[Role.MANAGER].actor()
    export_id = exports.request(filters=parse([], by=by), columns=["title"], format="csv", by=by)
    exports.begin(export_id, total=1, path="", by=by)
    opened(page, f"{web}/exports", *TABLET)
    table = box(page.get_by_test_id("stDataFrame"))
    page.mouse.click(table["x"] + 95, table["y"] + 33 + 18)
    until("it is cancelled", lambda: exports.get(export_id, by=by).state == State.CANCELLED)


def test_tables_have_no_toolbar_that_knows_only_their_page(page: Page, web: str) -> None:
    opened(page, f"{web}/contacts")
    page.get_by_test_id("stDataFrame").hover()
    page.wait_for_timeout(500)
    expect(page.get_by_test_id("stElementToolbar").filter(visible=True)).to_have_count(0)


def test_the_menu_has_the_theme_and_what_is_ours(page: Page, web: str) -> None:
    opened(page, web)
    page.get_by_role("button", name="Main menu").click()
    menu = page.get_by_test_id("stMainMenuPopover")
    expect(menu).to_be_visible()
    signs = ["contrast", "light_mode", "dark_mode"]
    assert [word for word in menu.inner_text().split() if word not in signs] == ["System", "Light", "Dark", "About"]
    page.get_by_role("menuitemradio", name="Dark").click()
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(17, 18, 22)")


def test_copying_moves_nothing(page: Page, web: str) -> None:
    opened(page, f"{web}/contacts?columns=email")
    table, pager = box(page.get_by_test_id("stDataFrame")), page.get_by_test_id("stPagination")
    before = box(pager)
    page.mouse.click(table["x"] + 120, table["y"] + 48)
    expect(page.get_by_text("Copied")).to_be_visible()
    settled(page)
    assert box(pager) == before
    assert "@" in page.evaluate("navigator.clipboard.readText()")


def test_the_overviews_actions_are_of_one_height(page: Page, web: str) -> None:
    opened(page, web)
    refresh, choice = page.get_by_role("button", name="Refresh"), page.get_by_role("radio", name="3 months")
    for edge in ("y", "height"):
        assert box(choice)[edge] == pytest.approx(box(refresh)[edge], abs=1)
