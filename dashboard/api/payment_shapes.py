"""What payments look like in JSON. Amounts are whole paise, beside their currency."""

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dashboard.api.moments import Moment
from models.payments.offers import HIGHEST_PRICE, LEAST_PRICE, LONGEST_TITLE, MOST_CREDITS
from models.payments.refunds import LEAST, LONGEST_REASON
from models.payments.states import EventState, OfferKind, OrderState, PaymentState, RefundState, Source
from models.payments.states import SubscriptionState as State

NAME = "^[A-Za-z0-9_]{1,64}$"  # of something at Razorpay
CODE = "^[a-z0-9-]{1,40}$"
LARGEST = 2**53 - 1  # paise that every program reads exactly


def _written_as_one(value: object) -> object:
    """A bare number would be seconds since 1970."""
    if isinstance(value, str) and not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("write a day like 2026-11-30")
    return value


Day = Annotated[date, BeforeValidator(_written_as_one)]


class Shape(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PaymentBody(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SoldOffer(Shape):
    """A plan brings its credits with each month's charge, a pack once. Credits that were bought last."""

    kind: OfferKind
    code: str = Field(examples=["pro"])
    title: str = Field(examples=["Pro"])
    credits: int = Field(examples=[2500])
    price: int = Field(description="Paise; of a plan for each month.", examples=[399900])
    currency: str = Field(examples=["INR"])


class OfferList(BaseModel):
    """`ready` is whether anything can be bought just now; where not, `how` says what to set."""

    ready: bool
    how: str | None = Field(examples=["Payments are not set up: set APPOINTMENT360_RAZORPAY_KEY_ID …"])
    offers: list[SoldOffer]


class OfferChange(PaymentBody):
    """What is left out stays. Who bought before keeps the old terms."""

    title: str | None = Field(None, min_length=1, max_length=LONGEST_TITLE, examples=["Pro"])
    credits: int | None = Field(None, ge=1, le=MOST_CREDITS, examples=[3000])
    price: int | None = Field(None, ge=LEAST_PRICE, le=HIGHEST_PRICE, description="Paise.", examples=[449900])
    razorpay_id: str | None = Field(
        None, pattern="^plan_[A-Za-z0-9]{1,40}$", description="A plan at Razorpay of that price; else one is made."
    )


class NewOrder(PaymentBody):
    pack: str = Field(pattern=CODE, examples=["pack-500"])


class ChosenPlan(PaymentBody):
    plan: str = Field(pattern=CODE, examples=["pro"])


class CheckoutAnswer(PaymentBody):
    """What Razorpay's checkout answered."""

    razorpay_payment_id: str = Field(pattern=NAME, examples=["pay_29QQoUBi66xm2f"])
    razorpay_signature: str = Field(min_length=1, max_length=200, examples=["b2335e3b0801106b…"])


class OrderCheckout(Shape):
    """With `key_id` and `razorpay_id` (its `order_id`) Razorpay's checkout is opened."""

    order_id: int
    state: OrderState
    key_id: str = Field(examples=["rzp_live_1DP5mmOlF5G5ag"])
    razorpay_id: str = Field(examples=["order_DESlLckIVRkHWj"])
    amount: int = Field(description="Paise.", examples=[119900])
    currency: str
    credits: int
    title: str
    name: str
    email: str


class SubscriptionCheckout(Shape):
    """With `key_id` and `razorpay_id` (its `subscription_id`) Razorpay's checkout is opened."""

    subscription_id: int
    key_id: str
    razorpay_id: str = Field(examples=["sub_DEX6xcJ1HSW4CR"])
    amount: int = Field(description="Paise, each month.")
    currency: str
    credits: int = Field(description="Each month.")
    title: str
    name: str
    email: str


class OwnSubscription(Shape):
    """`next_plan` is what it becomes with the next charge; `cancels_at_end` that it ends with its period."""

    id: int
    razorpay_id: str
    state: State
    plan: SoldOffer
    next_plan: SoldOffer | None
    cancels_at_end: bool
    paid_count: int = Field(description="Months that were charged.")
    current_start: Moment | None
    current_end: Moment | None
    charge_at: Moment | None
    ended_at: Moment | None
    created_at: Moment


class MaybeSubscription(BaseModel):
    subscription: OwnSubscription | None = Field(description="Null where you never had one.")


class Payment(Shape):
    """`credits` null: it brought none yet. Of them `credits_back` were taken back with refunds; `credits_spent` would
    have been, and were spent already."""

    id: int = Field(examples=[17])
    razorpay_id: str = Field(examples=["pay_29QQoUBi66xm2f"])
    paid_at: Moment
    state: PaymentState
    amount: int = Field(description="Paise.", examples=[119900])
    currency: str = Field(examples=["INR"])
    refunded: int = Field(description="Paise that were given back, or are on their way.")
    kind: str = Field(description="plan, pack, or unknown.", examples=["pack"])
    title: str | None = Field(examples=["500 credits"])
    credits: int | None
    credits_back: int
    credits_spent: int
    method: str | None = Field(examples=["upi"])
    error: str | None = Field(description="Why it failed, in Razorpay's words.")
    order_id: int | None
    subscription_id: int | None
    invoice_url: str | None


class SomebodysPayment(Payment):
    user_id: int | None
    name: str | None
    email: str | None


class RefundLine(Shape):
    id: int
    razorpay_id: str | None = Field(description="Null until Razorpay has answered.")
    state: RefundState
    amount: int = Field(description="Paise.")
    reason: str | None
    error: str | None
    refunded_at: Moment
    credits: int = Field(description="That were taken back with it.")
    by: str | None = Field(description="Null where it was asked for elsewhere, such as at Razorpay.")


class WholePayment(SomebodysPayment):
    refunds: list[RefundLine]


class PaymentPage(BaseModel):
    """`next` goes into `after` for the following page, and is null on the last one."""

    payments: list[Payment]
    next: str | None


class SomebodysPaymentPage(BaseModel):
    payments: list[SomebodysPayment]
    next: str | None


class InvoiceLine(Shape):
    number: int
    paid_at: Moment
    title: str | None
    amount: int = Field(description="Paise.")
    refunded: int = Field(description="Paise.")
    currency: str
    credits: int | None
    razorpay_id: str
    url: str | None = Field(description="Razorpay's page of it; of a plan's charge.")


class NewRefund(PaymentBody):
    amount: int | None = Field(
        None, ge=LEAST, le=LARGEST, description="Paise; all that is left without.", examples=[50000]
    )
    reason: str | None = Field(None, max_length=LONGEST_REASON, examples=["Bought twice"])


class RefundProposal(Shape):
    """What a refund would do: of the credits that it makes out `credits` are taken back; `spent` are not left."""

    amount: int = Field(description="Paise.")
    refundable: int = Field(description="Paise that can be given back in all.")
    credits: int
    spent: int


class PaymentEvent(Shape):
    """Something that was told of payments. `next_try_at` is null where it is not tried by itself any more."""

    id: int
    event_id: str
    source: Source
    kind: str = Field(examples=["payment.captured"])
    about: list[str] = Field(examples=[["pay_29QQoUBi66xm2f"]])
    told_at: Moment | None = Field(description="By Razorpay's clock.")
    received_at: Moment
    state: EventState
    tries: int
    next_try_at: Moment | None
    applied_at: Moment | None
    error: str | None


class WholePaymentEvent(PaymentEvent):
    body: str = Field(description="Word for word, as it came.")


class PaymentEventPage(BaseModel):
    """`next` goes into `before_id` for the following page, and is null on the last one."""

    events: list[PaymentEvent]
    next: int | None
    numbers: dict[EventState, int] = Field(description="How many there are of each state.")


class AppliedEvents(BaseModel):
    applied: int = Field(description="How many of them.", examples=[2])


class RevenueMonth(Shape):
    month: date = Field(description="Its first day, in UTC.", examples=["2026-11-01"])
    captured: int = Field(description="Paise that came in.")
    refunded: int = Field(description="Paise that were given back.")
    revenue: int = Field(description="The one less the other.")
    payments: int


class Revenue(BaseModel):
    currency: str
    months: list[RevenueMonth]


class NewPaymentComparison(PaymentBody):
    days: int = Field(3, ge=1, le=90, description="So many of the last days.")


class AskedPaymentComparison(BaseModel):
    id: int
    started: bool = Field(description="Whether its run was started; if not, it is carried out within a minute.")


class PaymentComparison(Shape):
    id: int
    state: str = Field(examples=["done"])
    days: int
    asked_by: str | None = Field(description="Null: it was due.")
    asked_at: Moment
    finished_at: Moment | None
    compared: int
    mended: int
    found: int
    error: str | None


class PaymentFinding(Shape):
    kind: str
    subject: str = Field(description="Razorpay's name of what it is about.")
    sentence: str
    first_at: Moment


class PaymentFindings(BaseModel):
    """What the last comparison with Razorpay could not mend."""

    comparison: PaymentComparison | None
    findings: list[PaymentFinding]


class ReceivedEvent(BaseModel):
    state: str = Field(examples=["stored"])


def many(shape: type[Shape], found: list[Any]) -> list[Any]:
    return [shape.model_validate(one) for one in found]
