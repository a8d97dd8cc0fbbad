"""The states of what is stored of payments, each kind's in the order in which they follow each other."""

from enum import StrEnum

CURRENCY = "INR"


class OfferKind(StrEnum):
    PLAN = "plan"  # its credits come with each month's charge
    PACK = "pack"  # once


class OrderState(StrEnum):
    CREATED = "created"
    ATTEMPTED = "attempted"
    PAID = "paid"


class PaymentState(StrEnum):
    CREATED = "created"
    FAILED = "failed"  # a bank may still authorise it late
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    REFUNDED = "refunded"


class RefundState(StrEnum):
    ASKED = "asked"  # by us, and not answered
    PENDING = "pending"
    PROCESSED = "processed"
    FAILED = "failed"


class SubscriptionState(StrEnum):
    CREATED = "created"
    AUTHENTICATED = "authenticated"
    ACTIVE = "active"
    PENDING = "pending"
    HALTED = "halted"
    PAUSED = "paused"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class InvoiceState(StrEnum):
    DRAFT = "draft"
    ISSUED = "issued"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DELETED = "deleted"


class EventState(StrEnum):
    WAITING = "waiting"
    APPLIED = "applied"
    IGNORED = "ignored"  # of nothing that is kept here
    DEAD = "dead"  # it failed too often; it can be applied again by hand


class Source(StrEnum):
    WEBHOOK = "webhook"
    RETURN = "return"  # of a person from the checkout
    ANSWER = "answer"  # to what was asked of Razorpay
    RECONCILIATION = "reconciliation"


CAPTURED = (PaymentState.CAPTURED, PaymentState.REFUNDED)  # the money came in
ENDED = (SubscriptionState.COMPLETED, SubscriptionState.EXPIRED, SubscriptionState.CANCELLED)  # for ever
RUNNING = (
    SubscriptionState.AUTHENTICATED, SubscriptionState.ACTIVE, SubscriptionState.PENDING, SubscriptionState.HALTED,
    SubscriptionState.PAUSED,
)  # fmt: skip
