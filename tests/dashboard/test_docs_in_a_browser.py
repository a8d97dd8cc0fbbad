"""The API's documentation page in a real Chromium: from this host alone, within the content security policy."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.test_in_a_browser import browser  # noqa: F401  # a fixture
from tests.dashboard.test_in_a_browser import new_page as new_page

pytestmark = pytest.mark.browser


def test_the_documentation_comes_from_this_host_and_breaks_no_rule(new_page: Callable[[], Page], web: str) -> None:
    page, hosts, said = new_page(), set[str](), list[str]()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc or request.url[:5]))
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    answer = page.goto(f"{web}/api/v1/docs")
    assert answer is not None
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    expect(page.get_by_role("heading", name="Appointment360")).to_be_visible()
    expect(page.get_by_text("Search contacts")).to_have_count(0)  # closed until somebody opens the resource
    page.locator("#operations-tag-contacts").click()
    page.get_by_text("Search contacts").click()
    expect(page.get_by_text("A keyset page of the contacts that match.")).to_be_visible()
    expect(page.get_by_text("Filters").first).to_be_visible()
    assert said == []
    assert hosts <= {urlsplit(web).netloc, "data:"}
