"""What a person does on a contact's page, in a real Chromium."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from models import sign_ins
from models.contacts import records
from models.contacts.table import FIELDS
from models.fields import Kind
from models.permissions import Role
from tests.dashboard import chromium
from tests.dashboard.conftest import Site
from tests.dashboard.test_access import serious, settled
from tests.dashboard.test_in_a_browser import browser, sign_in  # noqa: F401  # a fixture
from tests.dashboard.test_in_a_browser import new_page as new_page

pytestmark = pytest.mark.browser


@pytest.fixture
def page(new_page: Callable[[], Page], web: str, site: Site) -> Iterator[Page]:
    """Of the manager, signed in."""
    page = new_page()
    _give_session(page, web, site)
    yield page
    assert page.evaluate("window.naughty") is None


def _give_session(page: Page, web: str, site: Site, role: Role = Role.MANAGER) -> str:
    token = site.token(role)
    page.context.add_cookies([{"name": "session", "value": token, "url": web}])
    return token


@pytest.fixture
def zoe(site: Site) -> int:
    values = {"first_name": "Zoë", "last_name": "Müller", "title": "CEO", "email": "zoe@acme.example",
              "mobile_phone": "+49 30 1234567"}  # fmt: skip
    return records.create(values, anyway=True, by=site.people[Role.MANAGER].actor())


def values_of(contact: int, site: Site) -> dict[str, object]:
    return records.get(contact, by=site.people[Role.ADMIN].actor()).values


def fill(page: Page, label: str, text: str) -> None:
    page.get_by_label(label, exact=True).fill(text)
    page.keyboard.press("Tab")


def test_reading_copying_editing_undoing(page: Page, web: str, site: Site, zoe: int) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{web}/contact?id={zoe}&country=Germany")
    expect(page.get_by_role("heading", name="Zoë Müller")).to_be_visible()
    expect(page.get_by_role("link", name="Write")).to_have_attribute("href", "mailto:zoe@acme.example")
    page.get_by_role("button", name="Copy phone").click()
    chromium.wait_for_copied(page, r"\+49 30 1234567")

    settled(page)
    page.keyboard.press("e")
    fill(page, "Title", "Chief of all")
    fill(page, "E-mail", "zoe@acme")
    expect(page.get_by_text("is not an e-mail address: the domain has no dot")).to_be_visible()
    active = page.get_by_role("combobox", name="Is Active")
    active.focus()
    for key in ("ArrowDown", "Escape", "Escape"):  # opens the list, closes it, and changes nothing
        active.press(key)
    expect(active).to_have_value("Yes")
    tags = page.get_by_role("combobox", name="Tags")
    tags.click()
    tags.press_sequentially("vip")
    page.get_by_role("option", name="vip").click()
    page.keyboard.press("Escape")
    settled(page)
    assert serious(page) == []
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Not saved: E-mail cannot be stored")).to_be_visible()
    expect(page.get_by_label("Title", exact=True)).to_have_value("Chief of all")
    # Straight from the field to the button: the last keystroke counts.
    page.get_by_label("E-mail", exact=True).fill("zoe.mueller@acme.example")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("3 fields changed")).to_be_visible()
    found = values_of(zoe, site)
    assert (found["title"], found["email"], found["tags"]) == ("Chief of all", "zoe.mueller@acme.example", ["vip"])

    page.get_by_role("button", name="Undo this change").click()
    expect(page.get_by_role("heading", name="Zoë Müller")).to_be_visible()
    expect(page.get_by_text("3 fields changed")).to_have_count(2)
    assert values_of(zoe, site)["title"] == "CEO"
    page.get_by_role("button", name="Contacts", exact=True).click()
    expect(page).to_have_url(f"{web}/contacts?country=Germany")


def test_two_people_and_a_deletion(
    page: Page,
    new_page: Callable[[], Page],
    web: str,
    site: Site,
    zoe: int,
) -> None:
    other = new_page()
    _give_session(other, web, site, Role.ADMIN)
    for one in (page, other):
        one.goto(f"{web}/contact?id={zoe}")
        one.get_by_role("button", name="Edit").click()
        expect(one.get_by_label("Title", exact=True)).to_have_value("CEO")
    fill(other, "Title", "CFO")
    other.get_by_role("button", name="Save changes").click()
    expect(other.get_by_text("Title changed")).to_be_visible()

    fill(page, "Title", "CTO")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("An admin changed Title at")).to_be_visible()
    expect(page.get_by_role("button", name="An admin wrote CFO")).to_be_visible()
    settled(page)
    assert serious(page) == []

    other.get_by_role("button", name="Delete", exact=True).click()
    expect(other.get_by_role("dialog")).to_contain_text("Zoë Müller goes from all lists")
    other.get_by_role("dialog").get_by_role("button", name="Delete contact").click()
    expect(other.get_by_text("Deleted by An admin")).to_be_visible()

    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("An admin deleted this contact at")).to_be_visible()
    page.get_by_role("button", name="Restore it with my changes").click()
    expect(page.get_by_role("button", name="Edit")).to_be_enabled()
    assert values_of(zoe, site)["title"] == "CTO"


def test_what_was_typed_outlives_the_session(page: Page, web: str, site: Site, zoe: int) -> None:
    token = _give_session(page, web, site)
    page.goto(f"{web}/contact?id={zoe}")
    page.get_by_role("button", name="Edit").click()
    fill(page, "Title", "CTO")
    expect(page.get_by_label("Title", exact=True)).to_have_value("CTO")
    settled(page)
    sign_ins.sign_out(token)
    page.get_by_label("City", exact=True).fill("Bonn")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_label("Work e-mail")).to_be_visible()
    sign_in(page, Role.MANAGER)
    expect(page.get_by_text(re.compile("Unsaved changes from .* to (Title, City|City, Title)"))).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("City", exact=True)).to_have_value("Bonn")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("2 fields changed")).to_be_visible()
    found = values_of(zoe, site)
    assert (found["title"], found["city"]) == ("CTO", "Bonn")


def test_a_duplicate_is_told_while_it_is_typed(page: Page, web: str, site: Site, zoe: int) -> None:
    page.goto(f"{web}/contact?new=1")
    expect(page.get_by_text("Nobody like this so far")).to_be_visible()
    for label, text in (("First Name", "zoë"), ("Last Name", "müller")):
        page.get_by_label(label, exact=True).press_sequentially(text)
    page.get_by_label("Company", exact=True).press_sequentially("Nobody else's")
    expect(page.get_by_text("Nobody like this so far")).to_be_visible()
    fill(page, "E-mail", "zoe@acme.example")
    found = page.get_by_role("link", name="Zoë Müller").first
    expect(found).to_be_visible()
    with page.context.expect_page() as opened:  # what is typed stays in its own tab
        found.click()
    expect(opened.value.get_by_role("heading", name="Zoë Müller")).to_be_visible()
    expect(page.get_by_label("Company", exact=True)).to_have_value("Nobody else's")
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="Discard it").click()
    expect(page).to_have_url(f"{web}/contacts")


@pytest.mark.shared_data
def test_naughty_texts_run_nothing(page: Page, web: str, site: Site, shared_data: Path) -> None:
    strings = json.loads((shared_data / "corpora/blns/blns.json").read_text(encoding="utf-8"))
    attacks = [one.replace("alert", "window.naughty=") for one in strings if "alert" in one and len(one) < 300][:60]
    attacks += ["<img src=x onerror=window.naughty=1>", "](javascript:window.naughty=1)", "‮olleh", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘"]
    texts = [name for name, field in FIELDS.items() if field.kind is Kind.TEXT]
    admin = site.people[Role.ADMIN].actor()
    for start in range(0, len(attacks), len(texts)):
        values = dict(zip(texts, attacks[start:], strict=False))
        contact = records.create({**values, "last_name": "X", "tags": json.dumps(attacks[:5])}, by=admin)
        record = records.get(contact, by=admin)
        records.update(contact, {"notes": "<b>other</b>"}, version=record.version, by=admin)
        page.goto(f"{web}/contact?id={contact}")
        expect(page.get_by_text("Notes changed")).to_be_visible()
        for name in ("title", "company", "city"):
            if values.get(name):
                shown = page.get_by_role("definition").filter(has_text=values[name])
                expect(shown.first).to_be_visible()
        page.get_by_role("button", name="Edit").click()
        expect(page.get_by_label("Title", exact=True)).to_have_value(values.get("title", ""))
        page.get_by_role("button", name="Discard").click()
        expect(page.get_by_role("button", name="Edit")).to_be_enabled()
    assert page.evaluate("window.naughty") is None


def test_where_a_value_comes_from_is_a_key_away(page: Page, web: str, site: Site, zoe: int) -> None:
    by = site.people[Role.MANAGER].actor()
    records.update(zoe, {"title": "CTO"}, version=records.get(zoe, by=by).version, by=by)
    page.goto(f"{web}/contact?id={zoe}")
    sign = page.get_by_label("Where it comes from: Title")
    sign.focus()
    expect(page.get_by_text("Changed by hand, by An manager")).to_be_hidden()
    sign.press("Enter")
    expect(page.get_by_text("Changed by hand, by An manager")).to_be_visible()
    expect(page.locator(".origin details[open]").get_by_text("CEO")).to_be_visible()
    page.get_by_label("Where it comes from: First Name").press("Enter")
    expect(page.get_by_text("Changed by hand, by An manager")).to_be_hidden()
    settled(page)
    assert serious(page) == []
