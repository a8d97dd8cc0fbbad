"""Paying, in a real Chromium, at a Razorpay of the tests whose checkout script the page loads."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from models import credits, users
from models.payments import listing, orders, subscriptions
from models.permissions import OPERATOR, Role
from tests import razorpay as standin
from tests.dashboard.conftest import Site, served
from tests.dashboard.test_access import serious, settled
from tests.dashboard.test_in_a_browser import PATIENCE
from tests.dashboard.test_in_a_browser import browser as browser
from tests.razorpay import KEY_SECRET, Razorpay, Signed, sign

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def razorpay() -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


@pytest.fixture(scope="module")
def shop(site: Site, razorpay: Razorpay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The web's address, with keys."""
    folder = tmp_path_factory.mktemp("shop")
    with served(site.url, folder, **standin.environment(razorpay.url)) as address:
        yield address


@pytest.fixture(scope="module", autouse=True)
def limited(site: Site) -> None:
    """The analyst may take out 100 contacts a month: without a limit nobody needs credits."""
    users.change("analyst@example.com", users.Changes(download_limit=100), by=OPERATOR)


@pytest.fixture
def page(browser: Browser, shop: str, site: Site, razorpay: Razorpay) -> Iterator[Page]:
    """The analyst's. Afterwards its pages have asked this host and Razorpay alone, and nothing was blocked."""
    hosts: set[str] = set()
    blocked: list[str] = []
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    context.add_cookies([{"name": "session", "value": site.token(Role.ANALYST), "url": shop}])
    page = context.new_page()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("console", lambda line: blocked.append(line.text) if "Content Security Policy" in line.text else None)
    page.on("pageerror", lambda error: blocked.append(str(error)))
    yield page
    context.close()
    assert hosts - {""} == {urlsplit(one).netloc for one in (shop, razorpay.url)}
    assert blocked == []


def tell(shop: str, signed: Signed) -> None:
    answer = httpx.post(f"{shop}/api/v1/payments/webhook", content=signed.body, headers=signed.headers)
    assert answer.json() == {"state": "stored"}


def test_a_pack_is_bought(page: Page, shop: str, site: Site, razorpay: Razorpay) -> None:
    by = site.people[Role.ANALYST].actor()
    page.goto(f"{shop}/plans")
    page.locator(".st-key-buy-pack-500").get_by_role("button", name="Buy").click()
    page.wait_for_url(f"{shop}/pay/order/*")
    expect(page.get_by_role("heading", name="Buy 500 credits")).to_be_visible()
    assert serious(page) == []
    pay, window = page.get_by_role("button", name="Pay ₹1,199.00"), page.get_by_role("dialog")
    pay.click()
    expect(window).to_contain_text("Appointment360: 500 credits, analyst@example.com")
    window.get_by_role("button", name="Have it refused").click()
    expect(page.get_by_role("status")).to_have_text("The bank refused the card.")
    window.get_by_role("button", name="Close the window").click()
    expect(page.get_by_role("status")).to_have_text("You closed the window, and nothing was paid. You can try again.")
    pay.click()
    window.get_by_role("button", name="Pay at Razorpay").click()
    expect(page.get_by_role("heading", name="Your payment is on its way")).to_be_visible()
    expect(page).to_have_url(f"{shop}/pay/order/1/done")
    assert serious(page) == []
    assert credits.balance(by=by).lasting == 0  # the money is not in

    tell(shop, razorpay.capture(orders.checkout(1, by=by).razorpay_id))
    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    page.goto(f"{shop}/pay/order/1")
    expect(page).to_have_url(f"{shop}/pay/order/1/done")  # nobody pays it twice
    page.get_by_role("link", name="See your credits").click()
    expect(page.get_by_text("and 500 that last")).to_be_visible()
    settled(page)


def test_a_subscription_is_begun(page: Page, shop: str, site: Site, razorpay: Razorpay) -> None:
    page.goto(f"{shop}/plans")
    # By its key: until all plans are drawn, the first button may be that of another one.
    page.locator(".st-key-subscribe-basic").get_by_role("button", name="Subscribe").click()
    page.wait_for_url(f"{shop}/pay/subscription")
    page.get_by_role("button", name="Pay ₹999.00").click()
    page.get_by_role("button", name="Pay at Razorpay").click()
    expect(page.get_by_role("heading", name="Subscribed")).to_be_visible()
    found = subscriptions.current(by=site.people[Role.ANALYST].actor())
    assert found
    assert (found.plan.code, found.paid_count) == ("basic", 1)


def test_only_what_the_checkout_signed_is_taken(shop: str, site: Site, razorpay: Razorpay) -> None:
    order = orders.create("pack-100", by=site.people[Role.MANAGER].actor())
    paid = razorpay.pay(order.razorpay_id)
    good = sign(KEY_SECRET, f"{order.razorpay_id}|{paid['id']}".encode())
    path = f"{shop}/pay/order/{order.order_id}/return"
    told = {"razorpay_payment_id": paid["id"], "razorpay_signature": good}

    def send(who: Role, origin: str = shop, **fields: str) -> tuple[int, str]:
        cookies = {"session": site.token(who)}
        answer = httpx.post(path, data=fields, cookies=cookies, headers={"origin": origin})
        return answer.status_code, answer.text

    assert send(Role.MANAGER, **{**told, "razorpay_signature": good[::-1]})[0] == 400
    assert "The signature does not fit" in send(Role.MANAGER, **{**told, "razorpay_signature": "x"})[1]
    assert "This is not what Razorpay’s checkout answers" in send(Role.MANAGER)[1].replace("&#x27;", "’")
    assert send(Role.MANAGER, **{**told, "more": "x" * 5000})[0] == 400
    assert send(Role.ADMIN, **told)[0] == 404  # it is somebody else's order
    assert send(Role.MANAGER, "https://elsewhere.example", **told)[0] == 403
    assert send(Role.MANAGER, **told)[0] == 303

    [paid_for] = listing.invoices(by=site.people[Role.MANAGER].actor())
    receipt = f"{shop}/pay/receipt/{paid_for.number}"
    shown = httpx.get(receipt, cookies={"session": site.token(Role.MANAGER)})
    assert "<dt>Amount</dt><dd>₹299.00</dd>" in shown.text
    assert paid["id"] in shown.text
    assert httpx.get(receipt, cookies={"session": site.token(Role.ADMIN)}).status_code == 404


def test_trying_again_asks_razorpay_first(shop: str, site: Site, razorpay: Razorpay) -> None:
    by, cookies = site.people[Role.MANAGER].actor(), {"session": site.token(Role.MANAGER)}
    order = orders.create("pack-100", by=by)
    path = f"{shop}/pay/order/{order.order_id}"
    paid = razorpay.pay(order.razorpay_id, "authorized")

    def opened() -> httpx.Response:
        return httpx.get(path, cookies=cookies)

    razorpay.silent = True
    answer = opened()
    razorpay.silent = False
    assert (answer.status_code, "Wait some minutes and look under Plans" in answer.text) == (503, True)
    late = opened()
    assert (late.status_code, "Do not pay again." in late.text) == (409, True)
    for page in (answer.text, late.text):
        assert f'data-wait="/pay/order/{order.order_id}/state"' in page
        assert "checkout.js" not in page
    razorpay.capture(order.razorpay_id)  # and nobody is told
    assert opened().headers["location"] == f"/pay/order/{order.order_id}/done"
    assert [one.state for one in listing.mine(by=by)[0] if one.razorpay_id == paid["id"]] == ["captured"]


def test_only_the_checkout_may_load_what_razorpay_serves(shop: str, site: Site, razorpay: Razorpay) -> None:
    order = orders.create("pack-100", by=site.people[Role.MANAGER].actor())
    cookies = {"session": site.token(Role.MANAGER)}
    base = f"/pay/order/{order.order_id}"
    for path in (base, f"{base}/done", "/plans", "/pay/orders", "/pay/order/1x"):
        headers = httpx.get(f"{shop}{path}", cookies=cookies).headers
        widened = razorpay.url in headers["content-security-policy"]
        assert widened == (path == base), path
        assert ("payment=()" in headers["permissions-policy"]) != widened
        assert (headers["cross-origin-opener-policy"] == "same-origin") != widened
        assert "'unsafe-inline'" not in headers["content-security-policy"].partition("style-src")[0]
    assert headers["cache-control"] == "no-store"
    page = httpx.get(f"{shop}{base}", cookies=cookies).text
    assert f'<script src="{razorpay.url}/v1/checkout.js" defer></script>' in page
    assert KEY_SECRET not in page
    assert httpx.get(f"{shop}{base}").status_code == 401


def test_a_name_is_no_markup(shop: str, site: Site, tmp_path: Path) -> None:
    from dashboard import pay_page
    from models.payments.orders import Checkout
    from models.payments.states import OrderState

    evil = "<script>'\"&"
    page = bytes(pay_page.order(Checkout(1, OrderState.CREATED, evil, evil, 100, "INR", 5, evil, evil, evil)).body)
    assert evil.encode() not in page
    assert page.count(b"<script ") == 2
