"""The overview's charts in a real Chromium: what a click, the way back and the downloads do."""

import re
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from dashboard.widgets.chart_bars import FEW
from models import filters
from models.contacts import search
from models.contacts.table import SENIORITIES
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import Site
from tests.dashboard.contacts_data import COUNTRIES, ROWS
from tests.dashboard.test_in_a_browser import browser, note  # noqa: F401  # a fixture
from tests.dashboard.test_in_a_browser import new_page as new_page

pytestmark = pytest.mark.browser


@pytest.fixture
def page(new_page: Callable[[], Page], web: str, site: Site) -> Page:
    return opened(new_page, web, site, Role.MANAGER)


def opened(new_page: Callable[[], Page], web: str, site: Site, role: Role, path: str = "/") -> Page:
    page = new_page()
    page.context.add_cookies([{"name": "session", "value": site.token(role), "url": web}])
    page.set_viewport_size({"width": 1440, "height": 1600})
    page.goto(f"{web}{path}")
    expect(chart(page, "Completeness").locator(".bars").first).to_be_visible()
    return page


def chart(page: Page, name: str) -> Locator:
    return page.get_by_test_id("stPlotlyChart").and_(page.get_by_role("figure", name=re.compile(f"^{name}")))


def click(page: Page, name: str, across: float, down: float) -> None:
    """In the chart's plot, at these parts of its width and height; people point before they click."""
    box = chart(page, name).locator(".nsewdrag").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * across, box["y"] + box["height"] * down
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y, steps=3)
    expect(chart(page, name).locator(".hovertext")).to_be_visible()
    page.mouse.click(x, y)


def number(condition: str) -> int:
    return search.count(filters.parse([condition], by=OPERATOR), by=OPERATOR)


def test_a_click_leads_to_the_contacts_and_back_to_an_unclicked_chart(page: Page, web: str) -> None:
    ranked = sorted(SENIORITIES, key=SENIORITIES.index)
    click(page, "Seniority", 0.9, 2.5 / len(ranked))  # beside the bar, in its row
    note(page, f"{number(f'seniority={ranked[2]}')} of {ROWS} contacts")
    expect(page).to_have_url(re.compile(r"/contacts\?seniority=C(\+|%20)suite$"))

    page.go_back()
    expect(page).to_have_url(f"{web}/")
    expect(chart(page, "Seniority").locator(".bars").first).to_be_visible()
    page.wait_for_timeout(1500)  # a click that came again would have left by now
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    click(page, "Seniority", 0.9, 2.5 / len(ranked))  # the same again
    note(page, f"{number(f'seniority={ranked[2]}')} of {ROWS} contacts")


def test_a_month_and_a_field_are_clicked(page: Page) -> None:
    click(page, "Growth", 1 - 0.5 / FEW, 0.5)  # one month alone is the last of the few that are shown
    note(page, f"{ROWS} contacts")
    expect(page).to_have_url(re.compile("added.between="))
    page.go_back()
    expect(chart(page, "Completeness").locator(".bars").first).to_be_visible()
    click(page, "Completeness", 0.5 / 12, 0.5)
    expect(page).to_have_url(re.compile(r"contacts\?[a-z_]+\.empty=yes$"))
    note(page, f"{number(urlsplit(page.url).query)} of {ROWS} contacts")


def test_a_country_on_the_map_is_clicked_and_the_world_is_ours(
    new_page: Callable[[], Page], web: str, site: Site
) -> None:
    page = new_page()
    worlds: list[tuple[int, str]] = []
    page.on("response", lambda one: worlds.append((one.status, one.url)) if "world" in one.url else None)
    page.context.add_cookies([{"name": "session", "value": site.token(Role.ANALYST), "url": web}])
    page.set_viewport_size({"width": 1440, "height": 1600})
    page.goto(web)
    countries = chart(page, "Where they are").locator(".choroplethlayer path")
    expect(countries).to_have_count(len(COUNTRIES))
    assert worlds == [(200, f"{web}/app/static/world_110m.json")]
    told = chart(page, "Where they are").get_attribute("aria-label") or ""
    brazil = sorted(COUNTRIES, key=told.index).index("Brazil")  # both are in the same order; its middle is its own
    box = countries.nth(brazil).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y, steps=3)
    expect(chart(page, "Where they are").locator(".hovertext")).to_be_visible()
    page.mouse.click(x, y)
    note(page, f"{number('country=Brazil')} of {ROWS} contacts")


def test_a_chart_is_downloaded_as_picture_and_as_data(page: Page, tmp_path: Path, site: Site) -> None:
    page.locator(".st-key-download-top-countries button").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture (PNG)").click()
    assert download.value.suggested_filename == "top-countries.png"
    picture = Path(download.value.path()).read_bytes()
    box = chart(page, "Top countries").bounding_box()
    assert box is not None
    width, height = struct.unpack(">II", picture[16:24])
    assert (width, height) == pytest.approx((2 * (box["width"] + 32), 2 * (box["height"] + 72)), abs=4)
    assert len(picture) > 5000  # an empty one has some hundred bytes
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button", name="Data (CSV)").click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert lines[0] == "Country,Contacts"
    assert f"Germany,{site.in_germany}" in lines
    assert len(lines) == 1 + len(COUNTRIES)
