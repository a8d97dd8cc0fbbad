"""A file's way in, in a real Chromium: uploads that break and go on, and the walk from the file to the contacts."""

import csv
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import delete, select

from models import import_orders, imports
from models.contacts.table import Contact
from models.database import reading, writing
from models.imports import Import, State
from models.permissions import OPERATOR, Role
from pipelines import import_orders as orders
from tests.dashboard.conftest import Site
from tests.dashboard.test_access import serious, settled
from tests.dashboard.test_imports_screen import home as home
from tests.dashboard.test_in_a_browser import browser as browser
from tests.dashboard.test_in_a_browser import new_page as new_page
from tests.dashboard.test_uploads import Web, started

pytestmark = pytest.mark.browser
SLOW = 2_000_000  # bytes a second


@pytest.fixture(scope="module")
def server(site: Site, home: Path) -> Iterator[Web]:
    with started(site, home) as made:
        yield made


@pytest.fixture(scope="module")
def web(server: Web) -> str:
    return server.address


@pytest.fixture
def page(new_page: Callable[[], Page], web: str, site: Site) -> Page:
    """The manager's, signed in."""
    page = new_page()
    page.context.add_cookies([{"name": "session", "value": site.token(Role.MANAGER), "url": web}])
    return page


@pytest.fixture
def scheduler(home: Path) -> Iterator[None]:
    """In place of Prefect: whatever is asked for is carried out at once; the large files of other tests wait on."""
    over = threading.Event()
    left = import_orders.waiting(longer_than=timedelta(0))

    def work() -> None:
        while not over.wait(0.2):
            for import_id, order in import_orders.waiting(longer_than=timedelta(0)):
                if (import_id, order) not in left:
                    orders.carry_out(import_id, order)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """24 MB: three pieces."""
    return written(tmp_path / "large.csv", rows=830_000)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """600 KB: one piece."""
    return written(tmp_path / "small.csv", rows=20_000)


def written(file: Path, *, rows: int) -> Path:
    file.write_bytes(b"Email\n" + b"".join(b"person%07d@large.example\n" % n for n in range(rows)))
    return file


def slow_down(page: Page, speed: int = SLOW) -> None:
    session = page.context.new_cdp_session(page)
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": speed}
    session.send("Network.emulateNetworkConditions", limits)


def choose(page: Page, file: Path) -> None:
    page.locator("input[type=file]").set_input_files(file)


def percent(page: Page) -> int:
    return int(page.get_by_role("progressbar", name="Upload").get_attribute("aria-valuenow") or 0)


def reaches(page: Page, least: int) -> None:
    expect(page.get_by_role("progressbar", name="Upload")).to_be_visible()
    until(page, lambda: percent(page) >= least)


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Playwright's own way evaluates a text as a script, which the page's policy refuses."""
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.inner_text("body"))


def stored(page: Page) -> Path:
    """The file of the import that the page shows, once all of it is there."""
    expect(page.get_by_text("Reading the file: waiting")).to_be_visible()
    [import_id] = re.findall(r"id=(\d+)", page.url)
    found = imports.get(int(import_id), by=OPERATOR)
    assert found.state == State.NEW
    return Path(found.file_path)


def phase(page: Page) -> str:
    return str(page.evaluate("() => window.appointment360Upload.phase"))


def imported(file: Path) -> list[int]:
    """The imports of that file."""
    same = (Import.file_name == file.name, Import.upload_modified == file.stat().st_mtime_ns // 1_000_000)
    with reading() as session:
        return list(session.scalars(select(Import.id).where(*same)))


def offsets(page: Page) -> list[int]:
    """Where each piece began that the page sends from now on."""
    begun: list[int] = []

    def note(request: object) -> None:
        if found := re.search(r"/upload\?offset=(\d+)", request.url):  # type: ignore[attr-defined]
            begun.append(int(found[1]))

    page.on("request", note)
    return begun


def test_an_upload_goes_on_after_the_web_was_killed(page: Page, server: Web, large: Path) -> None:
    begun = offsets(page)
    page.goto(f"{server.address}/imports?new=1")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    slow_down(page)
    choose(page, large)
    reaches(page, 40)
    expect(page).to_have_url(re.compile(r"/imports\?id=\d+"))
    server.kill()
    expect(page.get_by_role("alert").get_by_text("The connection broke. Trying again in")).to_be_visible()
    server.start()
    assert stored(page).read_bytes() == large.read_bytes()
    assert [offset for offset in begun if offset % 8_000_000], "it went on in the middle of a piece"


def test_a_lost_answer_to_the_last_question_sends_nothing_again(page: Page, web: str, small: Path) -> None:
    begun, asked = offsets(page), []

    def lose(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fetch()  # it reached the web
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/upload/complete", lose)
    page.goto(f"{web}/imports?new=1")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    choose(page, small)
    file = stored(page)
    until(page, lambda: phase(page) in ("done", "choosing"))
    assert file.read_bytes() == small.read_bytes()
    assert (begun, len(set(asked)), len(asked)) == ([0], 1, 2)
    assert len(imported(small)) == 1
    page.get_by_role("button", name="All imports").click()
    page.get_by_role("button", name="New import").click()
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    page.wait_for_timeout(2000)
    assert page.url == f"{web}/imports?new=1", "it was led back to the import that is done with"


def test_two_tabs_with_the_same_file_make_one_import(page: Page, web: str, small: Path) -> None:
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto(f"{web}/imports?new=1")
        expect(tab.get_by_role("button", name="Choose a file")).to_be_visible()
    slow_down(page, 50_000)
    choose(page, small)
    reaches(page, 10)
    choose(other, small)
    expect(other.get_by_role("alert").get_by_text("Another window is sending this file just now.")).to_be_visible()
    assert stored(page) == stored(other)
    for tab in (page, other):
        until(tab, lambda tab=tab: phase(tab) in ("done", "choosing"))
    assert stored(page).read_bytes() == small.read_bytes()
    assert len(imported(small)) == 1


def test_pause_and_resume(page: Page, web: str, large: Path) -> None:
    begun = offsets(page)
    page.goto(f"{web}/imports?new=1")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    slow_down(page)
    choose(page, large)
    reaches(page, 20)
    expect(page.get_by_text(re.compile(r"MB/s · \d+ s left"))).to_be_visible()
    page.get_by_role("button", name="Pause").press("Enter")
    expect(page.get_by_role("status").get_by_text("Paused large.csv")).to_be_attached()
    expect(page.get_by_role("button", name="Resume")).to_be_focused()
    at = percent(page)
    page.wait_for_timeout(1500)
    assert percent(page) == at
    settled(page)
    assert serious(page) == []
    page.keyboard.press("Enter")
    assert stored(page).read_bytes() == large.read_bytes()
    assert len(begun) == len(set(begun)), "nothing was sent twice"


def test_after_a_reload_the_same_file_goes_on_where_it_was(page: Page, web: str, large: Path, tmp_path: Path) -> None:
    page.goto(f"{web}/imports?new=1")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    slow_down(page)
    choose(page, large)
    reaches(page, 40)
    page.get_by_role("button", name="Pause").click()
    page.reload()
    expect(
        page.get_by_text(re.compile(r"MB of 2\d(\.\d)? MB are here: choose large.csv again to go on"))
    ).to_be_visible()
    begun = offsets(page)
    slow_down(page, -1)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a file").press("Enter")
    chooser.value.set_files(large)
    assert stored(page).read_bytes() == large.read_bytes()
    assert begun[0] > 8_000_000


def test_a_visit_to_another_screen_does_not_stop_it(page: Page, web: str, large: Path) -> None:
    page.goto(f"{web}/imports?new=1")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    slow_down(page)
    choose(page, large)
    reaches(page, 10)
    page.get_by_role("link", name="Exports").click()
    expect(page.get_by_role("heading", name="Exports")).to_be_visible()
    page.get_by_role("link", name="Imports").click()
    expect(page.get_by_text("Past imports")).to_be_visible()
    until(page, lambda: phase(page) == "done")
    found, _ = imports.page(number=1, size=1, by=OPERATOR)
    assert Path(found[0].import_.file_path).read_bytes() == large.read_bytes()


def test_what_cannot_be_uploaded_says_why(page: Page, web: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    page.goto(f"{web}/imports?new=1")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    choose(page, empty)
    expect(page.get_by_role("alert")).to_have_text("empty.csv is empty: choose a file with contacts in it.")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    page.evaluate(
        """() => {
            const given = new DataTransfer();
            given.items.add(new File(["Email\\nann@drop.example\\n"], "dropped.csv"));
            const host = [...document.querySelectorAll("*")].find((one) => one.shadowRoot?.querySelector(".box"));
            const box = host.shadowRoot.querySelector(".box");
            box.dispatchEvent(new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true }));
        }"""
    )
    assert stored(page).read_text() == "Email\nann@drop.example\n"


def test_from_the_file_to_the_contacts_and_back(page: Page, web: str, tmp_path: Path, scheduler: None) -> None:
    file = tmp_path / "leads.csv"
    people = "".join(f"Lee{n},Walker,lee{n}@walk.example,CEO\n" for n in range(40))
    file.write_text(f"Vorname,Nachname,Email,Position\n{people}Nobody,Known,no at sign,\n")
    page.goto(f"{web}/imports")
    page.get_by_role("button", name=re.compile("New import|Import a file")).first.click()
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    settled(page)
    assert serious(page) == []
    choose(page, file)
    expect(page.get_by_text("Match columns to fields")).to_be_visible()
    expect(page.get_by_text("4 of 4")).to_be_visible()
    settled(page)
    assert serious(page) == []

    page.get_by_role("button", name="Make the plan").click()
    expect(
        page.get_by_text("40 created + 0 updated + 0 unchanged + 0 duplicates + 1 rejected = 41 rows")
    ).to_be_visible()
    settled(page)
    assert serious(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Download rejected rows").first.click()
    assert download.value.suggested_filename == "leads rejects.csv"
    with Path(download.value.path()).open(newline="", encoding="utf-8-sig") as rejects:
        header, row = csv.reader(rejects)
    assert header[:4] == ["Rejected line", "Rejected column", "Rejected value", "Rejected reason"]
    assert row[:3] == ["42", "Email", "no at sign"]

    page.get_by_role("button", name="Commit 40 changes").click()
    expect(page.get_by_role("button", name="See the imported contacts")).to_be_visible()
    settled(page)
    assert serious(page) == []
    page.get_by_role("button", name="See the imported contacts").click()
    expect(page.get_by_text("1–40 of 40")).to_be_visible()
    page.go_back()

    page.get_by_role("button", name="Undo the import").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("created 40 contacts and changed 0 contacts")).to_be_visible()
    dialog.get_by_role("button", name="Undo the import").click()
    expect(page.get_by_text("40 contacts")).to_be_visible()
    expect(page.get_by_text("Taken back")).to_be_visible()


def test_a_plan_is_given_up_and_two_tabs_see_the_same(
    page: Page, new_page: Callable[[], Page], web: str, site: Site, tmp_path: Path, scheduler: None
) -> None:
    file = tmp_path / "given up.csv"
    file.write_text("Email\nup@given.example\n")
    page.goto(f"{web}/imports?new=1")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    choose(page, file)
    expect(page.get_by_text("Match columns to fields")).to_be_visible()
    other = new_page()
    other.context.add_cookies([{"name": "session", "value": site.token(Role.ADMIN), "url": web}])
    other.goto(page.url)
    expect(other.get_by_text("Match columns to fields")).to_be_visible()
    page.get_by_role("button", name="Make the plan").click()
    expect(other.get_by_text("What would change")).to_be_visible()
    other.get_by_role("button", name="Cancel import").click()
    other.get_by_role("dialog").get_by_role("button", name="Cancel import").click()
    for one in (other, page):
        expect(one.get_by_text("given up.csv was cancelled")).to_be_visible()
    with writing(OPERATOR) as session:
        assert session.execute(delete(Contact).where(Contact.email == "up@given.example")).rowcount == 0  # type: ignore[attr-defined]
