"""APPOINTMENT360_STATIC_URL: browsers load Streamlit's files from a CDN, here a second web at another origin."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from models.permissions import Role
from tests.dashboard import chromium
from tests.dashboard.conftest import PASSWORD, Site, served

SETTING = "APPOINTMENT360_STATIC_URL"


@pytest.fixture(scope="module")
def both(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of the web, and that of where its files are."""
    with served(site.url, tmp_path_factory.mktemp("files"), **{SETTING: "https://cdn.example.com"}) as files:
        files = files.replace("localhost", "127.0.0.1")
        with served(site.url, tmp_path_factory.mktemp("web"), **{SETTING: f"{files}/"}) as web:
            yield web, files


def test_the_page_and_its_policy_name_the_other_host(both: tuple[str, str]) -> None:
    web, files = both
    answer = httpx.get(web)
    assert '"./static/' not in answer.text
    assert f'src="{files}/static/js/index.' in answer.text
    policy = dict(one.split(" ", 1) for one in answer.headers["content-security-policy"].split("; "))
    allowed = {name for name, hosts in policy.items() if files in hosts.split()}
    assert allowed == {"script-src", "style-src", "img-src", "font-src", "connect-src"}


def test_only_the_files_may_be_used_by_pages_of_other_hosts(both: tuple[str, str], web: str) -> None:
    name = "x-anything.js"
    there = httpx.get(f"{both[1]}/static/js/{name}").headers
    assert (there["access-control-allow-origin"], there["cross-origin-resource-policy"]) == ("*", "cross-origin")
    for answer in (httpx.get(f"{both[1]}/"), httpx.get(f"{web}/static/js/{name}")):  # a page; and without the setting
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.browser
def test_a_visit_with_files_from_there(both: tuple[str, str]) -> None:
    web, files = both
    asked: list[str] = []
    wrong: list[str] = []
    with sync_playwright() as playwright:
        path = chromium.executable(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(chromium.PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        # The page is left as soon as the sign-in is answered, which its request may count as a failure.
        page.on("requestfailed", lambda one: None if one.url.endswith("/auth/session") else wrong.append(one.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if "Content Security" in line.text else None)
        page.goto(web)
        page.get_by_label("Work e-mail").fill(f"{Role.ADMIN}@example.com")
        page.get_by_role("textbox", name="Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator(".js-plotly-plot").first).to_be_visible()  # charts are loaded when they are needed
        page.get_by_role("link", name="Contacts", exact=True).click()
        expect(page.get_by_test_id("stDataFrame")).to_be_visible()
        browser.close()
    assert wrong == []
    loaded = [one for one in asked if urlsplit(one).path.startswith("/static/")]
    assert {Path(urlsplit(one).path).suffix for one in loaded} >= {".js", ".css"}
    assert {f"{urlsplit(one).scheme}://{urlsplit(one).netloc}" for one in loaded} == {files}
