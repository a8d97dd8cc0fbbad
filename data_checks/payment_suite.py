"""What good payments look like: references that lead somewhere, states that fit each other, sums that add up.

A part of this the tables themselves refuse, and the joining of events keeps to the rest: a row that breaks a rule came
past both, or tells of a fault in them. Rows are called by Razorpay's names. Amounts are paise.
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from models.check_rules import ALL, NEARLY_ALL, About, Demand, Rule
from models.payments.states import (
    CAPTURED,
    CURRENCY,
    InvoiceState,
    OrderState,
    PaymentState,
    RefundState,
    SubscriptionState,
)

_CAPTURED = ", ".join(f"'{state.value}'" for state in CAPTURED)
_COUNTED = f"'{RefundState.PENDING}', '{RefundState.PROCESSED}'"


def suites() -> dict[str, list[Rule]]:
    """Table -> its rules."""
    found = {
        "payments": [*_payments(), *_payment_sums()],
        "payment_refunds": _refunds(),
        "payment_orders": _orders(),
        "payment_subscriptions": _subscriptions(),
        "payment_invoices": _invoices(),
    }
    return {
        table: [replace(rule, given={**rule.given, "table": table}) for rule in rules] for table, rules in found.items()
    }


def rules() -> list[Rule]:
    return [rule for listed in suites().values() for rule in listed]


def _payments() -> list[Rule]:
    return [
        _rule("payment_has_razorpays_name", "A payment has Razorpay's name, pay_ and letters.", _named("pay")),
        _known("payment_state_is_known", "A payment's state is one of Razorpay's.", PaymentState),
        _rule("payment_is_in_rupees", f"A payment is in {CURRENCY}.", f"currency = '{CURRENCY}'"),
        _rule("payment_amount_is_positive", "A payment's amount is more than nothing.", "amount > 0"),
        _rule("payment_fee_is_plausible",
              "A payment's fee is a part of its amount, and the tax a part of the fee.",
              "coalesce(fee, 0) BETWEEN 0 AND amount AND coalesce(tax, 0) BETWEEN 0 AND coalesce(fee, 0)"),
        _rule("payment_is_not_in_the_future", "A payment was not made in the future.",
              "paid_at < now() + interval '1 hour'"),
        _rule("payment_is_of_one_thing", "A payment is for an order or for a subscription, not for both.",
              "order_id IS NULL OR subscription_id IS NULL"),
        _rule("payment_is_of_its_orders_owner", "A payment belongs to whoever ordered or subscribed.",
              """user_id IS NOT DISTINCT FROM coalesce(
                  (SELECT o.user_id FROM payment_orders o WHERE o.id = payments.order_id),
                  (SELECT s.user_id FROM payment_subscriptions s WHERE s.id = payments.subscription_id))"""),
        _rule("payment_captured_is_somebodys", "A captured payment belongs to an order or subscription of ours.",
              f"state NOT IN ({_CAPTURED}) OR user_id IS NOT NULL"),
    ]  # fmt: skip


def _payment_sums() -> list[Rule]:
    return [
        _rule("payment_order_has_its_amount", "A captured payment of an order is not less than the order asks for.",
              f"""state NOT IN ({_CAPTURED}) OR order_id IS NULL OR amount >= (
                  SELECT o.amount FROM payment_orders o WHERE o.id = payments.order_id)"""),
        _rule("payment_captured_brought_credits", "A captured payment of an order brought credits.",
              f"state NOT IN ({_CAPTURED}) OR order_id IS NULL OR credits > 0"),
        _rule("payment_uncaptured_brought_none", "A payment that was not captured brought no credits.",
              f"state IN ({_CAPTURED}) OR credits IS NULL"),
        _rule("payment_refunded_within_amount", "Not more than a payment's amount was given back.",
              "amount_refunded BETWEEN 0 AND amount AND refunded BETWEEN 0 AND amount"),
        _rule("payment_refunded_has_its_state", "A payment is refunded exactly when all of it was given back.",
              f"(state = '{PaymentState.REFUNDED}') = (amount > 0 AND amount_refunded = amount)"),
        _rule("payment_refunds_add_up", "The refunds that count add up to what was given back.",
              """refunded = (SELECT coalesce(sum(r.amount), 0) FROM payment_refunds r
                  WHERE r.payment_id = payments.id AND r.counted)"""),
        _rule("payment_credits_within_bought", "Not more credits were taken back than the payment brought.",
              "credits_back >= 0 AND credits_spent >= 0 AND credits_back + credits_spent <= coalesce(credits, 0)"),
        _rule("payment_credits_are_in_the_ledger", "The ledger holds the credits of each payment.",
              """coalesce(credits, 0) - credits_back = (SELECT coalesce(sum(e.amount), 0) FROM credit_entries e
                  WHERE e.payment_id = payments.id)"""),
    ]  # fmt: skip


def _refunds() -> list[Rule]:
    return [
        _known("refund_state_is_known", "A refund's state is one of ours or Razorpay's.", RefundState, of="id"),
        _rule("refund_amount_is_within_its_payment", "A refund is more than nothing, and not more than its payment.",
              "amount BETWEEN 1 AND (SELECT p.amount FROM payments p WHERE p.id = payment_refunds.payment_id)",
              of="id"),
        _rule("refund_answered_has_razorpays_name", "A refund that Razorpay answered has Razorpay's name.",
              f"state = '{RefundState.ASKED}' OR state = '{RefundState.FAILED}' OR razorpay_id ~ '^rfnd_[0-9A-Za-z]+$'",
              of="id"),
        _rule("refund_is_counted_by_its_state", "A refund counts exactly while it is on its way or done.",
              f"""counted = (state IN ({_COUNTED})) OR (SELECT p.credits IS NULL FROM payments p
                  WHERE p.id = payment_refunds.payment_id)""", of="id"),
        _rule("refund_is_answered_within_a_day", "A refund that was asked for is answered within a day.",
              f"state <> '{RefundState.ASKED}' OR refunded_at > now() - interval '1 day'", of="id"),
    ]  # fmt: skip


def _orders() -> list[Rule]:
    return [
        _rule("order_has_razorpays_name", "An order has Razorpay's name, order_ and letters.", _named("order")),
        _known("order_state_is_known", "An order's state is one of Razorpay's.", OrderState),
        _rule("order_has_its_price", "An order has the amount and credits of what was sold.",
              """EXISTS (SELECT FROM payment_offers o WHERE o.id = payment_orders.offer_id
                  AND o.price = payment_orders.amount AND o.credits = payment_orders.credits)"""),
        _rule("order_paid_has_its_payment", "An order that is paid has a captured payment.",
              f"""state <> '{OrderState.PAID}' OR EXISTS (SELECT FROM payments p
                  WHERE p.order_id = payment_orders.id AND p.state IN ({_CAPTURED}))""", NEARLY_ALL),
    ]  # fmt: skip


def _subscriptions() -> list[Rule]:
    return [
        _rule("subscription_has_razorpays_name", "A subscription has Razorpay's name, sub_ and letters.",
              _named("sub")),
        _known("subscription_state_is_known", "A subscription's state is one of Razorpay's.", SubscriptionState),
        _rule("subscription_period_is_in_order", "A subscription's period begins before it ends.",
              "current_start IS NULL OR current_end IS NULL OR current_start < current_end"),
        _rule("subscription_active_is_charged", "An active subscription is charged within three days of its period.",
              f"state <> '{SubscriptionState.ACTIVE}' OR coalesce(current_end > now() - interval '3 days', true)"),
        _rule("subscription_charges_have_their_payments",
              "A subscription has as many charges as Razorpay counted.",
              """paid_count <= (SELECT count(*) FROM payments p
                  WHERE p.subscription_id = payment_subscriptions.id AND p.charge)"""),
    ]  # fmt: skip


def _invoices() -> list[Rule]:
    return [
        _known("invoice_state_is_known", "An invoice's state is one of Razorpay's.", InvoiceState),
        _rule("invoice_amount_is_positive", "An invoice's amount is not below nothing.", "amount >= 0"),
        _rule("invoice_paid_has_its_payment", "An invoice that is paid leads to a payment that is known.",
              f"""state <> '{InvoiceState.PAID}' OR EXISTS (SELECT FROM payments p
                  WHERE p.razorpay_id = payment_invoices.razorpay_payment_id)"""),
    ]  # fmt: skip


def _rule(name: str, sentence: str, condition: str, tolerance: float = ALL, *, of: str = "razorpay_id") -> Rule:
    """`of` is the column that names the row."""
    given = {"condition": condition}
    return Rule(name, None, sentence, Demand.HOLDS, (of,), given, tolerance, about=About.PAYMENTS)


def _known(name: str, sentence: str, states: Iterable[StrEnum], *, of: str = "razorpay_id") -> Rule:
    listed = ", ".join(f"'{state.value}'" for state in states)
    return _rule(name, sentence, f"state IN ({listed})", of=of)


def _named(prefix: str) -> str:
    return f"razorpay_id ~ '^{prefix}_[0-9A-Za-z]+$'"
