"""What is stored of payments. `razorpay_id` is Razorpay's name of a thing, everywhere; amounts are paise."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base

_MOMENT = DateTime(timezone=True)


class Offer(Base):
    """A plan or a pack at one price. Another price or number of credits is another row with the same `code`: what was
    bought before stays what it was. `ended_at` is NULL for the one that is sold."""

    __tablename__ = "payment_offers"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    credits: Mapped[int] = mapped_column(Integer)
    price: Mapped[int] = mapped_column(BigInteger)
    place: Mapped[int] = mapped_column(Integer)  # in the list
    razorpay_id: Mapped[str | None] = mapped_column(Text)  # of a plan, once somebody subscribed to it
    created_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    ended_at: Mapped[datetime | None] = mapped_column(_MOMENT)

    __table_args__ = (
        CheckConstraint("credits > 0 AND price >= 100", name="payment_offers_amounts"),
        Index("payment_offers_code", "code", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("payment_offers_razorpay", "razorpay_id", unique=True),
    )


class Order(Base):
    """A pack that somebody is about to pay, with what it was sold for."""

    __tablename__ = "payment_orders"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    offer_id: Mapped[int] = mapped_column(ForeignKey("payment_offers.id"))
    credits: Mapped[int] = mapped_column(Integer)
    amount: Mapped[int] = mapped_column(BigInteger)
    razorpay_id: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())

    __table_args__ = (
        Index("payment_orders_razorpay", "razorpay_id", unique=True),
        Index("payment_orders_user", "user_id"),
    )


class Subscription(Base):
    """`offer_id` is the plan that it has now. `told_at` is the moment, by Razorpay's clock, of which the state is."""

    __tablename__ = "payment_subscriptions"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    offer_id: Mapped[int] = mapped_column(ForeignKey("payment_offers.id"))
    razorpay_id: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    told_at: Mapped[datetime] = mapped_column(_MOMENT)
    paid_count: Mapped[int] = mapped_column(Integer, server_default="0")
    current_start: Mapped[datetime | None] = mapped_column(_MOMENT)
    current_end: Mapped[datetime | None] = mapped_column(_MOMENT)
    charge_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    ended_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    cancels_at_end: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))  # of its period
    next_offer_id: Mapped[int | None] = mapped_column(ForeignKey("payment_offers.id"))  # from the next charge on
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())

    __table_args__ = (
        Index("payment_subscriptions_razorpay", "razorpay_id", unique=True),
        Index("payment_subscriptions_user", "user_id"),
    )


class Payment(Base):
    """`amount_refunded` is what Razorpay said last, `refunded` the sum of the refunds whose credits were taken back.
    `credits` were given for it (NULL: none yet), `credits_back` taken back, `credits_spent` not to be had any more.

    `told_at` is the moment of which what depends on the state is. `charge` says that it is a subscription's charge of a
    month, and not what only authenticates it; `offer_id` is the plan of that."""

    __tablename__ = "payments"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    razorpay_id: Mapped[str] = mapped_column(Text)
    razorpay_order_id: Mapped[str | None] = mapped_column(Text)
    razorpay_invoice_id: Mapped[str | None] = mapped_column(Text)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("payment_orders.id"))
    subscription_id: Mapped[int | None] = mapped_column(ForeignKey("payment_subscriptions.id"))
    offer_id: Mapped[int | None] = mapped_column(ForeignKey("payment_offers.id"))
    charge: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    state: Mapped[str] = mapped_column(Text)
    told_at: Mapped[datetime] = mapped_column(_MOMENT)
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    amount_refunded: Mapped[int] = mapped_column(BigInteger, server_default="0")
    method: Mapped[str | None] = mapped_column(Text)
    fee: Mapped[int | None] = mapped_column(BigInteger)
    tax: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    paid_at: Mapped[datetime] = mapped_column(_MOMENT)  # when the person paid, or tried to, by Razorpay's clock
    credits: Mapped[int | None] = mapped_column(Integer)
    credits_back: Mapped[int] = mapped_column(Integer, server_default="0")
    credits_spent: Mapped[int] = mapped_column(Integer, server_default="0")
    refunded: Mapped[int] = mapped_column(BigInteger, server_default="0")

    __table_args__ = (
        Index("payments_razorpay", "razorpay_id", unique=True),
        Index("payments_latest", "paid_at", "id"),
        Index("payments_user", "user_id", "paid_at", "id"),
        Index("payments_order", "order_id"),
        Index("payments_subscription", "subscription_id"),
    )


class Refund(Base):
    """`key` makes Razorpay carry it out once, however often it is asked; `counted` says that its credits were taken
    back, `credits` of them."""

    __tablename__ = "payment_refunds"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payments.id"))
    razorpay_id: Mapped[str | None] = mapped_column(Text)
    key: Mapped[str | None] = mapped_column(Text)  # NULL: asked for elsewhere, such as in Razorpay's dashboard
    state: Mapped[str] = mapped_column(Text)
    amount: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    asked_by: Mapped[int | None]
    refunded_at: Mapped[datetime] = mapped_column(_MOMENT)
    counted: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    credits: Mapped[int] = mapped_column(Integer, server_default="0")

    __table_args__ = (
        Index("payment_refunds_razorpay", "razorpay_id", unique=True),
        Index("payment_refunds_key", "key", unique=True),
        Index("payment_refunds_payment", "payment_id"),
        Index("payment_refunds_asked", "id", postgresql_where=text("state = 'asked'")),
    )


class Invoice(Base):
    """Razorpay's invoice for a charge of a subscription."""

    __tablename__ = "payment_invoices"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    razorpay_id: Mapped[str] = mapped_column(Text)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("payment_subscriptions.id"))
    razorpay_payment_id: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    amount: Mapped[int] = mapped_column(BigInteger)
    url: Mapped[str | None] = mapped_column(Text)
    issued_at: Mapped[datetime | None] = mapped_column(_MOMENT)

    __table_args__ = (
        Index("payment_invoices_razorpay", "razorpay_id", unique=True),
        Index("payment_invoices_subscription", "subscription_id"),
        Index("payment_invoices_payment", "razorpay_payment_id"),
    )


class PaymentEvent(Base):
    """Something that was told of payments, word for word. `about` are Razorpay's names of what it is about."""

    __tablename__ = "payment_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)  # “payment.captured”
    about: Mapped[list[str]] = mapped_column(ARRAY(Text))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    told_at: Mapped[datetime | None] = mapped_column(_MOMENT)  # by Razorpay's clock
    received_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.clock_timestamp())
    state: Mapped[str] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(Integer, server_default="0")
    next_try_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.clock_timestamp())
    applied_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    error: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("payment_events_once", "event_id", unique=True),
        Index("payment_events_waiting", "next_try_at", "id", postgresql_where=text("state = 'waiting'")),
        Index("payment_events_state", "state", "id"),
        Index("payment_events_about", "about", postgresql_using="gin"),
    )


class Reconciliation(Base):
    """A comparison with Razorpay: `compared` things, of which `mended` differed and were put right."""

    __tablename__ = "payment_reconciliations"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    state: Mapped[str] = mapped_column(Text)  # waiting, running, done, failed
    days: Mapped[int] = mapped_column(Integer)
    asked_by: Mapped[int | None]
    asked_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    finished_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    compared: Mapped[int] = mapped_column(Integer, server_default="0")
    mended: Mapped[int] = mapped_column(Integer, server_default="0")
    found: Mapped[int] = mapped_column(Integer, server_default="0")
    error: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index(
            "payment_reconciliations_one",
            text("(true)"),
            unique=True,
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
    )


class Finding(Base):
    """What the last comparison could not mend: a sentence for a person who looks after payments."""

    __tablename__ = "payment_findings"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)  # Razorpay's name of what it is about
    sentence: Mapped[str] = mapped_column(Text)
    first_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.clock_timestamp())
    reconciliation_id: Mapped[int] = mapped_column(ForeignKey("payment_reconciliations.id"))
