"""Plans and payments on their screens, with a Razorpay of the tests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard import session
from dashboard.widgets.subscription_card import sentence
from models import credits, settings
from models.database import writing
from models.payments import events, listing, offers, reconciliations, refunds, subscriptions
from models.payments.offers import Sold
from models.payments.states import EventState, OfferKind, SubscriptionState
from models.payments.subscriptions import Own
from models.permissions import OPERATOR, Actor, Role
from tests import ledger
from tests import razorpay as standin
from tests.dashboard import paying
from tests.dashboard.conftest import Site, click_in_table
from tests.razorpay import Razorpay

Screen = Callable[..., AppTest]


@pytest.fixture
def razorpay() -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


@pytest.fixture(autouse=True)
def nothing_paid(site: Site) -> None:
    """Each test begins with nobody having paid anything, and with the prices as they came."""
    with ledger.unlocked() as transaction:
        transaction.execute(
            text(
                "TRUNCATE payment_events, payment_findings, payment_reconciliations, payment_invoices, credit_entries, "
                "payment_refunds, payments, payment_subscriptions, payment_orders RESTART IDENTITY CASCADE"
            )
        )
        transaction.execute(text("UPDATE payment_offers SET razorpay_id = NULL"))


@pytest.fixture
def ann(site: Site) -> Actor:
    return site.people[Role.ANALYST].actor()


@pytest.fixture
def admin(site: Site) -> Actor:
    return site.people[Role.ADMIN].actor()


def texts(test: AppTest) -> str:
    assert not test.exception, test.exception
    kinds = (test.markdown, test.caption, test.error, test.info, test.toast, test.subheader)
    return "\n".join(one.value.replace("\\", "") for kind in kinds for one in kind)


def button(test: AppTest, label: str, place: int = 0) -> Any:
    assert not test.exception, test.exception
    return [one for one in test.button if one.label == label][place]


def selected(test: AppTest, row: int = 0) -> AppTest:
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return test.run()


def ways(test: AppTest) -> list[str]:
    """Where the browser is sent, by the script that does it."""
    found = [one for one in test.get("bidi_component") if "path" in str(one.proto)]
    return [str(one.proto) for one in found]


def test_without_keys_the_screens_say_what_to_set(screen: Screen) -> None:
    for name in standin.environment(""):
        assert not getattr(settings.settings(), name.removeprefix("APPOINTMENT360_").lower())
    for at in ("plans", "payments"):
        told = texts(screen(Role.ADMIN, at=at))
        assert "set APPOINTMENT360_RAZORPAY_KEY_ID and APPOINTMENT360_RAZORPAY_KEY_SECRET" in told
    test = screen(Role.ANALYST, at="plans")
    assert [one.value for one in test.metric][:3] == ["₹999.00", "₹3,999.00", "₹12,999.00"]
    assert all(one.disabled for one in test.button if one.label in ("Buy", "Subscribe"))
    assert "You have not paid anything yet" in texts(test)


def test_buying_a_pack_leads_to_its_page(screen: Screen, razorpay: Razorpay, ann: Actor) -> None:
    test = button(screen(Role.ANALYST, at="plans"), "Buy", 1).click().run()
    assert "[Open it](/pay/order/1)" in texts(test)
    assert any("/pay/order/1" in one for one in ways(test))
    [made] = razorpay.things["order"].values()
    assert made["amount"] == 119900
    test.run()  # the click is over: nothing is ordered again
    assert len(razorpay.things["order"]) == 1
    razorpay.refusing.append((500, {}))
    assert "Razorpay refused it: Too many requests" in texts(button(test, "Buy").click().run())


def test_what_was_paid_with_its_invoice(screen: Screen, razorpay: Razorpay, ann: Actor) -> None:
    paying.bought(razorpay, ann)
    paying.subscribed(razorpay, ann)
    rows = screen(Role.ANALYST, at="plans").dataframe[0].value
    assert list(rows["what"]) == ["Pro, a month", "500 credits"]
    assert list(rows["amount"]) == ["₹3,999.00", "₹1,199.00"]
    assert list(rows["credits"]) == [2500, 500]
    assert rows["invoice"][0] == f"{razorpay.url}/i/1"
    assert rows["receipt"][1].endswith(f"/pay/receipt/{rows['number'][1]}")
    others = screen(Role.MANAGER, at="plans")
    assert not others.dataframe
    assert "You have not paid anything yet" in texts(others)


def test_pages_of_payments(screen: Screen, razorpay: Razorpay, ann: Actor) -> None:
    first = paying.bought(razorpay, ann, "pack-100")
    with writing(OPERATOR) as transaction:  # as many as fill a page and one more
        transaction.execute(
            text(
                "INSERT INTO payments (razorpay_id, user_id, state, told_at, amount, currency, paid_at) "
                "SELECT 'pay_more' || n, :who, 'failed', now(), 100, 'INR', now() + make_interval(secs => n) "
                "FROM generate_series(1, 50) AS n"
            ),
            {"who": ann.id},
        )
    for who, at in ((Role.ANALYST, "plans"), (Role.ADMIN, "payments")):
        test = screen(who, at=at)
        assert len(test.dataframe[0].value) == 50
        test = button(test, "Older").click().run()
        assert list(test.dataframe[0].value["number"]) == [first.id]
        assert button(test, "Older").disabled
        assert len(button(test, "Newest").click().run().dataframe[0].value) == 50
        assert "This address cannot be read" in texts(screen(who, at=at, older="soon"))


PRO = Sold(2, OfferKind.PLAN, "pro", "Pro", 2500, 399900, "INR", None)
BASIC = Sold(1, OfferKind.PLAN, "basic", "Basic", 500, 99900, "INR", None)
DAY = datetime(2026, 12, 26, tzinfo=UTC)
MINE = Own(1, "sub_x", SubscriptionState.ACTIVE, PRO, None, False, 1, DAY, DAY, DAY, None, DAY)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"state": SubscriptionState.CREATED}, "It begins once ₹3,999.00 is paid."),
        ({"state": SubscriptionState.AUTHENTICATED}, "The first charge of ₹3,999.00 comes on 26 Dec 2026, with 2,500"),
        ({}, "2,500 credits a month. The next charge is ₹3,999.00, on 26 Dec 2026."),
        (
            {"next_plan": replace(PRO, id=9, price=449900)},
            "The next charge is ₹4,499.00, as it is sold now, on 26 Dec 2026.",
        ),
        ({"next_plan": BASIC}, "The next charge is ₹999.00, as **Basic**, on 26 Dec 2026."),
        ({"cancels_at_end": True}, "It ends on 26 Dec 2026, with the month that is paid."),
        ({"state": SubscriptionState.PENDING}, "The last charge of ₹3,999.00 failed."),
        ({"state": SubscriptionState.HALTED}, "Its charges failed too often"),
        ({"state": SubscriptionState.PAUSED}, "Nothing is charged, and no credits come, until you resume it."),
        ({"state": SubscriptionState.CANCELLED, "ended_at": DAY, "cancels_at_end": True}, "It ended on 26 Dec 2026."),
        ({"state": SubscriptionState.EXPIRED}, "It ended. Choose a plan to begin a new one"),
    ],
)
def test_a_subscription_in_words(changes: dict[str, Any], told: str) -> None:
    assert told in sentence(replace(MINE, **changes))


def test_the_buttons_of_a_subscription(screen: Screen, razorpay: Razorpay, ann: Actor) -> None:
    test = button(screen(Role.ANALYST, at="plans"), "Subscribe", 1).click().run()
    assert "[Open it](/pay/subscription)" in texts(test)
    test = screen(Role.ANALYST, at="plans")
    assert button(test, "Pay")
    assert not [one for one in test.button if one.label in ("Cancel it", "Pause", "Resume")]
    [started] = razorpay.things["subscription"]
    razorpay.charge(started)
    subscriptions.fetch(started)
    test = screen(Role.ANALYST, at="plans")
    assert button(test, "Your plan").disabled
    assert not [one for one in test.button if one.label in ("Pay", "Resume", "Subscribe")]
    assert [button(test, label).disabled for label in ("Change to it", "Pause", "Cancel it")] == [False] * 3
    subscriptions.change("basic", by=ann)
    test = screen(Role.ANALYST, at="plans")
    assert button(test, "From the next charge on").disabled
    assert "You stay with Pro" in texts(button(test, "Keep my plan").click().run())
    found = subscriptions.current(by=ann)
    assert found
    assert found.next_plan is None


def dialog(name: str) -> None:
    """One of the dialogs over and over, as its own fragment runs."""
    from dashboard import session
    from dashboard.widgets import offer_table, refund_dialog, subscription_dialogs
    from models.payments import listing, offers, subscriptions

    by = session.actor()
    mine = subscriptions.current(by=by)
    if name == "refund":
        refund_dialog.refund_dialog.__wrapped__(listing.get(1, by=by)[0])
    elif name == "price":
        offer_table.change_price_dialog.__wrapped__(next(one for one in offers.listed(by=by) if one.code == "pack-500"))
    elif name == "change":
        wanted = next(one for one in offers.listed(by=by) if one.code == "basic")
        subscription_dialogs.change_dialog.__wrapped__(mine, wanted)
    else:
        getattr(subscription_dialogs, f"{name}_dialog").__wrapped__(mine)


@dataclass
class Dialogs:
    site: Site
    monkeypatch: pytest.MonkeyPatch

    def open(self, name: str, who: Role = Role.ANALYST) -> AppTest:
        token = self.site.token(who)
        self.monkeypatch.setattr(session, "cookie_token", lambda: token)
        test = AppTest.from_function(dialog, args=(name,), default_timeout=60)
        test.context = {"locale": "en-GB", "timezone": "UTC"}
        return test.run()


@pytest.fixture
def dialogs(site: Site, themed: None, monkeypatch: pytest.MonkeyPatch) -> Dialogs:
    return Dialogs(site, monkeypatch)


def test_a_subscription_is_changed_paused_resumed_and_cancelled(
    dialogs: Dialogs, razorpay: Razorpay, ann: Actor
) -> None:
    def state() -> subscriptions.Own:
        found = subscriptions.current(by=ann)
        assert found
        return found

    mine = paying.subscribed(razorpay, ann)
    test = dialogs.open("change")
    assert "From **Pro** to **Basic**." in texts(test)
    assert "Nothing is charged now." in texts(test)
    button(test, "Change it").click().run()
    after = state().next_plan
    assert after
    assert after.code == "basic"
    for name, label, expected in (
        ("pause", "Pause", SubscriptionState.PAUSED),
        ("resume", "Resume", SubscriptionState.ACTIVE),
    ):
        button(dialogs.open(name), label).click().run()
        assert state().state == expected
    button(dialogs.open("cancel"), "Cancel it").click().run()
    assert state().cancels_at_end
    assert razorpay.things["subscription"][mine.razorpay_id]["status"] == "active"  # until its month is over
    razorpay.things["subscription"][mine.razorpay_id]["status"] = "halted"
    assert "Razorpay refused it" in texts(button(dialogs.open("pause"), "Pause").click().run())


def test_a_plan_at_its_old_price_is_ones_own(
    screen: Screen, dialogs: Dialogs, razorpay: Razorpay, ann: Actor, admin: Actor
) -> None:
    paying.subscribed(razorpay, ann, "basic")
    offers.change("basic", price=129900, by=admin)
    try:
        test = screen(Role.ANALYST, at="plans")
        assert "Your plan, at its old price: ₹999.00 for 500 credits a month." in texts(test)
        assert not [one for one in test.button if one.label == "Your plan"]
        assert not button(test, "Take the new price").disabled
        assert len([one for one in test.button if one.label == "Change to it"]) == 2  # the other plans
        test = dialogs.open("change")
        told = texts(test)
        assert "You have **Basic** at its old price: ₹999.00, 500 credits a month." in told
        assert "it is ₹1,299.00, which brings 500 credits." in told
        assert "From **Basic**" not in told
        button(test, "Take the new price").click().run()
        test = screen(Role.ANALYST, at="plans")
        assert "The next charge is ₹1,299.00, as it is sold now" in texts(test)
        assert "Your plan, at its old price" in texts(test)
        assert button(test, "From the next charge on").disabled
    finally:
        offers.change("basic", price=99900, by=admin)


def test_a_refund_says_before_what_it_takes_back(
    dialogs: Dialogs, razorpay: Razorpay, ann: Actor, admin: Actor
) -> None:
    paying.bought(razorpay, ann)
    credits.take_back("analyst@example.com", 200, "as if spent", by=OPERATOR)
    test = dialogs.open("refund", Role.ADMIN)
    assert [one.value for one in test.metric] == ["300", "200"]
    assert "200 credits are spent and stay spent" in texts(test)
    test.number_input[0].set_value(599.50).run()
    assert [one.value for one in test.metric] == ["250", "0"]
    test.text_input[0].set_value("Asked by mail").run()
    button(test, "Give back ₹599.50").click().run()
    assert credits.balance(by=ann).lasting == 50
    one, [refund] = listing.get(1, by=admin)
    assert (one.refunded, refund.amount, refund.credits, refund.reason) == (59950, 59950, 250, "Asked by mail")
    test = dialogs.open("refund", Role.ADMIN)
    assert test.number_input[0].value == 599.5
    button(test, "Give back ₹599.50").click().run()
    assert credits.balance(by=ann).lasting == 0
    assert "was given back already" in texts(dialogs.open("refund", Role.ADMIN))


def test_all_payments_and_their_filters(screen: Screen, razorpay: Razorpay, ann: Actor, admin: Actor) -> None:
    paying.bought(razorpay, ann)
    paying.subscribed(razorpay, admin)
    refunds.refund(1, 20000, "Too many", by=admin)
    test = screen(Role.ADMIN, at="payments")
    assert list(test.dataframe[0].value["who"]) == ["admin@example.com", "analyst@example.com"]
    assert test.metric[0].value == "₹4,998.00"
    test.selectbox[1].set_value("pack").run()
    assert test.query_params["kind"] == "pack"
    assert list(test.dataframe[0].value["state"]) == [["Partly given back"]]
    test = selected(test)
    told = texts(test)
    assert "**₹200.00** was given back" in told
    assert "by An admin; took back 83 credits; Too many" in told
    assert not button(test, "Give back").disabled
    test.text_input[0].set_value("nobody@example.com").run()
    assert test.query_params["who"] == "nobody@example.com"
    assert "No payment matches this" in texts(test)
    assert len(button(test, "Show all").click().run().dataframe[0].value) == 2
    for params in ({"state": "rich"}, {"kind": "x"}, {"since": "soon"}, {"until": "0001-01-01"}):
        assert "This address cannot be read" in texts(screen(Role.ADMIN, at="payments", **params))
    assert "You may not see everybody's payments" in texts(screen(Role.MANAGER, at="payments"))


def test_events_are_read_and_applied_again(screen: Screen, razorpay: Razorpay, ann: Actor, admin: Actor) -> None:
    paying.bought(razorpay, ann)
    number = paying.broken(razorpay)
    assert "1 given up" in str(screen(Role.ADMIN, at="payments").get("button_group")[0].proto)
    test = screen(Role.ADMIN, at="payments", part="events", state="dead")
    [row] = test.dataframe[0].value.to_dict("records")
    assert (row["number"], row["kind"], row["state"], row["tries"]) == (number, "refund.processed", ["Given up"], 6)
    test = selected(test)
    assert '"id": "rfnd' in test.code[0].value
    assert "Nobody told of the payment pay_nobodytoldof" in texts(test)
    stray = razorpay.make("payment", amount=100, currency="INR", status="captured", order_id=None)
    stray["id"] = "pay_nobodytoldof"
    paying.tell(razorpay.event("payment.captured", payment=stray))
    button(test, "Apply all that were given up").click().run()
    assert events.get(number, by=admin)[0].state == EventState.APPLIED
    test = selected(screen(Role.ADMIN, at="payments", part="events", about="pay_nobodytoldof"))
    assert "applied" in texts(button(test, "Apply again").click().run())
    assert "This address cannot be read" in texts(screen(Role.ADMIN, at="payments", part="events", before="x"))


def test_the_comparison_and_what_it_left(screen: Screen, razorpay: Razorpay, admin: Actor) -> None:
    test = screen(Role.ADMIN, at="payments", part="comparison")
    assert "Nothing was compared yet." in texts(test)
    test = button(test, "Compare now").click().run()
    assert "it waits for its turn" in texts(test)
    assert button(test, "Compare now").disabled
    latest = reconciliations.latest(by=admin)
    assert latest
    stray = razorpay.make("payment", amount=5000, currency="INR", status="captured", order_id=None)
    paying.tell(razorpay.event("payment.captured", payment=stray))
    reconciliations.begin(latest.id)
    reconciliations.finish(latest.id, reconciliations.Numbers(14, 1), {})
    told = texts(test.run())
    assert "**14** compared, **1** differed and were put right" in told
    assert f"The payment {stray['id']} of INR 50.00 was captured, but brought no credits" in told


def test_prices(screen: Screen, dialogs: Dialogs, razorpay: Razorpay, admin: Actor) -> None:
    test = screen(Role.ADMIN, at="payments", part="prices")
    assert list(test.dataframe[0].value["code"])[-3:] == ["pack-100", "pack-500", "pack-2000"]
    test = click_in_table(test, "change", 4)
    assert [one.label for one in test.number_input] == ["Credits", "Price, INR"]
    test = dialogs.open("price", Role.ADMIN)
    test.number_input[1].set_value(1299.99).run()
    button(test, "Save").click().run()
    [found] = [one for one in offers.listed(by=admin) if one.code == "pack-500"]
    assert (found.price, found.credits) == (129999, 500)
    offers.change("pack-500", price=119900, by=admin)
