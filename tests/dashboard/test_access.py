"""WCAG 2.2 AA as axe-core sees it: every screen, light and dark. Nothing serious is left, Streamlit's own included."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dashboard import places
from models import filters, role_rules, tokens, users, view_changes
from models.permissions import OPERATOR, Role
from tests.checked import checked
from tests.dashboard import chromium
from tests.dashboard.conftest import Site
from tests.dashboard.contacts_data import ROWS
from tests.people import link_of

pytestmark = pytest.mark.browser
PATIENCE = 60_000
AXE = Axe()
STANDARD = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],  # of all that is right axe-core names one element only
}
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
SCREENS = {
    "overview": "",
    "contacts": "contacts?country=Germany&or1.seniority=VP&or2.employees.gte=100",
    "contacts, none": "contacts?title=Nobody",
    "contacts, unreadable": "contacts?countri=Germany",
    "contacts, as they were": f"contacts?as_of={datetime.now(UTC).date()}",
    "contact": "contact?id={id}",
    "difference": "difference?from=2026-01-01&way=came",
    "contact, new": "contact?new=1",
    "contact, none": "contact?id=abc",
    "contacts, a view": "contacts?country=Germany&view=1",
    "views": "views",
    "deleted": "deleted",
    "deleted, none": "deleted?q=Nobody",
    "duplicates": "duplicates",
    "imports": "imports",
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
    "payments, none": "payments?who=nobody@example.com",
    "payments, events": "payments?part=events",
    "payments, comparison": "payments?part=comparison",
    "payments, prices": "payments?part=prices",
    "users": "users",
    "users, nobody": "users?q=nobody+like+it",
    "performance": "performance",
    "housekeeping": "housekeeping",
    "audit": "audit",
    "audit, none": "audit?q=nothing+like+it",
}


@pytest.fixture(scope="module")
def page(site: Site, web: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        path = chromium.executable(playwright.chromium.executable_path)
        browser: Browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE)
        yield context.new_page()
        browser.close()


@pytest.fixture(params=SCHEMES)
def coloured(request: pytest.FixtureRequest, page: Page) -> Page:
    page.emulate_media(color_scheme=request.param)
    return page


@pytest.fixture(scope="module", autouse=True)
def a_view(site: Site) -> None:
    """In the sidebar, on its screen and among what was deleted."""
    by = site.people[Role.ADMIN].actor()
    view_changes.save("German", filters=filters.parse(["country=Germany"], by=by), by=by)
    checked({"email_is_an_address": 2})
    view_changes.delete(view_changes.save("French", filters=filters.parse(["country=France"], by=by), by=by).id, by=by)


def serious(page: Page) -> list[str]:
    """The findings of the page as it stands, each with its rule and the element."""
    found = AXE.run(page, options=STANDARD).response["violations"]
    return [
        f"{finding['id']}: {finding['help']}: {node['html'][:300]}"
        for finding in found
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]


def settled(page: Page) -> None:
    """Until the script has run, what it left is painted in its colours, and nothing changes any more."""
    page.get_by_test_id("stMainBlockContainer").wait_for()
    page.evaluate(
        """() => new Promise(done => {
            let changed = performance.now();
            const changes = new MutationObserver(() => { changed = performance.now(); });
            changes.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
            const look = () => {
                const ran = document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]');
                const finite = one => one.effect?.getComputedTiming().endTime !== Infinity;
                const moves = document.getAnimations().some(one => one.playState === "running" && finite(one));
                if (!ran || moves) changed = performance.now();
                if (performance.now() - changed < 400) return setTimeout(look, 50);
                changes.disconnect();
                done();
            };
            look();
        })"""
    )


def test_sign_in(coloured: Page, web: str) -> None:
    coloured.context.clear_cookies()
    coloured.goto(web)
    expect(coloured.get_by_label("Work e-mail")).to_be_visible()
    settled(coloured)
    assert serious(coloured) == []


def test_links_and_the_second_factor(coloured: Page, web: str) -> None:
    """What is behind an invitation, for whose role a second factor is required."""
    coloured.context.clear_cookies()
    coloured.goto(f"{web}/?link=used")
    expect(coloured.get_by_role("heading", name="This link does not work any more")).to_be_visible()
    settled(coloured)
    assert serious(coloured) == []
    role_rules.require_second_factor(Role.ANALYST, True, by=OPERATOR)
    invited = users.invite(email=f"{time.monotonic_ns()}@example.com", name="Tom", role=Role.ANALYST, by=OPERATOR)
    coloured.goto(f"{web}/?link={link_of(invited.user)}")
    coloured.get_by_role("textbox", name="New password").fill("purple tractor sings loudly")
    settled(coloured)
    assert serious(coloured) == []
    coloured.keyboard.press("Enter")
    expect(coloured.get_by_role("heading", name="Set up a second factor")).to_be_visible()
    role_rules.require_second_factor(Role.ANALYST, False, by=OPERATOR)
    settled(coloured)
    assert serious(coloured) == []


def run_again(page: Page) -> None:
    """Have the script run once more, as the key R does, and wait until it begins to."""
    page.evaluate(
        """() => {
            document.activeElement?.blur();
            const app = document.querySelector('[data-testid="stApp"]');
            window.begun = new Promise(done => new MutationObserver((_, states) => {
                if (app.dataset.testScriptState === "notRunning") return;
                states.disconnect();
                done();
            }).observe(app, {attributeFilter: ["data-test-script-state"]}));
        }"""
    )
    page.keyboard.press("r")
    page.evaluate("() => window.begun")


@pytest.fixture(scope="module")
def visit(page: Page, web: str, site: Site) -> Callable[[str], None]:
    """Go to a screen as an admin; where it is shown already its script runs again, which may choose other colours."""
    token = site.token(Role.ADMIN)
    shown: list[str] = []

    def go(name: str) -> None:
        address = f"{web}/{SCREENS[name].format(id=ROWS)}"
        if shown == [name, page.url]:
            run_again(page)
        else:
            page.context.add_cookies([{"name": "session", "value": token, "url": web}])
            page.goto(address)
            expect(page.get_by_test_id("stSidebar").get_by_text("An admin")).to_be_visible()
        settled(page)
        shown[:] = [name, page.url]

    return go


# Of two neighbours one is light and one is dark, and both look at the same page.
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", SCREENS)
def test_no_serious_finding(
    page: Page, visit: Callable[[str], None], name: str, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    visit(name)
    assert serious(page) == []


def test_the_fields_of_an_open_contact_change_with_the_system(page: Page, visit: Callable[[str], None]) -> None:
    """No script runs for it: whoever works into the evening sees the labels on the dark page."""
    page.emulate_media(color_scheme="light")
    visit("contact")
    label = page.locator(".fields dt").first
    expect(label).to_have_css("color", "rgb(90, 96, 108)")
    page.emulate_media(color_scheme="dark")
    expect(label).to_have_css("color", "rgb(169, 175, 188)")


def test_a_token_from_the_first_dialog_to_the_second(coloured: Page, web: str, site: Site) -> None:
    coloured.context.add_cookies([{"name": "session", "value": site.token(Role.MANAGER), "url": web}])
    coloured.goto(f"{web}/profile")
    coloured.get_by_role("button", name="New token").click()
    coloured.get_by_test_id("stDialog").get_by_text("Only some").click()
    coloured.get_by_test_id("stDialog").get_by_role("button", name="Edit contacts").click()
    coloured.get_by_label("Name", exact=True).fill("Nightly")
    settled(coloured)
    assert serious(coloured) == []
    coloured.get_by_role("button", name="Make it").click()
    expect(coloured.get_by_role("button", name="Copy the token")).to_be_visible()
    settled(coloured)
    assert serious(coloured) == []
    expect(coloured.get_by_role("button", name="Make it")).to_have_count(0)
    token = coloured.get_by_test_id("stCode").first.inner_text().strip()
    by = tokens.actor_of(token, address=None)
    assert by is not None
    assert (by.id, by.scopes) == (site.people[Role.MANAGER].id, {"contacts.edit"})
    coloured.get_by_role("button", name="I have put it away").click()
    expect(coloured.get_by_text("Your token works.")).to_be_visible()


def test_every_screen_is_looked_at() -> None:
    looked_at = {address.partition("?")[0] for address in SCREENS.values()}
    assert looked_at == {place.path or "" for place in places.PLACES.values()}
