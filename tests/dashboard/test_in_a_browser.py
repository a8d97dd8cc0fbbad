"""What a person does, in a real Chromium. Every request of every page is recorded: none may leave this host."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from models import exports, filters
from models.contacts import search
from models.database import writing
from models.permissions import OPERATOR, Role
from tests.dashboard import chromium
from tests.dashboard.conftest import PASSWORD, Site
from tests.dashboard.contacts_data import ROWS
from tests.dashboard.test_access import settled

pytestmark = pytest.mark.browser
PATIENCE = 60_000  # ms: the machine may be busy


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        path = chromium.executable(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser, web: str) -> Iterator[Callable[[], Page]]:
    """A page of a visitor who was never here; afterwards it has asked this host only, and its scripts ran."""
    hosts: set[str] = set()
    blocked: list[str] = []
    contexts = []

    def make() -> Page:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
        page.on("console", lambda line: blocked.append(line.text) if "Content Security Policy" in line.text else None)
        page.on("pageerror", lambda error: blocked.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert hosts - {""} == {urlsplit(web).netloc}  # "" is a blob: or data: address
    assert blocked == []


def sign_in(page: Page, role: Role = Role.ADMIN, password: str = PASSWORD) -> None:
    page.get_by_label("Work e-mail").fill(f"{role}@Example.com")
    page.get_by_role("textbox", name="Password").fill(password)
    page.keyboard.press("Enter")


def note(page: Page, text: str) -> None:
    """Waits for a caption with exactly this text."""
    expect(
        page.get_by_test_id("stCaptionContainer").filter(has_text=re.compile(f"^{re.escape(text)}$"))
    ).to_be_visible()


def test_a_visit(new_page: Callable[[], Page], web: str, site: Site) -> None:
    page = new_page()
    page.goto(f"{web}/contacts")
    sign_in(page, password="wrong")
    expect(page.get_by_role("alert")).to_contain_text("That e-mail and password do not match. 4 tries left")
    sign_in(page)
    note(page, f"{ROWS} contacts")

    page.get_by_placeholder("Search name, title, company, e-mail, website").fill("oscar")
    expect(page).to_have_url(f"{web}/contacts?q=oscar")
    page.get_by_role("button", name="Clear all").click()
    note(page, f"{ROWS} contacts")

    page.get_by_test_id("stMultiSelect").filter(has_text="Country").get_by_role("combobox").click()
    page.get_by_role("option", name=f"Germany · {site.in_germany}").click()
    page.keyboard.press("Escape")
    note(page, f"{site.in_germany} of {ROWS} contacts")
    expect(page.get_by_role("button", name="Country is Germany")).to_be_visible()

    page.get_by_test_id("stPaginationPage").get_by_text("2", exact=True).click()
    note(page, f"51–{site.in_germany} of {site.in_germany}")
    expect(page).to_have_url(f"{web}/contacts?country=Germany&page=2")

    page.reload()
    note(page, f"51–{site.in_germany} of {site.in_germany}")
    page.go_back()
    note(page, f"1–50 of {site.in_germany}")

    other = new_page()
    other.goto(f"{web}/contacts?country=Germany&page=2")
    expect(other.get_by_label("Work e-mail")).to_be_visible()
    expect(other.get_by_test_id("stDataFrame")).to_have_count(0)
    sign_in(other, Role.MANAGER)
    note(other, f"51–{site.in_germany} of {site.in_germany}")
    expect(other.get_by_role("button", name="Country is Germany")).to_be_visible()

    page.get_by_text("An admin", exact=True).click()
    page.get_by_text("Sign out").click()
    expect(page.get_by_label("Work e-mail")).to_be_visible()
    assert "session" not in {cookie["name"] for cookie in page.context.cookies()}
    page.reload()
    expect(page.get_by_label("Work e-mail")).to_be_visible()


def header(page: Page, place: int) -> None:
    """Clicks the header of a column of the table, which is painted on a canvas, by its middle in pixels."""
    box = chromium.box(page.get_by_test_id("stDataFrame"))
    page.mouse.click(box["x"] + place, box["y"] + 15)


def test_a_click_on_a_header_sorts_all_pages_not_this_one_alone(new_page: Callable[[], Page], web: str) -> None:
    page = new_page()
    page.goto(f"{web}/contacts?columns=employees,company")
    sign_in(page)
    note(page, f"1–50 of {ROWS}")
    header(page, 110)
    expect(page).to_have_url(f"{web}/contacts?sort=-employees&columns=employees%2Ccompany")
    note(page, f"1–50 of {ROWS}")
    header(page, 110)
    expect(page).to_have_url(f"{web}/contacts?sort=employees&columns=employees%2Ccompany")


def test_one_click_copies_an_address(new_page: Callable[[], Page], web: str) -> None:
    page = new_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{web}/contacts?columns=email&sort=id")
    sign_in(page)
    note(page, f"1–50 of {ROWS}")
    box = chromium.box(page.get_by_test_id("stDataFrame"))
    page.mouse.click(box["x"] + 130, box["y"] + 48)
    expect(page.get_by_text("Copied person0@")).to_be_visible()
    chromium.wait_for_copied(page, r"person0@\w+\.example")


def test_the_keys_of_the_contacts_screen(new_page: Callable[[], Page], web: str) -> None:
    page = new_page()
    page.goto(f"{web}/contacts")
    sign_in(page)
    note(page, f"1–50 of {ROWS}")
    page.locator("html[data-keys=contacts]").wait_for(state="attached")
    expect(page.get_by_role("button", name="Next page")).to_be_visible()
    page.keyboard.press("]")
    note(page, f"51–100 of {ROWS}")
    page.keyboard.press("[")
    note(page, f"1–50 of {ROWS}")
    page.keyboard.press("f")
    expect(page.get_by_role("dialog").get_by_text("Add a filter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    settled(page)
    page.wait_for_timeout(500)  # a dialog that closes gives the focus back a moment later
    page.keyboard.press("/")
    page.keyboard.type("oscar")
    expect(page).to_have_url(f"{web}/contacts?q=oscar")


def tick(page: Page, *rows: int) -> None:
    box = chromium.box(page.get_by_test_id("stDataFrame"))
    for row in rows:
        page.mouse.click(box["x"] + 16, box["y"] + 48 + 32 * row)


def tagged(site: Site) -> int:
    return search.count(filters.parse(["tags=vip <b>"], by=OPERATOR), by=OPERATOR)


def test_many_contacts_are_tagged_and_put_back(new_page: Callable[[], Page], web: str, site: Site) -> None:
    page = new_page()
    page.goto(f"{web}/contacts?country=Germany")
    sign_in(page, Role.MANAGER)
    note(page, f"1–50 of {site.in_germany}")
    tick(page, 0, 2)
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_role("button", name=f"Select all {site.in_germany}").click()
    expect(page.get_by_text(f"{site.in_germany} selected")).to_be_visible()

    page.get_by_role("button", name="More").click()
    page.get_by_text("Add or remove tags…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Add").fill("vip <b>")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name=f"Change {site.in_germany} contacts").click()
    expect(page.get_by_text(f"Tags: added vip <b>: {site.in_germany} contacts.")).to_be_visible()
    assert tagged(site) == site.in_germany

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"Undone: {site.in_germany} contacts put back.")).to_be_visible()
    assert tagged(site) == 0


def test_ticks_stay_from_page_to_page(new_page: Callable[[], Page], web: str) -> None:
    page = new_page()
    page.goto(f"{web}/contacts")
    sign_in(page, Role.MANAGER)
    note(page, f"1–50 of {ROWS}")
    tick(page, 1)
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_test_id("stPagination").get_by_role("button", name="2").click()
    page.wait_for_url("**page=2**")
    settled(page)  # the bar below says the same before and after
    expect(page.get_by_text("1 selected")).to_be_visible()
    tick(page, 0)
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_test_id("stPagination").get_by_text("1", exact=True).click()
    expect(page).to_have_url(f"{web}/contacts")
    settled(page)
    expect(page.get_by_text("2 selected")).to_be_visible()
    tick(page, 1)  # it was ticked: that is taken back
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_role("button", name="Untick").click()
    note(page, f"1–50 of {ROWS}")


def test_keys_alone_tick_a_row_and_open_it(new_page: Callable[[], Page], web: str) -> None:
    page = new_page()
    page.goto(f"{web}/contacts?sort=last_name")
    sign_in(page, Role.MANAGER)
    note(page, f"1–50 of {ROWS}")
    page.get_by_test_id("stDataFrame").locator("canvas").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    expect(page.get_by_text("1 selected")).to_be_visible()
    expect(page.get_by_role("button", name="Open Shortcut O")).to_be_visible()  # the key is its
    page.keyboard.press("o")
    page.wait_for_url("**/contact?*id=*")


def test_what_cannot_be_set_is_said_in_the_dialog(new_page: Callable[[], Page], web: str, site: Site) -> None:
    page = new_page()
    page.goto(f"{web}/contacts")
    sign_in(page, Role.MANAGER)
    note(page, f"1–50 of {ROWS}")
    tick(page, 1)
    page.get_by_role("button", name="More").click()
    page.get_by_text("Edit a field…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Field").fill("E-mail")
    page.get_by_role("option", name="E-mail", exact=True).click()
    dialog.get_by_role("button", name="Change 1 contact").click()
    expect(dialog.get_by_text("There is no new value")).to_be_visible()
    dialog.get_by_label("New value").fill("nobody")
    dialog.get_by_role("button", name="Change 1 contact").click()
    expect(dialog.get_by_text("is not an e-mail address: it has no @")).to_be_visible()
    expect(dialog.get_by_label("New value")).to_have_value("nobody")


def test_the_session_cookie_is_out_of_reach_for_scripts(new_page: Callable[[], Page], web: str, site: Site) -> None:
    page = new_page()
    page.goto(f"{web}/contacts")
    sign_in(page, Role.ANALYST)
    note(page, f"{ROWS} contacts")
    [cookie] = [one for one in page.context.cookies() if one["name"] == "session"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert cookie["value"] not in page.evaluate("document.cookie + JSON.stringify(localStorage)")


def test_the_look_does_not_depend_on_where_the_server_was_started(new_page: Callable[[], Page], web: str) -> None:
    page = new_page()
    page.goto(web)
    button = page.get_by_role("button", name="Sign in")
    expect(button).to_have_css("background-color", "rgb(59, 85, 217)")
    expect(button).to_have_css("font-family", re.compile("^Inter"))
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('14px Inter'))")


def test_an_export_from_the_screen(new_page: Callable[[], Page], web: str, site: Site, tmp_path: Path) -> None:
    page = new_page()
    page.goto(f"{web}/contacts?country=Germany")
    sign_in(page, Role.ANALYST)
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=f"Export {site.in_germany} contacts").click()
    expect(page.get_by_text("waits for the scheduler")).to_be_visible()

    [export] = exports.mine(by=site.people[Role.ANALYST].actor())
    assert export.filter_query == "country=Germany"
    assert export.columns == ["first_name", "last_name", "title", "country", "created_at"]
    finish(export.id, tmp_path)
    expect(page.get_by_text("is ready")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "contacts.csv"
    assert Path(download.value.path()).read_text("utf-8-sig") == "First Name\nZoë\n"

    page.get_by_role("link", name="Exports").click()
    table = page.get_by_test_id("stDataFrame")
    expect(page.get_by_text("Select an export to see its receipt")).to_be_visible()
    table.click(position={"x": 16, "y": 52})
    expect(page.get_by_text("Receipt of export")).to_be_visible()
    expect(page.get_by_test_id("stGrid").get_by_text("Country is Germany")).to_be_visible()
    expect(page.get_by_role("link", name="Download")).to_be_visible()


def finish(export_id: int, folder: Path) -> None:
    """What the flow does in the end."""
    file = folder / "made.csv"
    file.write_text("First Name\nZoë\n")
    with writing(OPERATOR) as session:
        stored = session.get_one(exports.Export, export_id)
        stored.state, stored.path, stored.rows, stored.bytes = exports.State.DONE, str(file), 1, 16


def test_an_address_makes_no_link_on_our_pages(new_page: Callable[[], Page], web: str) -> None:
    page, hostile = new_page(), "[Sign in](https://evil.example) https://evil.example www.evil.example"
    page.goto(f"{web}/contacts")
    sign_in(page)
    note(page, f"{ROWS} contacts")
    for path in (f"contacts?employees.gte={hostile}", f"?employees.gte={hostile}", f"imports?id={hostile}"):
        page.goto(f"{web}/{path}")
        expect(page.get_by_text("evil.example").first).to_be_visible()
        expect(page.locator("a[href*='evil']")).to_have_count(0)


def test_the_documentation_of_the_api_breaks_no_rule(new_page: Callable[[], Page], web: str) -> None:
    """It comes from this host alone, and none of its scripts stands in the page."""
    page, said = new_page(), list[str]()
    page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    answer = page.goto(f"{web}/api/v1/docs")
    assert answer is not None
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    expect(page.get_by_role("heading", name="Appointment360")).to_be_visible()
    page.locator("#operations-tag-contacts").click()
    page.get_by_text("Search contacts").click()
    expect(page.get_by_text("A keyset page of the contacts that match.")).to_be_visible()
    expect(page.get_by_text("Conditions, each a parameter of its own")).to_be_visible()
    assert said == []
