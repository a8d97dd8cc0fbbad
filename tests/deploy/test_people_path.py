"""A new colleague in browsers, every part real.

Invitation, first sign-in with a second factor, exports until the limit, a grant, another export, a new password; and
the session of before is gone.
"""

from collections.abc import Callable, Iterator

import pandas as pd
import pyotp
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.dashboard import chromium
from tests.deploy.test_main_path import PATIENCE, SAMPLE, _sign_in
from tests.deploy.test_main_path import machine as machine
from tests.deploy.test_up import Machine

pytestmark = pytest.mark.browser
PASSWORD, NEW = "purple tractor sings loudly", "quiet marmalade parade 47"
SMITHS, KELLYS = 5, 4  # in the sample
LIMIT = 6


@pytest.fixture
def browsers() -> Iterator[Callable[[], Page]]:
    """Each call is a browser of its own, with no cookie."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        path = chromium.executable(playwright.chromium.executable_path)
        chrome = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)

        def opened() -> Page:
            context = chrome.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
            context.set_default_timeout(PATIENCE)
            return context.new_page()

        yield opened
        chrome.close()


def test_a_colleague_from_invitation_to_password_change(machine: Machine, browsers: Callable[[], Page]) -> None:
    web = f"http://127.0.0.1:{machine.port}"
    imported = machine.cli("import", str(SAMPLE), "--yes")
    assert imported.returncode == 0, imported.stderr
    admin, tom = browsers(), browsers()
    _sign_in(admin, web, machine.said)
    _require_second_factors(admin)
    tom.goto(_invite(admin))
    codes = _first_sign_in(tom)

    _export(tom, web, "Smith", SMITHS)
    _limit_is_reached(tom, web)
    _grant(admin)
    _export(tom, web, "Kelly", KELLYS)

    other = browsers()
    _sign_in_with_a_recovery_code(other, web, codes[0])
    _change_password(tom, web)
    expect(tom.get_by_text("Your password was changed")).to_be_visible()
    other.get_by_role("link", name="Contacts").click()
    expect(other.get_by_label("Work e-mail")).to_be_visible()
    other.reload()
    expect(other.get_by_label("Work e-mail")).to_be_visible()
    tom.reload()
    expect(tom.get_by_text("Where you are signed in")).to_be_visible()


def _require_second_factors(admin: Page) -> None:
    admin.get_by_role("link", name="People").click()
    admin.get_by_text("Analysts need a second factor").click()
    admin.get_by_role("dialog").get_by_role("button", name="Require it").click()
    expect(admin.get_by_text("Analysts need a second factor now")).to_be_visible()


def _invite(admin: Page) -> str:
    """The link, which the administrator hands over."""
    admin.get_by_role("button", name="Invite", exact=True).click()
    dialog = admin.get_by_role("dialog")
    dialog.get_by_label("Work e-mail").fill("Tom@Example.com")
    dialog.get_by_role("textbox", name="Name", exact=True).fill("Tom Lindqvist")
    dialog.get_by_label("Contacts a month").fill(str(LIMIT))
    dialog.get_by_role("button", name="Invite", exact=True).click()
    link = dialog.get_by_test_id("stCode").inner_text().strip()
    dialog.get_by_role("button", name="Done").click()
    expect(admin.get_by_text("2 people, 1 invitation waiting")).to_be_visible()
    return link


def _first_sign_in(tom: Page) -> list[str]:
    """Returns the recovery codes."""
    tom.get_by_role("textbox", name="New password").fill(PASSWORD)
    tom.keyboard.press("Enter")
    tom.get_by_text("Type the key instead").click()
    key = tom.get_by_test_id("stCode").inner_text().replace(" ", "").strip()
    tom.get_by_role("textbox", name="Code").fill(pyotp.TOTP(key).now())
    tom.keyboard.press("Enter")
    expect(tom.get_by_role("heading", name="Keep your recovery codes")).to_be_visible()
    codes = tom.get_by_test_id("stCode").inner_text().split()
    assert len(codes) == 10
    tom.get_by_role("button", name="I have put them away").click()
    expect(tom.get_by_role("heading", name="Overview")).to_be_visible()
    expect(tom.get_by_role("link", name="People")).to_have_count(0)
    return codes


def _export(tom: Page, web: str, last_name: str, number: int) -> None:
    tom.goto(f"{web}/contacts?last_name={last_name}")
    tom.get_by_role("button", name="Export", exact=True).click()
    dialog = tom.get_by_role("dialog")
    expect(dialog.get_by_test_id("stMetric").filter(has_text="Takes credits")).to_contain_text(str(number))
    dialog.get_by_role("button", name=f"Export {number} contacts").click()
    with tom.expect_download() as download:
        tom.get_by_role("link", name="Download").first.click()
    assert list(pd.read_csv(download.value.path())["Last Name"]) == [last_name] * number


def _limit_is_reached(tom: Page, web: str) -> None:
    tom.goto(f"{web}/contacts?last_name=Kelly")
    tom.get_by_role("button", name="Export", exact=True).click()
    dialog = tom.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text(f"This would take {KELLYS} credits; you have 1 until")
    expect(dialog.get_by_role("button", name=f"Export {KELLYS} contacts")).to_be_disabled()


def _grant(admin: Page) -> None:
    table = admin.get_by_test_id("stDataFrame").first
    box = chromium.box(table)
    admin.mouse.click(box["x"] + 18, box["y"] + 90)  # the tick of the second row
    expect(admin.locator("strong", has_text="Tom Lindqvist")).to_be_visible()  # not the cell that was clicked
    admin.get_by_role("button", name="Grant credits").click()
    dialog = admin.get_by_role("dialog")
    dialog.get_by_label("Credits").fill("10")
    dialog.get_by_role("button", name="Grant", exact=True).click()
    expect(admin.get_by_text("Tom Lindqvist was granted 10 credits.")).to_be_visible()


def _sign_in_with_a_recovery_code(page: Page, web: str, code: str) -> None:
    page.goto(web)
    page.get_by_label("Work e-mail").fill("tom@example.com")
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Code").fill(code)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def _change_password(tom: Page, web: str) -> None:
    tom.goto(f"{web}/profile")
    tom.get_by_role("button", name="Change the password").click()
    dialog = tom.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Current password").fill(PASSWORD)
    dialog.get_by_role("textbox", name="New password").fill(NEW)
    dialog.get_by_role("button", name="Change", exact=True).click()
