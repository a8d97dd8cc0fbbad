"""Payments at the command line, the commands as processes of their own."""

from collections.abc import Iterator

import pytest

from models.payments import events, orders
from models.permissions import OPERATOR, Role
from tests import razorpay as standin
from tests.deploy.command_line import Cli, on_a_terminal, without_colours
from tests.people import person
from tests.razorpay import Razorpay


@pytest.fixture
def razorpay(cli: Cli) -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


def test_payments_are_listed_refunded_and_compared(cli: Cli, razorpay: Razorpay) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.ANALYST).actor()
    paid = razorpay.pay(orders.create("pack-500", by=ann).razorpay_id)
    compared = cli("payments", "compare", "--json").object
    assert (compared["compared"], compared["mended"], compared["findings"]) == (1, 1, [])
    [found] = cli("payments", "list", "--who", "ann@example.com", "--json").object["payments"]
    assert (found["amount"], found["state"], found["credits"]) == (119_900, "captured", 500)
    asked = on_a_terminal(cli, ["payments", "refund", "1", "--amount", "19900"], "n\n", columns=80)
    assert "₹199.00 are given back, and 82 credits taken back. Go on? [y/N]: Nothing was changed." in asked
    unasked = cli("payments", "refund", "1", "--amount", "19900", "--json").object
    assert unasked["error"].endswith("Nobody can be asked here: say --yes, and nothing was changed yet.")
    made = cli("payments", "refund", "1", "--amount", "19900", "--reason", "a fault", "--yes", "--json").object
    assert (made["state"], made["credits"], made["reason"]) == ("processed", 82, "a fault")
    said = cli("payments", "show", "1").out
    assert said.startswith(f"₹1,199.00 for 500 credits, captured, by ann@example.com ({paid['id']}).")
    assert "a fault" in said
    [month] = cli("payments", "revenue", "--months", "1", "--json").object["months"]
    assert (month["captured"], month["refunded"], month["revenue"]) == (119_900, 19_900, 100_000)
    [event, _] = cli("payments", "events", "--json").object["events"]
    assert (event["kind"], event["source"]) == ("refund.answered", "answer")
    assert cli("payments", "replay", str(event["id"])).out == f"Event {event['id']} (refund.answered) is applied.\n"
    assert cli("payments", "replay").code == 2
    priced = cli("payments", "price", "pack-500", "--price", "99900", "--json").object
    assert (priced["code"], priced["price"], priced["credits"]) == ("pack-500", 99_900, 500)
    refused = cli("payments", "price", "basic", "--razorpay-id", "plan_nowhere", "--json").object["error"]
    assert refused.startswith("razorpay_id: Razorpay gives no plan plan_nowhere")
    assert events.numbers(by=OPERATOR)["applied"] == 2


def test_lists_fit_a_narrow_terminal(cli: Cli, razorpay: Razorpay) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.ANALYST).actor()
    one = razorpay.event("payment.captured", payment=razorpay.pay(orders.create("pack-500", by=ann).razorpay_id))
    events.receive(one.body, signature=one.signature, event_id=one.event_id)
    events.apply_waiting()
    refund = razorpay.make("refund", payment_id="pay_nobodytoldof", amount=100, status="processed")
    late = razorpay.event("subscription.authenticated", refund=refund)
    number = events.receive(late.body, signature=late.signature, event_id=late.event_id)
    assert number is not None
    events.apply(number)
    for command in (["list"], ["events"], ["revenue"]):
        printed = without_colours(on_a_terminal(cli, ["payments", *command], "", columns=80))
        assert max(len(line) for line in printed.splitlines()) <= 80, command
        if command == ["events"]:
            listed = printed.rpartition("─")[2]
            rows = [
                line.split()[0]
                for line in listed.partition("Times")[0].partition("Left out")[0].splitlines()
                if line.strip()
            ]
            assert rows == ["2", "1"]  # one line for each: no word is broken
            assert "Nobody told" in listed
            assert "Left out, as the terminal is narrow: tries, about. --json has everything." in listed
