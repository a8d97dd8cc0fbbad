"""The main path in a browser, every part real: sign in, upload, plan, commit, filter, chart, edit, export, sign out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from tests.dashboard import chromium
from tests.deploy.test_up import Machine

pytestmark = pytest.mark.browser
SAMPLE = Path(__file__).parents[1] / "samples" / "legislators.csv"
ROWS = len(pd.read_csv(SAMPLE))
PATIENCE = 120_000  # ms: the scheduler alone needs some seconds for each step


@pytest.fixture
def machine(open_folder: Path) -> Iterator[Machine]:
    made = Machine(open_folder / "home")
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def page() -> Iterator[Page]:
    expect.set_options(timeout=PATIENCE)
    with chromium.english_page(PATIENCE) as page:
        yield page


def test_the_main_path(machine: Machine, page: Page) -> None:
    web = f"http://127.0.0.1:{machine.port}"
    _sign_in(page, web, machine.said)
    _import_the_sample(page)
    _filter(page, web)
    _click_a_chart(page, web)
    _edit(page, web)
    _export(page, web)
    page.get_by_text("Administrator", exact=True).click()
    page.get_by_text("Sign out").click()
    expect(page.get_by_label("Work e-mail")).to_be_visible()


def _sign_in(page: Page, web: str, said: str) -> None:
    password = re.search(r"^Password: +(\S+)$", said, re.MULTILINE)
    assert password
    page.goto(web)
    page.get_by_label("Work e-mail").fill("root@example.com")
    page.get_by_role("textbox", name="Password").fill(password[1])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def _import_the_sample(page: Page) -> None:
    page.get_by_role("link", name="Imports").click()
    page.get_by_role("button", name="New import").first.click()
    page.locator("input[type=file]").set_input_files(SAMPLE)
    page.get_by_role("button", name="Make the plan").click()
    page.get_by_role("button", name=f"Commit {ROWS} changes").click()
    page.get_by_role("button", name="See the imported contacts").click()
    expect(page.get_by_text(f"{ROWS} contacts", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Import is 1")).to_be_visible()


def _filter(page: Page, web: str) -> None:
    page.get_by_placeholder("Search name, title").fill("senator")
    expect(page).to_have_url(f"{web}/contacts?import=1&q=senator")
    page.get_by_role("button", name="Clear all").click()
    expect(page).to_have_url(f"{web}/contacts")


def _click_a_chart(page: Page, web: str) -> None:
    page.get_by_role("link", name="Overview").click()
    bar = page.get_by_test_id("stPlotlyChart").filter(has_text="Senior").locator(".bars .point path").first
    bar.click(force=True)
    expect(page).to_have_url(re.compile(rf"^{re.escape(web)}/contacts\?seniority="))
    expect(page.get_by_role("button", name=re.compile("^Seniority is"))).to_be_visible()


def _edit(page: Page, web: str) -> None:
    table = page.get_by_test_id("stDataFrame")
    box = chromium.box(table)
    page.mouse.click(box["x"] + 51, box["y"] + 48)  # the open sign of the first row
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Title", exact=True).fill("Chief of everything")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Title changed")).to_be_visible()
    page.goto(f"{web}/contacts?title=Chief+of+everything")
    expect(page.get_by_text(f"1 of {ROWS} contacts")).to_be_visible()


def _export(page: Page, web: str) -> None:
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Export 1 contact").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    assert list(pd.read_csv(download.value.path())["Title"]) == ["Chief of everything"]
